package underlay

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// report is what an ICMP error says of a packet that was too big for a link on its way.
type report struct {
	reporter netip.Addr // the router that sent the error
	src, dst netip.Addr // of the packet
	length   int        // of the packet, its IP header included
	mtu      int        // that the router names; 0 in IPv4: it names none
}

const (
	ipv4Len = 20
	ipv6Len = 40
	udpLen  = 8
	icmpLen = 8
	fragLen = 8

	// tunnelPort is the least UDP source port of a tunnel packet: they are those of RFC
	// 8926 section 3.3 and RFC 7348 section 5, with the flow's hash in the lower 14 bits.
	tunnelPort = 0xc000
)

// parse4 reads an IPv4 packet as a raw socket has it: reassembled, its header valid. The
// ICMP checksum is checked here, because raw sockets get packets before the kernel does.
// Anything but a report about a packet that looks like a tunnel packet is an Outcome.
//
//	 0               1               2               3
//	┌───────────────┬───────────────┬───────────────┬───────────────┐
//	│    type: 3    │    code: 4    │           checksum            │  RFC 792
//	├───────────────┴───────────────┼───────────────┴───────────────┤
//	│            unused             │         next-hop MTU          │  RFC 1191 section 4
//	├───────────────────────────────┴───────────────────────────────┤
//	│       IPv4 header and the first 8 bytes of the packet         │
//	└───────────────────────────────────────────────────────────────┘
func parse4(b []byte) (report, Outcome) {
	if len(b) < ipv4Len || b[9] != unix.IPPROTO_ICMP {
		return report{}, IgnoredMalformed
	}
	header := int(b[0]&15) * 4
	if header < ipv4Len || len(b) < header+icmpLen {
		return report{}, IgnoredMalformed
	}
	icmp := b[header:]
	if icmp[0] != 3 || icmp[1] != 4 {
		return report{}, IgnoredKind
	}
	if encap.Checksum(icmp, 0) != 0 {
		return report{}, IgnoredMalformed
	}
	r := report{reporter: addr4(b[12:]), mtu: int(binary.BigEndian.Uint16(icmp[6:]))}
	return r, r.quote4(icmp[icmpLen:])
}

// quote4 reads the packet that an ICMP error quotes: at least its header and 64 bits
// (RFC 792). Tunnel packets have no options, are not fragments, and set DF.
func (r *report) quote4(b []byte) Outcome {
	if len(b) < ipv4Len+udpLen {
		return IgnoredMalformed
	}
	r.length = int(binary.BigEndian.Uint16(b[2:]))
	r.src, r.dst = addr4(b[12:]), addr4(b[16:])
	fragment := binary.BigEndian.Uint16(b[6:])
	udp := b[ipv4Len:]
	switch {
	case b[0] != 4<<4|ipv4Len/4, b[9] != unix.IPPROTO_UDP, fragment&0x3fff != 0, !fromTunnel(udp, r.length-ipv4Len):
		return IgnoredNotTunnel
	case fragment&0x4000 == 0:
		return IgnoredNoDF
	}
	return believable
}

// parse6 reads an ICMPv6 message as a raw socket has it: without the IPv6 header, its
// checksum valid. The code says nothing (RFC 4443 section 3.2).
//
//	 0               1               2               3
//	┌───────────────┬───────────────┬───────────────┬───────────────┐
//	│    type: 2    │     code      │           checksum            │  RFC 4443 section 3.2
//	├───────────────┴───────────────┴───────────────┴───────────────┤
//	│                              MTU                              │
//	├───────────────────────────────────────────────────────────────┤
//	│         as much of the packet as fits into 1280 bytes         │
//	└───────────────────────────────────────────────────────────────┘
func parse6(b []byte, from netip.Addr) (report, Outcome) {
	if len(b) < icmpLen {
		return report{}, IgnoredMalformed
	}
	if b[0] != 2 {
		return report{}, IgnoredKind
	}
	r := report{reporter: from, mtu: int(binary.BigEndian.Uint32(b[4:]))}
	return r, r.quote6(b[icmpLen:])
}

// quote6 reads the packet that an ICMPv6 error quotes. A tunnel packet may be the first
// fragment of one, which is where its UDP header is (RFC 8200 section 4.5).
func (r *report) quote6(b []byte) Outcome {
	if len(b) < ipv6Len+udpLen || b[0]>>4 != 6 {
		return IgnoredMalformed
	}
	payload := int(binary.BigEndian.Uint16(b[4:]))
	r.length = ipv6Len + payload
	r.src, r.dst = addr16(b[8:]), addr16(b[24:])
	next, udp := b[6], b[ipv6Len:]
	datagram := payload
	if next == unix.IPPROTO_FRAGMENT {
		if len(udp) < fragLen+udpLen {
			return IgnoredMalformed
		}
		if binary.BigEndian.Uint16(udp[2:])&^7 != 0 || payload < fragLen+udpLen {
			return IgnoredNotTunnel
		}
		next, udp = udp[0], udp[fragLen:]
		datagram = int(binary.BigEndian.Uint16(udp[4:])) // of which this is a part
	}
	if next != unix.IPPROTO_UDP || !fromTunnel(udp, datagram) {
		return IgnoredNotTunnel
	}
	return believable
}

// fromTunnel says whether a UDP header is that of a tunnel packet of so many bytes, by its
// source port and length. The destination port is the binding's and may be any. A packet of another kind from the
// same source to the same VTEP takes the same path, so that what is said of it holds as well.
func fromTunnel(udp []byte, length int) bool {
	return binary.BigEndian.Uint16(udp) >= tunnelPort && binary.BigEndian.Uint16(udp[2:]) != 0 &&
		length >= udpLen && int(binary.BigEndian.Uint16(udp[4:])) == length
}

// plateaus are the MTUs that links have (RFC 1191 section 7.1), the largest first.
var plateaus = [...]int{65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68}

// plateau is the largest of them that is less than length: a guess at the MTU of a router that
// names none (RFC 1191 section 5).
func plateau(length int) int {
	for _, p := range plateaus {
		if p < length {
			return p
		}
	}
	return 0
}

func addr4(b []byte) netip.Addr  { return netip.AddrFrom4([4]byte(b)) }
func addr16(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }
