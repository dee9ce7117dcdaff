package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eipgw/eipgw/perf/loadgen"
)

// latency is how long frames took from the generator's program to the sink's, at one load.
// Times are ns.
type latency struct {
	Load    float64 `json:"load"`    // share of the rate in the same round: the contender's own, or without churn
	Offered float64 `json:"offered"` // frames a second: median of the turns
	Count   uint64  `json:"count"`   // frames in all turns, as what follows
	Sent    uint64  `json:"sent"`    // with those of the warm-ups
	Lost    uint64  `json:"lost"`    // of these
	Skipped uint64  `json:"skipped"` // frames that the generator could not send in time, and did not
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p99.9"`
	Longest float64 `json:"longest"`

	Changes float64 `json:"changes,omitempty"` // binding changes a second that were programmed: median of the turns

	Generator cpuTime `json:"generator-cpu"`
	Worker    cpuTime `json:"worker-cpu"`

	Disturbed int `json:"disturbed"`
	Discarded int `json:"discarded"`
}

func (l latency) line() string {
	return fmt.Sprintf("at %.0f %%: p50 %.1f p99 %.1f p99.9 %.1f us, lost %d of %d", 100*l.Load, l.P50/1e3, l.P99/1e3, l.P999/1e3, l.Lost, l.Sent)
}

// latencies adds to each trial how long frames took at every one of s.Loads.
func latencies(ctx context.Context, s settings, cs []contender, stands []*stand, ts []trial) error {
	for _, share := range s.Loads {
		loads := make([]load, len(cs))
		for i, c := range cs {
			most := ts[baseOf(cs, i)].Rate
			if most == 0 {
				return fmt.Errorf("%s forwarded nothing: there is no share of that", c.name())
			}
			loads[i] = load{rate: share * most, timed: true, churn: churnOf(c), time: s.TimedTime}
		}
		turns, discarded, err := turnsOf(ctx, cs, stands, s.TimedTurns, loads)
		if err != nil {
			return err
		}
		for i := range ts {
			l := latencyOf(turns[i], s)
			l.Load, l.Discarded = share, len(discarded[i])
			ts[i].Latencies = append(ts[i].Latencies, l)
		}
	}
	return nil
}

// latencyOf makes one of several turns.
func latencyOf(turns []turn, s settings) latency {
	var delays loadgen.Delays
	l := latency{Offered: median(column(turns, turn.offered))}
	l.Changes = median(column(turns, func(t turn) float64 { return t.changes }))
	for _, t := range turns {
		delays = delays.Plus(t.delays)
		l.Sent += t.all
		l.Lost += t.lost
		l.Skipped += t.skipped
		l.Generator = l.Generator.plus(t.generator)
		l.Worker = l.Worker.plus(t.worker)
		if t.disturber(s) != "" {
			l.Disturbed++
		}
	}
	l.Generator, l.Worker = l.Generator.shares(), l.Worker.shares()
	l.Count = delays.Count()
	for q, to := range map[float64]*float64{0.5: &l.P50, 0.9: &l.P90, 0.99: &l.P99, 0.999: &l.P999, 1: &l.Longest} {
		*to = float64(delays.Quantile(q))
	}
	return l
}

// idle is what a contender does with a CPU when no frame comes.
type idle struct {
	Contender float64    `json:"contender"` // of one CPU, all its threads together
	CPUs      [2]cpuTime `json:"cpus"`      // shares: generator's CPU and worker's, whoever took them
}

// calm is how long a contender has before it counts as idle.
const calm = 500 * time.Millisecond

// idle lets the contender run without traffic for d, 0: not at all, and takes its notes.
func (st *stand) idle(ctx context.Context, d time.Duration) (_ *idle, err error) {
	if err := st.thaw(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.freeze()) }()
	if !st.noted {
		st.notes, st.noted = append(st.notes, st.process.notes()...), true
	}
	if d == 0 {
		return nil, nil
	}
	if err := sleep(ctx, calm); err != nil {
		return nil, err
	}
	first, err := st.read(0)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, d); err != nil {
		return nil, err
	}
	last, err := st.read(0)
	if err != nil {
		return nil, err
	}
	i := idle{Contender: all(last.threads).since(all(first.threads)).ran.Seconds() / last.at.Sub(first.at).Seconds()}
	for n := range i.CPUs {
		i.CPUs[n] = last.cpus[n].since(first.cpus[n]).shares()
	}
	return &i, nil
}
