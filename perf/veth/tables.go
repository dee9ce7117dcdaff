package main

import (
	"fmt"
	"slices"
	"strings"
)

// latencySummary is a contender's delays at one load: in µs, of the rounds.
type latencySummary struct {
	Load    float64 `json:"load"`
	Offered float64 `json:"offered"`
	P50     spread  `json:"p50-us"`
	P99     spread  `json:"p99-us"`
	P999    spread  `json:"p99.9-us"`
	Longest float64 `json:"longest-us"` // of all rounds
	Sent    uint64  `json:"sent"`       // in all rounds
	Lost    uint64  `json:"lost"`
	Skipped uint64  `json:"skipped"` // frames that the generator could not send in time
	Count   uint64  `json:"count"`   // frames that were timed
	Changes float64 `json:"changes,omitempty"`

	Disturbed int `json:"disturbed"` // turns that count although they were disturbed
}

// latenciesOf sums trials up, load by load: all have the same ones.
func latenciesOf(ts []trial) []latencySummary {
	var out []latencySummary
	for i, one := range ts[0].Latencies {
		at := column(ts, func(t trial) latency { return t.Latencies[i] })
		us := func(f func(latency) float64) []float64 {
			return column(at, func(l latency) float64 { return f(l) / 1e3 })
		}
		l := latencySummary{
			Load: one.Load, Offered: median(column(at, func(l latency) float64 { return l.Offered })),
			P50:     spreadOf(us(func(l latency) float64 { return l.P50 })),
			P99:     spreadOf(us(func(l latency) float64 { return l.P99 })),
			P999:    spreadOf(us(func(l latency) float64 { return l.P999 })),
			Changes: median(column(at, func(l latency) float64 { return l.Changes })),
			Longest: slices.Max(us(func(l latency) float64 { return l.Longest })),
		}
		for _, a := range at {
			l.Sent += a.Sent
			l.Lost += a.Lost
			l.Skipped += a.Skipped
			l.Count += a.Count
			l.Disturbed += a.Disturbed
		}
		out = append(out, l)
	}
	return out
}

// idleOf is the share of a CPU that a contender took without traffic; nil when nobody looked.
func idleOf(ts []trial) *spread {
	var shares []float64
	for _, t := range ts {
		if t.Idle != nil {
			shares = append(shares, t.Idle.Contender)
		}
	}
	if shares == nil {
		return nil
	}
	s := spreadOf(shares)
	return &s
}

// nsPerFrame is what a frame took of a CPU's time, by kind: medians of the rounds.
func nsPerFrame(ts []trial, cpu func(trial) cpuTime) cpuTime {
	kind := func(f func(cpuTime) float64) float64 {
		return median(column(ts, func(t trial) float64 { return share(1e9*f(cpu(t)), t.Rate) }))
	}
	return cpuTime{
		User:    kind(func(c cpuTime) float64 { return c.User }),
		System:  kind(func(c cpuTime) float64 { return c.System }),
		SoftIRQ: kind(func(c cpuTime) float64 { return c.SoftIRQ }),
	}
}

// ratioTo compares a contender's trials with a reference's.
func ratioTo(name string, ts, refs []trial) ratio {
	r := ratio{Reference: name, spread: compare(ts, refs)}
	cpu := func(t trial) float64 { return share(t.Worker.busy()+t.Generator.SoftIRQ, t.Rate) }
	r.CPU = byRound(ts, refs, cpu)
	for i := range ts[0].Latencies {
		r.P99 = append(r.P99, byRound(ts, refs, func(t trial) float64 { return t.Latencies[i].P99 }))
	}
	return r
}

// byRound is the ratios of one figure, each round's to that of the same round.
func byRound(ts, refs []trial, f func(trial) float64) spread {
	var ratios []float64
	for i, t := range ts {
		ratios = append(ratios, share(f(t), f(refs[i])))
	}
	return spreadOf(ratios)
}

// column is one figure of every one of ts.
func column[T, F any](ts []T, f func(T) F) []F {
	out := make([]F, len(ts))
	for i, t := range ts {
		out[i] = f(t)
	}
	return out
}

// costs adds a table of CPU time. The generator's CPU is never idle: it spins until a frame
// is due. What a contender has done on it is its softirq.
func (r *report) costs(b *strings.Builder) {
	fmt.Fprintf(b, "\n| CPU time of a frame, ns | CPU %d: user | system | softirq | CPU %d: softirq | CPU %[1]d and softirq of CPU %[2]d | both CPUs | idle: of one CPU |\n",
		workerCPU, generatorCPU)
	fmt.Fprintln(b, "|---|---|---|---|---|---|---|---|")
	for _, m := range r.Summary {
		w, g := m.WorkerNs, m.GeneratorNs
		idle := "–"
		if m.Idle != nil {
			idle = fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*m.Idle.Median, 100*m.Idle.Min, 100*m.Idle.Max)
		}
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %.0f | %.0f | **%.0f** | %.0f | %s |\n", m.Contender,
			w.User, w.System, w.SoftIRQ, g.SoftIRQ, w.busy()+g.SoftIRQ, w.busy()+g.busy(), idle)
	}
}

// latencies adds a table with a row for each contender and load, and what was lost.
func (r *report) latencies(b *strings.Builder) {
	if len(r.Settings.Loads) == 0 {
		return
	}
	s := r.Settings
	fmt.Fprintf(b, "\nDelays from generator to sink, in %d turns of %v a round at a share of the contender's own rate in that round; frames lost include those of the warm-ups.\n\n", s.TimedTurns, s.TimedTime)
	fmt.Fprintln(b, "| Delay, µs | load | offered Mpps | p50 | p99 | p99.9 | longest | lost of sent | not sent in time | disturbed turns |")
	fmt.Fprintln(b, "|---|---|---|---|---|---|---|---|---|---|")
	of := func(s spread) string { return fmt.Sprintf("%.1f [%.1f, %.1f]", s.Median, s.Min, s.Max) }
	for _, m := range r.Summary {
		for _, l := range m.Latencies {
			fmt.Fprintf(b, "| %s | %.0f %% | %.3f | %s | %s | %s | %.0f | %d of %d | %d | %d |\n", m.Contender, 100*l.Load, l.Offered/1e6,
				of(l.P50), of(l.P99), of(l.P999), l.Longest, l.Lost, l.Sent, l.Skipped, l.Disturbed)
		}
	}
	r.changes(b)
}

// timeRatios adds a table with a row for each contender and reference, of ratios in which less
// is better.
func (r *report) timeRatios(b *strings.Builder, rows []summary) {
	fmt.Fprint(b, "| Ratio of times, round by round | to | CPU time of a frame |")
	for _, load := range r.Settings.Loads {
		fmt.Fprintf(b, " p99 at %.0f %% |", 100*load)
	}
	fmt.Fprintf(b, "\n|---|---|---|%s\n", strings.Repeat("---|", len(r.Settings.Loads)))
	for _, m := range rows {
		for _, x := range m.Ratios {
			fmt.Fprintf(b, "| %s | %s |", m.Contender, x.Reference)
			for _, s := range append([]spread{x.CPU}, x.P99...) {
				fmt.Fprintf(b, " **%.2f** [%.2f, %.2f] |", s.Median, s.Min, s.Max)
			}
			fmt.Fprintln(b)
		}
	}
	fmt.Fprintln(b)
}

// changes adds a table of how many binding changes there were, if a series went through that.
func (r *report) changes(b *strings.Builder) {
	if r.Settings.Series != seriesChurn && r.Settings.Series != seriesSoak {
		return
	}
	fmt.Fprint(b, "\n| Binding changes a second | asked for | programmed at the highest rate | at the loads |\n|---|---|---|---|\n")
	for _, m := range r.Summary {
		var at []string
		for _, l := range m.Latencies {
			at = append(at, fmt.Sprintf("%.0f", l.Changes))
		}
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %s |\n", m.Contender, m.X, m.Changes, strings.Join(at, ", "))
	}
}
