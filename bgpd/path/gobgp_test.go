package path

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// meaning is what GoBGP itself makes of an UPDATE, by its exported parser and validation,
// in the order in which its sessions call them. Delivered is whether it keeps the session
// and passes something on.
type meaning struct {
	delivered bool
	withdraws bool // for an error in it
	set       map[rib.PathKey]string
	remove    map[rib.PathKey]bool
}

// byGoBGP is the oracle of Converter: GoBGP's whole decoding.
func byGoBGP(p *Peer, b []byte) (m meaning) {
	defer func() {
		if recover() != nil { // there are UPDATEs that GoBGP does not survive
			m = meaning{}
		}
	}()
	mode := map[bgp.RouteFamily]bgp.BGPAddPathMode{}
	for f, on := range map[bgp.RouteFamily]bool{bgp.RF_IPv4_UC: p.PathID4, bgp.RF_IPv6_UC: p.PathID6} {
		if mode[f] = bgp.BGP_ADD_PATH_NONE; on {
			mode[f] = bgp.BGP_ADD_PATH_RECEIVE
		}
	}
	handle := func(err error) (fatal bool) {
		var e *bgp.MessageError
		if err == nil {
			return false
		}
		if !errors.As(err, &e) {
			return true
		}
		m.withdraws = m.withdraws || e.ErrorHandling == bgp.ERROR_HANDLING_TREAT_AS_WITHDRAW
		return e.ErrorHandling > bgp.ERROR_HANDLING_TREAT_AS_WITHDRAW
	}
	u := new(bgp.BGPUpdate)
	if handle(u.DecodeFromBytes(slices.Clone(b), &bgp.MarshallingOption{AddPath: mode})) {
		return m
	}
	if m.withdraws {
		u = bgp.TreatAsWithdraw(u)
	}
	before := m.withdraws
	if _, err := bgp.ValidateUpdateMsg(u, mode, !p.Internal, false, p.Loopback); handle(err) {
		return m
	}
	if m.withdraws && !before {
		u = bgp.TreatAsWithdraw(u)
	}
	m.take(p, u)
	m.delivered = len(m.set)+len(m.remove) > 0
	return m
}

func keyOf(n bgp.AddrPrefixInterface) rib.PathKey {
	return rib.PathKey{Prefix: netip.MustParsePrefix(n.String()), PathID: n.PathIdentifier()}
}

// take sorts the routes, and leaves out those that loop.
func (m *meaning) take(p *Peer, u *bgp.BGPUpdate) {
	m.set, m.remove = map[rib.PathKey]string{}, map[rib.PathKey]bool{}
	nextHop, loops := "", false
	for _, a := range u.PathAttributes {
		switch a := a.(type) {
		case *bgp.PathAttributeNextHop:
			nextHop = addr(a.Value).String()
		case *bgp.PathAttributeAsPath:
			for _, s := range a.Value {
				loops = loops || slices.Contains(s.GetAS(), p.ASN)
			}
		}
	}
	set := func(n bgp.AddrPrefixInterface, nextHop string) {
		if loops {
			m.remove[keyOf(n)] = true
		} else {
			m.set[keyOf(n)] = nextHop
		}
	}
	for _, n := range u.NLRI {
		set(n, nextHop)
	}
	for _, n := range u.WithdrawnRoutes {
		m.remove[keyOf(n)] = true
	}
	for _, a := range u.PathAttributes {
		switch a := a.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			for _, n := range a.Value {
				set(n, addr(a.Nexthop).String())
			}
		case *bgp.PathAttributeMpUnreachNLRI:
			for _, n := range a.Value {
				m.remove[keyOf(n)] = true
			}
		}
	}
}

// agrees compares an UPDATE's meaning to Converter with that to GoBGP, if it has one.
func agrees(t *testing.T, p *Peer, b []byte) (delivered bool) {
	t.Helper()
	var c Converter
	var lost Lost
	u, err := c.Update(Message{Peer: p, Body: b, Lost: &lost})
	if err != nil {
		require.Empty(t, u.Set)
		require.Empty(t, u.Remove)
		require.Empty(t, u.Refused)
		require.Empty(t, lost.values)
	}
	want := byGoBGP(p, b)
	if !want.delivered {
		return false
	}
	require.NoError(t, err, "%x", b)
	removed := map[rib.PathKey]bool{}
	for _, k := range u.Remove {
		removed[k] = true
	}
	mapped := func(k rib.PathKey) bool { return k.Prefix.Addr().Is4In6() }
	for k := range want.remove {
		require.True(t, removed[k] || mapped(k), "%s not withdrawn: %x", k.Prefix, b)
		delete(removed, k)
	}
	if want.withdraws { // GoBGP does not always read to the end of what it withdraws
		require.Empty(t, u.Set, "%x", b)
		return true
	}
	require.Empty(t, removed, "%x", b)
	claimed := map[rib.PathKey]bool{}
	for i := range u.Set {
		k := rib.PathKey{Prefix: u.Set[i].Prefix, PathID: u.Set[i].PathID}
		nextHop, ok := want.set[k]
		require.True(t, ok, "%s claimed: %x", k.Prefix, b)
		require.Equal(t, nextHop, u.Set[i].Tunnel.VTEP.String(), "%x", b)
		claimed[k] = true
	}
	for _, r := range u.Refused { // such as for a next hop that is no VTEP; it has no identifier
		found := false
		for k := range want.set {
			found = found || k.Prefix == r.Prefix
		}
		require.True(t, found, "%s refused: %x", r.Prefix, b)
	}
	if len(u.Refused) == 0 {
		require.Len(t, claimed, len(want.set), "%x", b)
	}
	return true
}

// oraclePeer takes the next hop for the VTEP, so that it can be compared.
func oraclePeer(bits uint64) *Peer {
	p := profiled()
	p.Own = nil
	p.Carriers = CarriersOf([]rib.Carrier{rib.CarrierNextHop})
	p.PathID4, p.PathID6, p.Internal, p.Loopback = bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
	return p
}

// anyUpdate makes an UPDATE up.
func anyUpdate(t *testing.T, r *rand.Rand, p *Peer) []byte {
	t.Helper()
	list4 := func() (list []*bgp.IPAddrPrefix) {
		for range r.IntN(4) {
			x := bgp.NewIPAddrPrefix(uint8(r.IntN(33)), netip.AddrFrom4([4]byte{byte(1 + r.IntN(200)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}).String())
			x.SetPathLocalIdentifier(r.Uint32N(5)) // the one that is encoded
			list = append(list, x)
		}
		return list
	}
	list6 := func() (list []bgp.AddrPrefixInterface) {
		for range r.IntN(4) {
			x := bgp.NewIPv6AddrPrefix(uint8(r.IntN(129)), fmt.Sprintf("2001:db8:%x::%x", r.IntN(1<<16), r.IntN(1<<16)))
			x.SetPathLocalIdentifier(r.Uint32N(5))
			list = append(list, x)
		}
		return list
	}
	some := func(a bgp.PathAttributeInterface) attrs {
		if r.IntN(4) == 0 {
			return nil
		}
		return attrs{a}
	}
	var list attrs
	if r.IntN(8) > 0 {
		list = attrs{bgp.NewPathAttributeOrigin(uint8(r.IntN(3))), asPath(65100, uint32(gwASN-r.IntN(6))), bgp.NewPathAttributeNextHop(fmt.Sprintf("10.0.0.%d", 1+r.IntN(250)))}
		list = append(list, some(bgp.NewPathAttributeMultiExitDisc(r.Uint32()))...)
		list = append(list, some(bgp.NewPathAttributeCommunities([]uint32{r.Uint32()}))...)
		list = append(list, some(te(octets(t, example)[:r.IntN(35)]))...)
		list = append(list, some(bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: 1, LocalData1: 2, LocalData2: 3}}))...)
	}
	if x := list6(); len(x) > 0 {
		list = append(list, bgp.NewPathAttributeMpReachNLRI(fmt.Sprintf("fd00::%x", 1+r.IntN(1<<16)), x))
	}
	if x := list6(); len(x) > 0 {
		list = append(list, bgp.NewPathAttributeMpUnreachNLRI(x))
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	mode := func(on bool) bgp.BGPAddPathMode {
		if on {
			return bgp.BGP_ADD_PATH_SEND
		}
		return bgp.BGP_ADD_PATH_NONE
	}
	return body(t, bgp.NewBGPUpdateMessage(list4(), list, list4()), &bgp.MarshallingOption{AddPath: map[bgp.RouteFamily]bgp.BGPAddPathMode{
		bgp.RF_IPv4_UC: mode(p.PathID4), bgp.RF_IPv6_UC: mode(p.PathID6),
	}})
}

// TestAgreesWithGoBGP: of a great many UPDATEs, good ones and such with wrong octets, the
// same routes are claimed, with the same next hop, and the same withdrawn.
func TestAgreesWithGoBGP(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	good, wrong := 0, 0
	for range 20_000 {
		p := oraclePeer(r.Uint64())
		b := anyUpdate(t, r, p)
		damaged := r.IntN(2) == 0
		for i := r.IntN(4); damaged && i >= 0; i-- {
			b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		}
		switch delivered := agrees(t, p, b); {
		case delivered && damaged:
			wrong++
		case delivered:
			good++
		}
	}
	assert.Greater(t, good, 5_000)
	assert.Greater(t, wrong, 1_000)
}

// TestTruncated: an UPDATE that ends anywhere adds nothing, unless what is left is one.
func TestTruncated(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		p := oraclePeer(r.Uint64())
		b := anyUpdate(t, r, p)
		for n := range b {
			agrees(t, p, b[:n:n])
		}
	}
	whole := says(t, usual("10.0.0.11"), "203.0.113.1/32")
	for n := range len(whole) - 5 {
		var c Converter
		u, err := c.Update(Message{Peer: profiled(), Body: whole[:n:n], Lost: new(Lost)})
		assert.Error(t, err, n)
		assert.Empty(t, append(u.Remove, keysOf(u.Set)...), n)
	}
}

// FuzzUpdate: whatever comes, the converter ends, and agrees with GoBGP.
func FuzzUpdate(f *testing.F) {
	for _, s := range []string{
		"", "0000 0000", "0005 20 cb007101 0000", "0000 0014 40010100 4002060201 0000fe4c 4003040a00000b 20 cb007101",
		"0000 0000 20 cb007101", "0000 0007 900f 0003 0002 01",
		"0000 0027 40010100 4002060201 0000fe4c 800e 17 0002 01 10 fd00000000000000000000000000000b 00 08 20",
		"0000 0017 40010100 4002060201 0000fe4c 4003040a00000b c01700 20 cb007101",
	} {
		f.Add(octets(f, s), uint8(0))
		f.Add(octets(f, s), uint8(15))
	}
	f.Fuzz(func(t *testing.T, b []byte, bits uint8) {
		if len(b) <= bgp.BGP_MAX_MESSAGE_LENGTH-bgp.BGP_HEADER_LENGTH {
			agrees(t, oraclePeer(uint64(bits)), b)
		}
	})
}
