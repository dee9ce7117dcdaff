package dataplane

import (
	"math/bits"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Flow4 is what tells IPv4 flows apart. Numbers are in host byte order: 203.0.113.7
// is 0xcb007107.
type Flow4 struct {
	Src, Dst uint32
	Ports    uint32 // source port << 16 | destination port; 0 where there are none
	Protocol uint8
}

// Flow6 is Flow4 for IPv6.
type Flow6 struct {
	Src, Dst fib.Addr6
	Ports    uint32
	Protocol uint8
}

// Multipliers of the flow hash: the fractional digits of pi, 64 bits each, with the
// last bit set, and 2^32 over the golden ratio.
const (
	k1 = 0x243f6a8885a308d3
	k2 = 0x13198a2e03707345
	k3 = 0xa4093822299f31d1
	k4 = 0x082efa98ec4e6c89
	k5 = 0x452821e638d01377
	k6 = 0x9e3779b1
)

// FlowHash4 is the hash by which a flow chooses its virtual router, its way through
// the underlay and its outer UDP source port. It has no secret and no state: every
// gateway, and any other program, computes the same. With all numbers unsigned, and
//
//	fold(x, k) = p>>64 XOR (p mod 2^64), where p is the 128-bit product x * k
//	mix(h)     = x XOR x>>15, where x = (h>>32 XOR (h mod 2^32)) * k6 mod 2^32
//
// it is
//
//	h = fold(Src<<32 + Dst, k1)
//	FlowHash4 = mix(fold(h XOR (Protocol<<32 + Ports), k2))
//
// and FlowHash6 is
//
//	h = fold(Src.Hi, k1) XOR fold(Src.Lo, k2) XOR fold(Dst.Hi, k3) XOR fold(Dst.Lo, k4)
//	FlowHash6 = mix(fold(h XOR (Protocol<<32 + Ports), k5))
//
// with k1 = 0x243f6a8885a308d3, k2 = 0x13198a2e03707345, k3 = 0xa4093822299f31d1,
// k4 = 0x082efa98ec4e6c89, k5 = 0x452821e638d01377, k6 = 0x9e3779b1.
//
// Which numbers go in, for a packet:
//
//   - TCP (6), UDP (17), SCTP (132) and UDP-Lite (136): Protocol, and as Ports the
//     first four bytes of the transport header, in network byte order.
//   - Every other protocol, ICMP and ICMPv6 among them: Protocol, and Ports 0. So is a
//     packet too short to hold the ports.
//   - Every fragment of an IPv4 datagram (more-fragments set or offset not 0), the
//     first too: Protocol, and Ports 0, so that all of them take one path.
//   - Every IPv6 packet with a fragment header, whatever is in it: Protocol 44 and
//     Ports 0. The next header field behind it may differ between fragments of one
//     packet (RFC 8200 section 4.5), so it does not count.
//   - IPv6 extension headers (RFC 7045 section 1.1) are stepped over, at most
//     MaxExtensionHeaders of them. Where the walk stops before a transport header, at
//     a header it does not know, at that bound, or at one that overruns the packet,
//     Protocol is the number of the header it stopped at, and Ports 0.
//
// Test vectors:
//
//	198.51.100.1:40000  -> 203.0.113.7:443          TCP        0xbf39b835
//	198.51.100.1        -> 203.0.113.7              ICMP       0x66c9a230
//	255.255.255.255     -> 255.255.255.255          SCTP       0x029d89c5  Ports 0xffffffff
//	[2001:db8::1]:40000 -> [2001:db8:e1b::7]:443    TCP        0x46bbc5e4
//	2001:db8::1         -> 2001:db8:e1b::7          fragment   0x4eae942b
//	ffff:…:ffff         -> ::                       UDP-Lite   0xdb64319b  Ports 0xffffffff
func FlowHash4(f Flow4) uint32 {
	return hash4(uint64(f.Src)<<32|uint64(f.Dst), uint64(f.Protocol)<<32|uint64(f.Ports))
}

// FlowHash6 is FlowHash4 for IPv6; that has the definition.
func FlowHash6(f Flow6) uint32 {
	return hash6(f.Src, f.Dst, uint64(f.Protocol)<<32|uint64(f.Ports))
}

// hash4 takes Src<<32+Dst and Protocol<<32+Ports.
func hash4(addrs, transport uint64) uint32 {
	return mix(fold(fold(addrs, k1)^transport, k2))
}

func hash6(src, dst fib.Addr6, transport uint64) uint32 {
	h := fold(src.Hi, k1) ^ fold(src.Lo, k2) ^ fold(dst.Hi, k3) ^ fold(dst.Lo, k4)
	return mix(fold(h^transport, k5))
}

func fold(x, k uint64) uint64 {
	hi, lo := bits.Mul64(x, k)
	return hi ^ lo
}

func mix(h uint64) uint32 {
	x := (uint32(h>>32) ^ uint32(h)) * k6
	return x ^ x>>15
}
