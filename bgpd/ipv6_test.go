package bgpd

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// TestIPv6Sessions needs addresses that are not of loopback: they are next hops of
// IPv6 sessions, and a router's own address becomes a VTEP.
func TestIPv6Sessions(t *testing.T) {
	if !inNamespace(t, "10.1.0.1/32", "10.1.0.2/32", "fd00:1::1/128", "fd00:1::2/128", "fd00:1::3/128") {
		return
	}
	gw, sw, vr := netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("fd00:1::2"), netip.MustParseAddr("fd00:1::3")
	gw4, vr4 := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")
	router6, router4 := passive(vr, VirtualRouter, 65100), passive(vr4, VirtualRouter, 65100)
	router6.Profile.VNI, router4.Profile.VNI = vni(6), vni(4)
	r := start(t, Config{
		ASN: testASN, RouterID: gw4,
		Listen:    []netip.AddrPort{netip.AddrPortFrom(gw, testPort), netip.AddrPortFrom(gw4, testPort)},
		Neighbors: []Neighbor{passive(sw, Switch, 65001), router6, router4},
	})
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24"), segment("2001:db8::/48")}))
	p := join(t, gw, sw, peerOptions{as: 65001})
	hears(t, p, "203.0.113.0/24", "2001:db8::/48")
	assert.Equal(t, gw.String(), p.route("2001:db8::/48").nextHop)
	assert.Equal(t, gw.String(), p.route("203.0.113.0/24").nextHop, "IPv4 over an IPv6 next hop (RFC 8950)")

	q := join(t, gw, vr, peerOptions{as: 65100})
	q.claim6(gw.String(), nil, "2001:db8::7/128") // the next hop is the gateway's session address
	c := r.claimed(t, vr, "2001:db8::7/128", rib.CarrierPeer)
	assert.Equal(t, vr, c.Tunnel.VTEP)
	q.claim6(vr.String(), pathAttrs{large("0.0.0.0", 9)}, "2001:db8::8/128")
	c = r.claimed(t, vr, "2001:db8::8/128", rib.CarrierLargeCommunity)
	assert.Equal(t, vr, c.Tunnel.VTEP, "a VTEP of IPv6 is said by next hop")

	s := join(t, gw4, vr4, peerOptions{as: 65100})
	s.claim(gw4.String(), nil, "203.0.113.7/32")
	c = r.claimed(t, vr4, "203.0.113.7/32", rib.CarrierPeer)
	assert.Equal(t, vr4, c.Tunnel.VTEP)
	assert.Empty(t, r.violations())
}
