package path

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// route is a route in the form in which GoBGP reports it, made by GoBGP itself.
func route(t testing.TB, prefix string, attrs ...bgp.PathAttributeInterface) *api.Path {
	t.Helper()
	p := netip.MustParsePrefix(prefix)
	var nlri bgp.AddrPrefixInterface = bgp.NewIPAddrPrefix(uint8(p.Bits()), p.Addr().String())
	if p.Addr().Is6() {
		nlri = bgp.NewIPv6AddrPrefix(uint8(p.Bits()), p.Addr().String())
	}
	n, err := apiutil.MarshalNLRI(nlri)
	require.NoError(t, err)
	list, err := apiutil.MarshalPathAttributes(attrs)
	require.NoError(t, err)
	return &api.Path{Nlri: n, Pattrs: list, Age: timestamppb.New(time.Unix(1000, 0))}
}

func mpReach(nextHop, prefix string) bgp.PathAttributeInterface {
	p := netip.MustParsePrefix(prefix)
	return bgp.NewPathAttributeMpReachNLRI(nextHop, []bgp.AddrPrefixInterface{bgp.NewIPv6AddrPrefix(uint8(p.Bits()), p.Addr().String())})
}

// attribute23 decodes as GoBGP does what comes off the wire.
func attribute23(t testing.TB, value []byte) bgp.PathAttributeInterface {
	t.Helper()
	var a bgp.PathAttributeTunnelEncap
	require.NoError(t, a.DecodeFromBytes(append([]byte{0xd0, 23, byte(len(value) >> 8), byte(len(value))}, value...)))
	return &a
}

func TestDecodeAttributes(t *testing.T) {
	p := route(t, "203.0.113.7/32",
		bgp.NewPathAttributeOrigin(2),
		bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{
			bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_CONFED_SEQ, []uint32{1, 2}),
			bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{65001, 65002}),
			bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SET, []uint32{7, 8, 9}),
		}),
		bgp.NewPathAttributeNextHop("10.0.0.1"),
		bgp.NewPathAttributeMultiExitDisc(70),
		bgp.NewPathAttributeLocalPref(200),
		bgp.NewPathAttributeOriginatorId("10.0.0.7"),
		bgp.NewPathAttributeCommunities([]uint32{1}),
		bgp.NewPathAttributeExtendedCommunities([]bgp.ExtendedCommunityInterface{
			bgp.NewTwoOctetAsSpecificExtended(bgp.EC_SUBTYPE_ROUTE_TARGET, 1, 2, true),
			bgp.NewEncapExtended(bgp.TUNNEL_TYPE_VXLAN),
		}),
		bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: 1, LocalData1: 2, LocalData2: 3}, {ASN: 4, LocalData1: 5, LocalData2: 6}}),
		attribute23(t, octets(t, example)),
		bgp.NewPathAttributeUnknown(bgp.BGP_ATTR_FLAG_OPTIONAL, 99, []byte{1, 2}),
	)
	got, err := decodeAttributes(p.Pattrs)
	require.NoError(t, err)
	assert.Equal(t, Attributes{
		NextHop: netip.MustParseAddr("10.0.0.1"), Originator: netip.MustParseAddr("10.0.0.7"),
		LocalPref: 200, ASPathLen: 3, Origin: 2, MED: 70,
		LargeCommunities: [][3]uint32{{1, 2, 3}, {4, 5, 6}},
		TunnelEncap:      octets(t, example),
		EncapTypes:       []uint16{8},
	}, got)
	got, err = decodeAttributes(nil)
	require.NoError(t, err)
	assert.Equal(t, Attributes{LocalPref: 100}, got, "without LOCAL_PREF a route is worth 100")
}

// TestTunnelEncapSurvivesGoBGP: what GoBGP makes of attribute 23 on its way here is
// the same octets again, for every form of endpoint.
func TestTunnelEncapSurvivesGoBGP(t *testing.T) {
	long := append(octets(t, "0013 012f"+endpointNH+"c8 0124"), make([]byte, 0x124)...)
	for _, value := range [][]byte{
		octets(t, example), octets(t, "0013 0018"+endpoint6), octets(t, "0013 0008"+endpointNH),
		octets(t, "0008 0008"+endpointNH+example), octets(t, vxlan), octets(t, vxlanV0+vxlan), octets(t, "0013 0013 40 03 010203 c8 0003 010203"+endpointNH),
		octets(t, "0013 0010"+endpointNH+"02 02 6558 08 02 0000"), octets(t, "0013 000e"+endpointNH+"01 04 80001389"), long,
	} {
		a, err := decodeAttributes(route(t, "203.0.113.7/32", attribute23(t, value)).Pattrs)
		require.NoError(t, err)
		assert.Equal(t, value, a.TunnelEncap)
	}
}

func TestConverter(t *testing.T) {
	five := encap.VNI(5001)
	peer := testPeer()
	peer.Profile.VNI = &five
	now := time.Unix(2000, 0)
	var c Converter
	good := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeNextHop("10.0.0.11")}
	bad := append(good, bgp.NewPathAttributeExtendedCommunities([]bgp.ExtendedCommunityInterface{bgp.NewEncapExtended(bgp.TUNNEL_TYPE_NVGRE)}))
	gone := route(t, "203.0.113.9/32")
	gone.IsWithdraw, gone.Identifier = true, 4
	second := route(t, "203.0.113.8/32", good...)
	second.Identifier = 3
	odd := route(t, "203.0.113.10/32", good...)
	odd.Nlri = &anypb.Any{TypeUrl: urlPrefix + "FlowSpecNLRI"}

	u := c.Update(Batch{Peer: peer, Time: now, Paths: []*api.Path{
		route(t, "203.0.113.7/32", good...), second, gone, route(t, "203.0.113.11/32", bad...), odd,
		route(t, "2001:db8::7/128", mpReach("fd00::b", "2001:db8::7/128")),
		route(t, "2001:db8::8/128", mpReach("fd00::c", "2001:db8::8/128")),
		route(t, "203.0.113.12/32", good...),
	}})
	assert.Equal(t, rib.SourceID("10.1.0.9"), u.Source)
	assert.False(t, u.RemoveAll || u.Synced)
	assert.Equal(t, []rib.PathKey{{Prefix: netip.MustParsePrefix("203.0.113.9/32"), PathID: 4}}, u.Remove)
	var got []string
	for _, p := range u.Set {
		got = append(got, fmt.Sprintf("%s id %d by %s to %s", p.Prefix, p.PathID, p.Carrier, p.Tunnel.VTEP))
		assert.Equal(t, now, p.Learned)
	}
	assert.Equal(t, []string{
		"203.0.113.7/32 id 0 by next-hop to 10.0.0.11",
		"203.0.113.8/32 id 3 by next-hop to 10.0.0.11",
		"2001:db8::7/128 id 0 by next-hop to fd00::b",
		"2001:db8::8/128 id 0 by next-hop to fd00::c",
		"203.0.113.12/32 id 0 by next-hop to 10.0.0.11",
	}, got)
	require.Len(t, u.Refused, 2)
	assert.Equal(t, rib.RefuseUnsupportedTunnel, u.Refused[0].Reason)
	assert.Equal(t, netip.MustParsePrefix("203.0.113.11/32"), u.Refused[0].Prefix)
	assert.Equal(t, now, u.Refused[0].Time)
	assert.Equal(t, rib.RefuseBadPrefix, u.Refused[1].Reason)
}

// TestConverterForgetsOtherPeers: equal attributes of another peer, or of the same
// one after its profile changed, are judged anew.
func TestConverterForgetsOtherPeers(t *testing.T) {
	one, two := encap.VNI(1), encap.VNI(2)
	a, b := testPeer(), testPeer()
	a.Profile.VNI, b.Profile.VNI = &one, &two
	var c Converter
	paths := []*api.Path{route(t, "203.0.113.7/32", bgp.NewPathAttributeNextHop("10.0.0.11"))}
	for i, p := range []*Peer{a, b, a} {
		u := c.Update(Batch{Peer: p, Paths: paths})
		require.Len(t, u.Set, 1)
		assert.Equal(t, encap.VNI(1+i%2), u.Set[0].Tunnel.VNI)
	}
}

// TestConverterRefusesWhatLostItsAttribute: GoBGP drops a malformed attribute 23;
// what is left looks like a route that never had one.
func TestConverterRefusesWhatLostItsAttribute(t *testing.T) {
	five := encap.VNI(5001)
	peer := testPeer()
	peer.Profile.VNI = &five
	plain := route(t, "203.0.113.7/32", bgp.NewPathAttributeNextHop("10.0.0.11"))
	with := route(t, "203.0.113.8/32", bgp.NewPathAttributeNextHop("10.0.0.11"), attribute23(t, octets(t, example)))
	named := route(t, "203.0.113.10/32", bgp.NewPathAttributeNextHop("10.0.0.11"),
		bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: gwASN, LocalData1: 0x0a00000b, LocalData2: 7}}))
	plain.Identifier = 4
	later := route(t, "203.0.113.9/32", bgp.NewPathAttributeNextHop("10.0.0.11"))
	later.Age = timestamppb.New(time.Unix(1001, 0))
	var c Converter
	b := Batch{Peer: peer, Paths: []*api.Path{plain, with, later, named}, Discarded: func(_ rib.PathKey, sec int64) bool { return sec == 1000 }}
	u := c.Update(b)
	assert.Len(t, u.Set, 3, "nothing is guessed of what has the attribute, or a large community")
	require.Len(t, u.Refused, 1)
	assert.Equal(t, netip.MustParsePrefix("203.0.113.7/32"), u.Refused[0].Prefix)
	assert.Equal(t, rib.RefuseBadAttribute, u.Refused[0].Reason)
	assert.Equal(t, []Suspect{{rib.PathKey{Prefix: netip.MustParsePrefix("203.0.113.7/32"), PathID: 4}, 1000}}, c.Suspects())

	peer.Carriers = CarriersOf([]rib.Carrier{rib.CarrierNextHop})
	assert.Empty(t, c.Update(b).Refused, "where attribute 23 is not believed, losing it loses nothing")
	assert.Empty(t, c.Suspects())
}

func TestDecodePrefix(t *testing.T) {
	mapped, err := anypb.New(&api.IPAddressPrefix{Prefix: "::ffff:1.2.3.4", PrefixLen: 128})
	require.NoError(t, err)
	long, err := anypb.New(&api.IPAddressPrefix{Prefix: "1.2.3.4", PrefixLen: 33})
	require.NoError(t, err)
	huge, err := anypb.New(&api.IPAddressPrefix{Prefix: "1.2.3.4", PrefixLen: 1 << 31})
	require.NoError(t, err)
	for name, n := range map[string]*anypb.Any{
		"mapped": mapped, "too long": long, "huge": huge, "nothing": nil,
		"no prefix": {TypeUrl: urlIPPrefix}, "cut": {TypeUrl: urlIPPrefix, Value: []byte{0x12, 9, 'x'}},
	} {
		_, err := decodePrefix(n)
		assert.Error(t, err, name)
	}
	unmasked, err := anypb.New(&api.IPAddressPrefix{Prefix: "203.0.113.7", PrefixLen: 24})
	require.NoError(t, err)
	got, err := decodePrefix(unmasked)
	require.NoError(t, err)
	assert.Equal(t, netip.MustParsePrefix("203.0.113.0/24"), got)
}

// BenchmarkConverter is one UPDATE of a hundred EIPs of one virtual router.
func BenchmarkConverter(b *testing.B) {
	paths := make([]*api.Path, 100)
	for i := range paths {
		paths[i] = route(b, fmt.Sprintf("203.0.113.%d/32", i), bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeNextHop("10.255.0.1"),
			bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{65001})}),
			bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: gwASN, LocalData1: 0x0a00000b, LocalData2: 5001}}))
	}
	peer := testPeer()
	var c Converter
	b.ReportAllocs()
	for b.Loop() {
		if u := c.Update(Batch{Peer: peer, Paths: paths}); len(u.Set) != len(paths) {
			b.Fatal(u.Refused)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(paths)), "ns/route")
}
