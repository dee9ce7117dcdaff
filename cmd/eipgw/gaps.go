package main

import (
	"time"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane"
)

// gapsView is a worker's poll gaps for the API, with buckets if they are wanted.
func gapsView(g *dataplane.GapCounters, buckets bool) admin.PollGaps {
	v := admin.PollGaps{
		Count: g.Count(), Sum: g.Sum.String(), P9999: roundGap(g.Quantile(0.9999)).String(), Max: roundGap(g.Max).String(),
	}
	if !buckets {
		return v
	}
	for i, n := range g.Buckets {
		if n == 0 {
			continue
		}
		b := admin.GapBucket{UpTo: dataplane.GapBound(i).String(), Count: n}
		if i == dataplane.NumGapBuckets-1 {
			b.UpTo = ""
		}
		v.Buckets = append(v.Buckets, b)
	}
	return v
}

// roundGap leaves three digits or so.
func roundGap(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// gapHistogram is a worker's poll gaps for Prometheus, in powers of two.
func gapHistogram(g *dataplane.GapCounters) admin.Histogram {
	const perOctave = 4
	h := admin.Histogram{Count: g.Count(), Sum: g.Sum}
	n := uint64(0)
	for i, c := range g.Buckets {
		n += c
		if i%perOctave == 0 {
			h.Bounds, h.Counts, n = append(h.Bounds, dataplane.GapBound(i)), append(h.Counts, n), 0
		}
	}
	h.Counts = append(h.Counts, n)
	return h
}

// pollGaps are the poll gaps of all workers for Prometheus.
func (g *gateway) pollGaps() []admin.WorkerGaps {
	var out []admin.WorkerGaps
	for _, w := range g.workers {
		s := w.Snapshot()
		out = append(out, admin.WorkerGaps{Worker: w.name, Gaps: gapHistogram(&s.Gaps), Max: s.Gaps.Max})
	}
	return out
}
