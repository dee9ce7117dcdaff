package main

import (
	"encoding/json"
	"fmt"
	"os"
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

// summary is one contender's rounds. Ratios are to the best reference.
type summary struct {
	Contender string  `json:"contender"`
	What      string  `json:"what"`
	Rate      spread  `json:"rate"`
	Offered   float64 `json:"offered"` // medians, as what follows
	CPU       struct {
		Generator float64 `json:"generator"`
		Worker    float64 `json:"worker"`
	} `json:"cpu-busy"`
	NsPerFrame float64 `json:"worker-cpu-ns-per-frame"`

	Reference string  `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`          // of the medians
	Ratios    spread  `json:"ratios-by-round,omitzero"` // of each round's pair
	Turns     int     `json:"turns"`
	Disturbed int     `json:"disturbed"` // turns that count although they were disturbed
	Discarded int     `json:"discarded"` // disturbed turns that were repeated
}

// spread is a median and the range around it.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(v []float64) spread { return spread{median(v), slices.Min(v), slices.Max(v)} }

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// column is one figure of every one of ts.
func column[T any](ts []T, f func(T) float64) []float64 {
	out := make([]float64, len(ts))
	for i, t := range ts {
		out[i] = f(t)
	}
	return out
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
	var best contender
	bestRate := 0.0
	for _, c := range cs {
		ts := r.of(c.name())
		if m := median(column(ts, rateOf)); c.reference() && m > bestRate {
			best, bestRate = c, m
		}
	}
	for _, c := range cs {
		ts := r.of(c.name())
		s := summary{Contender: c.name(), What: c.what(), Rate: spreadOf(column(ts, rateOf))}
		s.Offered = median(column(ts, func(t trial) float64 { return t.Offered }))
		s.CPU.Generator = median(column(ts, func(t trial) float64 { return t.Generator.busy() }))
		s.CPU.Worker = median(column(ts, func(t trial) float64 { return t.Worker.busy() }))
		s.NsPerFrame = median(column(ts, func(t trial) float64 { return 1e9 * t.Worker.busy() / t.Rate }))
		for _, t := range ts {
			s.Turns += len(t.Rates)
			s.Disturbed += t.Disturbed
			s.Discarded += t.Discarded
		}
		if best != nil && !c.reference() {
			refs := r.of(best.name())
			s.Reference, s.Ratio = best.name(), s.Rate.Median/bestRate
			var ratios []float64
			for i, t := range ts {
				ratios = append(ratios, t.Rate/refs[i].Rate)
			}
			s.Ratios = spreadOf(ratios)
		}
		r.Summary = append(r.Summary, s)
	}
}

func (r *report) markdown() string {
	var b strings.Builder
	s := r.Settings
	fmt.Fprintf(&b, "`%s`\n\n", r.Command)
	fmt.Fprintf(&b, "%d-byte frames (FCS included), %d EIPs, %d arm(s), %d rounds of %d turns of %v after %v of warm-up; medians of the rounds and [min, max].\n",
		s.Size, s.EIPs, s.Arms, s.Rounds, s.Turns, s.Time, s.Warm)
	fmt.Fprintf(&b, "Machine: %d x %s, %s, Linux %s.\n\n", r.Machine.CPUs, r.Machine.CPU, r.Machine.Hypervisor, r.Machine.Kernel)
	fmt.Fprintf(&b, "| Contender | Mpps at the sink | ns of CPU %d per frame | CPU %d busy | CPU %d busy | offered Mpps | ratio to best reference | turns: all, disturbed, repeated |\n", workerCPU, generatorCPU, workerCPU)
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|---|")
	for _, m := range r.Summary {
		ratio := "reference"
		if m.Reference != "" {
			ratio = fmt.Sprintf("**%.2f** [%.2f, %.2f] x %s", m.Ratio, m.Ratios.Min, m.Ratios.Max, m.Reference)
		}
		fmt.Fprintf(&b, "| %s | %.3f [%.3f, %.3f] | %.0f | %.0f %% | %.0f %% | %.2f | %s | %d, %d, %d |\n", m.Contender,
			m.Rate.Median/1e6, m.Rate.Min/1e6, m.Rate.Max/1e6, m.NsPerFrame, 100*m.CPU.Generator, 100*m.CPU.Worker,
			m.Offered/1e6, ratio, m.Turns, m.Disturbed, m.Discarded)
	}
	fmt.Fprintln(&b)
	for _, m := range r.Summary {
		fmt.Fprintf(&b, "- %s: %s.\n", m.Contender, m.What)
	}
	return b.String()
}

// write puts the report into FILE.json and FILE.md.
func (r *report) write(file string) error {
	js, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".json", append(js, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(file+".md", []byte(r.markdown()), 0o644)
}
