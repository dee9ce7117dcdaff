package afxdp

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
