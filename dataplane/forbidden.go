package dataplane

import (
	"encoding/binary"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Protocol and types that errors are told by.
const (
	protoICMP = 1

	icmp6Query    = 128 // ICMPv6 types from here on are no errors (RFC 4443 section 2.1)
	icmp6Redirect = 137 // RFC 4861 section 4.5
)

// icmpQueries are the ICMP types about which errors may be sent, as Linux has them: echo
// and echo reply (0, 8), timestamp, information and address mask, asked and answered (13
// to 18). Every other type is an error, or may be one.
const icmpQueries = 1<<0 | 1<<8 | 1<<13 | 1<<14 | 1<<15 | 1<<16 | 1<<17 | 1<<18

// mayAnswer4 says whether an ICMP error may be sent about a sound IPv4 packet (RFC 1812
// section 4.3.2.7). It may not about an ICMP error, a fragment other than the first, or a
// packet from or to an address that is not that of a single host. Broadcasts of a link
// do not come here: they are dropped in silence before.
//
// A link-local source is a single host, on the link that the answer goes to.
func mayAnswer4(p []byte) bool {
	src, dst := binary.BigEndian.Uint32(p[12:]), binary.BigEndian.Uint32(p[16:])
	if martian4(src) && !linkLocal4(src) || martian4(dst) && !linkLocal4(dst) {
		return false
	}
	if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
		return false
	}
	if p[9] != protoICMP {
		return true
	}
	header := 4 * int(p[0]&0x0f)
	return len(p) > header && p[header] < 32 && icmpQueries>>p[header]&1 != 0
}

// mayAnswer6 says the same of a sound IPv6 packet (RFC 4443 section 2.4 (e)): not about
// an ICMPv6 error (e.1) or redirect (e.2), not to a group (e.3), but that such a packet
// was too big, not from an address that is not that of a single host (e.6). (e.4) and
// (e.5), groups of the link, do not come here.
//
// A link-local source is a single host, on the link that the answer goes to.
func mayAnswer6(p []byte, e answerCode) bool {
	src, dst := addr6(p[8:]), addr6(p[24:])
	if martian6(src) && !linkLocal6(src) {
		return false
	}
	if dst.Hi>>56 == 0xff && e.made != EventTooBig {
		return false
	}
	return answerable6(p[6], p[ipv6Len:])
}

// answerable6 says whether what follows an IPv6 header is neither an ICMPv6 error nor
// may hide one: a later fragment, or a chain of extension headers that ends in the middle
// or is longer than this gateway walks.
//
// RFC 4443 lets later fragments be answered. But whether they belong to an error is not
// to be seen, and the first fragment of a packet is as large as any and has met the same
// fate; so nothing is lost.
func answerable6(next uint8, b []byte) bool {
	next, b = skipExtensions(next, b)
	if next == protoFragment {
		if len(b) < fragmentHeaderLen || binary.BigEndian.Uint16(b[2:])>>3 != 0 {
			return false
		}
		next, b = skipExtensions(b[0], b[fragmentHeaderLen:])
	}
	switch next {
	case protoICMPv6:
		return len(b) > 0 && b[0] >= icmp6Query && b[0] != icmp6Redirect
	case protoHopByHop, protoRouting, protoFragment, protoDestOptions, protoMobility, protoHIP, protoShim6, protoAH:
		return false
	}
	return true
}

// addr6 reads an IPv6 address.
func addr6(b []byte) fib.Addr6 {
	return fib.Addr6{Hi: binary.BigEndian.Uint64(b), Lo: binary.BigEndian.Uint64(b[8:])}
}
