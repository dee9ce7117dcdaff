package dataplane

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGapBuckets: bounds rise from a microsecond to a second, and every gap is in the first
// bucket whose bound it does not exceed.
func TestGapBuckets(t *testing.T) {
	assert.Equal(t, time.Duration(1024), GapBound(0))
	assert.Equal(t, time.Duration(1280), GapBound(1))
	assert.Equal(t, time.Duration(1<<30), GapBound(NumGapBuckets-2))
	assert.Equal(t, time.Duration(math.MaxInt64), GapBound(NumGapBuckets-1))
	for i := 1; i < NumGapBuckets; i++ {
		require.Greater(t, GapBound(i), GapBound(i-1))
		require.LessOrEqual(t, GapBound(min(i, NumGapBuckets-2)), GapBound(i-1)*5/4, "bucket %d is too wide", i)
	}
	naive := func(gap uint64) int {
		for i := range NumGapBuckets {
			if gap <= uint64(GapBound(i)) {
				return i
			}
		}
		return -1
	}
	for i := range NumGapBuckets - 1 {
		for _, d := range []int64{-1, 0, 1} {
			gap := uint64(int64(GapBound(i)) + d)
			require.Equal(t, naive(gap), gapBucket(gap), "%d ns", gap)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		gap := r.Uint64() >> r.UintN(64) >> 1
		require.Equal(t, naive(gap), gapBucket(gap), "%d ns", gap)
	}
	assert.Zero(t, gapBucket(0))
	assert.Equal(t, NumGapBuckets-1, gapBucket(math.MaxUint64))
}

// TestGapMeter: what is polled late counts by how much, what is polled early as nothing, and
// others see it once it is published.
func TestGapMeter(t *testing.T) {
	m := gapMeter{due: 1000}
	m.polled(3000)      // 2000 ns late
	m.due += 50_000     // a pause
	m.polled(40_000)    // that ended early
	m.polled(2_000_000) // 1.96 ms
	var g GapCounters
	m.shared.read(&g)
	assert.Zero(t, g, "not published")
	m.publish()
	m.shared.read(&g)
	assert.EqualValues(t, 3, g.Count())
	assert.Equal(t, 1_962_000*time.Nanosecond, g.Sum)
	assert.Equal(t, 1_960_000*time.Nanosecond, g.Max)
	for _, gap := range []uint64{0, 2000, 1_960_000} {
		assert.EqualValues(t, 1, g.Buckets[gapBucket(gap)], "%d ns", gap)
	}
	m.polled(2_000_001)
	m.publish()
	m.shared.read(&g)
	assert.EqualValues(t, 2, g.Buckets[0])
}

// TestGapRounds: rounds that are short share a reading of the clock, long ones do not, and
// nothing between two readings is lost.
func TestGapRounds(t *testing.T) {
	m := gapMeter{}
	now := int64(0)
	run := func(rounds int, each int64) (readings int) {
		for range rounds {
			now += each
			if m.left--; m.left <= 0 {
				m.polled(now)
				readings++
			}
		}
		return readings
	}
	run(4, 100)
	assert.Equal(t, 10, run(40, 100), "empty rounds")
	run(8, 4300)
	assert.Equal(t, 10, run(40, 4300), "bursts in memory")
	run(8, 64_000)
	assert.Equal(t, 40, run(40, 64_000), "bursts on a device")
	run(4, 100)
	run(1, 3_000_000)
	run(4, 100)
	assert.GreaterOrEqual(t, m.max, uint64(3_000_000), "a stall among short rounds")
	assert.LessOrEqual(t, m.max, uint64(3_000_000+gapSpan))

	m.polled(now)
	m.slept(now+100, now+10_100)
	assert.Equal(t, 1, m.left, "the clock is read when the worker is back")
	sum := m.sum
	m.polled(now + 10_300)
	assert.Equal(t, sum+200, m.sum)
}

func TestGapQuantile(t *testing.T) {
	var g GapCounters
	assert.Zero(t, g.Quantile(0.5), "nothing counted")
	g.Buckets[3], g.Buckets[20], g.Buckets[NumGapBuckets-1] = 9990, 9, 1
	g.Max = 3 * time.Second
	assert.Equal(t, GapBound(3), g.Quantile(0.5))
	assert.Equal(t, GapBound(3), g.Quantile(0.999))
	assert.Equal(t, GapBound(20), g.Quantile(0.9991))
	assert.Equal(t, GapBound(20), g.Quantile(0.9999))
	assert.Equal(t, 3*time.Second, g.Quantile(1), "the last bucket has no bound")
	g = GapCounters{Max: 1500}
	g.Buckets[gapBucket(1500)] = 1
	assert.Equal(t, time.Duration(1500), g.Quantile(0.5), "never more than the longest")
}

// BenchmarkPollGap is what a round costs for it: the clock, the bucket, and its share of a
// publish.
func BenchmarkPollGap(b *testing.B) {
	m := gapMeter{due: ticks()}
	for i := 0; b.Loop(); i++ {
		if m.left--; m.left > 0 {
			continue
		}
		m.polled(ticks())
		if i%beatRounds == 0 {
			m.publish()
		}
	}
}
