package main

import (
	"fmt"
	"io"
	"slices"
)

func header(to io.Writer) {
	fmt.Fprintln(to, "| EIPs | contender | ns per lookup: median [quartiles] | eipgw's time to its: median [quartiles] |")
	fmt.Fprintln(to, "|---|---|---|---|")
}

// report writes a line for each contender. The first is the one whose ratios are shown.
func report(to io.Writer, set string, cs []*contender) {
	own := cs[0]
	fmt.Fprintf(to, "| %s | %s | %s | |\n", set, own.name, spread(own.turns, "%.1f"))
	for _, c := range cs[1:] {
		ratios := make([]float64, len(own.turns))
		for i := range ratios {
			ratios[i] = own.turns[i] / c.turns[i]
		}
		fmt.Fprintf(to, "| %s | %s | %s | %s |\n", set, c.name, spread(c.turns, "%.1f"), spread(ratios, "%.3f"))
	}
}

// spread is the median of values and, in brackets, their quartiles.
func spread(values []float64, format string) string {
	v := slices.Sorted(slices.Values(values))
	at := func(part float64) float64 {
		x := part * float64(len(v)-1)
		i := min(int(x), max(len(v)-2, 0))
		if len(v) == 1 {
			return v[0]
		}
		return v[i] + (x-float64(i))*(v[i+1]-v[i])
	}
	return fmt.Sprintf(format+" ["+format+", "+format+"]", at(0.5), at(0.25), at(0.75))
}
