package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
)

// clocked is a gateway that answers within limits, by a clock that the test moves.
type clocked struct {
	*rig
	now   time.Duration
	asked int // how often the clock was
}

func limited(t *testing.T, limits dataplane.AnswerConfig) *clocked {
	t.Helper()
	c := &clocked{now: time.Hour}
	c.rig = answering(t, withLimits(limits))
	c.fw.SetClock(func() int64 { c.asked++; return int64(c.now) })
	return c
}

func withLimits(limits dataplane.AnswerConfig) dataplane.RulesConfig {
	rules := answers()
	limits.Default = rules.Answers.Default
	rules.Answers = limits
	return rules
}

// tally sends n frames that call for an answer each, and returns how many got one, and
// how many the limits of source and of all refused.
func (c *clocked) tally(n int, frame []byte) (answered, source, global int) {
	c.t.Helper()
	before := c.fw.Events()
	for range n {
		c.process(frame)
		c.release()
	}
	e := c.fw.Events()
	for i := range e {
		e[i] -= before[i]
	}
	made := e[dataplane.EventTimeExceeded] + e[dataplane.EventUnreachable] + e[dataplane.EventTooBig]
	answered, source, global = int(made), int(e[dataplane.EventLimitedSource]), int(e[dataplane.EventLimitedGlobal])
	require.Equal(c.t, n, answered+source+global)
	return answered, source, global
}

func (c *clocked) answered(n int, frame []byte) int {
	c.t.Helper()
	answered, _, _ := c.tally(n, frame)
	return answered
}

// ttlFrom is a packet whose TTL expires, from this IPv4 address.
func ttlFrom(src uint32) []byte {
	return patch4(patch4(udp7, 22, 1), 26, binary.BigEndian.AppendUint32(nil, src)...)
}

// hopFrom is one whose hop limit expires, from an address in this /64.
func hopFrom(net uint64) []byte {
	return patch(patch(tcp6to7, 21, 1), 14+8, binary.BigEndian.AppendUint64(nil, net)...)
}

// nets is n IPv4 /24 and n IPv6 /48, by their first addresses, that have buckets of
// their own: which have, is another in each run.
func nets(n int) (v4 []uint32, v6 []uint64) {
	taken := map[uint64]bool{}
	for a := uint32(0x0a000000); len(v4) < n; a += 256 {
		if b := dataplane.SourceBucket(addr4(a)); !taken[b] {
			v4, taken[b] = append(v4, a), true
		}
	}
	for a := uint64(0x20010db8_00000000); len(v6) < n; a += 0x10000 {
		if b := dataplane.SourceBucket(addr6(a)); !taken[b] {
			v6, taken[b] = append(v6, a), true
		}
	}
	return v4, v6
}

func addr4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
}

func addr6(net uint64) netip.Addr {
	return netip.AddrFrom16([16]byte(append(binary.BigEndian.AppendUint64(nil, net), make([]byte, 8)...)))
}

func TestLimitOfAll(t *testing.T) {
	c := limited(t, dataplane.AnswerConfig{Rate: 10, Burst: 5})
	answered, source, global := c.tally(100, ttlFrom(0xc6336401))
	assert.Equal(t, []int{5, 0, 95}, []int{answered, source, global}, "a burst")
	c.now += 99 * time.Millisecond
	assert.Zero(t, c.answered(10, ttlFrom(0x0a000001)), "not yet")
	c.now += time.Millisecond
	assert.Equal(t, 1, c.answered(10, hopFrom(0x20010db8_00000000)), "a tenth of a second")
	c.now += 250 * time.Millisecond
	assert.Equal(t, 2, c.answered(10, ttlFrom(0xc6336401)))
	c.now += 50 * time.Millisecond
	assert.Equal(t, 1, c.answered(10, ttlFrom(0xc6336401)), "the half that was left")
	c.now += time.Hour
	assert.Equal(t, 5, c.answered(10, ttlFrom(0xc6336401)), "no more than a burst after any time")
}

// Over any time, no more than burst + rate * time.
func TestLimitHolds(t *testing.T) {
	for _, rate := range []int{1, 3, 7, 1000, 333_333, 1_000_000} {
		c := limited(t, dataplane.AnswerConfig{Rate: rate, Burst: 20})
		sent, start := 0, c.now
		for step := range 400 {
			c.now += time.Duration(step*7919%1000) * time.Second / time.Duration(100*rate)
			sent += c.answered(6, ttlFrom(0xc6336401))
			most := 20 + float64(rate)*(c.now-start).Seconds()*1.001
			require.LessOrEqual(t, float64(sent), most, "rate %d", rate)
		}
		assert.Greater(t, float64(sent), 0.9*float64(rate)*(c.now-start).Seconds(), "rate %d", rate)
	}
}

func TestLimitOfASource(t *testing.T) {
	v4, v6 := nets(2)
	c := limited(t, dataplane.AnswerConfig{SourceRate: 10, SourceBurst: 3})
	answered, source, global := c.tally(10, ttlFrom(v4[0]+1))
	assert.Equal(t, []int{3, 7, 0}, []int{answered, source, global})
	assert.Zero(t, c.answered(5, ttlFrom(v4[0]+255)), "the same /24")
	assert.Equal(t, 3, c.answered(5, ttlFrom(v4[1])), "another /24")

	assert.Equal(t, 3, c.answered(5, hopFrom(v6[0])))
	assert.Zero(t, c.answered(5, hopFrom(v6[0]+0xffff)), "the same /48")
	assert.Equal(t, 3, c.answered(5, hopFrom(v6[1])), "another /48")
	c.now += 100 * time.Millisecond
	assert.Equal(t, 1, c.answered(5, ttlFrom(v4[0])))
	assert.Equal(t, 1, c.answered(5, hopFrom(v6[0])))
}

// All addresses of a prefix lie in one bucket, prefixes in all buckets evenly; those that
// meet in one share its tokens.
func TestBucketsOfSources(t *testing.T) {
	first, second := map[uint64]uint32{}, uint32(0)
	for a := uint32(0x0a000000); second == 0; a += 256 {
		b := dataplane.SourceBucket(addr4(a))
		assert.Equal(t, b, dataplane.SourceBucket(addr4(a+255)))
		if _, meets := first[b]; meets {
			second = a
		} else {
			first[b] = a
		}
	}
	c := limited(t, dataplane.AnswerConfig{SourceRate: 1, SourceBurst: 2})
	assert.Equal(t, 2, c.answered(2, ttlFrom(first[dataplane.SourceBucket(addr4(second))])))
	assert.Zero(t, c.answered(2, ttlFrom(second)))

	used := map[uint64]int{}
	for i := range 8 * 4096 {
		used[dataplane.SourceBucket(addr4(0x0a000000+uint32(i)*256))]++
		used[dataplane.SourceBucket(addr6(0x20010db8_00000000+uint64(i)*0x10000))]++
	}
	assert.Greater(t, len(used), 4050, "with 16 prefixes to a bucket hardly any has none")
	for _, n := range used {
		assert.Less(t, n, 64)
	}
}

// What one limit refuses takes nothing from the other.
func TestLimitsTakeNothingFromEachOther(t *testing.T) {
	v4, _ := nets(3)
	c := limited(t, dataplane.AnswerConfig{Rate: 10, Burst: 10, SourceRate: 1, SourceBurst: 4})
	answered, source, global := c.tally(1000, ttlFrom(v4[0]))
	assert.Equal(t, []int{4, 996, 0}, []int{answered, source, global})
	assert.Equal(t, 4, c.answered(4, ttlFrom(v4[1])), "another source has its share")
	answered, source, global = c.tally(100, ttlFrom(v4[2]))
	assert.Equal(t, []int{2, 0, 98}, []int{answered, source, global}, "what all are left")
	c.now += 500 * time.Millisecond
	answered, source, global = c.tally(9, ttlFrom(v4[2]))
	assert.Equal(t, []int{2, 7, 0}, []int{answered, source, global}, "what the source had left, of the five that all have again")
}

// Too big has buckets of its own: no flood of other kinds ends path MTU discovery.
func TestLimitOfTooBig(t *testing.T) {
	for _, limits := range []dataplane.AnswerConfig{{Rate: 1, Burst: 3}, {SourceRate: 1, SourceBurst: 3}} {
		c := limited(t, limits)
		assert.Equal(t, 3, c.answered(50, patch4(udp7, 22, 1)))
		assert.Zero(t, c.answered(50, patch4(udp7, 33, 200)), "unreachable and time exceeded share")
		assert.Equal(t, 3, c.answered(50, sized4(7, 1451)))
		assert.Zero(t, c.answered(50, patch4(udp7, 22, 1)))
		c.now += time.Second
		assert.Equal(t, 1, c.answered(50, sized4(7, 1451)))
		assert.Equal(t, 1, c.answered(50, patch4(udp7, 33, 200)))
	}
}

// What gets no answer for another reason takes no token.
func TestLimitIsForWhatIsAnswered(t *testing.T) {
	c := limited(t, dataplane.AnswerConfig{Rate: 1, Burst: 2, SourceRate: 1, SourceBurst: 2})
	for range 10 {
		c.silent(message4(3))
		c.silent(patch4(patch4(udp7, 22, 1), 20, 0x20, 1))
	}
	assert.Zero(t, c.asked, "nor is the clock read")
	assert.Equal(t, 2, c.answered(3, patch4(udp7, 22, 1)))
}

// The clock is read once in a burst, and not where there is no limit.
func TestClockIsReadOncePerBurst(t *testing.T) {
	c := limited(t, dataplane.AnswerConfig{Rate: 100, Burst: 100, SourceRate: 100, SourceBurst: 100})
	var burst [][]byte
	for range 32 {
		burst = append(burst, patch4(udp7, 22, 1), hopFrom(0x20010db8_00010000))
	}
	c.process(burst...)
	c.release()
	assert.Equal(t, 1, c.asked)
	c.process(udp7, udp8)
	c.release()
	c.process(drops()[dataplane.ReasonBadIPv4Checksum])
	c.release()
	assert.Equal(t, 1, c.asked)
	c.with(answers())
	c.process(burst...)
	c.release()
	assert.Equal(t, 1, c.asked)
}

// A bucket that was emptied under another limit does not stay empty for the time that
// the other one would have taken.
func TestLimitsChange(t *testing.T) {
	c := limited(t, dataplane.AnswerConfig{Rate: 1, Burst: 1_000_000})
	assert.Equal(t, 1000, c.answered(1000, patch4(udp7, 22, 1)))
	c.with(withLimits(dataplane.AnswerConfig{Rate: 10, Burst: 2}))
	assert.Zero(t, c.answered(5, patch4(udp7, 22, 1)))
	c.now += 100 * time.Millisecond
	assert.Equal(t, 1, c.answered(5, patch4(udp7, 22, 1)))
	c.with(answers())
	assert.Equal(t, 5, c.answered(5, patch4(udp7, 22, 1)), "no limit")
	c.with(withLimits(dataplane.AnswerConfig{Rate: 10, Burst: 2}))
	c.now += time.Minute
	assert.Equal(t, 2, c.answered(5, patch4(udp7, 22, 1)))
}

// A flood from everywhere: answers stay at the limit, and each source gets its share
// of the buckets, which are as many as they were.
func TestFloodFromEverywhere(t *testing.T) {
	c := limited(t, dataplane.AnswerConfig{Rate: 1000, Burst: 200, SourceRate: 50, SourceBurst: 50})
	answered := 0
	for i := range 20_000 { // a second
		c.now += 50 * time.Microsecond
		answered += c.answered(1, ttlFrom(0x01000000+uint32(i)*0x9e37%0x7d000000))
	}
	assert.LessOrEqual(t, answered, 1200)
	assert.GreaterOrEqual(t, answered, 1190)
}

// What a burst has found out about a bucket holds for that bucket, and for that burst.
func TestLimitsInOneBurst(t *testing.T) {
	v4, v6 := nets(2)
	verdicts := func(c *clocked, frames ...[]byte) (made []bool) {
		for _, f := range c.process(frames...) {
			made = append(made, f.Verdict == dataplane.Reply)
		}
		c.release()
		return made
	}
	count := func(c *clocked) [2]uint64 {
		e := c.fw.Events()
		return [2]uint64{e[dataplane.EventLimitedSource], e[dataplane.EventLimitedGlobal]}
	}

	a, b, big := ttlFrom(v4[0]), hopFrom(v6[0]), patch4(sized4(7, 1451), 26, binary.BigEndian.AppendUint32(nil, v4[0])...)
	c := limited(t, dataplane.AnswerConfig{SourceRate: 10, SourceBurst: 1})
	assert.Equal(t, []bool{true, false, false, true, false, false, true, false},
		verdicts(c, a, a, a, b, a, b, big, big), "each source has its own, and too big another")
	assert.Equal(t, [2]uint64{5, 0}, count(c))
	c.now += 100 * time.Millisecond
	assert.Equal(t, []bool{true, true, true}, verdicts(c, a, b, big), "the next burst asks anew")

	c = limited(t, dataplane.AnswerConfig{Rate: 10, Burst: 1})
	assert.Equal(t, []bool{true, false, false, true, false, false}, verdicts(c, a, a, b, big, big, message4(3)))
	assert.Equal(t, [2]uint64{0, 4}, count(c), "one that may not be answered is not looked at any more")
	assert.Zero(t, c.fw.Events()[dataplane.EventAnswerForbidden])
	assert.Equal(t, dataplane.EventAnswerForbidden, c.silent(message4(3)))
	c.now += 100 * time.Millisecond
	assert.Equal(t, []bool{true, false, true}, verdicts(c, b, a, big))
}

// The real clock: a bucket fills by itself.
func TestLimitByTheRealClock(t *testing.T) {
	r := answering(t, withLimits(dataplane.AnswerConfig{Rate: 100, Burst: 1}))
	r.answer(patch4(udp7, 22, 1))
	until(t, "the next answer", func() bool {
		f := r.process(patch4(udp7, 22, 1))[0]
		defer r.release()
		return f.Verdict == dataplane.Reply
	})
}

func TestBadAnswerConfigs(t *testing.T) {
	both := from("192.0.2.1", "2001:db8:ffff::1")
	for _, c := range []struct {
		config dataplane.AnswerConfig
		want   string
	}{
		{dataplane.AnswerConfig{Rate: -1, Burst: 1}, "ICMP rate -1: expected 1 to 1000000 answers in a second, or 0 for no limit"},
		{dataplane.AnswerConfig{Rate: 1_000_001, Burst: 1}, "ICMP rate 1000001: expected"},
		{dataplane.AnswerConfig{Rate: 1}, "ICMP burst 0: expected 1 to 1000000 answers at once"},
		{dataplane.AnswerConfig{Rate: 1, Burst: -5}, "ICMP burst -5: expected 1"},
		{dataplane.AnswerConfig{Rate: 1, Burst: 1_000_001}, "ICMP burst 1000001: expected 1"},
		{dataplane.AnswerConfig{Burst: 5}, "ICMP burst 5: expected 0, as there is no rate"},
		{dataplane.AnswerConfig{SourceRate: -1}, "ICMP source rate -1: expected"},
		{dataplane.AnswerConfig{SourceRate: 5}, "ICMP source burst 0: expected 1"},
		{dataplane.AnswerConfig{Default: from("2001:db8::1", "")}, "by default: 2001:db8::1: expected an IPv4 address"},
		{dataplane.AnswerConfig{Default: from("::ffff:192.0.2.1", "")}, "expected an IPv4 address"},
		{dataplane.AnswerConfig{Default: from("", "192.0.2.1")}, "by default: 192.0.2.1: expected an IPv6 address without a zone"},
		{dataplane.AnswerConfig{Default: from("", "::ffff:192.0.2.1")}, "expected an IPv6 address"},
		{dataplane.AnswerConfig{Default: from("", "2001:db8::1%eth0")}, "expected an IPv6 address without a zone"},
		{dataplane.AnswerConfig{Default: from("224.0.0.1", "")}, "224.0.0.1: expected a unicast address"},
		{dataplane.AnswerConfig{Default: from("0.0.0.0", "")}, "0.0.0.0: expected a unicast address"},
		{dataplane.AnswerConfig{Default: from("127.0.0.1", "")}, "127.0.0.1: expected a unicast address"},
		{dataplane.AnswerConfig{Default: from("255.255.255.255", "")}, "expected a unicast address"},
		{dataplane.AnswerConfig{Default: from("", "::")}, "::: expected a unicast address"},
		{dataplane.AnswerConfig{Default: from("", "fe80::1")}, "fe80::1: expected a unicast address"},
		{dataplane.AnswerConfig{Default: both, Sources: map[fib.PortID]dataplane.AnswerSource{7: from("192.0.2.1", "ff02::1")}}, "ICMP source of port 7: ff02::1: expected a unicast address"},
	} {
		var r dataplane.Rules
		assert.ErrorContains(t, r.Set(dataplane.RulesConfig{Answers: c.config}), c.want)
	}
}
