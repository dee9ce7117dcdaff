package path

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Type URLs of the messages that GoBGP wraps.
const (
	urlPrefix      = "type.googleapis.com/apipb."
	urlIPPrefix    = urlPrefix + "IPAddressPrefix"
	urlOrigin      = urlPrefix + "OriginAttribute"
	urlASPath      = urlPrefix + "AsPathAttribute"
	urlNextHop     = urlPrefix + "NextHopAttribute"
	urlMED         = urlPrefix + "MultiExitDiscAttribute"
	urlLocalPref   = urlPrefix + "LocalPrefAttribute"
	urlOriginator  = urlPrefix + "OriginatorIdAttribute"
	urlMPReach     = urlPrefix + "MpReachNLRIAttribute"
	urlExtended    = urlPrefix + "ExtendedCommunitiesAttribute"
	urlLarge       = urlPrefix + "LargeCommunitiesAttribute"
	urlTunnelEncap = urlPrefix + "TunnelEncapAttribute"
)

// defaultLocalPref is what a route without LOCAL_PREF is worth, as at every vendor.
const defaultLocalPref = 100

// IsEndOfRIB says whether p is not a route but the mark after the initial dump of a
// family (RFC 4724 section 2).
func IsEndOfRIB(p *api.Path) bool { return p.Nlri == nil }

// decodePrefix reads a unicast prefix. It reads the message by hand: for a full
// table the reflecting decoder would be half of all the work here.
func decodePrefix(n *anypb.Any) (netip.Prefix, error) {
	if n.GetTypeUrl() != urlIPPrefix {
		return netip.Prefix{}, fmt.Errorf("a route of %s, expected a unicast prefix", n.GetTypeUrl())
	}
	var bits uint64
	var addr []byte
	for b := n.Value; len(b) > 0; {
		num, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return netip.Prefix{}, protowire.ParseError(k)
		}
		b = b[k:]
		switch {
		case num == 1 && typ == protowire.VarintType:
			bits, k = protowire.ConsumeVarint(b)
		case num == 2 && typ == protowire.BytesType:
			addr, k = protowire.ConsumeBytes(b)
		default:
			k = protowire.ConsumeFieldValue(num, typ, b)
		}
		if k < 0 {
			return netip.Prefix{}, protowire.ParseError(k)
		}
		b = b[k:]
	}
	a, err := netip.ParseAddr(string(addr))
	if err != nil {
		return netip.Prefix{}, err
	}
	if a.Is4In6() { // ::ffff:0:0/96 is IPv6 to BGP and IPv4 to everybody else
		return netip.Prefix{}, fmt.Errorf("prefix of IPv4-mapped address %s", a)
	}
	if bits > math.MaxInt16 {
		return netip.Prefix{}, fmt.Errorf("prefix length %d", bits)
	}
	return a.Prefix(int(bits))
}

// decodeNextHop reads the (global) next hop of MP_REACH_NLRI by hand; it is
// different for every route of IPv6, because GoBGP puts the prefix into it again.
func decodeNextHop(b []byte) netip.Addr {
	for len(b) > 0 {
		num, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return netip.Addr{}
		}
		b = b[k:]
		if num == 2 && typ == protowire.BytesType {
			v, k := protowire.ConsumeBytes(b)
			if k < 0 {
				return netip.Addr{}
			}
			return parseAddr(string(v))
		}
		if k = protowire.ConsumeFieldValue(num, typ, b); k < 0 {
			return netip.Addr{}
		}
		b = b[k:]
	}
	return netip.Addr{}
}

// parseAddr is the zero Addr for what is none.
func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// decodeAttributes reads what Attributes holds and passes over the rest.
func decodeAttributes(list []*anypb.Any) (Attributes, error) {
	a := Attributes{LocalPref: defaultLocalPref}
	for _, x := range list {
		if err := a.decode(x); err != nil {
			return a, fmt.Errorf("%s: %w", x.TypeUrl, err)
		}
	}
	return a, nil
}

func (a *Attributes) decode(x *anypb.Any) error {
	switch x.TypeUrl {
	case urlOrigin:
		var m api.OriginAttribute
		err := proto.Unmarshal(x.Value, &m)
		a.Origin = uint8(m.Origin)
		return err
	case urlASPath:
		var m api.AsPathAttribute
		err := proto.Unmarshal(x.Value, &m)
		a.ASPathLen = pathLen(m.Segments)
		return err
	case urlNextHop:
		var m api.NextHopAttribute
		err := proto.Unmarshal(x.Value, &m)
		a.NextHop = parseAddr(m.NextHop)
		return err
	case urlMPReach:
		a.NextHop = decodeNextHop(x.Value)
	case urlMED:
		var m api.MultiExitDiscAttribute
		err := proto.Unmarshal(x.Value, &m)
		a.MED = m.Med
		return err
	case urlLocalPref:
		var m api.LocalPrefAttribute
		err := proto.Unmarshal(x.Value, &m)
		a.LocalPref = m.LocalPref
		return err
	case urlOriginator:
		var m api.OriginatorIdAttribute
		err := proto.Unmarshal(x.Value, &m)
		a.Originator = parseAddr(m.Id)
		return err
	case urlLarge:
		var m api.LargeCommunitiesAttribute
		err := proto.Unmarshal(x.Value, &m)
		for _, c := range m.Communities {
			a.LargeCommunities = append(a.LargeCommunities, [3]uint32{c.GlobalAdmin, c.LocalData1, c.LocalData2})
		}
		return err
	case urlExtended:
		return a.decodeExtended(x)
	case urlTunnelEncap:
		return a.decodeTunnelEncap(x)
	}
	return nil
}

// pathLen is the length of an AS path for comparison: a set counts once (RFC 4271
// section 9.1.2.2), confederations not at all (RFC 5065 section 5.3).
func pathLen(segments []*api.AsSegment) uint16 {
	n := 0
	for _, s := range segments {
		switch s.Type {
		case api.AsSegment_AS_SEQUENCE:
			n += len(s.Numbers)
		case api.AsSegment_AS_SET:
			n++
		}
	}
	return uint16(min(n, math.MaxUint16))
}

func (a *Attributes) decodeExtended(x *anypb.Any) error {
	var m api.ExtendedCommunitiesAttribute
	if err := proto.Unmarshal(x.Value, &m); err != nil {
		return err
	}
	for _, c := range m.Communities {
		var e api.EncapExtended
		if !c.MessageIs(&e) {
			continue
		}
		if err := c.UnmarshalTo(&e); err != nil {
			return err
		}
		a.EncapTypes = append(a.EncapTypes, uint16(e.TunnelType))
	}
	return nil
}

// decodeTunnelEncap brings attribute 23 back to octets, so that one parser judges it.
func (a *Attributes) decodeTunnelEncap(x *anypb.Any) error {
	native, err := apiutil.UnmarshalAttribute(x)
	if err != nil {
		return err
	}
	te, ok := native.(*bgp.PathAttributeTunnelEncap)
	if !ok {
		return fmt.Errorf("became %T", native)
	}
	raw, err := te.Serialize()
	if err != nil {
		return err
	}
	head := 3
	if len(raw) > 0 && bgp.BGPAttrFlag(raw[0])&bgp.BGP_ATTR_FLAG_EXTENDED_LENGTH != 0 {
		head = 4
	}
	if len(raw) < head {
		return errors.New("attribute without a header")
	}
	a.TunnelEncap = raw[head:]
	return nil
}

// sameAttributes says whether two routes carry the same but for MP_REACH_NLRI.
func sameAttributes(x, y []*anypb.Any) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].TypeUrl != y[i].TypeUrl || (x[i].TypeUrl != urlMPReach && !bytes.Equal(x[i].Value, y[i].Value)) {
			return false
		}
	}
	return true
}
