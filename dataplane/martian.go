package dataplane

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// suspects tells whether an address has to be looked at: by its first byte that it may be
// a martian, by a hash of a source that it may be the machine's own. For nearly all packets
// that is three loads and a branch.
type suspects struct {
	first4, first6 [256]uint8 // not 0: look
	hash4, hash6   [256]uint8 // by ownHash4 and ownHash6
	martians       bool       // whether martians are dropped
	own4           []uint32
	own6           []fib.Addr6
}

// newSuspects makes the set for the addresses of this machine.
func newSuspects(own []netip.Addr, martians bool) suspects {
	s := suspects{martians: martians}
	if martians {
		for i := range s.first4 {
			if martian4(uint32(i) << 24) {
				s.first4[i] = 1
			}
		}
		s.first4[169] = 1
		s.first6[0x00], s.first6[0xfe], s.first6[0xff] = 1, 1, 1
	}
	for _, a := range own {
		if a = a.Unmap().WithZone(""); a.Is4() {
			s.own4 = append(s.own4, number4(a))
			s.hash4[ownHash4(number4(a))] = 1
		} else if a.IsValid() {
			s.own6 = append(s.own6, number6(a))
			s.hash6[ownHash6(number6(a))] = 1
		}
	}
	return s
}

// look4 is not 0 when an IPv4 packet has to be looked at for its addresses: source in the
// upper half, destination in the lower.
func (s *suspects) look4(addrs uint64) uint8 {
	return s.first4[addrs>>56] | s.first4[uint8(addrs>>24)] | s.hash4[ownHash4(uint32(addrs>>32))]
}

// ownHash4 is by what own addresses are told at first sight. All bytes count: the last one
// alone is often 1.
func ownHash4(a uint32) uint8 { return uint8(a * k6 >> 24) }

// ownHash6 is ownHash4 for IPv6.
func ownHash6(a fib.Addr6) uint8 { return uint8((a.Hi ^ a.Lo) * k1 >> 56) }

// check4 says why a packet with a suspect address is dropped; ReasonNone if it is not. h
// is its header, payload what follows that.
//
// An ICMP error may come from an address of this machine: it is this gateway's own, or
// that of another one with the same service address, on its way to a host that is itself
// behind an EIP. Without it that host would not learn of path MTUs.
func (s *suspects) check4(h *[ipv4Len]byte, payload []byte) Reason {
	src, dst := binary.BigEndian.Uint32(h[12:]), binary.BigEndian.Uint32(h[16:])
	switch {
	case s.martians && martian4(src):
		return ReasonMartianSource
	case s.martians && martian4(dst):
		return ReasonMartianDestination
	case slices.Contains(s.own4, src) && !isError4(h, payload):
		return ReasonOwnSource
	}
	return ReasonNone
}

// check6 is check4 for IPv6; next is the number of the header that payload begins with.
func (s *suspects) check6(src, dst fib.Addr6, next uint8, payload []byte) Reason {
	switch {
	case s.martians && martian6(src):
		return ReasonMartianSource
	case s.martians && martian6(dst):
		return ReasonMartianDestination
	case slices.Contains(s.own6, src) && !isError6(next, payload):
		return ReasonOwnSource
	}
	return ReasonNone
}

// isError4 says whether a packet is an ICMP error of the kinds that a gateway sends:
// destination unreachable or time exceeded (RFC 792), and whole, as they are.
func isError4(h *[ipv4Len]byte, payload []byte) bool {
	return h[9] == protoICMP && binary.BigEndian.Uint16(h[6:])&(moreFragments|offsetMask) == 0 &&
		len(payload) > 0 && (payload[0] == icmpUnreachable || payload[0] == icmpTimeExceeded)
}

// isError6 says whether a packet is an ICMPv6 error: a type below 128 (RFC 4443 section
// 2.1).
func isError6(next uint8, payload []byte) bool {
	return next == protoICMPv6 && len(payload) > 0 && payload[0] < 128
}

// martian4 says whether an address can be neither a source nor a destination of what is
// forwarded to one host: 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4 and 240.0.0.0/4, with the
// limited broadcast (RFC 1812 sections 4.2.2.11 and 5.3.7, RFC 6890), and link-local ones
// (RFC 3927 section 7).
func martian4(a uint32) bool {
	first := a >> 24
	return first == 0 || first == 127 || first >= 224 || linkLocal4(a)
}

// linkLocal4 says whether an address is one of 169.254.0.0/16.
func linkLocal4(a uint32) bool { return a>>16 == 169<<8|254 }

// martian6 is martian4 for IPv6: ::, ::1 (RFC 4291 sections 2.5.2 and 2.5.3), IPv4-mapped
// addresses (RFC 6890), link-local ones (RFC 4291 section 2.5.6) and ff00::/8 (2.7).
func martian6(a fib.Addr6) bool {
	switch {
	case a.Hi == 0:
		return a.Lo <= 1 || a.Lo>>32 == 0xffff
	case linkLocal6(a):
		return true
	}
	return a.Hi>>56 == 0xff
}

func linkLocal6(a fib.Addr6) bool { return a.Hi>>54 == 0xfe80>>6 }
