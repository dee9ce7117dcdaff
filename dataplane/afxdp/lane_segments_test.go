package afxdp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// segmentRange is where the sets of randomSegments lie: 64 /24s.
const segmentRange = 203<<24 | 113<<16

// randomSegments is a set of segments of all lengths around a /24, and of own addresses.
func randomSegments(r *rand.Rand) (s segments) {
	at := func() uint32 { return segmentRange | uint32(r.IntN(64))<<8 | uint32(r.IntN(256)) }
	for range r.IntN(8) {
		s.want = append(s.want, prefix4(at(), 18+r.IntN(15)))
	}
	for range r.IntN(4) {
		s.local = append(s.local, prefix4(at(), 32).Addr())
	}
	return s
}

// has says whether the bit of a /24 is set.
func (s *sureSegments) has(n int) bool { return s.bits[n/8]>>(n%8)&1 != 0 }

// A bit is never set while an address of its /24 is passed on, at no step of a change, and
// in the end it is set where a segment of at least a /24 has no own address in that.
func TestSureSegmentsNeverSayTooMuch(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 7))
	s := sureSegments{bits: make([]byte, sureBytes)}
	have := map[netip.Prefix]filterAction{}
	check := func() {
		t.Helper()
		for n := segmentRange >> 8; n < segmentRange>>8+64; n++ {
			if !s.has(n) {
				continue
			}
			for low := range 256 {
				a := prefix4(uint32(n<<8|low), 32).Addr()
				require.Equal(t, filterActionACTION_REDIRECT, decide(have, a), "%v of %v", a, have)
			}
		}
	}
	set := 0
	for range 60 {
		next := randomSegments(r)
		target := next.target()
		changes := plan(have, target)
		s.narrow(target)
		check()
		for k, c := range changes {
			if have[c.prefix] = c.action; c.remove {
				delete(have, c.prefix)
			}
			if k%3 == 0 || k == len(changes)-1 {
				check()
			}
		}
		s.widen(have)
		check()
		for n := segmentRange >> 8; n < segmentRange>>8+64; n++ {
			p := prefix4(uint32(n<<8), 24)
			covered := slices.ContainsFunc(next.want, func(w netip.Prefix) bool { return w.Bits() <= 24 && w.Overlaps(p) })
			own := slices.ContainsFunc(next.local, p.Contains)
			require.Equal(t, covered && !own, s.has(n), "%v of %v", p, target)
			if s.has(n) {
				set++
			}
		}
	}
	assert.Greater(t, set, 100)
}

func TestSureSegmentsOfLargePrefixes(t *testing.T) {
	s := sureSegments{bits: sure(map[netip.Prefix]filterAction{
		netip.MustParsePrefix("0.0.0.0/0"):    filterActionACTION_REDIRECT,
		netip.MustParsePrefix("10.0.0.1/32"):  filterActionACTION_PASS,
		netip.MustParsePrefix("fd00::/8"):     filterActionACTION_REDIRECT,
		netip.MustParsePrefix("fd00::1/128"):  filterActionACTION_PASS,
		netip.MustParsePrefix("10.0.1.0/25"):  filterActionACTION_REDIRECT,
		netip.MustParsePrefix("192.0.2.0/32"): filterActionACTION_REDIRECT,
	})}
	for _, n := range []int{0, 10<<16 - 1, 10<<16 + 1, 1<<24 - 1} {
		assert.True(t, s.has(n), n)
	}
	assert.False(t, s.has(10<<16))
}

// The lane takes what the filter gives to a port, and leaves what that passes on, whichever
// way the program finds out.
func TestLaneKeepsToSegments(t *testing.T) {
	b := newLaneBench(t)
	vtep := netip.AddrFrom4([4]byte{10, 8, 0, 1})
	b.res.Set(vtep, fibtest.Adjacency(inPort, netip.AddrFrom4([4]byte{10, 255, 0, 1}), 1))
	b.apply(fib.Binding{Prefix: prefix4(0, 0), Tunnels: []encap.Tunnel{{VTEP: vtep}}})
	b.set(dataplane.RulesConfig{})
	r := rand.New(rand.NewPCG(7, 8))
	seen := map[uint32]int{}
	for range 60 {
		s := randomSegments(r)
		require.NoError(t, b.i.SetSegments(s.want))
		require.NoError(t, b.i.SetLocal(s.local))
		target := s.target()
		var addrs []uint32
		for range 40 {
			addrs = append(addrs, segmentRange|uint32(r.IntN(1<<14)))
		}
		for p := range target { // and what lies around each prefix
			first := number24(p.Addr())<<8 | int(p.Addr().As4()[3])
			addrs = append(addrs, uint32(first), uint32(first-1), uint32(first+1<<(32-p.Bits())-1), uint32(first+1<<(32-p.Bits())))
		}
		for _, a := range addrs {
			want := uint32(xdpPass)
			if decide(target, prefix4(a, 32).Addr()) == filterActionACTION_REDIRECT {
				want = xdpTX
			}
			verdict, _ := b.run(ip4{src: 198<<24 | 1, dst: a, ttl: 64, protocol: 17, payload: make([]byte, 8)}.frame())
			require.Equal(t, want, verdict, "%x of %v", a, target)
			seen[want]++
		}
	}
	assert.Greater(t, seen[xdpTX], 500)
	assert.Greater(t, seen[xdpPass], 500)
	status, err := b.i.filterCounters()
	require.NoError(t, err)
	assert.EqualValues(t, seen[xdpPass], status.Passed)
	assert.Zero(t, status.Unserved, "all that is the gateway's was plain")
}
