package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/eipgw/eipgw/perf/loadgen"
)

// trial is what one contender did in one round.
type trial struct {
	Contender string    `json:"contender"`
	Round     int       `json:"round"`
	Rate      float64   `json:"rate"`    // frames a second that came out of the contender: median of its turns
	Rates     []float64 `json:"rates"`   // of each turn
	Offered   float64   `json:"offered"` // ordinary frames a second that the generator sent, likewise
	Hostile   float64   `json:"hostile"` // hostile ones beside them, likewise
	Arrived   float64   `json:"arrived"` // share of the ordinary ones that came out, likewise

	Received  loadgen.Count `json:"received"` // in all its turns, as what follows
	Skipped   uint64        `json:"skipped"`  // frames that the generator did not send in time
	Generator cpuTime       `json:"generator-cpu"`
	Worker    cpuTime       `json:"worker-cpu"`

	Resident []int `json:"resident"` // KiB of memory at the end of each turn

	Disturbed int      `json:"disturbed"` // turns that count although they were disturbed
	Discarded int      `json:"discarded"` // turns that do not count because they were disturbed
	By        []string `json:"by,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

func (t trial) line() string {
	flood := ""
	if t.Hostile > 0 {
		flood = fmt.Sprintf(" beside %.3f hostile", t.Hostile/1e6)
	}
	s := fmt.Sprintf("round %d  %-18s %7.3f Mpps of %6.3f offered%s   CPU %d %3.0f %%, CPU %d %3.0f %%", t.Round, t.Contender,
		t.Rate/1e6, t.Offered/1e6, flood, generatorCPU, 100*t.Generator.busy(), workerCPU, 100*t.Worker.busy())
	if t.Disturbed+t.Discarded > 0 {
		s += fmt.Sprintf("   disturbed turns: %d, and %d more repeated", t.Disturbed, t.Discarded)
	}
	if n := len(t.Resident); n > 0 {
		s += fmt.Sprintf("   RSS %.1f to %.1f MiB", float64(t.Resident[0])/1024, float64(t.Resident[n-1])/1024)
	}
	return strings.Join(append([]string{s}, t.Notes...), "   ")
}

// round starts all contenders, gives them their turns, and ends them.
func round(ctx context.Context, s settings, cs []contender) (ts []trial, err error) {
	stands := make([]*stand, 0, len(cs))
	defer func() {
		for _, st := range stands {
			err = errors.Join(err, st.close())
		}
	}()
	for _, c := range cs {
		st, err := open(ctx, s, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name(), err)
		}
		stands = append(stands, st)
	}
	turns := make([][]turn, len(stands))
	discarded := make([][]turn, len(stands))
	for n := range s.Turns {
		for i := range stands {
			if n%2 == 1 {
				i = len(stands) - 1 - i // there and back, so that a drift hits all alike
			}
			good, bad, err := stands[i].calmTurn(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", cs[i].name(), err)
			}
			turns[i], discarded[i] = append(turns[i], good), append(discarded[i], bad...)
		}
	}
	for i, st := range stands {
		t := sum(turns[i], s)
		t.Contender, t.Discarded = cs[i].name(), len(discarded[i])
		if err := st.thaw(); err != nil {
			return nil, err
		}
		t.Notes = st.process.notes()
		for _, d := range discarded[i] {
			t.By = append(t.By, d.disturber(s))
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// calmTurn repeats a turn until nobody disturbs it, or too often, and returns the least
// disturbed.
func (st *stand) calmTurn(ctx context.Context) (best turn, others []turn, err error) {
	for try := 0; ; try++ {
		t, err := st.turn(ctx)
		switch {
		case err != nil:
			return t, others, err
		case try == 0:
			best = t
		case t.disturbance() < best.disturbance():
			best, others = t, append(others, best)
		default:
			others = append(others, t)
		}
		if best.disturber(st.settings) == "" || try == st.Retries {
			return best, others, nil
		}
	}
}

// turn is the difference between two readings of all counters.
type turn struct {
	time              time.Duration
	sent, hostile     uint64 // hostile ones are part of those sent
	skipped           uint64
	received          loadgen.Count
	generator, worker cpuTime // ticks
	resident          int     // KiB of the contender's memory at its end

	// Shares of the time for which the threads waited for a CPU.
	generatorWait, workerWait float64
}

func (t turn) rate() float64    { return float64(t.received.Frames) / t.time.Seconds() }
func (t turn) offered() float64 { return float64(t.sent-t.hostile) / t.time.Seconds() }
func (t turn) flood() float64   { return float64(t.hostile) / t.time.Seconds() }
func (t turn) arrived() float64 {
	return float64(t.received.Frames) / max(1, float64(t.sent-t.hostile))
}

// missed is the share of frames that the generator did not send in time.
func (t turn) missed() float64 { return float64(t.skipped) / max(1, float64(t.sent+t.skipped)) }

// disturbance is the share of the time that somebody else had, or of the frames that were
// not sent for it.
func (t turn) disturbance() float64 {
	return max(t.generator.shares().Steal, t.worker.shares().Steal, t.generatorWait, t.workerWait, t.missed())
}

// disturber is who had more of the time than the settings allow; empty if nobody.
func (t turn) disturber(s settings) string {
	switch steal := max(t.generator.shares().Steal, t.worker.shares().Steal); {
	case steal > s.Steal:
		return fmt.Sprintf("%.1f %% stolen", 100*steal)
	case t.workerWait > s.Waiting:
		return fmt.Sprintf("worker waited %.1f %%", 100*t.workerWait)
	case t.generatorWait > s.Waiting:
		return fmt.Sprintf("generator waited %.1f %%", 100*t.generatorWait)
	case t.missed() > s.Waiting:
		return fmt.Sprintf("generator sent %.1f %% too few", 100*t.missed())
	}
	return ""
}

// sum makes one trial of a contender's turns.
func sum(turns []turn, s settings) trial {
	t := trial{Rates: column(turns, turn.rate)}
	for _, u := range turns {
		t.Resident = append(t.Resident, u.resident)
	}
	t.Rate, t.Offered = median(t.Rates), median(column(turns, turn.offered))
	t.Hostile, t.Arrived = median(column(turns, turn.flood)), median(column(turns, turn.arrived))
	for _, u := range turns {
		t.Received.Frames += u.received.Frames
		t.Received.Bytes += u.received.Bytes
		t.Skipped += u.skipped
		t.Generator = t.Generator.plus(u.generator)
		t.Worker = t.Worker.plus(u.worker)
		if by := u.disturber(s); by != "" {
			t.Disturbed++
			t.By = append(t.By, by)
		}
	}
	t.Generator, t.Worker = t.Generator.shares(), t.Worker.shares()
	return t
}

// preconditions are those that no contender is without.
func preconditions() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes network namespaces and loads XDP programs")
	}
	_, err := cpuTimes()
	return err
}
