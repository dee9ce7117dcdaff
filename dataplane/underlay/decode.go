package underlay

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// Lengths of the fixed part of messages: struct ifinfomsg, ndmsg, rtmsg, nhmsg.
const (
	ifinfoLen = 16
	ndLen     = 12
	rtLen     = 12
	nhLen     = 8
)

// rtaNextHopID is RTA_NH_ID of linux/rtnetlink.h.
const rtaNextHopID = 30

// attributes walks rtnetlink attributes up to the first one that is cut off.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) & nl.NLA_TYPE_MASK
			if !yield(kind, b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min(len(b), (n+3)&^3):]
		}
	}
}

// u32 reads a number in host byte order; 0 when there are too few bytes.
func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func u16(b []byte, order binary.ByteOrder) uint16 {
	if len(b) < 2 {
		return 0
	}
	return order.Uint16(b)
}

// address reads an IP address; the zero Addr when the length is not that of one.
func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

func mac(b []byte) encap.MAC {
	if len(b) != 6 {
		return encap.MAC{}
	}
	return encap.MAC(b)
}

// decodeLink reads RTM_NEWLINK and RTM_DELLINK. It declines messages of a protocol
// family, such as those of a bridge on its ports, which tell only a part.
func decodeLink(b []byte) (l link, ok bool) {
	if len(b) < ifinfoLen || b[0] != unix.AF_UNSPEC {
		return l, false
	}
	l.index = int(int32(u32(b[4:])))
	flags := u32(b[8:])
	l.up = flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0
	elsewhere, isVLAN := false, false
	for kind, v := range attributes(b[ifinfoLen:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = cstring(v)
		case unix.IFLA_ADDRESS:
			l.mac = mac(v)
		case unix.IFLA_MTU:
			l.mtu = int(u32(v))
		case unix.IFLA_LINK:
			l.parent = int(int32(u32(v)))
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_LINKINFO:
			l.vlan, l.vlanType, isVLAN = decodeVLAN(v)
		}
	}
	if !isVLAN || elsewhere {
		l.parent, l.vlan, l.vlanType = 0, 0, 0
	}
	return l, l.index > 0
}

func decodeVLAN(info []byte) (id, etherType uint16, ok bool) {
	var data []byte
	for kind, v := range attributes(info) {
		switch kind {
		case nl.IFLA_INFO_KIND:
			ok = cstring(v) == "vlan"
		case nl.IFLA_INFO_DATA:
			data = v
		}
	}
	etherType = unix.ETH_P_8021Q
	for kind, v := range attributes(data) {
		switch kind {
		case nl.IFLA_VLAN_ID:
			id = u16(v, binary.NativeEndian)
		case nl.IFLA_VLAN_PROTOCOL:
			etherType = u16(v, binary.BigEndian)
		}
	}
	return id, etherType, ok
}

func cstring(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// decodeNeighbor reads RTM_NEWNEIGH and RTM_DELNEIGH. It declines what is no IP
// neighbor: bridge forwarding entries, proxy entries.
func decodeNeighbor(b []byte) (n neighbor, ok bool) {
	if len(b) < ndLen || (b[0] != unix.AF_INET && b[0] != unix.AF_INET6) {
		return n, false
	}
	n.key.index = int(int32(u32(b[4:])))
	n.state = u16(b[8:], binary.NativeEndian)
	n.flags = b[10]
	for kind, v := range attributes(b[ndLen:]) {
		switch kind {
		case unix.NDA_DST:
			n.key.addr = address(v)
		case unix.NDA_LLADDR:
			n.mac = mac(v)
		}
	}
	return n, n.key.addr.IsValid() && n.flags&unix.NTF_PROXY == 0
}

// decodeRoutePrefix reads the destination of RTM_NEWROUTE and RTM_DELROUTE.
func decodeRoutePrefix(b []byte) (netip.Prefix, bool) {
	if len(b) < rtLen {
		return netip.Prefix{}, false
	}
	var dst netip.Addr
	switch b[0] {
	case unix.AF_INET:
		dst = netip.IPv4Unspecified()
	case unix.AF_INET6:
		dst = netip.IPv6Unspecified()
	default:
		return netip.Prefix{}, false
	}
	for kind, v := range attributes(b[rtLen:]) {
		if kind == unix.RTA_DST {
			if a := address(v); a.BitLen() == dst.BitLen() {
				dst = a
			}
		}
	}
	p, err := dst.Prefix(int(b[1]))
	return p, err == nil
}

// decodeRoute reads the answer to RTM_GETROUTE with RTM_F_FIB_MATCH. The object is the
// next hop object that the route uses; it matters when the route itself has no hops.
func decodeRoute(b []byte) (r route, object uint32, ok bool) {
	if len(b) < rtLen {
		return r, 0, false
	}
	r.kind = b[7]
	one := nexthop{dead: u32(b[8:])&unix.RTNH_F_DEAD != 0}
	for kind, v := range attributes(b[rtLen:]) {
		switch kind {
		case unix.RTA_OIF:
			one.index = int(int32(u32(v)))
		case unix.RTA_PREFSRC:
			r.src = address(v)
		case unix.RTA_METRICS:
			r.mtu = decodeMTU(v)
		case unix.RTA_MULTIPATH:
			r.hops = decodeMultipath(v)
		case rtaNextHopID:
			object = u32(v)
		default:
			one.attribute(kind, v)
		}
	}
	if one.index != 0 && len(r.hops) == 0 {
		r.hops = []nexthop{one}
	}
	return r, object, true
}

// attribute reads what a route and a hop of a multipath route have in common.
func (h *nexthop) attribute(kind uint16, v []byte) {
	switch kind {
	case unix.RTA_GATEWAY:
		h.gateway = address(v)
	case unix.RTA_VIA: // struct rtvia: family, address
		if len(v) > 2 {
			h.gateway = address(v[2:])
		}
	case unix.RTA_ENCAP_TYPE:
		h.encap = u16(v, binary.NativeEndian) != 0
	}
}

func decodeMTU(metrics []byte) int {
	for kind, v := range attributes(metrics) {
		if kind == unix.RTAX_MTU {
			return int(u32(v))
		}
	}
	return 0
}

// decodeMultipath reads a list of struct rtnexthop: length, flags, weight, index, and
// attributes.
func decodeMultipath(b []byte) []nexthop {
	var hops []nexthop
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			break
		}
		h := nexthop{index: int(int32(u32(b[4:]))), dead: b[2]&unix.RTNH_F_DEAD != 0}
		for kind, v := range attributes(b[unix.SizeofRtNexthop:n]) {
			h.attribute(kind, v)
		}
		hops = append(hops, h)
		b = b[min(len(b), (n+3)&^3):]
	}
	return hops
}

// object is a next hop object: one hop, or a group of other objects.
type object struct {
	hop       nexthop
	blackhole bool
	group     []uint32
}

// decodeObject reads RTM_NEWNEXTHOP.
func decodeObject(b []byte) (o object, ok bool) {
	if len(b) < nhLen {
		return o, false
	}
	o.hop.dead = u32(b[4:])&unix.RTNH_F_DEAD != 0
	for kind, v := range attributes(b[nhLen:]) {
		switch kind {
		case unix.NHA_OIF:
			o.hop.index = int(int32(u32(v)))
		case unix.NHA_GATEWAY:
			o.hop.gateway = address(v)
		case unix.NHA_BLACKHOLE:
			o.blackhole = true
		case unix.NHA_ENCAP_TYPE:
			o.hop.encap = u16(v, binary.NativeEndian) != 0
		case unix.NHA_GROUP: // struct nexthop_grp: id, weight, 3 bytes
			for ; len(v) >= 8; v = v[8:] {
				o.group = append(o.group, u32(v))
			}
		}
	}
	return o, true
}
