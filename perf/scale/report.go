package main

import (
	"fmt"
	"slices"
	"strings"
)

// spread is a median with the lowest and the highest.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{median: (v[(n-1)/2] + v[n/2]) / 2, low: v[0], high: v[n-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.2f [%.2f, %.2f]", s.median, s.low, s.high) }

// markdown is a table of all contenders; ratios are to the bare GoBGP, turn by turn.
func markdown(s settings, turns []turn) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d routes in %d tunnels, %d turns each: median [lowest, highest]\n\n", s.routes, s.tunnels, s.rounds)
	b.WriteString("| | s until all are in | ratio | s of CPU | ratio | MiB at most | MiB after |\n|---|---|---|---|---|---|---|\n")
	by := map[string][]turn{}
	var names []string
	for _, t := range turns {
		if by[t.name] == nil {
			names = append(names, t.name)
		}
		by[t.name] = append(by[t.name], t)
	}
	column := func(name string, value func(t, base turn) float64) spread {
		var v []float64
		for i, t := range by[name] {
			base := t
			if g := by[gobgp{}.name()]; i < len(g) {
				base = g[i]
			}
			v = append(v, value(t, base))
		}
		return spreadOf(v)
	}
	for _, n := range names {
		fmt.Fprintf(&b, "| %s | %v | %v | %v | %v | %.0f | %.0f |\n", n,
			column(n, func(t, _ turn) float64 { return t.took.Seconds() }),
			column(n, func(t, g turn) float64 { return t.took.Seconds() / g.took.Seconds() }),
			column(n, func(t, _ turn) float64 { return t.cpu.Seconds() }),
			column(n, func(t, g turn) float64 { return t.cpu.Seconds() / g.cpu.Seconds() }),
			column(n, func(t, _ turn) float64 { return float64(t.rss) / 1024 }).median,
			column(n, func(t, _ turn) float64 { return float64(t.rest) / 1024 }).median)
	}
	return b.String()
}
