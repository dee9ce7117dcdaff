package afxdp

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

// decide is the naive longest match over what a prefix map holds.
func decide(m map[netip.Prefix]filterAction, a netip.Addr) filterAction {
	best, action := -1, filterActionACTION_PASS
	for p, what := range m {
		if p.Contains(a) && p.Bits() > best {
			best, action = p.Bits(), what
		}
	}
	return action
}

// Every address that is redirected before and after a change is redirected after each
// of its steps; no own address ever is, once it is one.
func TestPlanNeverUncoversAnAddress(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func() map[netip.Prefix]filterAction {
		s := segments{}
		for range rng.IntN(5) {
			p, err := netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(16))}).Prefix(28 + rng.IntN(5))
			require.NoError(t, err)
			s.want = append(s.want, p)
		}
		for range rng.IntN(3) {
			s.local = append(s.local, netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(16))}))
		}
		return s.target()
	}
	for range 2000 {
		have := pick()
		want := pick()
		now := make(map[netip.Prefix]filterAction)
		for p, a := range have {
			now[p] = a
		}
		for _, c := range plan(have, want) {
			if c.remove {
				delete(now, c.prefix)
			} else {
				now[c.prefix] = c.action
			}
			for k := range byte(16) {
				a := netip.AddrFrom4([4]byte{10, 0, 0, k})
				if from := decide(have, a); from == decide(want, a) {
					require.Equal(t, from, decide(now, a), "%v on the way from %v to %v, after %+v", a, have, want, c)
				}
			}
		}
		require.Equal(t, want, now)
	}
}

func TestPlanOfNothing(t *testing.T) {
	have := map[netip.Prefix]filterAction{segment: filterActionACTION_REDIRECT}
	assert.Empty(t, plan(have, have))
	assert.Empty(t, plan(nil, nil))
}

func TestSegmentsMustBeMasked(t *testing.T) {
	i := &Interface{cfg: InterfaceConfig{Name: "sw0"}}
	for _, p := range []netip.Prefix{
		{},
		netip.MustParsePrefix("203.0.113.7/24"),
		netip.PrefixFrom(netip.MustParseAddr("::ffff:203.0.113.0"), 120),
	} {
		assert.ErrorContains(t, i.SetSegments([]netip.Prefix{p}), "expected a masked IPv4 or IPv6 prefix", p.String())
	}
	assert.ErrorContains(t, i.SetLocal([]netip.Addr{{}}), "expected an IPv4 or IPv6 address")
}

// A set that does not fit is refused by its size, before anything is changed.
func TestSegmentsThatDoNotFit(t *testing.T) {
	lab.Need(t, lab.Root)
	newMap := func(key uint32) *ebpf.Map {
		m, err := ebpf.NewMap(&ebpf.MapSpec{
			Type: ebpf.LPMTrie, KeySize: key, ValueSize: 4, MaxEntries: 3, Flags: unix.BPF_F_NO_PREALLOC,
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		return m
	}
	s := segments{
		maps: &filterMaps{Segments4: newMap(8), Segments6: newMap(20)},
		have: map[netip.Prefix]filterAction{},
	}
	set := func(prefixes ...string) error {
		s.want = nil
		for _, p := range prefixes {
			s.want = append(s.want, netip.MustParsePrefix(p))
		}
		return s.apply()
	}
	require.NoError(t, set("10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "fd00::/48"))
	require.EqualError(t, set("10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "10.0.4.0/24"),
		"4 IPv4 segments and own addresses: expected at most 3")
	require.EqualError(t, set("10.0.1.0/24", "10.0.2.0/24", "10.0.4.0/24"),
		"4 IPv4 segments and own addresses while old ones give way to new ones: expected at most 3: change fewer at a time")
	require.ErrorContains(t, set("fd00::/48", "fd00:1::/48", "fd00:2::/48", "fd00:3::/48"), "4 IPv6 segments")
	assert.Len(t, s.redirected(), 4, "nothing was changed")
	require.NoError(t, set("10.0.1.0/24", "10.0.2.0/24"))
	require.NoError(t, set("10.0.1.0/24", "10.0.2.0/24", "10.0.4.0/24"))
}

func TestHalfAMillionSegmentsCanBeReplaced(t *testing.T) {
	f := newFilterBench(t)
	assert.GreaterOrEqual(t, f.i.objs.Segments4.MaxEntries(), uint32(1<<20))
	assert.GreaterOrEqual(t, f.i.objs.Segments6.MaxEntries(), uint32(1<<20))
}
