package main

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// ends is what transport headers take from the IP header: the pseudo header of their
// checksums holds it.
type ends struct{ src, dst netip.Addr }

// pseudo is the pseudo header of a transport checksum (RFC 768, RFC 9293 section 3.1;
// RFC 8200 section 8.1):
//
//	IPv4: source 32 | destination 32 | 0 8 | protocol 8 | length 16
//	IPv6: source 128 | destination 128 | length 32 | 0 24 | next header 8
func (e ends) pseudo(proto uint8, length int) []byte {
	b := append(e.src.AsSlice(), e.dst.AsSlice()...)
	if e.src.Is4() {
		b = append(b, 0, proto)
		return binary.BigEndian.AppendUint16(b, uint16(length))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, proto)
}

// udpHeader is a UDP header (RFC 768):
//
//	source port 16 | destination port 16
//	length 16 | checksum 16
type udpHeader struct {
	src, dst uint16
	noSum    bool // checksum 0: none
}

func (h udpHeader) over(e ends, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, h.src)
	binary.BigEndian.PutUint16(b[2:], h.dst)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	if !h.noSum {
		s := sum(e.pseudo(protoUDP, 8+len(payload)), b, payload)
		if s == 0 {
			s = 0xffff // zero would say that there is none
		}
		binary.BigEndian.PutUint16(b[6:], s)
	}
	return append(b, payload...)
}

// udpLiteHeader is UDP's with, in place of the length, how much of the packet the
// checksum covers, 0 being all of it (RFC 3828 section 3.1).
func udpLiteHeader(e ends, src, dst uint16, payload []byte) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	binary.BigEndian.PutUint16(b[6:], sum(e.pseudo(protoUDPLite, 8+len(payload)), b, payload))
	return append(b, payload...)
}

// TCP flags (RFC 9293 section 3.1).
const (
	tcpSYN = 0x02
	tcpPSH = 0x08
	tcpACK = 0x10
)

// tcpHeader is a TCP header (RFC 9293 section 3.1):
//
//	source port 16 | destination port 16
//	sequence number 32
//	acknowledgment number 32
//	data offset 4 | reserved 4 | flags 8 | window 16
//	checksum 16 | urgent pointer 16
//	options, to a multiple of 32
type tcpHeader struct {
	src, dst uint16
	flags    uint8
	options  []byte // padded with end-of-list
}

func (h tcpHeader) over(e ends, payload []byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, h.src)
	binary.BigEndian.PutUint16(b[2:], h.dst)
	binary.BigEndian.PutUint32(b[4:], 1000)
	binary.BigEndian.PutUint32(b[8:], 2000)
	b = append(b, h.options...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b[12], b[13] = uint8(len(b)/4)<<4, h.flags
	binary.BigEndian.PutUint16(b[14:], 65535)
	binary.BigEndian.PutUint16(b[16:], sum(e.pseudo(protoTCP, len(b)+len(payload)), b, payload))
	return append(b, payload...)
}

// mss is the TCP option that says how large a segment may be (RFC 9293 section 3.7.1):
//
//	kind 8 | length 8 | value 16
func mss(n uint16) []byte { return binary.BigEndian.AppendUint16([]byte{2, 4}, n) }

// sctpData is an SCTP packet with one DATA chunk (RFC 9260 sections 3.1 and 3.3.1);
// payload is a multiple of 4 bytes. The checksum is CRC32c, least significant byte
// first (RFC 9260 appendix A).
//
//	source port 16 | destination port 16
//	verification tag 32
//	checksum 32
//	type 8 | flags 8 | length 16
//	TSN 32
//	stream 16 | stream sequence number 16
//	payload protocol 32
func sctpData(src, dst uint16, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	binary.BigEndian.PutUint32(b[4:], 0x5c7b5c7b)
	b[13] = 0x03 // begins and ends a message
	binary.BigEndian.PutUint16(b[14:], uint16(16+len(payload)))
	binary.BigEndian.PutUint32(b[16:], 1)
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// echo is an ICMP or ICMPv6 echo request (RFC 792, RFC 4443 section 4.1):
//
//	type 8 | code 8 | checksum 16
//	identifier 16 | sequence number 16
func echo(e ends, payload []byte) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b[4:], 0x1234)
	binary.BigEndian.PutUint16(b[6:], 1)
	if e.src.Is4() {
		b[0] = 8
		binary.BigEndian.PutUint16(b[2:], sum(b, payload))
	} else {
		b[0] = 128
		binary.BigEndian.PutUint16(b[2:], sum(e.pseudo(protoICMPv6, 8+len(payload)), b, payload))
	}
	return append(b, payload...)
}
