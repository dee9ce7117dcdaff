package path

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

var (
	service = netip.MustParseAddr("10.255.0.1")
	session = netip.MustParseAddr("10.1.0.1")
	router  = netip.MustParseAddr("10.1.0.9")
	vtep    = netip.MustParseAddr("10.0.0.11")
)

const gwASN = 64512

// lc is GW-ASN:VTEP:VNI.
func lc(vtep string, vni uint32) [3]uint32 {
	a := netip.MustParseAddr(vtep).As4()
	return [3]uint32{gwASN, uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3]), vni}
}

func testPeer() *Peer {
	return &Peer{Source: "10.1.0.9", Address: router, Own: []netip.Addr{service, session}, ASN: gwASN}
}

func TestJudge(t *testing.T) {
	five := encap.VNI(5001)
	profiled := func(p *Peer) { p.Profile.VNI = &five }
	inVXLAN := func(p *Peer) { p.Profile.VNI, p.Profile.Protocol = &five, encap.VXLAN }
	only := func(c ...rib.Carrier) func(*Peer) {
		return func(p *Peer) { p.Profile.VNI = &five; p.Carriers = CarriersOf(c) }
	}
	te := octets(t, example) // VTEP 10.0.0.11, VNI 5001, MAC 02:..:0b, port 6081
	teNextHop := octets(t, "0013 0008"+endpointNH)
	teEndpoint := octets(t, "0013 000c"+endpoint4)
	mac := encap.MAC{2, 0, 0, 0, 0, 0x0b}
	v6 := netip.MustParseAddr("fd00::b")
	for name, c := range map[string]struct {
		peer    func(*Peer)
		attrs   Attributes
		carrier rib.Carrier
		tunnel  encap.Tunnel
		router  netip.Addr
	}{
		"attribute 23": {
			attrs:   Attributes{NextHop: service, TunnelEncap: te},
			carrier: rib.CarrierTunnelEncap,
			tunnel:  encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Port: 6081},
		},
		"attribute 23, endpoint is next hop": {
			peer: profiled, attrs: Attributes{NextHop: vtep, TunnelEncap: teNextHop},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		},
		"attribute 23, endpoint is next hop, which is the gateway": {
			peer: profiled, attrs: Attributes{NextHop: session, TunnelEncap: teNextHop},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: router, VNI: 5001},
		},
		"attribute 23 without VNI, large community has it": {
			attrs:   Attributes{NextHop: service, TunnelEncap: teEndpoint, LargeCommunities: [][3]uint32{lc("10.0.0.11", 7)}},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 7},
		},
		"attribute 23 without endpoint, large community has it": {
			attrs:   Attributes{NextHop: service, TunnelEncap: teNextHop, LargeCommunities: [][3]uint32{lc("10.0.0.12", 7)}},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: netip.MustParseAddr("10.0.0.12"), VNI: 7},
		},
		"attribute 23 and large community agree": {
			attrs:   Attributes{NextHop: service, TunnelEncap: te, LargeCommunities: [][3]uint32{lc("10.0.0.11", 5001)}},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Port: 6081},
		},
		"large community": {
			attrs:   Attributes{NextHop: service, LargeCommunities: [][3]uint32{{1, 2, 3}, lc("10.0.0.11", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: vtep, VNI: 9},
		},
		"large community twice": {
			attrs:   Attributes{NextHop: service, LargeCommunities: [][3]uint32{lc("10.0.0.11", 9), lc("10.0.0.11", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: vtep, VNI: 9},
		},
		"large community, VTEP of IPv6 by next hop": {
			attrs:   Attributes{NextHop: v6, LargeCommunities: [][3]uint32{lc("0.0.0.0", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: v6, VNI: 9},
		},
		"large community wins over next hop": {
			attrs:   Attributes{NextHop: router, LargeCommunities: [][3]uint32{lc("10.0.0.11", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: vtep, VNI: 9},
		},
		"large community wins over profile": {
			peer: profiled, attrs: Attributes{NextHop: service, LargeCommunities: [][3]uint32{lc("10.0.0.11", 0)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: vtep, VNI: 0},
		},
		"next hop": {
			peer: profiled, attrs: Attributes{NextHop: vtep},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		},
		"peer, next hop is the service address": {
			peer: profiled, attrs: Attributes{NextHop: service},
			carrier: rib.CarrierPeer, tunnel: encap.Tunnel{VTEP: router, VNI: 5001},
		},
		"peer, next hop is the session address": {
			peer: profiled, attrs: Attributes{NextHop: session},
			carrier: rib.CarrierPeer, tunnel: encap.Tunnel{VTEP: router, VNI: 5001},
		},
		"peer behind a reflector": {
			peer: profiled, attrs: Attributes{NextHop: service, Originator: vtep},
			carrier: rib.CarrierPeer, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001}, router: vtep,
		},
		"attribute 23 is not believed": {
			peer: only(rib.CarrierLargeCommunity), attrs: Attributes{NextHop: service, TunnelEncap: te, LargeCommunities: [][3]uint32{lc("10.0.0.12", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: netip.MustParseAddr("10.0.0.12"), VNI: 9},
		},
		"malformed attribute 23 that is not believed": {
			peer: only(rib.CarrierNextHop), attrs: Attributes{NextHop: vtep, TunnelEncap: []byte{1}},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		},
		"large community is not believed": {
			peer: only(rib.CarrierPeer), attrs: Attributes{NextHop: service, LargeCommunities: [][3]uint32{lc("10.0.0.12", 9)}},
			carrier: rib.CarrierPeer, tunnel: encap.Tunnel{VTEP: router, VNI: 5001},
		},
		"community says Geneve": {
			peer: profiled, attrs: Attributes{NextHop: vtep, EncapTypes: []uint16{2, 19}},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		},
		"community says both, profile nothing": {
			peer: profiled, attrs: Attributes{NextHop: vtep, EncapTypes: []uint16{8, 19}},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		},
		"community says both, profile VXLAN": {
			peer: inVXLAN, attrs: Attributes{NextHop: vtep, EncapTypes: []uint16{19, 8}},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, Protocol: encap.VXLAN},
		},
		"community says VXLAN": {
			attrs:   Attributes{NextHop: vtep, EncapTypes: []uint16{2, 8}, LargeCommunities: [][3]uint32{lc("10.0.0.11", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: vtep, VNI: 9, Protocol: encap.VXLAN},
		},
		"community says Geneve, profile VXLAN": {
			peer: inVXLAN, attrs: Attributes{NextHop: vtep, EncapTypes: []uint16{19}},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		},
		"profile says VXLAN": {
			peer: inVXLAN, attrs: Attributes{NextHop: service},
			carrier: rib.CarrierPeer, tunnel: encap.Tunnel{VTEP: router, VNI: 5001, Protocol: encap.VXLAN},
		},
		"profile says VXLAN, large community the rest": {
			peer: inVXLAN, attrs: Attributes{NextHop: service, LargeCommunities: [][3]uint32{lc("10.0.0.11", 9)}},
			carrier: rib.CarrierLargeCommunity, tunnel: encap.Tunnel{VTEP: vtep, VNI: 9, Protocol: encap.VXLAN},
		},
		"attribute 23 with VXLAN": {
			attrs:   Attributes{NextHop: service, TunnelEncap: octets(t, vxlan)},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Protocol: encap.VXLAN},
		},
		"attribute 23 with VXLAN, community repeats it": {
			attrs:   Attributes{NextHop: service, TunnelEncap: octets(t, vxlan), EncapTypes: []uint16{8}},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Protocol: encap.VXLAN},
		},
		"attribute 23 with both": {
			attrs:   Attributes{NextHop: service, TunnelEncap: octets(t, vxlan+example)},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Port: 6081},
		},
		"attribute 23 with both, profile VXLAN": {
			peer: inVXLAN, attrs: Attributes{NextHop: service, TunnelEncap: octets(t, example+vxlan)},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Protocol: encap.VXLAN},
		},
		"attribute 23 with Geneve, profile VXLAN": {
			peer: inVXLAN, attrs: Attributes{NextHop: service, TunnelEncap: te},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Port: 6081},
		},
		"VXLAN without encapsulation, VNI by the profile": {
			peer: profiled, attrs: Attributes{NextHop: vtep, TunnelEncap: octets(t, "0008 0008"+endpointNH)},
			carrier: rib.CarrierTunnelEncap, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, Protocol: encap.VXLAN},
		},
		"port and option of the profile are Geneve's": {
			peer: func(p *Peer) {
				p.Profile = Profile{VNI: &five, InnerDst: mac, Port: 6999, OVN: &OVNPorts{Inport: 2, Outport: 1}}
			},
			attrs:   Attributes{NextHop: vtep, EncapTypes: []uint16{8}},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Protocol: encap.VXLAN},
		},
		"port of the profile is VXLAN's": {
			peer: func(p *Peer) {
				p.Profile = Profile{VNI: &five, Protocol: encap.VXLAN, Port: 8472}
			},
			attrs:   Attributes{NextHop: vtep},
			carrier: rib.CarrierNextHop, tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, Protocol: encap.VXLAN, Port: 8472},
		},
		"profile fills the rest": {
			peer: func(p *Peer) {
				p.Profile = Profile{VNI: &five, InnerDst: mac, InnerSrc: encap.MAC{2, 7, 7, 7, 7, 7}, Port: 6999, OVN: &OVNPorts{Inport: 2, Outport: 1}}
			},
			attrs:   Attributes{NextHop: vtep},
			carrier: rib.CarrierNextHop,
			tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, InnerSrc: encap.MAC{2, 7, 7, 7, 7, 7}, Port: 6999,
				Options: encap.OVNOptions(2, 1)},
		},
		"route wins over profile": {
			peer: func(p *Peer) {
				seven := encap.VNI(7)
				p.Profile = Profile{VNI: &seven, InnerDst: encap.MAC{2, 9, 9, 9, 9, 9}, Port: 6999}
			},
			attrs:   Attributes{NextHop: vtep, TunnelEncap: te},
			carrier: rib.CarrierTunnelEncap,
			tunnel:  encap.Tunnel{VTEP: vtep, VNI: 5001, InnerDst: mac, Port: 6081},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testPeer()
			if c.peer != nil {
				c.peer(p)
			}
			got, r := p.judge(&c.attrs)
			require.Nil(t, r)
			assert.Equal(t, c.carrier, got.Carrier)
			assert.Equal(t, c.tunnel, got.Tunnel)
			want := c.router
			if !want.IsValid() {
				want = router
			}
			assert.Equal(t, want, got.Router)
			assert.Equal(t, p.Source, got.Source)
		})
	}
}

func TestJudgeKeepsPreference(t *testing.T) {
	five := encap.VNI(5001)
	p := testPeer()
	p.Profile.VNI = &five
	got, r := p.judge(&Attributes{NextHop: vtep, LocalPref: 200, ASPathLen: 3, Origin: 2, MED: 70})
	require.Nil(t, r)
	assert.Equal(t, []any{uint32(200), uint16(3), uint8(2), uint32(70)}, []any{got.LocalPref, got.ASPathLen, got.Origin, got.MED})
}

func TestJudgeRefuses(t *testing.T) {
	five := encap.VNI(5001)
	te := octets(t, example)
	for name, c := range map[string]struct {
		peer   func(*Peer)
		attrs  Attributes
		reason rib.RefuseReason
		says   string
	}{
		"no VNI": {attrs: Attributes{NextHop: vtep}, reason: rib.RefuseNoVNI, says: "profile"},
		"no VNI in attribute 23": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: octets(t, "0013 000c"+endpoint4)},
			reason: rib.RefuseNoVNI, says: "profile",
		},
		"malformed attribute 23, large community is good": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: te[:33], LargeCommunities: [][3]uint32{lc("10.0.0.11", 9)}},
			reason: rib.RefuseBadAttribute, says: "attribute 23",
		},
		"attribute 23 is NVGRE": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: octets(t, "0009 0008"+endpointNH)},
			reason: rib.RefuseUnsupportedTunnel, says: "NVGRE (9), only Geneve (19) and VXLAN (8) are built",
		},
		"community says GRE": {
			attrs:  Attributes{NextHop: vtep, EncapTypes: []uint16{2}, LargeCommunities: [][3]uint32{lc("10.0.0.11", 9)}},
			reason: rib.RefuseUnsupportedTunnel, says: "GRE (2), only Geneve (19) and VXLAN (8) are built",
		},
		"VXLAN says that it has no VNI, large community has one": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: octets(t, vxlanV0), LargeCommunities: [][3]uint32{lc("10.0.0.11", 9)}},
			reason: rib.RefuseNoVNI, says: "V bit clear",
		},
		"VXLAN and large community differ": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: octets(t, vxlan), LargeCommunities: [][3]uint32{lc("10.0.0.11", 5002)}},
			reason: rib.RefuseConflict, says: "VNI 5001 in attribute 23, 5002",
		},
		"VTEPs differ": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: te, LargeCommunities: [][3]uint32{lc("10.0.0.12", 5001)}},
			reason: rib.RefuseConflict, says: "VTEP 10.0.0.11 in attribute 23, 10.0.0.12",
		},
		"VNIs differ": {
			attrs:  Attributes{NextHop: vtep, TunnelEncap: te, LargeCommunities: [][3]uint32{lc("10.0.0.11", 5002)}},
			reason: rib.RefuseConflict, says: "VNI 5001 in attribute 23, 5002",
		},
		"two large communities": {
			attrs:  Attributes{NextHop: vtep, LargeCommunities: [][3]uint32{lc("10.0.0.11", 1), lc("10.0.0.12", 1)}},
			reason: rib.RefuseConflict, says: "two large communities",
		},
		"VNI of 25 bits": {
			attrs:  Attributes{NextHop: vtep, LargeCommunities: [][3]uint32{lc("10.0.0.11", 1<<24)}},
			reason: rib.RefuseBadTunnel, says: "16777216, expected at most 16777215",
		},
		"VTEP is a group": {
			attrs:  Attributes{NextHop: vtep, LargeCommunities: [][3]uint32{lc("224.0.0.1", 1)}},
			reason: rib.RefuseBadTunnel, says: "224.0.0.1",
		},
		"VTEP is the gateway": {
			attrs:  Attributes{NextHop: vtep, LargeCommunities: [][3]uint32{lc("10.255.0.1", 1)}},
			reason: rib.RefuseBadTunnel, says: "the gateway itself",
		},
		"no next hop": {attrs: Attributes{}, reason: rib.RefuseBadAttribute, says: "no next hop"},
		"next hop is not believed": {
			peer:  func(p *Peer) { p.Profile.VNI = &five; p.Carriers = CarriersOf([]rib.Carrier{rib.CarrierPeer}) },
			attrs: Attributes{NextHop: vtep}, reason: rib.RefuseNoVTEP, says: "believed",
		},
		"nothing but a next hop, which is not believed, and no VNI in the profile": {
			peer: func(p *Peer) {
				p.Carriers = CarriersOf([]rib.Carrier{rib.CarrierTunnelEncap, rib.CarrierLargeCommunity})
			},
			attrs: Attributes{NextHop: service}, reason: rib.RefuseNoVNI, says: "no VNI that is believed, and the neighbor's profile has none",
		},
		"next hop is link-local": {
			peer:  func(p *Peer) { p.Profile.VNI = &five },
			attrs: Attributes{NextHop: netip.MustParseAddr("fe80::1")}, reason: rib.RefuseBadTunnel, says: "link-local",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testPeer()
			if c.peer != nil {
				c.peer(p)
			}
			_, r := p.judge(&c.attrs)
			require.NotNil(t, r)
			assert.Equal(t, c.reason, r.reason)
			assert.Contains(t, r.detail, c.says)
		})
	}
}

func TestCarriers(t *testing.T) {
	assert.True(t, CarriersOf(nil).Has(rib.CarrierPeer), "an empty list believes all")
	c := CarriersOf([]rib.Carrier{rib.CarrierTunnelEncap, rib.CarrierNextHop})
	assert.True(t, c.Has(rib.CarrierTunnelEncap))
	assert.False(t, c.Has(rib.CarrierLargeCommunity))
	assert.True(t, c.Has(rib.CarrierNextHop))
	assert.False(t, c.Has(rib.CarrierPeer))
}
