package main

import (
	"encoding/binary"
	"slices"
)

// packet is an IP packet as its layers, so that it can be written out again with
// another TTL and every checksum right. Methods return a changed copy.
type packet struct {
	v4      ipv4
	v6      ipv6
	is6     bool
	payload []byte
	flow    flow
}

// ports are those of a transport header.
type ports struct{ src, dst uint16 }

// https is where packets go that do not care.
var https = ports{40000, 443}

// ip is an IP packet of the family of e whose flow is told by its protocol alone.
func ip(e ends, proto uint8, payload []byte) packet {
	p := packet{payload: payload, flow: flow{e.src, e.dst, proto, 0}}
	if e.dst.Is4() {
		p.v4 = ipv4{id: 0x1d01, ttl: 64, proto: proto, src: e.src, dst: e.dst}
	} else {
		p.is6, p.v6 = true, ipv6{hops: 64, next: proto, src: e.src, dst: e.dst}
	}
	return p
}

// withPorts is a packet whose flow is told by its ports too.
func withPorts(e ends, proto uint8, o ports, payload []byte) packet {
	p := ip(e, proto, payload)
	p.flow.ports = uint32(o.src)<<16 | uint32(o.dst)
	return p
}

func udp(e ends) packet { return udpWith(e, https, pattern(32)) }

func udpWith(e ends, o ports, payload []byte) packet {
	return withPorts(e, protoUDP, o, udpHeader{src: o.src, dst: o.dst}.over(e, payload))
}

func tcp(e ends) packet {
	return tcpWith(e, tcpPSH|tcpACK, nil, pattern(32))
}

func tcpWith(e ends, flags uint8, options, payload []byte) packet {
	h := tcpHeader{src: https.src, dst: https.dst, flags: flags, options: options}
	return withPorts(e, protoTCP, https, h.over(e, payload))
}

func sctp(e ends) packet {
	return withPorts(e, protoSCTP, https, sctpData(https.src, https.dst, pattern(32)))
}

func udpLite(e ends) packet {
	return withPorts(e, protoUDPLite, https, udpLiteHeader(e, https.src, https.dst, pattern(32)))
}

func ping(e ends) packet {
	if e.dst.Is4() {
		return ip(e, protoICMP, echo(e, pattern(32)))
	}
	return ip(e, protoICMPv6, echo(e, pattern(32)))
}

// sized is a UDP packet of n bytes, the IP header included.
func sized(e ends, n int) packet {
	header := 20
	if e.dst.Is6() {
		header = 40
	}
	return udpWith(e, https, pattern(n-header-8))
}

// pattern is a payload that shows in a hex dump where it was cut or moved.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = uint8(i)
	}
	return b
}

func (p packet) bytes() []byte {
	if p.is6 {
		return p.v6.over(p.payload)
	}
	return p.v4.over(p.payload)
}

func (p packet) etherType() uint16 {
	if p.is6 {
		return typeIPv6
	}
	return typeIPv4
}

// ttl sets TTL or hop limit.
func (p packet) ttl(n uint8) packet {
	p.v4.ttl, p.v6.hops = n, n
	return p
}

// hop is the packet after one router.
func (p packet) hop() packet {
	p.v4.ttl--
	p.v6.hops--
	return p
}

// tos sets TOS or traffic class.
func (p packet) tos(b uint8) packet {
	p.v4.tos, p.v6.class = b, b
	return p
}

func (p packet) trafficClass() uint8 {
	if p.is6 {
		return p.v6.class
	}
	return p.v4.tos
}

func (p packet) label(l uint32) packet {
	p.v6.label = l
	return p
}

func (p packet) id(n uint16) packet {
	p.v4.id = n
	return p
}

func (p packet) df() packet {
	p.v4.df = true
	return p
}

// options sets IPv4 options, padded with end-of-list to a multiple of 4 bytes.
func (p packet) options(b ...byte) packet {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	p.v4.options = b
	return p
}

// ext adds IPv6 extension headers in front of the payload.
func (p packet) ext(headers ...extension) packet {
	p.v6.ext = append(slices.Clone(p.v6.ext), headers...)
	return p
}

// hashedBy says what the flow hash takes where that is not the transport header.
func (p packet) hashedBy(proto uint8) packet {
	p.flow.proto, p.flow.ports = proto, 0
	return p
}

// fragments cuts the packet's payload at the given offsets, multiples of 8. All
// fragments are of one flow, told by addresses and protocol.
func (p packet) fragments(cuts ...int) []packet {
	var all []packet
	start := 0
	for _, end := range append(cuts, len(p.payload)) {
		all = append(all, p.fragment(start, end))
		start = end
	}
	return all
}

// fragment is the part of the packet from payload byte start on, up to end.
func (p packet) fragment(start, end int) packet {
	more := end < len(p.payload)
	f := p
	f.payload = p.payload[start:end]
	if !p.is6 {
		f.v4.offset, f.v4.mf = start, more
		f.flow.ports = 0
		return f
	}
	return f.ext(fragmentHeader(start, more)).hashedBy(protoFragment)
}

// fragmentHeader is IPv6's (RFC 8200 section 4.5):
//
//	next header 8 | reserved 8 | offset 13 | reserved 2 | M 1 | identification 32
func fragmentHeader(offset int, more bool) extension {
	body := make([]byte, 6)
	word := uint16(offset/8) << 3
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(body, word)
	binary.BigEndian.PutUint32(body[2:], 0x1d011d01)
	return extension{protoFragment, body}
}
