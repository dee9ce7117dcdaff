package bgpd

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
)

func segment(prefix string) rib.Segment { return rib.Segment{Prefix: netip.MustParsePrefix(prefix)} }

// hears waits until a switch has exactly the prefixes.
func hears(t *testing.T, p *peer, prefixes ...string) {
	t.Helper()
	ok := assert.Eventually(t, func() bool {
		for _, x := range prefixes {
			if p.route(x) == nil {
				return false
			}
		}
		return p.routes() == len(prefixes)
	}, patience, 5e6)
	require.True(t, ok, "%s has %v, expected %v", p.addr, p.history(), prefixes)
}

func TestAnnounce(t *testing.T) {
	n := newNetwork()
	ext, own := n.host(2), n.host(3)
	r := start(t, n.config(passive(ext, Switch, 65001), passive(own, Switch, testASN)))
	med := uint32(10)
	full := rib.Segment{
		Prefix: netip.MustParsePrefix("203.0.113.0/24"), MED: &med,
		Communities: []uint32{64512<<16 | 100}, LargeCommunities: [][3]uint32{{64512, 1, 2}},
	}
	require.NoError(t, r.Announce([]rib.Segment{full, segment("2001:db8::/48")}))
	a := join(t, n.gateway(), ext, peerOptions{as: 65001})
	b := join(t, n.gateway(), own, peerOptions{as: testASN})
	hears(t, a, "203.0.113.0/24", "2001:db8::/48")
	hears(t, b, "203.0.113.0/24", "2001:db8::/48")

	x := a.route("203.0.113.0/24")
	assert.Equal(t, n.gateway().String(), x.nextHop, "the gateway's end of the session")
	assert.Equal(t, []uint32{testASN}, x.asPath)
	assert.Equal(t, []uint32{64512<<16 | 100}, x.communities)
	assert.Equal(t, []*bgp.LargeCommunity{{ASN: 64512, LocalData1: 1, LocalData2: 2}}, x.large)
	require.NotNil(t, x.med)
	assert.Equal(t, uint32(10), *x.med)
	assert.Nil(t, x.localPref)
	assert.Equal(t, map[bgp.BGPAttrType]bool{
		bgp.BGP_ATTR_TYPE_ORIGIN: true, bgp.BGP_ATTR_TYPE_AS_PATH: true, bgp.BGP_ATTR_TYPE_NEXT_HOP: true,
		bgp.BGP_ATTR_TYPE_MULTI_EXIT_DISC: true, bgp.BGP_ATTR_TYPE_COMMUNITIES: true, bgp.BGP_ATTR_TYPE_LARGE_COMMUNITY: true,
	}, x.attrs, "and nothing else")
	x = a.route("2001:db8::/48")
	assert.Equal(t, service6.String(), x.nextHop, "over a session of IPv4 the service address")
	assert.Nil(t, x.med)
	x = b.route("203.0.113.0/24")
	assert.Empty(t, x.asPath)
	require.NotNil(t, x.localPref)
	assert.Equal(t, uint32(100), *x.localPref)
	assert.Equal(t, n.gateway().String(), x.nextHop)
	eventually(t, "count", func() bool { return r.neighbor(ext).Advertised == 2 && r.neighbor(own).Advertised == 2 })

	med = 20 // what was handed over is not looked at again
	full.MED = &med
	require.NoError(t, r.Announce([]rib.Segment{full}))
	hears(t, a, "203.0.113.0/24")
	eventually(t, "new MED", func() bool { x := a.route("203.0.113.0/24"); return *x.med == 20 })
	require.NoError(t, r.Announce(nil))
	hears(t, a)
	hears(t, b)
	eventually(t, "count", func() bool { return r.neighbor(ext).Advertised == 0 })
}

// TestSplitAndMerge: in every moment each address of the old and the new set is
// covered, at the switch, in the order in which it hears.
func TestSplitAndMerge(t *testing.T) {
	n := newNetwork()
	sw := n.host(2)
	r := start(t, n.config(passive(sw, Switch, 65001)))
	p := join(t, n.gateway(), sw, peerOptions{as: 65001})
	whole := []rib.Segment{segment("203.0.113.0/24")}
	halves := []rib.Segment{segment("203.0.113.0/25"), segment("203.0.113.128/25")}
	require.NoError(t, r.Announce(whole))
	hears(t, p, "203.0.113.0/24")
	require.NoError(t, r.Announce(halves))
	hears(t, p, "203.0.113.0/25", "203.0.113.128/25")
	require.NoError(t, r.Announce(whole))
	hears(t, p, "203.0.113.0/24")
	h := p.history()
	assert.Equal(t, []string{"+203.0.113.0/24", "+203.0.113.0/25", "+203.0.113.128/25", "-203.0.113.0/24", "+203.0.113.0/24"}, h[:5])
	slices.Sort(h[5:])
	assert.Equal(t, []string{"-203.0.113.0/25", "-203.0.113.128/25"}, h[5:])
}

func TestAnnounceRefuses(t *testing.T) {
	s, err := New(newNetwork().config())
	require.NoError(t, err)
	assert.ErrorContains(t, s.Announce([]rib.Segment{{}}), "expected a prefix")
	assert.ErrorContains(t, s.Announce([]rib.Segment{{Prefix: netip.MustParsePrefix("203.0.113.7/24")}}), "203.0.113.7/24")
	assert.ErrorContains(t, s.Announce([]rib.Segment{segment("203.0.113.0/24"), segment("203.0.113.0/24")}), "twice")
}

// TestNothingElseGoesOut: routers' routes and switches' routes go to nobody, the
// segments to no virtual router, attribute 23 nowhere. What a switch says is not
// learned.
func TestNothingElseGoesOut(t *testing.T) {
	n := newNetwork()
	s1, s2, v1, v2 := n.host(2), n.host(3), n.host(4), n.host(200)
	r := start(t, n.config(
		passive(s1, Switch, 65001), passive(s2, Switch, testASN), passive(v1, VirtualRouter, 65100),
		Neighbor{Range: netip.PrefixFrom(n.host(192), 26), Role: VirtualRouter, ASN: testASN},
	))
	a := join(t, n.gateway(), s1, peerOptions{as: 65001, routerID: "10.9.0.1"})
	b := join(t, n.gateway(), s2, peerOptions{as: testASN, routerID: "10.9.0.2"})
	c := join(t, n.gateway(), v1, peerOptions{as: 65100, routerID: "10.9.0.3"})
	d := join(t, n.gateway(), v2, peerOptions{as: testASN, routerID: "10.9.0.4"})
	for _, p := range []*peer{a, b, c, d} {
		p.claim("10.0.0.11", pathAttrs{tunnelEncap(geneve), large("10.0.0.11", 5001)}, "203.0.113.7/32")
		p.claim6("fd00::11", pathAttrs{tunnelEncap(geneve)}, "2001:db8::7/128")
	}
	eventually(t, "learned", func() bool { return r.held(v1) == 2 && r.held(v2) == 2 })
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.7/32"), segment("198.51.100.0/24")}))
	hears(t, a, "203.0.113.7/32", "198.51.100.0/24")
	hears(t, b, "203.0.113.7/32", "198.51.100.0/24")
	assert.False(t, a.route("203.0.113.7/32").attrs[bgp.BGP_ATTR_TYPE_TUNNEL_ENCAP])
	c.unclaim("203.0.113.7/32") // would make GoBGP choose again, had it anything to choose from
	require.NoError(t, r.Announce([]rib.Segment{segment("198.51.100.0/24")}))
	hears(t, a, "198.51.100.0/24")
	hears(t, b, "198.51.100.0/24")
	assert.Equal(t, []string{"+203.0.113.7/32", "+198.51.100.0/24", "-203.0.113.7/32"}, a.history())
	assert.Equal(t, []string{"+203.0.113.7/32", "+198.51.100.0/24", "-203.0.113.7/32"}, b.history())
	assert.Empty(t, c.history())
	assert.Empty(t, d.history())
	assert.False(t, r.isSource(s1) || r.isSource(s2))
	eventually(t, "seen, and left alone", func() bool { return r.neighbor(s1).Received == 2 })
	assert.Zero(t, r.neighbor(v1).Advertised)
	assert.Empty(t, r.violations())
}

// TestNextHopService: with the service address as next hop, and a switch that comes
// from a range.
func TestNextHopService(t *testing.T) {
	n := newNetwork()
	sw := n.host(2)
	cfg := n.config(Neighbor{Range: n.prefix(), Role: Switch, ASN: 65001})
	cfg.NextHop = NextHopService
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24"), segment("2001:db8::/48")}))
	eventually(t, "listening", func() bool { return len(r.Neighbors()) == 1 })
	p := join(t, n.gateway(), sw, peerOptions{as: 65001})
	hears(t, p, "203.0.113.0/24", "2001:db8::/48")
	assert.Equal(t, service4.String(), p.route("203.0.113.0/24").nextHop)
	assert.Equal(t, service6.String(), p.route("2001:db8::/48").nextHop)
	assert.False(t, r.isSource(sw))
	eventually(t, "count", func() bool { return r.neighbor(sw).Advertised == 2 })
}

// TestNoNextHopNoFamily: without a service address of IPv6 a session of IPv4 does not
// offer IPv6, and a segment of it says so.
func TestNoNextHopNoFamily(t *testing.T) {
	n := newNetwork()
	sw := n.host(2)
	cfg := n.config(passive(sw, Switch, 65001))
	cfg.ServiceAddresses = nil
	assert.NoError(t, cfg.CanAnnounce(netip.MustParsePrefix("203.0.113.0/24")))
	assert.ErrorContains(t, cfg.CanAnnounce(netip.MustParsePrefix("2001:db8::/48")), "service address of ipv6")
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("2001:db8::/48"), segment("203.0.113.0/24")}))
	p := join(t, n.gateway(), sw, peerOptions{as: 65001})
	hears(t, p, "203.0.113.0/24")
	eventually(t, "families", func() bool { return slices.Equal(r.neighbor(sw).Families, []Family{IPv4}) })
	eventually(t, "count", func() bool { return r.neighbor(sw).Advertised == 1 })
}
