package main

import (
	"encoding/binary"
	"encoding/hex"
)

// genevePort is Geneve's UDP destination port (RFC 8926 section 3.3).
const genevePort = 6081

// option is a Geneve option (RFC 8926 section 3.5):
//
//	class 16 | C 1, type 7 | reserved 3 | length 5, in words of the data alone
//	data
type option struct {
	class    uint16
	critical bool
	typ      uint8
	data     []byte
}

func (o option) bytes() []byte {
	b := binary.BigEndian.AppendUint16(nil, o.class)
	typ := o.typ
	if o.critical {
		typ |= 0x80
	}
	b = append(b, typ, uint8(len(o.data)/4))
	return append(b, o.data...)
}

// raw is a chain of options in hexadecimal, as case.yaml takes them.
func raw(options ...option) string {
	var b []byte
	for _, o := range options {
		b = append(b, o.bytes()...)
	}
	return hex.EncodeToString(b)
}

// option is OVN's: the keys of the logical ports that a packet comes from and goes
// to (ovn-architecture(7), Tunnel Encapsulations).
//
//	reserved 1 | ingress port 15 | egress port 16
func (o OVN) option() option {
	data := binary.BigEndian.AppendUint16(nil, o.Inport)
	return option{class: 0x0102, critical: true, typ: 0, data: binary.BigEndian.AppendUint16(data, o.Outport)}
}

// geneve is a Geneve header (RFC 8926 section 3.4):
//
//	version 2 | options in words 6 | O 1 | C 1 | reserved 6 | protocol 16
//	VNI 24 | reserved 8
//	options
type geneve struct {
	vni     uint32
	options []byte
}

func (h geneve) over(payload []byte) []byte {
	b := make([]byte, 8)
	b[0] = uint8(len(h.options) / 4)
	if h.critical() {
		b[1] = 1 << 6
	}
	binary.BigEndian.PutUint16(b[2:], typeTEB)
	binary.BigEndian.PutUint32(b[4:], h.vni<<8)
	b = append(b, h.options...)
	return append(b, payload...)
}

// critical says whether any option is.
func (h geneve) critical() bool {
	for o := h.options; len(o) >= 4; o = o[4+4*int(o[3]&31):] {
		if o[2]&0x80 != 0 {
			return true
		}
	}
	return false
}

// encapsulate is the frame that carries p through t by way w: outer Ethernet, VLAN
// tags, IP, UDP, Geneve or VXLAN, inner Ethernet, p.
func (c *Case) encapsulate(p packet, t Tunnel, w Way) []byte {
	hash := p.flow.hash()

	// Inner Ethernet (RFC 8926 section 3.4: protocol type 0x6558).
	b := ethernet{t.innerDst(), t.innerSrc(), p.etherType()}.over(p.bytes())
	if t.isVXLAN() {
		b = vxlan{t.VNI}.over(b)
	} else {
		b = geneve{t.VNI, t.options()}.over(b)
	}

	// The UDP source port holds 14 bits of the flow hash above 0xc000 (RFC 8926
	// section 3.3; RFC 7348 section 5 recommends the same range). There is no checksum
	// over IPv4, and over IPv6 one unless the case says zero (RFC 6935).
	e := ends{w.Local, t.VTEP}
	outer := udpHeader{
		src: 0xc000 | uint16(hash&0x3fff), dst: t.port(),
		noSum: e.dst.Is4() || c.Options.zeroSum6(),
	}
	b = outer.over(e, b)

	// The outer header takes TOS or traffic class in whole, if the rules do not say
	// otherwise: ECN by RFC 6040 section 4.1, normal mode; DSCP by RFC 2983, uniform
	// model. IPv4: DF set (RFC 8926 section 4.4.1; RFC 7348 section 4.3), identification 0
	// (RFC 6864 section 4.1). IPv6: the other end
	// of the flow hash is the flow label (RFC 6438).
	etherType, tos := uint16(typeIPv4), c.outerTOS(p.trafficClass())
	if e.dst.Is4() {
		b = ipv4{tos: tos, df: true, ttl: c.Options.ttl(), proto: protoUDP, src: e.src, dst: e.dst}.over(b)
	} else {
		b = ipv6{class: tos, label: hash >> 12, hops: c.Options.ttl(), next: protoUDP, src: e.src, dst: e.dst}.over(b)
		etherType = typeIPv6
	}
	b = ethernet{w.dst, w.src, etherType}.over(b)
	tags := w.VLAN.tags()
	for i, t := range tags {
		if i == len(tags)-1 { // the outermost, which is what switches look at
			t.pcp = c.pcp(tos)
		}
		b = t.in(b)
	}
	return b
}
