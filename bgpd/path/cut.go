package path

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// What is in here cuts an UPDATE into its parts (RFC 4271 section 4.3), which follow its
// header of 19 octets:
//
//	+-----------------------------------------------------+
//	|   length of withdrawn routes (2 octets)             |
//	|   withdrawn routes                                  |
//	|   length of all path attributes (2 octets)          |
//	|   path attributes                                   |
//	|   announced routes, up to the end                   |
//	+-----------------------------------------------------+
//
// GoBGP has read the whole of it before, so something that cannot be cut means that it
// and this package disagree.

// update is one cut.
type update struct {
	withdrawn, announced []byte // of IPv4
	attrs                []byte
}

func cutUpdate(b []byte) (u update, err error) {
	if u.withdrawn, b, err = cutField(b, "withdrawn routes"); err != nil {
		return u, err
	}
	u.attrs, u.announced, err = cutField(b, "path attributes")
	return u, err
}

// cutField takes off what has its length in two octets before it.
func cutField(b []byte, what string) (field, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, fmt.Errorf("UPDATE: %s: no length", what)
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n > len(b) {
		return nil, nil, fmt.Errorf("UPDATE: %s: %d octets, %d are left", what, n, len(b))
	}
	return b[:n], b[n:], nil
}

// attribute is one path attribute: flags, type and length, then its value.
type attribute struct {
	whole, value []byte
	typ          bgp.BGPAttrType
}

// nextAttribute takes one off. It says false if what is left is none.
func nextAttribute(b []byte) (a attribute, rest []byte, ok bool) {
	head := 3
	if len(b) < head {
		return a, nil, false
	}
	n := int(b[2])
	if b[0]&byte(bgp.BGP_ATTR_FLAG_EXTENDED_LENGTH) != 0 {
		if head = 4; len(b) < head {
			return a, nil, false
		}
		n = int(binary.BigEndian.Uint16(b[2:]))
	}
	if head+n > len(b) {
		return a, nil, false
	}
	end := head + n
	return attribute{whole: b[:end], value: b[head:end], typ: bgp.BGPAttrType(b[1])}, b[end:], true
}

// routes is a list of prefixes, in the encoding of their family and session.
type routes struct {
	list     []byte
	addrBits uint8 // 32 or 128
	withID   bool  // each with a path identifier before it (RFC 7911 section 3)
}

// multiprotocol is a MP_REACH_NLRI or a MP_UNREACH_NLRI (RFC 4760 sections 3 and 4).
type multiprotocol struct {
	routes
	nextHop netip.Addr // of MP_REACH_NLRI, the global one; zero: none
}

// cutMP reads the value of either attribute. Of a family that is not unicast, which nobody
// has negotiated, nothing is left.
func cutMP(v []byte, reach bool, p *Peer) (m multiprotocol, err error) {
	if len(v) < 3 {
		return m, fmt.Errorf("UPDATE: multiprotocol attribute of %d octets", len(v))
	}
	afi, safi := binary.BigEndian.Uint16(v), v[2]
	if safi != bgp.SAFI_UNICAST || afi != bgp.AFI_IP && afi != bgp.AFI_IP6 {
		return m, nil
	}
	v = v[3:]
	var nextHop netip.Addr
	if reach {
		if nextHop, v, err = cutNextHop(v); err != nil {
			return m, err
		}
	}
	m = multiprotocol{routes{v, 32, p.PathID4}, nextHop}
	if afi == bgp.AFI_IP6 {
		m.addrBits, m.withID = 128, p.PathID6
	}
	return m, nil
}

// cutNextHop takes off next hop and reserved octet. A link-local address after the global
// one (RFC 2545 section 3) is passed over.
func cutNextHop(v []byte) (nextHop netip.Addr, rest []byte, err error) {
	if len(v) < 1 || int(v[0])+2 > len(v) {
		return nextHop, nil, fmt.Errorf("UPDATE: MP_REACH_NLRI: next hop is cut")
	}
	n := int(v[0])
	switch n {
	case 0:
	case 4:
		nextHop = netip.AddrFrom4([4]byte(v[1:5]))
	case 16, 32:
		nextHop = netip.AddrFrom16([16]byte(v[1:17])).Unmap()
	default:
		return nextHop, nil, fmt.Errorf("UPDATE: MP_REACH_NLRI: next hop of %d octets", n)
	}
	return nextHop, v[n+2:], nil
}

// count says how many routes there are, or that the list is malformed.
func (r routes) count() (n int, err error) {
	for b := r.list; len(b) > 0; n++ {
		head := 1
		if r.withID {
			head = 5
		}
		if len(b) < head {
			return 0, fmt.Errorf("UPDATE: %d octets at the end of a list of routes", len(b))
		}
		bits := b[head-1]
		end := head + (int(bits)+7)/8
		if bits > r.addrBits || end > len(b) {
			return 0, fmt.Errorf("UPDATE: prefix of %d bits, %d octets are left", bits, len(b)-head)
		}
		b = b[end:]
	}
	return n, nil
}

// next takes off the first route of a list that has been counted. What the address has
// beyond the length does not count (RFC 4271 section 4.3). It says false for an IPv4
// address in IPv6, which is IPv6 to BGP and IPv4 to everybody else.
func (r *routes) next() (k rib.PathKey, ok bool) {
	if r.withID {
		k.PathID = binary.BigEndian.Uint32(r.list)
		r.list = r.list[4:]
	}
	bits := int(r.list[0])
	n := (bits + 7) / 8
	var a [16]byte
	copy(a[:], r.list[1:1+n])
	r.list = r.list[1+n:]
	addr := netip.AddrFrom16(a)
	if r.addrBits == 32 {
		addr = netip.AddrFrom4([4]byte(a[:]))
	}
	k.Prefix, _ = addr.Prefix(bits)
	return k, !k.Prefix.Addr().Is4In6()
}
