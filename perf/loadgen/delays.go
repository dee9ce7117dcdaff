package loadgen

import (
	"math/bits"
	"time"
)

// The shape of a histogram, as in bpf/load.bpf.c: every power of two has half buckets of
// equal width, so that a bucket is 1/half of its time wide at most.
const (
	halfBits    = 5
	half        = 1 << halfBits
	longestBits = 36
	buckets     = (longestBits-halfBits)*half + half
)

// Delays is a histogram of times. The zero value is empty.
type Delays struct {
	frames [buckets]uint64
}

// bucketOf is where a time belongs.
func bucketOf(d time.Duration) int {
	if d >= 1<<longestBits {
		return buckets - 1
	}
	ns := uint64(max(0, d))
	shift := max(0, bits.Len64(ns)-halfBits-1)
	return shift*half + int(ns>>shift)
}

// timeOf is the middle of a bucket.
func timeOf(bucket int) time.Duration {
	shift := max(0, bucket/half-1)
	low := time.Duration(bucket-shift*half) << shift
	return low + (1<<shift)/2
}

// Add counts a time.
func (d *Delays) Add(t time.Duration) { d.frames[bucketOf(t)]++ }

// Plus is both together.
func (d Delays) Plus(e Delays) Delays {
	for i, n := range e.frames {
		d.frames[i] += n
	}
	return d
}

// Sub is what was counted since earlier.
func (d Delays) Sub(earlier Delays) Delays {
	for i, n := range earlier.frames {
		d.frames[i] -= n
	}
	return d
}

// Count is how many frames there are.
func (d Delays) Count() (n uint64) {
	for _, f := range d.frames {
		n += f
	}
	return n
}

// Quantile is the time that a share q of the frames was not above, but for the width of a
// bucket: at most 1/32 of it. 0 of none.
func (d Delays) Quantile(q float64) time.Duration {
	count := d.Count()
	if count == 0 {
		return 0
	}
	rank := min(uint64(q*float64(count)), count-1)
	for i, n := range d.frames {
		if rank < n {
			return timeOf(i)
		}
		rank -= n
	}
	return timeOf(buckets - 1)
}
