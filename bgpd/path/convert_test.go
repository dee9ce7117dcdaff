package path

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

type attrs = []bgp.PathAttributeInterface

// body is an UPDATE without its header, made by GoBGP.
func body(t testing.TB, m *bgp.BGPMessage, o ...*bgp.MarshallingOption) []byte {
	t.Helper()
	b, err := m.Serialize(o...)
	require.NoError(t, err)
	return b[bgp.BGP_HEADER_LENGTH:]
}

// says is an UPDATE that announces IPv4 prefixes.
func says(t testing.TB, list attrs, prefixes ...string) []byte {
	t.Helper()
	return body(t, bgp.NewBGPUpdateMessage(nil, list, nlri4(prefixes...)))
}

func nlri4(prefixes ...string) (list []*bgp.IPAddrPrefix) {
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		list = append(list, bgp.NewIPAddrPrefix(uint8(p.Bits()), p.Addr().String()))
	}
	return list
}

func nlri6(prefixes ...string) (list []bgp.AddrPrefixInterface) {
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		list = append(list, bgp.NewIPv6AddrPrefix(uint8(p.Bits()), p.Addr().String()))
	}
	return list
}

// usual are the attributes that an UPDATE has to have, and more.
func usual(nextHop string, more ...bgp.PathAttributeInterface) attrs {
	return append(attrs{bgp.NewPathAttributeOrigin(0), asPath(65100), bgp.NewPathAttributeNextHop(nextHop)}, more...)
}

func asPath(as ...uint32) *bgp.PathAttributeAsPath {
	return bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, as)})
}

// te is attribute 23 as it is, malformed or not.
func te(value []byte) bgp.PathAttributeInterface {
	return bgp.NewPathAttributeUnknown(bgp.BGP_ATTR_FLAG_OPTIONAL|bgp.BGP_ATTR_FLAG_TRANSITIVE, bgp.BGP_ATTR_TYPE_TUNNEL_ENCAP, value)
}

func profiled() *Peer {
	p, five := testPeer(), encap.VNI(5001)
	p.Profile.VNI = &five
	return p
}

// converted is what an UPDATE means to a fresh converter.
func converted(t testing.TB, p *Peer, b []byte) rib.Update {
	t.Helper()
	var c Converter
	u, err := c.Update(Message{Peer: p, Body: b, Lost: new(Lost)})
	require.NoError(t, err)
	return u
}

func keys(prefixes ...string) (list []rib.PathKey) {
	for _, s := range prefixes {
		list = append(list, rib.PathKey{Prefix: netip.MustParsePrefix(s)})
	}
	return list
}

func claims(u rib.Update) (list []string) {
	for _, p := range u.Set {
		list = append(list, fmt.Sprintf("%s id %d by %s to %s", p.Prefix, p.PathID, p.Carrier, p.Tunnel.VTEP))
	}
	return list
}

func TestConverter(t *testing.T) {
	now := time.Unix(2000, 0)
	peer := profiled()
	var c Converter
	b := body(t, bgp.NewBGPUpdateMessage(nlri4("203.0.113.9/32", "10.0.0.0/8"), usual("10.0.0.11",
		bgp.NewPathAttributeMpReachNLRI("fd00::b", nlri6("2001:db8::7/128", "2001:db8:1::/48")),
		bgp.NewPathAttributeMpUnreachNLRI(nlri6("2001:db8::9/128")),
	), nlri4("203.0.113.7/32", "203.0.113.64/26", "0.0.0.0/0")))
	u, err := c.Update(Message{Peer: peer, Body: b, Time: now, Lost: new(Lost)})
	require.NoError(t, err)
	assert.Equal(t, rib.SourceID("10.1.0.9"), u.Source)
	assert.False(t, u.RemoveAll || u.Synced)
	assert.Empty(t, u.Refused)
	assert.Equal(t, keys("203.0.113.9/32", "10.0.0.0/8", "2001:db8::9/128"), u.Remove)
	assert.Equal(t, []string{
		"203.0.113.7/32 id 0 by next-hop to 10.0.0.11", "203.0.113.64/26 id 0 by next-hop to 10.0.0.11", "0.0.0.0/0 id 0 by next-hop to 10.0.0.11",
		"2001:db8::7/128 id 0 by next-hop to fd00::b", "2001:db8:1::/48 id 0 by next-hop to fd00::b",
	}, claims(u))
	assert.Equal(t, cap(u.Set), len(u.Set), "as much memory as it takes")
	for _, p := range u.Set {
		assert.Equal(t, now, p.Learned)
	}

	u, err = c.Update(Message{Peer: peer, Time: now, Lost: new(Lost), Body: says(t,
		usual("10.0.0.11", bgp.NewPathAttributeExtendedCommunities([]bgp.ExtendedCommunityInterface{bgp.NewEncapExtended(bgp.TUNNEL_TYPE_NVGRE)})),
		"203.0.113.11/32", "203.0.113.12/32")})
	require.NoError(t, err)
	assert.Empty(t, u.Set)
	require.Len(t, u.Refused, 2)
	assert.Equal(t, rib.RefuseUnsupportedTunnel, u.Refused[1].Reason)
	assert.Equal(t, netip.MustParsePrefix("203.0.113.12/32"), u.Refused[1].Prefix)
	assert.Equal(t, now, u.Refused[1].Time)

	assert.Equal(t, rib.Update{Source: peer.Source}, converted(t, peer, body(t, bgp.NewEndOfRib(bgp.RF_IPv4_UC))))
	assert.Equal(t, rib.Update{Source: peer.Source}, converted(t, peer, body(t, bgp.NewEndOfRib(bgp.RF_IPv6_UC))))
}

// TestConverterForgets: equal attributes of another peer, or of the same one after its
// profile changed, are judged anew; so are equal ones but for the next hop.
func TestConverterForgets(t *testing.T) {
	one, two := encap.VNI(1), encap.VNI(2)
	a, b := testPeer(), testPeer()
	a.Profile.VNI, b.Profile.VNI = &one, &two
	var c Converter
	for i, p := range []*Peer{a, b, a} {
		u, err := c.Update(Message{Peer: p, Body: says(t, usual("10.0.0.11"), "203.0.113.7/32"), Lost: new(Lost)})
		require.NoError(t, err)
		require.Len(t, u.Set, 1)
		assert.Equal(t, encap.VNI(1+i%2), u.Set[0].Tunnel.VNI)
	}
	for _, nextHop := range []string{"fd00::b", "fd00::c", "fd00::b"} {
		list := attrs{bgp.NewPathAttributeOrigin(0), asPath(65100), bgp.NewPathAttributeMpReachNLRI(nextHop, nlri6("2001:db8::7/128"))}
		u, err := c.Update(Message{Peer: a, Body: body(t, bgp.NewBGPUpdateMessage(nil, list, nil)), Lost: new(Lost)})
		require.NoError(t, err)
		assert.Equal(t, []string{"2001:db8::7/128 id 0 by next-hop to " + nextHop}, claims(u))
	}
}

// TestPathIDs: where they were negotiated each prefix has one before it (RFC 7911).
func TestPathIDs(t *testing.T) {
	p := profiled()
	p.PathID4 = true
	u := converted(t, p, octets(t, "0005 00000009 00 0000"))
	assert.Equal(t, []rib.PathKey{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), PathID: 9}}, u.Remove)

	u = converted(t, p, octets(t, "0000 0014 40010100 4002060201 0000fe4c 4003040a00000b 00000001 20 cb007101 ffffffff 18 cb0072"))
	assert.Equal(t, []string{"203.0.113.1/32 id 1 by next-hop to 10.0.0.11", "203.0.114.0/24 id 4294967295 by next-hop to 10.0.0.11"}, claims(u))

	// In the other family they were not, and the other way around.
	reach := octets(t, "0000 002d 40010100 4002060201 0000fe4c 800e1d 0002 01 10 fd00000000000000000000000000000b 00")
	for _, with := range []bool{false, true} {
		p := profiled()
		p.PathID4, p.PathID6 = !with, with
		list := octets(t, "10 2001 18 20010d")
		want := []string{"2001::/16 id 0 by next-hop to fd00::b", "2001:d00::/24 id 0 by next-hop to fd00::b"}
		if with {
			list, want = octets(t, "00000007 10 2001"), []string{"2001::/16 id 7 by next-hop to fd00::b"}
		}
		b := append(slices.Clone(reach), list...)
		b[3], b[19] = byte(len(b)-4), byte(len(b)-20)
		assert.Equal(t, want, claims(converted(t, p, b)))
	}
}

// TestNextHops: of 4, 16 and 32 octets, in either family (RFC 4760, 2545, 8950).
func TestNextHops(t *testing.T) {
	for name, c := range map[string]struct{ attribute, want string }{
		"IPv6 by IPv6":                {"800e 17 0002 01 10 fd00000000000000000000000000000b 00 08 20", "2000::/8 id 0 by next-hop to fd00::b"},
		"IPv6 by IPv6 and link-local": {"800e 27 0002 01 20 fd00000000000000000000000000000b fe800000000000000000000000000001 00 08 20", "2000::/8 id 0 by next-hop to fd00::b"},
		"IPv4 by IPv6":                {"800e 17 0001 01 10 fd00000000000000000000000000000b 00 08 0a", "10.0.0.0/8 id 0 by next-hop to fd00::b"},
		"IPv4 by IPv4":                {"800e 0b 0001 01 04 0a00000c 00 08 0a", "10.0.0.0/8 id 0 by next-hop to 10.0.0.12"},
		"IPv6 by mapped IPv4":         {"800e 17 0002 01 10 00000000000000000000ffff0a00000c 00 08 20", "2000::/8 id 0 by next-hop to 10.0.0.12"},
	} {
		a := octets(t, "0000 0000 40010100 4002060201 0000fe4c"+c.attribute)
		a[3] = byte(len(a) - 4)
		assert.Equal(t, []string{c.want}, claims(converted(t, profiled(), a)), name)
	}
	none := octets(t, "0000 0014 40010100 4002060201 0000fe4c 800e 07 0002 01 00 00 08 20")
	none[3] = byte(len(none) - 4)
	u := converted(t, profiled(), none)
	require.Len(t, u.Refused, 1)
	assert.Equal(t, rib.RefuseBadAttribute, u.Refused[0].Reason)
	odd := octets(t, "0000 0014 40010100 4002060201 0000fe4c 800e 0c 0002 01 05 0000000000 00 08 20")
	odd[3] = byte(len(odd) - 4)
	var c Converter
	_, err := c.Update(Message{Peer: profiled(), Body: odd, Lost: new(Lost)})
	assert.ErrorContains(t, err, "next hop of 5 octets")
}

// TestMappedPrefix: ::ffff:0:0/96 is IPv6 to BGP and IPv4 to everybody else.
func TestMappedPrefix(t *testing.T) {
	list := attrs{bgp.NewPathAttributeOrigin(0), asPath(65100),
		bgp.NewPathAttributeMpReachNLRI("fd00::b", nlri6("2001:db8::7/128", "::ffff:1.2.3.4/128"))}
	u := converted(t, profiled(), body(t, bgp.NewBGPUpdateMessage(nil, list, nil)))
	assert.Len(t, u.Set, 1)
	require.Len(t, u.Refused, 1)
	assert.Equal(t, rib.RefuseBadPrefix, u.Refused[0].Reason)
	gone := attrs{bgp.NewPathAttributeMpUnreachNLRI(nlri6("::ffff:1.2.3.4/128", "2001:db8::7/128"))}
	u = converted(t, profiled(), body(t, bgp.NewBGPUpdateMessage(nil, gone, nil)))
	assert.Equal(t, keys("2001:db8::7/128"), u.Remove)
	assert.Empty(t, u.Refused)
	unmasked := octets(t, "0005 1c cb0071ff 0000")
	assert.Equal(t, keys("203.0.113.240/28"), converted(t, profiled(), unmasked).Remove, "bits beyond the length do not count")
}

// TestTreatAsWithdraw: what GoBGP takes for withdrawn is (RFC 7606), and so is what takes
// no part in selection; all of it, in either family.
func TestTreatAsWithdraw(t *testing.T) {
	good := "40010100 4002060201 0000fe4c 4003040a00000b"
	reach := "800e 17 0002 01 10 fd00000000000000000000000000000b 00 08 20"
	for name, list := range map[string]string{
		"no ORIGIN":                  "4002060201 0000fe4c 4003040a00000b" + reach,
		"no AS_PATH":                 "40010100 4003040a00000b" + reach,
		"no NEXT_HOP":                "40010100 4002060201 0000fe4c" + reach,
		"ORIGIN 3":                   "40010103 4002060201 0000fe4c 4003040a00000b" + reach,
		"flags of ORIGIN":            "c0010100 4002060201 0000fe4c 4003040a00000b" + reach,
		"AS_PATH of no segment type": "40010100 4002060901 0000fe4c 4003040a00000b" + reach,
		"confederation from outside": "40010100 4002060301 0000fe4c 4003040a00000b" + reach,
		"NEXT_HOP of a group":        "40010100 4002060201 0000fe4c 400304e0000001" + reach,
		"NEXT_HOP of loopback":       "40010100 4002060201 0000fe4c 4003047f000001" + reach,
		"MED of three octets":        good + "800403 000001" + reach,
		"large community of 11":      good + "c0200b 0000000000000000000000" + reach,
		"community of three octets":  good + "c00803 000000" + reach,
		"ends within an attribute":   good + reach + "c0200c 0000",
		"ends within a header":       good + reach + "c020",
		"flags of MP_REACH_NLRI":     good + "c0" + reach[2:],
		"flags of attribute 23":      good + "8017 0c 0013 0008" + endpointNH + reach,
		"own AS in path":             "40010100 40020a0202 0000fe4c 0000fc00 4003040a00000b" + reach,
		"own AS in AS4_PATH":         "40010100 4002060202 fe4c 5ba0 4003040a00000b c0110a 0202 0000fe4c 0000fc00" + reach,
		"own AS in a set":            "40010100 4002100201 0000fe4c 0102 00000001 0000fc00 4003040a00000b" + reach,
	} {
		a := octets(t, list)
		b := append([]byte{0, 3, 16, 192, 168, 0, byte(len(a))}, a...)
		b = append(b, octets(t, "20 cb007101 18 cb0072")...)
		u := converted(t, profiled(), b)
		assert.Empty(t, u.Set, name)
		assert.Empty(t, u.Refused, name)
		got := map[rib.PathKey]bool{}
		for _, k := range u.Remove {
			got[k] = true
		}
		assert.Len(t, got, 4, name)
		for _, k := range keys("192.168.0.0/16", "203.0.113.1/32", "203.0.114.0/24", "2000::/8") {
			assert.True(t, got[k], "%s: %s", name, k.Prefix)
		}
	}
}

// TestNotWithdrawn: what only costs an attribute, or nothing at all.
func TestNotWithdrawn(t *testing.T) {
	good := "40010100 4002060201 0000fe4c 4003040a00000b"
	lax, loop := profiled(), profiled()
	lax.AllowOwnAS, loop.Loopback = 1, true
	for name, c := range map[string]struct {
		list string
		peer *Peer
	}{
		"aggregator of three octets":      {good + "c00703 000000", profiled()},
		"ORIGIN twice":                    {good + "40010101", profiled()},
		"unknown, optional":               {good + "806302 0102", profiled()},
		"own AS in path, once allowed":    {"40010100 40020a0202 0000fe4c 0000fc00 4003040a00000b", lax},
		"old numbers":                     {"40010100 4002040201 fe4c 4003040a00000b", profiled()},
		"old numbers, true ones apart":    {"40010100 4002060202 5ba0 fe4c 4003040a00000b c0110a 0202 00010000 0000fe4c", profiled()},
		"AS4_PATH longer than AS_PATH":    {"40010100 4002040201 fe4c 4003040a00000b c0110a 0202 0000fe4c 0000fc00", profiled()},
		"next hop of loopback, over that": {"40010100 4002060201 0000fe4c 4003047f000001", loop},
		"extended length":                 {"500100010040020602010000fe4c 4003040a00000b", profiled()},
	} {
		a := octets(t, c.list)
		b := append([]byte{0, 0, 0, byte(len(a))}, a...)
		u := converted(t, c.peer, append(b, octets(t, "20 cb007101")...))
		assert.Equal(t, 1, len(u.Set)+len(u.Refused), name) // a VTEP of loopback is refused
		assert.Empty(t, u.Remove, name)
	}
}

// TestOwnOriginator: a route that the gateway itself brought into the AS takes no part
// (RFC 4456 section 8); over eBGP the attribute says nothing of that.
func TestOwnOriginator(t *testing.T) {
	p := profiled()
	p.RouterID = netip.MustParseAddr("10.255.0.9")
	b := says(t, usual("10.0.0.11", bgp.NewPathAttributeOriginatorId("10.255.0.9")), "203.0.113.1/32")
	assert.Len(t, converted(t, p, b).Set, 1)
	p.Internal = true
	u := converted(t, p, b)
	assert.Empty(t, u.Set)
	assert.Equal(t, keys("203.0.113.1/32"), u.Remove)
	b = says(t, usual("10.0.0.11", bgp.NewPathAttributeOriginatorId("10.255.0.8")), "203.0.113.1/32")
	assert.Len(t, converted(t, p, b).Set, 1)
}

// BenchmarkConverter is one UPDATE of a hundred EIPs of one virtual router.
func BenchmarkConverter(b *testing.B) {
	var prefixes []string
	for i := range 100 {
		prefixes = append(prefixes, fmt.Sprintf("203.0.113.%d/32", i))
	}
	m := Message{Peer: testPeer(), Lost: new(Lost), Body: says(b, usual("10.255.0.1",
		bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: gwASN, LocalData1: 0x0a00000b, LocalData2: 5001}})), prefixes...)}
	var c Converter
	b.ReportAllocs()
	for b.Loop() {
		if u, err := c.Update(m); err != nil || len(u.Set) != len(prefixes) {
			b.Fatal(err, u.Refused)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(prefixes)), "ns/route")
}

// TestConverterAllocates one slice for all claims of an UPDATE, and nothing for a route.
func TestConverterAllocates(t *testing.T) {
	var prefixes []string
	for i := range 100 {
		prefixes = append(prefixes, fmt.Sprintf("203.0.113.%d/32", i))
	}
	m := Message{Peer: profiled(), Lost: new(Lost), Body: says(t, usual("10.0.0.11"), prefixes...)}
	var c Converter
	n := testing.AllocsPerRun(100, func() { _, _ = c.Update(m) })
	assert.Equal(t, 1.0, n)
}
