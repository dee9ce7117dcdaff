package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/loadgen"
)

// load is what a contender is given in a turn, beside the hostile frames of its traffic.
type load struct {
	rate  float64 // ordinary frames a second; 0: as many frames as the generator can
	timed bool    // frames carry the time, and none is left under way when the turn ends
	churn float64 // binding changes a second that are asked for meanwhile
	time  time.Duration
}

// timedBurst is how many frames a generator that was held up sends at once in a timed turn:
// a burst shows as delay.
const timedBurst = 32

// reading is all counters at one moment.
type reading struct {
	at        time.Time
	cpus      [2]cpuTime
	generator threadTime
	threads   map[int]threadTime
	counts    loadgen.Counts
	delays    loadgen.Delays

	sent, hostile, skipped uint64
}

func (st *stand) read(generatorThread int) (r reading, err error) {
	own, err1 := threadTimes(unix.Getpid())
	r.generator = own[generatorThread]
	var err2, err3, err4, err5 error
	r.threads, err2 = threadTimes(st.process.pid())
	r.cpus, err3 = cpuTimes()
	r.at = time.Now()
	r.counts, err4 = st.sink.Counts()
	r.sent, r.hostile, r.skipped = st.gen.Sent(), st.gen.Hostile(), st.gen.Skipped()
	r.delays, err5 = st.sink.Delays()
	return r, errors.Join(err1, err2, err3, err4, err5)
}

// turn lets the contender run, loads it, and reads all counters twice.
func (st *stand) turn(ctx context.Context, l load) (t turn, err error) {
	if err := errors.Join(st.thaw(), st.sink.Time(l.timed)); err != nil {
		return t, err
	}
	change, err := st.churn(ctx, l.churn)
	if err != nil {
		return t, err
	}
	begin, err := st.read(0)
	if err != nil {
		return t, err
	}
	loaded, stop := context.WithCancel(ctx)
	done, thread := make(chan error, 1), make(chan int, 1)
	go func() { done <- st.send(loaded, l.generated(st.traffic), thread) }()
	ended := false
	end := func() (err error) {
		if !ended {
			ended = true
			stop()
			err = <-done
		}
		return err
	}
	defer func() { err = errors.Join(err, end(), change.stop(), st.freeze()) }()
	tid := <-thread
	if err := sleep(ctx, st.Warm); err != nil {
		return t, err
	}
	changed, err := change.programmed()
	if err != nil {
		return t, err
	}
	first, err := st.read(tid)
	if err != nil {
		return t, err
	}
	if err := st.passTime(ctx, l.time); err != nil {
		return t, err
	}
	last, err := st.read(tid)
	if err != nil {
		return t, err
	}
	t = st.compare(first, last)
	if changes, err := change.programmed(); err != nil {
		return t, err
	} else if l.churn > 0 {
		t.changes = changes.since(changed)
	}
	if t.resident, err = residentKiB(st.process.pid()); err != nil || !l.timed {
		return t, err
	}
	if err := end(); err != nil {
		return t, err
	}
	return st.settle(ctx, begin, t)
}

// generated is what the generator makes of a load.
func (l load) generated(t traffic) loadgen.Load {
	g := loadgen.Load{Rate: l.rate / (1 - t.mix.Share()), Stamped: l.timed}
	if l.timed {
		g.Burst = timedBurst
	}
	return g
}

// settle waits until nothing is under way any more, and counts what was lost since begin:
// frames that were sent with their time and did not come.
func (st *stand) settle(ctx context.Context, begin reading, t turn) (turn, error) {
	const quiet = time.Second // without a frame: what is missing is lost
	t.all = st.gen.Sent() - begin.sent - (st.gen.Hostile() - begin.hostile)
	arrived := uint64(0)
	for since := time.Now(); time.Since(since) < quiet; {
		d, err := st.sink.Delays()
		if err != nil {
			return t, err
		}
		if n := d.Sub(begin.delays).Count(); n != arrived {
			arrived, since = n, time.Now()
		}
		if t.lost = t.all - min(t.all, arrived); t.lost == 0 {
			break
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (st *stand) compare(first, last reading) turn {
	d := last.at.Sub(first.at)
	waited := func(now, earlier threadTime) float64 { return now.since(earlier).waited.Seconds() / d.Seconds() }
	return turn{
		time: d, sent: last.sent - first.sent, hostile: last.hostile - first.hostile, skipped: last.skipped - first.skipped,
		received:      st.forwarded(last.counts).Sub(st.forwarded(first.counts)),
		delays:        last.delays.Sub(first.delays),
		generator:     last.cpus[0].since(first.cpus[0]),
		worker:        last.cpus[1].since(first.cpus[1]),
		generatorWait: waited(last.generator, first.generator),
		workerWait:    waited(busiest(last.threads, first.threads), threadTime{}),
	}
}

// turn is the difference between two readings of all counters.
type turn struct {
	time              time.Duration
	sent, hostile     uint64 // hostile ones are part of those sent
	skipped           uint64
	received          loadgen.Count
	delays            loadgen.Delays // of frames received, in a timed turn
	generator, worker cpuTime        // ticks
	resident          int            // KiB of the contender's memory at its end

	// Of a timed turn, the warm-up included: ordinary frames sent, and those that never came.
	all, lost uint64
	changes   float64 // binding changes that were programmed, a second

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
