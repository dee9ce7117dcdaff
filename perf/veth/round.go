package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

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

	Changes float64 `json:"changes,omitempty"` // binding changes a second that were programmed, likewise

	Received  loadgen.Count `json:"received"` // in all its turns, as what follows
	Skipped   uint64        `json:"skipped"`  // frames that the generator did not send in time
	Generator cpuTime       `json:"generator-cpu"`
	Worker    cpuTime       `json:"worker-cpu"`

	Resident []int `json:"resident"` // KiB of memory at the end of each turn

	Disturbed int      `json:"disturbed"` // turns that count although they were disturbed
	Discarded int      `json:"discarded"` // turns that do not count because they were disturbed
	By        []string `json:"by,omitempty"`
	Notes     []string `json:"notes,omitempty"`

	Latencies []latency `json:"latencies,omitempty"` // by load
	Idle      *idle     `json:"idle,omitempty"`
}

func (t trial) line() string {
	flood := ""
	if t.Hostile > 0 {
		flood = fmt.Sprintf(" beside %.3f hostile", t.Hostile/1e6)
	}
	s := fmt.Sprintf("round %d  %-18s %7.3f Mpps of %6.3f offered%s   CPU %d %3.0f %%, CPU %d %3.0f %%", t.Round, t.Contender,
		t.Rate/1e6, t.Offered/1e6, flood, generatorCPU, 100*t.Generator.busy(), workerCPU, 100*t.Worker.busy())
	if t.Changes > 0 {
		s += fmt.Sprintf("   %.0f changes/s", t.Changes)
	}
	for _, l := range t.Latencies {
		s += "   " + l.line()
	}
	if t.Idle != nil {
		s += fmt.Sprintf("   idle %.1f %%", 100*t.Idle.Contender)
	}
	if t.Disturbed+t.Discarded > 0 {
		s += fmt.Sprintf("   disturbed turns: %d, and %d more repeated", t.Disturbed, t.Discarded)
	}
	if n := len(t.Resident); n > 0 {
		s += fmt.Sprintf("   RSS %.1f to %.1f MiB", float64(t.Resident[0])/1024, float64(t.Resident[n-1])/1024)
	}
	return strings.Join(append([]string{s}, t.Notes...), "   ")
}

// round starts all contenders, gives them their turns, and ends them: first as many frames
// as s.Rate says, then shares of what each forwarded of those, timed, and last none.
func round(ctx context.Context, s settings, cs []contender) (ts []trial, err error) {
	stands, closeAll, err := openAll(ctx, s, cs)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil {
		return nil, err
	}
	most := make([]load, len(cs))
	for i, st := range stands {
		most[i] = load{rate: st.traffic.rate, churn: churnOf(cs[i]), time: s.Time}
	}
	turns, discarded, err := turnsOf(ctx, cs, stands, s.Turns, most)
	if err != nil {
		return nil, err
	}
	for i := range stands {
		ts = append(ts, sum(turns[i], discarded[i], s))
		ts[i].Contender = cs[i].name()
	}
	if err := latencies(ctx, s, cs, stands, ts); err != nil {
		return nil, err
	}
	for i, st := range stands {
		if ts[i].Idle, err = st.idle(ctx, s.Idle); err != nil {
			return nil, fmt.Errorf("%s: %w", cs[i].name(), err)
		}
		ts[i].Notes = st.notes
	}
	return ts, nil
}

// openAll starts contenders, variants of one only once. What it has started by an error is to
// be closed as well.
func openAll(ctx context.Context, s settings, cs []contender) (stands []*stand, closeAll func() error, err error) {
	running := map[contender]*stand{}
	closeAll = func() (err error) {
		for _, st := range running {
			err = errors.Join(err, st.close())
		}
		return err
	}
	for _, c := range cs {
		one := c
		if v, ok := c.(variant); ok {
			one = v.contender
		}
		if running[one] == nil {
			st, err := open(ctx, s, one)
			if err != nil {
				return nil, closeAll, fmt.Errorf("%s: %w", c.name(), err)
			}
			running[one] = st
		}
		stands = append(stands, running[one])
	}
	return stands, closeAll, nil
}

// turnsOf gives everyone n turns with a load of its own, there and back, so that a drift
// hits all alike.
func turnsOf(ctx context.Context, cs []contender, stands []*stand, n int, loads []load) (turns, discarded [][]turn, err error) {
	turns, discarded = make([][]turn, len(stands)), make([][]turn, len(stands))
	for n := range n {
		for i := range stands {
			if n%2 == 1 {
				i = len(stands) - 1 - i
			}
			good, bad, err := stands[i].calmTurn(ctx, loads[i])
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", cs[i].name(), err)
			}
			turns[i], discarded[i] = append(turns[i], good), append(discarded[i], bad...)
		}
	}
	return turns, discarded, nil
}

// calmTurn repeats a turn until nobody disturbs it, or too often, and returns the least
// disturbed.
func (st *stand) calmTurn(ctx context.Context, l load) (best turn, others []turn, err error) {
	for try := 0; ; try++ {
		t, err := st.turn(ctx, l)
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

// sum makes one trial of a contender's turns, and of those that do not count.
func sum(turns, discarded []turn, s settings) trial {
	t := trial{Rates: column(turns, turn.rate), Discarded: len(discarded)}
	for _, d := range discarded {
		t.By = append(t.By, d.disturber(s))
	}
	for _, u := range turns {
		t.Resident = append(t.Resident, u.resident)
	}
	t.Rate, t.Offered = median(t.Rates), median(column(turns, turn.offered))
	t.Changes = median(column(turns, func(u turn) float64 { return u.changes }))
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
