package dataplane

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A poll gap is how long a worker's ports were not looked at: from one round's begin to
// the next one's, which is the work of a round, and whatever kept the thread from going on:
// the kernel, the hypervisor, Go's runtime. A pause of an idle worker is no gap. What it
// takes the thread to come back when the pause is over is one; where a frame ends the pause,
// nobody knows when that came, and nothing counts.
//
// Reading the clock costs some 30 ns, a full burst between ports in memory 4 µs. So rounds
// that are that short are measured up to four together, as long as these stay within gapSpan:
// no gap is lost, only which of them it was, and below gapSpan several may look like one.

// Gaps are counted in buckets of a quarter of a power of two, from a microsecond (1024 ns) to
// a second (2^30 ns), one below and one above.
const (
	gapFirst = 10 // 2^10 ns
	gapLast  = 30
	gapSplit = 2 // a power of two is split in 2^2

	NumGapBuckets = (gapLast-gapFirst)<<gapSplit + 2
)

const (
	gapSpan   = 20_000 // ns
	gapRounds = 4      // most rounds for one reading of the clock
)

// GapBound is the longest gap in a bucket; of the last one there is none.
func GapBound(bucket int) time.Duration {
	switch {
	case bucket <= 0:
		return 1 << gapFirst
	case bucket >= NumGapBuckets-1:
		return math.MaxInt64
	}
	octave, part := uint(bucket-1)>>gapSplit, (bucket-1)&(1<<gapSplit-1)
	return time.Duration(1<<gapSplit+part+1) << (gapFirst + octave - gapSplit)
}

// gapBucket is the bucket of a gap in ns.
func gapBucket(gap uint64) int {
	if gap <= 1<<gapFirst {
		return 0
	}
	gap-- // bounds belong to the lower bucket
	octave := uint(bits.Len64(gap)) - 1 - gapFirst
	if octave >= gapLast-gapFirst {
		return NumGapBuckets - 1
	}
	part := gap >> (gapFirst + octave - gapSplit) & (1<<gapSplit - 1)
	return 1 + int(octave<<gapSplit) + int(part)
}

// GapCounters are the poll gaps of a worker since it began.
type GapCounters struct {
	Buckets [NumGapBuckets]uint64 // see GapBound
	Sum     time.Duration
	Max     time.Duration
}

// Count is how many there were.
func (g *GapCounters) Count() (n uint64) {
	for _, c := range g.Buckets {
		n += c
	}
	return n
}

// Quantile is a time that the share q of all gaps did not exceed: a bucket's bound, but never
// more than the longest gap; 0 when there was none.
func (g *GapCounters) Quantile(q float64) time.Duration {
	left := uint64(math.Ceil(q * float64(g.Count())))
	for i, c := range g.Buckets {
		if c >= left && left > 0 {
			return min(GapBound(i), g.Max)
		}
		left -= c
	}
	return 0
}

// gapMeter is what the worker counts gaps on; shared, what others see of it. The worker
// alone writes, and publishes what has changed with each heartbeat.
type gapMeter struct {
	due      int64 // when the ports were to be looked at, by ticks
	rounds   int   // for one reading
	left     int   // rounds until the next one
	sum, max uint64
	buckets  [NumGapBuckets]uint64
	fresh    [(NumGapBuckets + 63) / 64]uint64 // bit per bucket that changed since the last publish
	shared   gapCells
}

type gapCells struct {
	_        [64]byte // nobody else's data share a cache line with these
	sum, max atomic.Uint64
	buckets  [NumGapBuckets]atomic.Uint64
	_        [64]byte
}

// polled counts the gap that ends now. The next one begins.
func (m *gapMeter) polled(now int64) {
	gap := uint64(max(now-m.due, 0))
	m.due = now
	switch {
	case gap > gapSpan:
		m.rounds = 1
	case gap <= gapSpan/2 && m.rounds < gapRounds:
		m.rounds = max(1, 2*m.rounds)
	}
	m.left = m.rounds
	m.sum += gap
	m.max = max(m.max, gap)
	b := uint(gapBucket(gap))
	m.buckets[b]++
	m.fresh[b/64] |= 1 << (b % 64)
}

// slept says that the worker slept from one moment until another was due. The clock is read
// in the next round.
func (m *gapMeter) slept(from, due int64) {
	m.polled(from)
	m.due, m.left = due, 1
}

// publish makes what has been counted visible.
func (m *gapMeter) publish() {
	for i := range m.fresh {
		for ; m.fresh[i] != 0; m.fresh[i] &= m.fresh[i] - 1 {
			b := i*64 + bits.TrailingZeros64(m.fresh[i])
			m.shared.buckets[b].Store(m.buckets[b])
		}
	}
	m.shared.sum.Store(m.sum)
	m.shared.max.Store(m.max)
}

// read copies what is visible. Buckets may be of different moments, some rounds apart.
func (c *gapCells) read(g *GapCounters) {
	g.Max = time.Duration(c.max.Load())
	g.Sum = time.Duration(c.sum.Load())
	for i := range c.buckets {
		g.Buckets[i] = c.buckets[i].Load()
	}
}
