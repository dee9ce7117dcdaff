package dataplane

import (
	"encoding/binary"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// An ICMP error (RFC 792), and an ICMPv6 error (RFC 4443 section 3), behind their IP
// header. The packet that the error is about follows, as it was received:
//
//	+---------------+---------------+-------------------------------+
//	|     Type      |     Code      |           Checksum            |
//	+---------------+---------------+-------------------------------+
//	|  0; ICMP 3/4: MTU in the lower half; ICMPv6 2: MTU            |
//	+---------------------------------------------------------------+
//
// The length field of RFC 4884, in byte 5 or 4, is 0: no extensions follow the quote.
const icmpLen = 8

// What goes in front of the quoted packet.
const (
	head4 = ipv4Len + icmpLen
	head6 = ipv6Len + icmpLen
)

// Sizes of the IP packet that an answer is. It quotes as much as fits the largest (RFC
// 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)), and never less than a header and the 8
// bytes behind it by which the sender knows its packet (RFC 792), when there are any.
const (
	maxAnswer4 = 576
	maxAnswer6 = minMTU6
	minAnswer4 = head4 + ipv4Len + 8
	minAnswer6 = head6 + ipv6Len + 8
)

// The smallest MTUs that answers tell: no sender goes below them, nor is it told to.
const (
	minMTU4 = 68   // RFC 791 section 3.2, RFC 1191 section 4
	minMTU6 = 1280 // RFC 8200 section 5, RFC 8201 section 4
)

const (
	// answerTOS is class selector 6, internetwork control, and not ECN capable. RFC 1812
	// section 4.3.2.5 has precedence 6 or 7 in ICMP errors; RFC 2474 section 4.2.2.2 kept
	// both for routing traffic.
	answerTOS = 0xc0

	// answerTTL is the TTL and hop limit of whatever begins here, not that of the packet
	// (RFC 1812 sections 4.2.2.9 and 4.3.2.2, RFC 1700; RFC 4861 section 6.3.2).
	answerTTL = 64

	// dontFragment is set, and the identification 0, which makes answers atomic (RFC 6864
	// section 4.1): identifications that repeat would have the receiver put fragments of
	// different answers together, and counting them would be state. 576 bytes pass every
	// link that there is.
	dontFragment = 0x4000
)

// fromGroup says whether the frame claims to come from a group address. None can send
// (IEEE 802 section 8.2.2), and nothing is sent to one.
func (f *Frame) fromGroup() bool { return f.buf[f.off+6]&1 != 0 }

// error4 turns the frame, which holds an IPv4 packet, into an ICMP error about it from
// local to its source: a packet of at most size bytes. There is headroom for head4 bytes.
func (f *Frame) error4(e answerCode, local uint32, size int) {
	p := f.turn(head4, size)
	h, msg := (*[ipv4Len]byte)(p), p[ipv4Len:]
	binary.BigEndian.PutUint32(h[0:], 0x45<<24|answerTOS<<16|uint32(len(p)))
	binary.BigEndian.PutUint32(h[4:], dontFragment)
	binary.BigEndian.PutUint32(h[8:], answerTTL<<24|protoICMP<<16)
	binary.BigEndian.PutUint32(h[12:], local)
	copy(h[16:], msg[icmpLen+12:icmpLen+16])
	binary.BigEndian.PutUint16(h[10:], encap.Checksum(h[:], 0))

	mtu := uint32(0)
	if e.made == EventTooBig {
		mtu = uint32(max(f.mtu, minMTU4))
	}
	putICMP(msg, e.type4, e.code4, mtu, 0)
}

// error6 is error4 for IPv6.
func (f *Frame) error6(e answerCode, local fib.Addr6, size int) {
	p := f.turn(head6, size)
	h, msg := (*[ipv6Len]byte)(p), p[ipv6Len:]
	binary.BigEndian.PutUint32(h[0:], 6<<28|answerTOS<<20)
	binary.BigEndian.PutUint32(h[4:], uint32(len(msg))<<16|protoICMPv6<<8|answerTTL)
	binary.BigEndian.PutUint64(h[8:], local.Hi)
	binary.BigEndian.PutUint64(h[16:], local.Lo)
	copy(h[24:], msg[icmpLen+8:icmpLen+24])

	mtu := uint32(0)
	if e.made == EventTooBig {
		mtu = uint32(max(f.mtu, minMTU6))
	}
	pseudo := encap.Sum(h[8:], uint32(len(msg))+protoICMPv6) // RFC 8200 section 8.1
	putICMP(msg, e.type6, e.code6, mtu, pseudo)
}

// putICMP writes the header of an ICMP message whose data is there already. sum is what
// the checksum covers besides.
func putICMP(msg []byte, kind, code uint8, rest, sum uint32) {
	binary.BigEndian.PutUint32(msg[0:], uint32(kind)<<24|uint32(code)<<16)
	binary.BigEndian.PutUint32(msg[4:], rest)
	binary.BigEndian.PutUint16(msg[2:], encap.Checksum(msg, sum))
}

// turn sends the frame back: to the station that it came from, from the one that it was
// sent to, with its VLAN tags as they were. Between link header and IP packet come head
// bytes to be written. The IP packet stays where it is, but for its tail, which is cut
// so that with head it is at most size bytes; turn returns both.
//
//	          |<- link ->|<--------- packet --------->|
//	|<- link ->|<- head ->|<------ quote ------>|  cut
func (f *Frame) turn(head, size int) []byte {
	l3 := uint32(f.l3)
	link := f.buf[f.off : f.off+l3]
	stations := [12]byte(link)
	f.off -= uint32(head)
	f.end = min(f.end, f.off+l3+uint32(size))
	b := f.buf[f.off:f.end]
	copy(b, link)
	copy(b[0:6], stations[6:])
	copy(b[6:12], stations[:6])
	return b[l3:]
}
