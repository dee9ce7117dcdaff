package dataplane

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// bucket is a token bucket, as the time at which it will be full again, in nanoseconds
// on the limiter's clock. The zero value is full.
type bucket int64

// limit is how fast a bucket fills, and how much it holds. The zero value is no limit.
type limit struct {
	token int64 // nanoseconds that a token takes
	rest  int64 // nanoseconds that all tokens but one take
}

// newLimit is the limit of rate tokens in a second, and burst at once.
func newLimit(rate, burst int) limit {
	if rate == 0 {
		return limit{}
	}
	token := int64(1e9) / int64(rate)
	return limit{token: token, rest: token * int64(burst-1)}
}

// has says whether the bucket holds a token. A bucket that was emptied under another
// limit waits no longer than one that was emptied under this one.
func (b *bucket) has(l limit, now int64) bool {
	if wait := int64(*b) - now; wait > l.rest {
		*b = bucket(now + min(wait, l.rest+l.token))
		return l.token == 0
	}
	return true
}

// take takes a token that is there.
func (b *bucket) take(l limit, now int64) {
	*b = bucket(max(int64(*b), now) + l.token)
}

// sourceBuckets is how many buckets all source prefixes share. Which one is a prefix's,
// a hash decides whose seed is this process's secret: prefixes that meet in a bucket
// share its tokens, and nobody can choose prefixes to meet another's. The memory is the
// same however many sources there are.
const (
	sourceBuckets = 1 << 12
	sourceMask    = sourceBuckets - 1
)

var sourceSeed = maphash.MakeSeed()

// budget is the buckets of one kind of answers, and what was found out about them in this
// burst, in which none gets fuller.
type budget struct {
	all     bucket
	sources [sourceBuckets]bucket

	spent   bool   // the bucket of all is empty
	refused uint64 // the last source whose bucket is; 0: none
}

// limiter holds answers to their limits. It belongs to one forwarder.
type limiter struct {
	clock  func() int64
	now    int64 // what the clock said in this burst; 0: not asked yet
	errors budget
	tooBig budget
}

func newLimiter() *limiter { return &limiter{clock: uptime} }

// begin starts a burst.
func (l *limiter) begin() {
	l.now = 0
	l.errors.spent, l.errors.refused = false, 0
	l.tooBig.spent, l.tooBig.refused = false, 0
}

// budget is that of a kind of answers.
func (l *limiter) budget(made Event) *budget {
	if made == EventTooBig {
		return &l.tooBig
	}
	return &l.errors
}

// uptime is nanoseconds, never 0, since this process began to count them.
func uptime() int64 { return max(ticks(), 1) }

// allow takes a token of the source's bucket and one of the bucket of all, if both have
// one. If not it takes none, and says which was empty: what one source is refused takes
// nothing from the others, nor does what all are refused from the source. The bucket of
// all is asked first: in a flood from everywhere it is empty, and no other is touched.
func (l *limiter) allow(a *answerRules, made Event, source uint64) (Event, bool) {
	if a.all.token == 0 && a.each.token == 0 {
		return 0, true
	}
	if l.now == 0 {
		l.now = l.clock()
	}
	b := l.budget(made)
	if !b.all.has(a.all, l.now) {
		b.spent = true
		return EventLimitedGlobal, false
	}
	if a.each.token != 0 {
		if source == b.refused {
			return EventLimitedSource, false
		}
		own := &b.sources[sourceHash(source)&sourceMask]
		if !own.has(a.each, l.now) {
			b.refused = source
			return EventLimitedSource, false
		}
		own.take(a.each, l.now)
	}
	b.all.take(a.all, l.now)
	return 0, true
}

// sourceKey4 is the /24 of a source as a number. It is 0 of martians only, which get no
// answer.
func sourceKey4(a uint32) uint64 { return uint64(a >> 8) }

// sourceKey6 is the /48 of a source as a number, which is no IPv4 source's.
func sourceKey6(a fib.Addr6) uint64 { return a.Hi>>16 | 1<<63 }

func sourceHash(key uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], key)
	return maphash.Bytes(sourceSeed, b[:])
}
