package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report is all results of one call of the program.
type report struct {
	Machine  machine   `json:"machine"`
	Command  string    `json:"command"`
	Settings settings  `json:"settings"`
	Summary  []summary `json:"summary"`
	Trials   []trial   `json:"trials"`
}

// summary is one contender's rounds.
type summary struct {
	Contender string  `json:"contender"`
	What      string  `json:"what"`
	Rate      spread  `json:"rate"`    // of the rounds
	Offered   float64 `json:"offered"` // medians, as what follows
	Hostile   float64 `json:"hostile"`
	Arrived   spread  `json:"arrived"` // of the rounds
	CPU       struct {
		Generator float64 `json:"generator"`
		Worker    float64 `json:"worker"`
	} `json:"cpu-busy"`
	NsPerFrame float64 `json:"worker-cpu-ns-per-frame"`

	// CPU time of a frame at this rate, by kind, ns. Idle and Steal are not of it.
	GeneratorNs cpuTime `json:"generator-ns-per-frame"`
	WorkerNs    cpuTime `json:"worker-ns-per-frame"`

	Idle      *spread          `json:"idle,omitempty"` // share of a CPU without traffic, of the rounds
	Latencies []latencySummary `json:"latencies,omitempty"`

	X       float64 `json:"x,omitempty"`       // what the series goes through
	Changes float64 `json:"changes,omitempty"` // binding changes a second

	Ratios    []ratio `json:"ratios,omitempty"` // to every reference
	Turns     int     `json:"turns"`
	Disturbed int     `json:"disturbed"` // turns that count although they were disturbed
	Discarded int     `json:"discarded"` // disturbed turns that were repeated
}

// ratio compares a contender's rate with a reference's. Each turn is compared with
// the reference's turn next to it, since the machine is not the same a minute later: the
// median of all those ratios, and the lowest and highest of the rounds' medians.
type ratio struct {
	Reference string `json:"reference"`
	spread

	// Of times, less is better: round by round, medians and range. CPU is that of a frame, the
	// worker's CPU and the softirq of the other; P99 the delays' 99th percentile, by load.
	CPU spread   `json:"cpu-time"`
	P99 []spread `json:"p99,omitempty"`
}

// spread is a median and the range around it.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// share is a / b, and 0 of nothing: JSON has no infinity.
func share(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func spreadOf(v []float64) spread { return spread{median(v), slices.Min(v), slices.Max(v)} }

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// of is the trials of a contender, in the order of rounds.
func (r *report) of(name string) (ts []trial) {
	for _, t := range r.Trials {
		if t.Contender == name {
			ts = append(ts, t)
		}
	}
	return ts
}

func rateOf(t trial) float64 { return t.Rate }

func (r *report) summarize(cs []contender) {
	for _, c := range cs {
		ts := r.of(c.name())
		s := summary{Contender: c.name(), What: c.what(), Rate: spreadOf(column(ts, rateOf))}
		s.Offered = median(column(ts, func(t trial) float64 { return t.Offered }))
		s.Hostile = median(column(ts, func(t trial) float64 { return t.Hostile }))
		s.Arrived = spreadOf(column(ts, func(t trial) float64 { return t.Arrived }))
		s.CPU.Generator = median(column(ts, func(t trial) float64 { return t.Generator.busy() }))
		s.CPU.Worker = median(column(ts, func(t trial) float64 { return t.Worker.busy() }))
		s.NsPerFrame = median(column(ts, func(t trial) float64 { return share(1e9*t.Worker.busy(), t.Rate) }))
		s.GeneratorNs = nsPerFrame(ts, func(t trial) cpuTime { return t.Generator })
		s.WorkerNs = nsPerFrame(ts, func(t trial) cpuTime { return t.Worker })
		s.Changes = median(column(ts, func(t trial) float64 { return t.Changes }))
		s.Latencies, s.Idle = latenciesOf(ts), idleOf(ts)
		if v, ok := c.(variant); ok {
			s.X = v.x
		}
		for _, t := range ts {
			s.Turns += len(t.Rates)
			s.Disturbed += t.Disturbed
			s.Discarded += t.Discarded
		}
		for _, ref := range cs {
			if ref.reference() && !c.reference() && related(c, ref) {
				s.Ratios = append(s.Ratios, ratioTo(ref.name(), ts, r.of(ref.name())))
			}
		}
		r.Summary = append(r.Summary, s)
	}
}

// related says whether a contender is to be compared with a reference: a variant only with one
// of the same contender.
func related(c, ref contender) bool {
	v, ok := c.(variant)
	if !ok {
		return true
	}
	base, ok := ref.(variant)
	return ok && base.contender.name() == v.contender.name()
}

// compare is the ratios of two contenders' turns.
func compare(ts, refs []trial) spread {
	var all, rounds []float64
	for i, t := range ts {
		var turns []float64
		for n, rate := range t.Rates {
			turns = append(turns, share(rate, refs[i].Rates[n]))
		}
		all, rounds = append(all, turns...), append(rounds, median(turns))
	}
	return spread{median(all), slices.Min(rounds), slices.Max(rounds)}
}

func (r *report) markdown() string {
	var b strings.Builder
	s := r.Settings
	fmt.Fprintf(&b, "`%s`\n\n", r.Command)
	eips := fmt.Sprintf(" %d EIPs,", s.EIPs)
	if s.Series == seriesEIPs {
		eips = ""
	}
	fmt.Fprintf(&b, "%d-byte frames (FCS included),%s %d arm(s), %d rounds of %d turns of %v after %v of warm-up; medians of the rounds and [min, max].\n",
		s.Size, eips, s.Arms, s.Rounds, s.Turns, s.Time, s.Warm)
	fmt.Fprintf(&b, "Machine: %d x %s, %s, Linux %s.\n\n", r.Machine.CPUs, r.Machine.CPU, r.Machine.Hypervisor, r.Machine.Kernel)
	fmt.Fprintf(&b, "| Contender | Mpps at the sink | ns of CPU %d per frame | CPU %d busy | CPU %d busy | offered Mpps | turns: all, disturbed, repeated |\n", workerCPU, generatorCPU, workerCPU)
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|")
	for _, m := range r.Summary {
		fmt.Fprintf(&b, "| %s | %.3f [%.3f, %.3f] | %.0f | %.0f %% | %.0f %% | %.2f | %d, %d, %d |\n", m.Contender,
			m.Rate.Median/1e6, m.Rate.Min/1e6, m.Rate.Max/1e6, m.NsPerFrame, 100*m.CPU.Generator, 100*m.CPU.Worker,
			m.Offered/1e6, m.Turns, m.Disturbed, m.Discarded)
	}
	r.costs(&b)
	r.latencies(&b)
	r.floods(&b)
	r.ratios(&b)
	for _, m := range r.Summary {
		fmt.Fprintf(&b, "- %s: %s.\n", m.Contender, m.What)
	}
	return b.String()
}

// floods adds a table of what came of ordinary frames, if there were hostile ones.
func (r *report) floods(b *strings.Builder) {
	if r.Settings.Hostile == "" {
		return
	}
	fmt.Fprint(b, "\n| Ordinary frames | offered Mpps | hostile Mpps beside them | arrived % |\n|---|---|---|---|\n")
	for _, m := range r.Summary {
		fmt.Fprintf(b, "| %s | %.3f | %.3f | %.2f [%.2f, %.2f] |\n", m.Contender, m.Offered/1e6, m.Hostile/1e6,
			100*m.Arrived.Median, 100*m.Arrived.Min, 100*m.Arrived.Max)
	}
}

// ratios adds a table with a row for each contender and a column for each reference.
func (r *report) ratios(b *strings.Builder) {
	fmt.Fprintln(b)
	var rows []summary
	for _, m := range r.Summary {
		if len(m.Ratios) > 0 {
			rows = append(rows, m)
		}
	}
	if len(rows) == 0 {
		return
	}
	r.timeRatios(b, rows)
	fmt.Fprint(b, "| Ratio of rates, turn by turn |")
	for _, x := range rows[0].Ratios {
		fmt.Fprintf(b, " to %s |", x.Reference)
	}
	fmt.Fprintf(b, "\n|---|%s\n", strings.Repeat("---|", len(rows[0].Ratios)))
	for _, m := range rows {
		fmt.Fprintf(b, "| %s |", m.Contender)
		for _, x := range m.Ratios {
			fmt.Fprintf(b, " **%.3f** [%.3f, %.3f] |", x.Median, x.Min, x.Max)
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintln(b)
}

// name is that of the report's files.
func (r *report) name() string {
	switch {
	case r.Settings.Series != "":
		return r.Settings.Series
	case r.Settings.Hostile != "":
		return "hostile"
	}
	return "rates"
}

// write puts the report and its plots into a directory, which it makes.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	js, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, r.name())
	if err := os.WriteFile(file+".json", append(js, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(file+".md", []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return r.plots(dir)
}
