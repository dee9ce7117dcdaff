package path

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// defaultLocalPref is what a route without LOCAL_PREF is worth, as at every vendor.
const defaultLocalPref = 100

// block is the path attributes that the routes of an UPDATE share, but for the lists of
// routes in MP_REACH_NLRI and MP_UNREACH_NLRI.
type block struct {
	octets  []byte // without those two, and without attribute 23
	tunnel  []byte // the value of the first attribute 23; nil: none
	nlri    bool   // there are announced routes in the UPDATE itself
	reach4  bool   // there is a MP_REACH_NLRI of IPv4 unicast
	reach6  bool   // or of IPv6 unicast
	keeping bool   // GoBGP holds the octets already: it has found them good
}

func (x *block) equal(y *block) bool {
	return x.nlri == y.nlri && x.reach4 == y.reach4 && x.reach6 == y.reach6 &&
		x.keeping == y.keeping && (x.tunnel == nil) == (y.tunnel == nil) &&
		bytes.Equal(x.octets, y.octets) && bytes.Equal(x.tunnel, y.tunnel)
}

// keep makes x a copy of y, in the memory that it has.
func (x *block) keep(y *block) {
	octets, tunnel := append(x.octets[:0], y.octets...), x.tunnel
	*x = *y
	x.octets, x.tunnel = octets, nil
	if y.tunnel != nil {
		x.tunnel = append(tunnel[:0], y.tunnel...)
		if x.tunnel == nil {
			x.tunnel = []byte{}
		}
	}
}

// goodFlags says whether the flags of an attribute are those of its type. GoBGP treats an
// UPDATE as withdrawn where they are not (RFC 7606 section 3 c).
func goodFlags(a *attribute) bool {
	var p bgp.PathAttribute
	_, err := p.DecodeFromBytes(a.whole)
	return err == nil
}

// decode makes Attributes of a block, by GoBGP's own parser and with GoBGP's own
// judgement, so that what GoBGP takes for withdrawn (RFC 7606) is withdrawn here. An
// error is why.
func (p *Peer) decode(b *block) (a Attributes, err error) {
	a = Attributes{LocalPref: defaultLocalPref, TunnelEncap: bytes.Clone(b.tunnel)}
	u, err := parse(b.octets)
	if err != nil {
		return a, err
	}
	if !b.keeping {
		if err := p.validate(u, b); err != nil {
			return a, err
		}
	}
	var path *bgp.PathAttributeAsPath
	var path4 *bgp.PathAttributeAs4Path
	for _, x := range u.PathAttributes {
		switch x := x.(type) {
		case *bgp.PathAttributeAsPath:
			path = x
		case *bgp.PathAttributeAs4Path:
			path4 = x
		default:
			a.take(x)
		}
	}
	a.ASPathLen = pathLen(path)
	if n := occurrences(p.ASN, path, path4); n > int(p.AllowOwnAS) {
		return a, fmt.Errorf("AS %d is %d times in the path (RFC 4271 section 9.1.2)", p.ASN, n)
	}
	if p.Internal && a.Originator.IsValid() && a.Originator == p.RouterID {
		return a, errors.New("the gateway itself is the originator (RFC 4456 section 8)")
	}
	return a, nil
}

// parse has GoBGP take a list of attributes apart. GoBGP reads beyond the end of some,
// which harms nobody where another one follows.
func parse(octets []byte) (u *bgp.BGPUpdate, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed attribute: %v", r)
		}
	}()
	body := make([]byte, 4, 4+len(octets))
	body[2], body[3] = byte(len(octets)>>8), byte(len(octets))
	u = new(bgp.BGPUpdate)
	return u, withdrawing(u.DecodeFromBytes(append(body, octets...)))
}

// withdrawing is err, if it makes GoBGP do more than discard an attribute.
func withdrawing(err error) error {
	var m *bgp.MessageError
	if errors.As(err, &m) && (m.ErrorHandling == bgp.ERROR_HANDLING_NONE || m.ErrorHandling == bgp.ERROR_HANDLING_ATTRIBUTE_DISCARD) {
		return nil
	}
	return err
}

// Both families: what was not negotiated does not come through GoBGP.
var families = map[bgp.RouteFamily]bgp.BGPAddPathMode{bgp.RF_IPv4_UC: 0, bgp.RF_IPv6_UC: 0}

// What stands for routes, of which GoBGP's validation asks only whether there are any.
var (
	someNLRI   = []*bgp.IPAddrPrefix{bgp.NewIPAddrPrefix(0, "0.0.0.0")}
	someReach4 = bgp.NewPathAttributeMpReachNLRI("192.0.2.1", []bgp.AddrPrefixInterface{bgp.NewIPAddrPrefix(0, "0.0.0.0")})
	someReach6 = bgp.NewPathAttributeMpReachNLRI("2001:db8::1", []bgp.AddrPrefixInterface{bgp.NewIPv6AddrPrefix(0, "::")})
)

// validate has GoBGP check the attributes as it does in a session. It drops from u what
// occurs twice.
func (p *Peer) validate(u *bgp.BGPUpdate, b *block) (err error) {
	if b.nlri {
		u.NLRI = someNLRI
	}
	if b.reach4 {
		u.PathAttributes = append(u.PathAttributes, someReach4)
	}
	if b.reach6 {
		u.PathAttributes = append(u.PathAttributes, someReach6)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed attribute: %v", r)
		}
	}()
	_, err = bgp.ValidateUpdateMsg(u, families, !p.Internal, false, p.Loopback)
	return withdrawing(err)
}

// take reads what Attributes holds and passes over the rest.
func (a *Attributes) take(x bgp.PathAttributeInterface) {
	switch x := x.(type) {
	case *bgp.PathAttributeOrigin:
		a.Origin = x.Value
	case *bgp.PathAttributeNextHop:
		a.NextHop = addr(x.Value)
	case *bgp.PathAttributeMultiExitDisc:
		a.MED = x.Value
	case *bgp.PathAttributeLocalPref:
		a.LocalPref = x.Value
	case *bgp.PathAttributeOriginatorId:
		a.Originator = addr(x.Value)
	case *bgp.PathAttributeLargeCommunities:
		for _, c := range x.Values {
			a.LargeCommunities = append(a.LargeCommunities, [3]uint32{c.ASN, c.LocalData1, c.LocalData2})
		}
	case *bgp.PathAttributeExtendedCommunities:
		for _, c := range x.Value {
			if e, ok := c.(*bgp.EncapExtended); ok {
				a.EncapTypes = append(a.EncapTypes, uint16(e.TunnelType))
			}
		}
	}
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// pathLen is the length of an AS path for comparison: a set counts once (RFC 4271
// section 9.1.2.2), confederations not at all (RFC 5065 section 5.3). AS4_PATH does not
// change it (RFC 6793 section 4.2.3).
func pathLen(p *bgp.PathAttributeAsPath) uint16 {
	if p == nil {
		return 0
	}
	n := 0
	for _, s := range p.Value {
		switch s.GetType() {
		case bgp.BGP_ASPATH_ATTR_TYPE_SEQ:
			n += len(s.GetAS())
		case bgp.BGP_ASPATH_ATTR_TYPE_SET:
			n++
		}
	}
	return uint16(min(n, math.MaxUint16))
}

// occurrences is how often an AS is in the path. AS4_PATH, if there is one, has the end
// of it with the true numbers where AS_PATH has AS_TRANS (RFC 6793 section 4.2.3); one
// that is longer than AS_PATH does not count.
func occurrences(as uint32, path *bgp.PathAttributeAsPath, path4 *bgp.PathAttributeAs4Path) (n int) {
	if path == nil {
		return 0
	}
	keep := math.MaxInt
	if path4 != nil {
		end := 0
		for _, s := range path4.Value {
			end += s.ASLen()
		}
		if keep = totalLen(path) - end; keep >= 0 {
			for _, s := range path4.Value {
				if !confederation(s.GetType()) {
					n += count(as, s.GetAS())
				}
			}
		} else {
			keep = math.MaxInt
		}
	}
	for _, s := range path.Value {
		list := s.GetAS()
		if s.ASLen() > keep { // a sequence, or nothing is left to keep
			list = list[:keep]
		}
		n += count(as, list)
		if keep -= s.ASLen(); keep <= 0 {
			break
		}
	}
	return n
}

// totalLen is the length of a path with its confederations, as AS4_PATH is compared with it.
func totalLen(p *bgp.PathAttributeAsPath) (n int) {
	for _, s := range p.Value {
		switch n += s.ASLen(); s.GetType() {
		case bgp.BGP_ASPATH_ATTR_TYPE_CONFED_SEQ:
			n += len(s.GetAS())
		case bgp.BGP_ASPATH_ATTR_TYPE_CONFED_SET:
			n++
		}
	}
	return n
}

func count(as uint32, list []uint32) (n int) {
	for _, x := range list {
		if x == as {
			n++
		}
	}
	return n
}

func confederation(segment uint8) bool {
	return segment == bgp.BGP_ASPATH_ATTR_TYPE_CONFED_SEQ || segment == bgp.BGP_ASPATH_ATTR_TYPE_CONFED_SET
}

// survives says whether GoBGP keeps an attribute 23 as it came. It discards one that it
// cannot take apart (RFC 7606 section 2), and passes over octets at the end.
func survives(value []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	const flags = bgp.BGP_ATTR_FLAG_OPTIONAL | bgp.BGP_ATTR_FLAG_TRANSITIVE | bgp.BGP_ATTR_FLAG_EXTENDED_LENGTH
	head := []byte{byte(flags), byte(bgp.BGP_ATTR_TYPE_TUNNEL_ENCAP), byte(len(value) >> 8), byte(len(value))}
	var a bgp.PathAttributeTunnelEncap
	if a.DecodeFromBytes(append(head, value...)) != nil {
		return false
	}
	raw, err := a.Serialize()
	if err != nil {
		return false
	}
	again, _, ok := nextAttribute(raw)
	return ok && bytes.Equal(again.value, value)
}
