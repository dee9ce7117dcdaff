package path

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// TunnelEncap is the tunnel of a Tunnel Encapsulation attribute (RFC 9012).
type TunnelEncap struct {
	Protocol encap.Protocol
	Endpoint netip.Addr // zero: the route's next hop is the endpoint
	HasVNI   bool
	VNI      encap.VNI
	InnerDst encap.MAC // zero: not given
	Port     uint16    // 0: not given
}

// Tunnel types (IANA, BGP Tunnel Encapsulation Attribute Tunnel Types).
const (
	typeVXLAN  = 8
	typeGeneve = 19
)

var tunnelTypeNames = map[uint16]string{
	2: "GRE", 7: "IP-in-IP", typeVXLAN: "VXLAN", 9: "NVGRE", 10: "MPLS", 11: "MPLS-in-GRE",
	12: "VXLAN-GPE", 13: "MPLS-in-UDP", 15: "SR policy", typeGeneve: "Geneve",
}

func tunnelTypeName(t uint16) string {
	if n, ok := tunnelTypeNames[t]; ok {
		return fmt.Sprintf("%s (%d)", n, t)
	}
	return fmt.Sprintf("type %d", t)
}

// protocolOf is the protocol of a tunnel type, for the types that are built.
func protocolOf(t uint16) (p encap.Protocol, built bool) {
	switch t {
	case typeVXLAN:
		return encap.VXLAN, true
	case typeGeneve:
		return encap.Geneve, true
	}
	return 0, false
}

// notBuilt refuses a route that names no type but those that are not built, such as t.
func notBuilt(where string, t uint16) *refused {
	return &refused{rib.RefuseUnsupportedTunnel, fmt.Sprintf("%s: tunnel of %s, only %s and %s are built",
		where, tunnelTypeName(t), tunnelTypeName(typeGeneve), tunnelTypeName(typeVXLAN))}
}

// Sub-TLV types (RFC 9012 section 3).
const (
	subEncapsulation = 1
	subProtocol      = 2
	subEndpoint      = 6
	subUDPPort       = 8
)

// The Encapsulation sub-TLV of VXLAN (RFC 9012 section 3.2.1). There is no standard form
// for Geneve, and the same is taken, a convention of this gateway:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V|M|R|R|R|R|R|R|          VNI (3 octets)                       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 inner destination MAC (4 octets)              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  inner destination MAC        |          reserved             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
const (
	encapsulationLen = 12
	flagVNI          = 0x80
	flagMAC          = 0x40
)

// protocolEthernet is the payload that the gateway sends: Ethernet frames.
const protocolEthernet = 0x6558

// refused is why a route makes no claim.
type refused struct {
	reason rib.RefuseReason
	detail string
}

func (r *refused) Error() string { return r.reason.String() + ": " + r.detail }

func malformed(format string, args ...any) *refused {
	return &refused{rib.RefuseBadAttribute, "attribute 23: " + fmt.Sprintf(format, args...)}
}

// ParseTunnelEncap reads the value of attribute 23. Of several TLVs of Geneve and
// VXLAN, which are alternatives for the receiver to choose from (RFC 9012 section 6),
// the first of the preferred protocol is taken, else the first of the other, so that
// every gateway takes the same; all of them have to be well-formed. TLVs of other
// tunnel types, and those that cannot be used, are passed over, but something has to be
// left.
func ParseTunnelEncap(value []byte, prefer encap.Protocol) (TunnelEncap, error) {
	te, r := parseTunnelEncap(value, prefer)
	if r != nil {
		return TunnelEncap{}, r
	}
	return te, nil
}

func parseTunnelEncap(value []byte, prefer encap.Protocol) (TunnelEncap, *refused) {
	var best TunnelEncap
	found := false
	var none *refused // why the first TLV that is passed over is
	for b := value; len(b) > 0; {
		if len(b) < 4 {
			return TunnelEncap{}, malformed("%d octets at the end, expected a TLV header of 4", len(b))
		}
		typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return TunnelEncap{}, malformed("TLV of %d octets, %d are left", n, len(b))
		}
		te, useless, r := parseTunnel(typ, b[:n])
		switch {
		case r != nil:
			return TunnelEncap{}, r
		case useless != nil:
			if none == nil {
				none = useless
			}
		case !found || te.Protocol == prefer && best.Protocol != prefer:
			best, found = te, true
		}
		b = b[n:]
	}
	switch {
	case found:
		return best, nil
	case none != nil:
		return TunnelEncap{}, none
	}
	return TunnelEncap{}, malformed("empty")
}

// parseTunnel reads one TLV. Useless is why a well-formed one cannot be used.
func parseTunnel(typ uint16, b []byte) (te TunnelEncap, useless, r *refused) {
	protocol, built := protocolOf(typ)
	if !built {
		return te, notBuilt("attribute 23", typ), nil
	}
	te, hasEncapsulation, r := parseSubTLVs(b)
	te.Protocol = protocol
	if r == nil && protocol == encap.VXLAN && hasEncapsulation && !te.HasVNI {
		useless = &refused{rib.RefuseNoVNI,
			"attribute 23: " + tunnelTypeName(typ) + " with the V bit clear, which no unicast route can use (RFC 9012 section 3.2.1)"}
	}
	return te, useless, r
}

// parseSubTLVs reads the sub-TLVs of one tunnel. Of a type that occurs again the
// first counts, except the endpoint, which has to be there exactly once.
func parseSubTLVs(b []byte) (te TunnelEncap, hasEncapsulation bool, r *refused) {
	var seen [256]bool
	for len(b) > 0 {
		typ, v, rest, r := nextSubTLV(b)
		if r != nil {
			return te, false, r
		}
		b = rest
		if seen[typ] {
			if typ == subEndpoint {
				return te, false, malformed("two tunnel egress endpoints in one TLV, expected one")
			}
			continue
		}
		seen[typ] = true
		if r := te.take(typ, v); r != nil {
			return te, false, r
		}
	}
	if !seen[subEndpoint] {
		return te, false, malformed("no tunnel egress endpoint")
	}
	return te, seen[subEncapsulation], nil
}

// nextSubTLV cuts the first sub-TLV off b: types up to 127 have a length of one
// octet, the others of two.
func nextSubTLV(b []byte) (typ uint8, v, rest []byte, r *refused) {
	typ, head := b[0], 2
	if typ >= 128 {
		head = 3
	}
	if len(b) < head {
		return 0, nil, nil, malformed("sub-TLV %d has no length", typ)
	}
	n := int(b[1])
	if typ >= 128 {
		n = int(binary.BigEndian.Uint16(b[1:]))
	}
	if b = b[head:]; n > len(b) {
		return 0, nil, nil, malformed("sub-TLV %d of %d octets, %d are left", typ, n, len(b))
	}
	return typ, b[:n], b[n:], nil
}

// take reads one sub-TLV into te. Unknown ones are passed over.
func (te *TunnelEncap) take(typ uint8, v []byte) *refused {
	switch typ {
	case subEndpoint:
		return te.takeEndpoint(v)
	case subEncapsulation:
		return te.takeEncapsulation(v)
	case subProtocol:
		if len(v) != 2 {
			return malformed("protocol of %d octets, expected 2", len(v))
		}
		if p := binary.BigEndian.Uint16(v); p != protocolEthernet {
			return &refused{rib.RefuseUnsupportedTunnel,
				fmt.Sprintf("attribute 23: tunnel for protocol 0x%04x, only 0x%04x (Ethernet) is built", p, protocolEthernet)}
		}
	case subUDPPort: // section 3.3.2: port 0 is malformed
		if len(v) != 2 {
			return malformed("UDP destination port of %d octets, expected 2", len(v))
		}
		if te.Port = binary.BigEndian.Uint16(v); te.Port == 0 {
			return malformed("UDP destination port 0")
		}
	}
	return nil
}

// takeEndpoint reads a tunnel egress endpoint (section 3.1): four reserved octets,
// the address family, the address. Family 0 stands for the next hop.
func (te *TunnelEncap) takeEndpoint(v []byte) *refused {
	if len(v) < 6 {
		return malformed("tunnel egress endpoint of %d octets, expected 6, 10 or 22", len(v))
	}
	switch af, addr := binary.BigEndian.Uint16(v[4:]), v[6:]; {
	case af == 0 && len(addr) == 0:
	case af == 1 && len(addr) == 4, af == 2 && len(addr) == 16:
		te.Endpoint, _ = netip.AddrFromSlice(addr)
		te.Endpoint = te.Endpoint.Unmap()
	default:
		return malformed("tunnel egress endpoint of address family %d with an address of %d octets", af, len(addr))
	}
	return nil
}

func (te *TunnelEncap) takeEncapsulation(v []byte) *refused {
	if len(v) != encapsulationLen {
		return malformed("encapsulation of %d octets, expected %d as VXLAN has it", len(v), encapsulationLen)
	}
	if v[0]&flagVNI != 0 {
		te.HasVNI = true
		te.VNI = encap.VNI(binary.BigEndian.Uint32(v) & uint32(encap.MaxVNI))
	}
	if v[0]&flagMAC != 0 {
		te.InnerDst = encap.MAC(v[4:10])
		if te.InnerDst.IsZero() || te.InnerDst[0]&1 != 0 {
			return malformed("inner destination MAC %s, expected a unicast address", te.InnerDst)
		}
	}
	return nil
}
