package main

import (
	"encoding/binary"
	"net/netip"
)

// EtherTypes.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeCTag = 0x8100 // 802.1Q: customer tag
	typeIPv6 = 0x86dd
	typeMPLS = 0x8847
	typeSTag = 0x88a8 // 802.1ad: service tag
	typeLLDP = 0x88cc
	typeTEB  = 0x6558 // transparent Ethernet bridging: an Ethernet frame follows
)

// Protocol numbers of IPv4, next header values of IPv6.
const (
	protoHopByHop    = 0
	protoICMP        = 1
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoGRE         = 47
	protoESP         = 50
	protoAH          = 51
	protoICMPv6      = 58
	protoNone        = 59
	protoDestOptions = 60
	protoSCTP        = 132
	protoMobility    = 135
	protoUDPLite     = 136
	protoHIP         = 139
	protoShim6       = 140
	protoExperiment  = 253 // RFC 3692
)

// sum is the Internet checksum (RFC 1071) of parts laid end to end; all but the last
// are of even length.
func sum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			s += uint32(binary.BigEndian.Uint16(b))
			s = s&0xffff + s>>16
		}
		if len(b) == 1 {
			s += uint32(b[0]) << 8
			s = s&0xffff + s>>16
		}
	}
	return ^uint16(s)
}

type mac [6]byte

// ethernet is the 14 bytes of an Ethernet header:
//
//	destination 6 | source 6 | EtherType 2
type ethernet struct {
	dst, src mac
	typ      uint16
}

func (e ethernet) over(payload []byte) []byte {
	b := append(e.dst[:], e.src[:]...)
	b = binary.BigEndian.AppendUint16(b, e.typ)
	return append(b, payload...)
}

// tag is a VLAN tag (802.1Q section 9.3), which stands between the Ethernet addresses
// and the EtherType:
//
//	TPID 16 | PCP 3 | DEI 1 | VID 12
type tag struct {
	tpid uint16
	pcp  uint8
	dei  bool
	vid  uint16
}

// in puts the tag into a frame, in front of the tags that are there.
func (t tag) in(frame []byte) []byte {
	tci := uint16(t.pcp)<<13 | t.vid
	if t.dei {
		tci |= 1 << 12
	}
	b := append([]byte{}, frame[:12]...)
	b = binary.BigEndian.AppendUint16(b, t.tpid)
	b = binary.BigEndian.AppendUint16(b, tci)
	return append(b, frame[12:]...)
}

// ipv4 is an IPv4 header (RFC 791 section 3.1):
//
//	version 4 | IHL 4 | TOS 8 | total length 16
//	identification 16 | 0 | DF | MF | fragment offset 13
//	TTL 8 | protocol 8 | header checksum 16
//	source 32
//	destination 32
//	options, to a multiple of 32
type ipv4 struct {
	tos      uint8
	id       uint16
	reserved bool // the flag in front of DF, to be 0
	df, mf   bool
	offset   int // of the fragment, in bytes
	ttl      uint8
	proto    uint8
	src, dst netip.Addr
	options  []byte
}

func (h ipv4) over(payload []byte) []byte {
	header := 20 + len(h.options)
	b := make([]byte, header, header+len(payload))
	b[0] = 4<<4 | uint8(header/4)
	b[1] = h.tos
	binary.BigEndian.PutUint16(b[2:], uint16(header+len(payload)))
	binary.BigEndian.PutUint16(b[4:], h.id)
	fragment := uint16(h.offset / 8)
	if h.reserved {
		fragment |= 1 << 15
	}
	if h.df {
		fragment |= 1 << 14
	}
	if h.mf {
		fragment |= 1 << 13
	}
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = h.ttl, h.proto
	copy(b[12:], h.src.AsSlice())
	copy(b[16:], h.dst.AsSlice())
	copy(b[20:], h.options)
	setSum4(b)
	return append(b, payload...)
}

// setSum4 computes the checksum of the IPv4 header that packet begins with.
func setSum4(packet []byte) {
	header := packet[:4*int(packet[0]&15)]
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], sum(header))
}

// ipv6 is an IPv6 header (RFC 8200 section 3) and the extension headers behind it:
//
//	version 4 | traffic class 8 | flow label 20
//	payload length 16 | next header 8 | hop limit 8
//	source 128
//	destination 128
type ipv6 struct {
	class    uint8
	label    uint32
	next     uint8 // what follows the extension headers
	hops     uint8
	src, dst netip.Addr
	ext      []extension
}

func (h ipv6) over(payload []byte) []byte {
	next := h.next
	var chain []byte
	for i := len(h.ext) - 1; i >= 0; i-- {
		chain = append(h.ext[i].before(next), chain...)
		next = h.ext[i].kind
	}
	b := make([]byte, 40, 40+len(chain)+len(payload))
	binary.BigEndian.PutUint32(b, 6<<28|uint32(h.class)<<20|h.label)
	binary.BigEndian.PutUint16(b[4:], uint16(len(chain)+len(payload)))
	b[6], b[7] = next, h.hops
	copy(b[8:], h.src.AsSlice())
	copy(b[24:], h.dst.AsSlice())
	return append(append(b, chain...), payload...)
}

// extension is an IPv6 extension header (RFC 8200 section 4). All but the fragment
// header have a length; most count it in units of 8 bytes without the first 8, the
// authentication header in units of 4 (RFC 4302 section 2.2).
//
//	next header 8 | length 8 | body
type extension struct {
	kind uint8
	body []byte // what follows the length, so that the whole is a multiple of 8 bytes
}

func (e extension) before(next uint8) []byte {
	size := 2 + len(e.body)
	length := size/8 - 1
	switch e.kind {
	case protoAH:
		length = size/4 - 2
	case protoFragment:
		length = 0 // reserved
	}
	return append([]byte{next, uint8(length)}, e.body...)
}

// padN is an options header (hop-by-hop or destination) of size bytes that holds
// nothing but padding (RFC 8200 section 4.2).
func padN(kind uint8, size int) extension {
	body := make([]byte, size-2)
	body[0], body[1] = 1, uint8(size-4)
	return extension{kind, body}
}
