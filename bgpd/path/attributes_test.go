package path

import (
	"net/netip"
	"testing"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

func TestAttributes(t *testing.T) {
	b := says(t, attrs{
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
		te(octets(t, example)),
		bgp.NewPathAttributeUnknown(bgp.BGP_ATTR_FLAG_OPTIONAL, 99, []byte{1, 2}),
	}, "203.0.113.7/32")
	var c Converter
	p := testPeer()
	p.Internal = true
	_, err := c.Update(Message{Peer: p, Body: b, Lost: new(Lost)})
	require.NoError(t, err)
	require.NoError(t, c.void)
	assert.Equal(t, Attributes{
		NextHop: netip.MustParseAddr("10.0.0.1"), Originator: netip.MustParseAddr("10.0.0.7"),
		LocalPref: 200, ASPathLen: 3, Origin: 2, MED: 70,
		LargeCommunities: [][3]uint32{{1, 2, 3}, {4, 5, 6}},
		TunnelEncap:      octets(t, example),
		EncapTypes:       []uint16{8},
	}, c.a)
	_, err = c.Update(Message{Peer: p, Body: says(t, usual("10.0.0.1"), "203.0.113.7/32"), Lost: new(Lost)})
	require.NoError(t, err)
	assert.Equal(t, Attributes{NextHop: netip.MustParseAddr("10.0.0.1"), LocalPref: 100, ASPathLen: 1}, c.a,
		"without LOCAL_PREF a route is worth 100")
}

// TestOccurrences follows RFC 6793 section 4.2.3: AS4_PATH has the end of the path.
func TestOccurrences(t *testing.T) {
	seq, set, confed := uint8(bgp.BGP_ASPATH_ATTR_TYPE_SEQ), uint8(bgp.BGP_ASPATH_ATTR_TYPE_SET), uint8(bgp.BGP_ASPATH_ATTR_TYPE_CONFED_SEQ)
	old := func(typ uint8, as ...uint16) bgp.AsPathParamInterface { return bgp.NewAsPathParam(typ, as) }
	const trans = bgp.AS_TRANS
	for name, c := range map[string]struct {
		path []bgp.AsPathParamInterface
		end  []*bgp.As4PathParam
		want int
	}{
		"none":                        {[]bgp.AsPathParamInterface{old(seq, 1, 2)}, nil, 0},
		"twice":                       {[]bgp.AsPathParamInterface{old(seq, 9, 2, 9)}, nil, 2},
		"in a confederation":          {[]bgp.AsPathParamInterface{old(confed, 9), old(seq, 1)}, nil, 1},
		"in a set":                    {[]bgp.AsPathParamInterface{old(seq, 1), old(set, 2, 9)}, nil, 1},
		"before AS4_PATH":             {[]bgp.AsPathParamInterface{old(seq, 9, trans, 2)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(seq, []uint32{70000, 2})}, 1},
		"in both, the same":           {[]bgp.AsPathParamInterface{old(seq, 1, trans, 9)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(seq, []uint32{70000, 9})}, 1},
		"only in AS4_PATH":            {[]bgp.AsPathParamInterface{old(seq, 1, trans)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(seq, []uint32{9})}, 1},
		"all of it is in AS4_PATH":    {[]bgp.AsPathParamInterface{old(seq, 9, 9)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(seq, []uint32{1, 2})}, 0},
		"AS4_PATH is longer":          {[]bgp.AsPathParamInterface{old(seq, 1)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(seq, []uint32{9, 9})}, 0},
		"confederation in AS4_PATH":   {[]bgp.AsPathParamInterface{old(seq, 1, 2)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(confed, []uint32{9})}, 0},
		"a set where AS4_PATH begins": {[]bgp.AsPathParamInterface{old(seq, 1), old(set, 9, 8)}, []*bgp.As4PathParam{bgp.NewAs4PathParam(set, []uint32{7, 8})}, 0},
	} {
		var end *bgp.PathAttributeAs4Path
		if c.end != nil {
			end = bgp.NewPathAttributeAs4Path(c.end)
		}
		assert.Equal(t, c.want, occurrences(9, bgp.NewPathAttributeAsPath(c.path), end), name)
	}
	assert.Zero(t, occurrences(9, nil, nil))
}

// TestSurvives: which attributes 23 are in GoBGP's tables as they came, for every form of
// endpoint, and which are not.
func TestSurvives(t *testing.T) {
	long := append(octets(t, "0013 012f"+endpointNH+"c8 0124"), make([]byte, 0x124)...)
	for _, value := range [][]byte{
		octets(t, example), octets(t, "0013 0018"+endpoint6), octets(t, "0013 0008"+endpointNH),
		octets(t, "0008 0008"+endpointNH+example), octets(t, vxlan), octets(t, vxlanV0+vxlan), octets(t, "0013 0013 40 03 010203 c8 0003 010203"+endpointNH),
		octets(t, "0013 0010"+endpointNH+"02 02 6558 08 02 0000"), octets(t, "0013 000e"+endpointNH+"01 04 80001389"), long,
	} {
		assert.True(t, survives(value), "%x", value)
	}
	for name, s := range map[string]string{
		"cut":                                    example[:len(example)-5],
		"octets after it":                        example + "0000",
		"TLV too long":                           "0013 0009" + endpointNH,
		"ends with the name of a candidate path": "000f 0004 81 0001 00",
	} {
		assert.False(t, survives(octets(t, s)), name)
	}
}

// TestLostAttribute: an attribute 23 that GoBGP discards refuses the routes that it came
// with, now and when they are judged again of what GoBGP holds, and no others; until
// something better is said of them.
func TestLostAttribute(t *testing.T) {
	peer := profiled()
	var lost Lost
	var c Converter
	take := func(b []byte) rib.Update {
		u, err := c.Update(Message{Peer: peer, Body: b, Lost: &lost})
		require.NoError(t, err)
		return u
	}
	held := func(prefix string) rib.Update { // as GoBGP holds it: without the attribute
		var u rib.Update
		require.NoError(t, c.Held(&u, Held{Peer: peer, Prefix: prefixOctets(t, prefix), Attributes: wholes(t, usual("10.0.0.11")), Lost: &lost}))
		return u
	}
	cut := te(octets(t, example)[:20])
	u := take(says(t, usual("10.0.0.11", cut), "203.0.113.1/32", "203.0.113.2/32"))
	require.Len(t, u.Refused, 2)
	assert.Equal(t, rib.RefuseBadAttribute, u.Refused[0].Reason)
	assert.Equal(t, "attribute 23: TLV of 30 octets, 16 are left", u.Refused[0].Detail)
	assert.Empty(t, append(u.Remove, keysOf(u.Set)...))
	assert.Len(t, take(says(t, usual("10.0.0.11"), "203.0.113.3/32")).Set, 1, "the next UPDATE is innocent")
	again := held("203.0.113.1/32")
	require.Len(t, again.Refused, 1)
	assert.Equal(t, u.Refused[0].Detail, again.Refused[0].Detail)
	assert.Len(t, held("203.0.113.3/32").Set, 1)

	assert.Len(t, take(says(t, usual("10.0.0.11"), "203.0.113.1/32")).Set, 1)
	assert.Len(t, held("203.0.113.1/32").Set, 1, "said again without")
	take(body(t, bgp.NewBGPUpdateMessage(nlri4("203.0.113.2/32"), nil, nil)))
	assert.Len(t, held("203.0.113.2/32").Set, 1, "withdrawn meanwhile")
	assert.Empty(t, lost.values)

	// One that can be read, but that GoBGP drops the end of.
	u = take(says(t, usual("10.0.0.11", te(octets(t, example+"00"))), "203.0.113.4/32"))
	require.Len(t, u.Refused, 1)
	assert.Len(t, held("203.0.113.4/32").Refused, 1)

	peer = profiled()
	peer.Carriers = CarriersOf([]rib.Carrier{rib.CarrierNextHop})
	assert.Len(t, take(says(t, usual("10.0.0.11", cut), "203.0.113.1/32")).Set, 1, "where attribute 23 is not believed, it does not matter")
}

func keysOf(paths []rib.Path) (list []rib.PathKey) {
	for _, p := range paths {
		list = append(list, rib.PathKey{Prefix: p.Prefix, PathID: p.PathID})
	}
	return list
}

// prefixOctets is a prefix in NLRI.
func prefixOctets(t testing.TB, s string) []byte {
	t.Helper()
	p := netip.MustParsePrefix(s)
	b, err := bgp.NewIPAddrPrefix(uint8(p.Bits()), p.Addr().String()).Serialize()
	if p.Addr().Is6() {
		b, err = bgp.NewIPv6AddrPrefix(uint8(p.Bits()), p.Addr().String()).Serialize()
	}
	require.NoError(t, err)
	return b
}

// wholes are attributes as GoBGP shows them, each by itself.
func wholes(t testing.TB, list attrs) (out [][]byte) {
	t.Helper()
	for _, a := range list {
		b, err := a.Serialize()
		require.NoError(t, err)
		out = append(out, b)
	}
	return out
}

// TestHeld: what GoBGP holds means the same as what it came from.
func TestHeld(t *testing.T) {
	peer := profiled()
	peer.PathID4, peer.PathID6 = true, true // what is held has none in its octets
	var c Converter
	var lost Lost
	var u rib.Update
	require.NoError(t, c.Held(&u, Held{Peer: peer, Prefix: prefixOctets(t, "203.0.113.1/32"), PathID: 7, Attributes: wholes(t, usual("10.0.0.11", te(octets(t, example)))), Lost: &lost}))
	require.NoError(t, c.Held(&u, Held{Peer: peer, Prefix: prefixOctets(t, "2001:db8::1/128"), IPv6: true, Lost: &lost, Attributes: wholes(t, attrs{
		bgp.NewPathAttributeOrigin(0), asPath(65100), bgp.NewPathAttributeMpReachNLRI("fd00::b", nlri6("2001:db8::1/128")),
	})}))
	require.NoError(t, c.Held(&u, Held{Peer: peer, Prefix: prefixOctets(t, "203.0.113.2/32"), Lost: &lost, Attributes: wholes(t, attrs{
		bgp.NewPathAttributeOrigin(0), asPath(65100), bgp.NewPathAttributeMpReachNLRI("fd00::c", []bgp.AddrPrefixInterface{bgp.NewIPAddrPrefix(32, "203.0.113.2")}),
	})}))
	require.NoError(t, c.Held(&u, Held{Peer: peer, Prefix: prefixOctets(t, "203.0.113.3/32"), Lost: &lost, Attributes: wholes(t, attrs{
		bgp.NewPathAttributeOrigin(0), asPath(65100, gwASN), bgp.NewPathAttributeNextHop("10.0.0.11"),
	})}))
	require.NoError(t, c.Held(&u, Held{Peer: peer, Prefix: prefixOctets(t, "::ffff:1.2.3.4/128"), IPv6: true, Lost: &lost}))
	assert.Equal(t, []string{
		"203.0.113.1/32 id 7 by tunnel-encap to 10.0.0.11",
		"2001:db8::1/128 id 0 by next-hop to fd00::b",
		"203.0.113.2/32 id 0 by next-hop to fd00::c",
	}, claims(u))
	assert.Equal(t, encap.VNI(5001), u.Set[0].Tunnel.VNI)
	require.Len(t, u.Refused, 1)
	assert.Equal(t, rib.RefuseBadPrefix, u.Refused[0].Reason)
	assert.Empty(t, u.Remove)
	for name, b := range map[string]string{"none": "", "two": "20 cb007101 20 cb007102", "cut": "20 cb00", "too long": "21 cb00710000"} {
		assert.Error(t, c.Held(&u, Held{Peer: peer, Prefix: octets(t, b), Lost: &lost}), name)
	}
}
