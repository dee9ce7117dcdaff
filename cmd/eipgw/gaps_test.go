package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane"
)

// TestGapViews: what the API and Prometheus get of a worker's poll gaps.
func TestGapViews(t *testing.T) {
	var g dataplane.GapCounters
	const last = dataplane.NumGapBuckets - 1
	for i := range g.Buckets {
		g.Buckets[i] = uint64(i)
	}
	g.Sum, g.Max = time.Hour, 1_234_567_890*time.Nanosecond

	v := gapsView(&g, true)
	assert.Equal(t, "1h0m0s", v.Sum)
	assert.Equal(t, "1.23s", v.Max)
	assert.Equal(t, v.Max, v.P9999, "in the last bucket")
	assert.Len(t, v.Buckets, last, "without the empty one")
	assert.Equal(t, admin.GapBucket{UpTo: "1.28µs", Count: 1}, v.Buckets[0])
	assert.Equal(t, admin.GapBucket{Count: last}, v.Buckets[last-1])
	assert.Empty(t, gapsView(&g, false).Buckets)
	assert.Equal(t, admin.PollGaps{Sum: "0s", P9999: "0s", Max: "0s"}, gapsView(&dataplane.GapCounters{}, true))

	h := gapHistogram(&g)
	assert.Equal(t, g.Count(), h.Count)
	assert.Len(t, h.Bounds, 21)
	assert.Len(t, h.Counts, 22)
	assert.Equal(t, []time.Duration{1024, 2048, 4096}, h.Bounds[:3])
	assert.Equal(t, time.Duration(1<<30), h.Bounds[20])
	assert.Equal(t, []uint64{0, 1 + 2 + 3 + 4, 5 + 6 + 7 + 8}, h.Counts[:3])
	var sum uint64
	for _, n := range h.Counts {
		sum += n
	}
	assert.Equal(t, h.Count, sum)
}

func TestRoundGap(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1024: "1.02µs", 12_345: "12.3µs", 999_999: "1ms", 1_999_999_999: "2s",
	} {
		assert.Equal(t, want, roundGap(in).String())
	}
}
