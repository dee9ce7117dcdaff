package main

import "encoding/binary"

// identification is that of the first tunnel packet of a case that is cut; the next ones
// count on.
const identification = 0x1d01

// cut has p arrive, an IPv4 packet that is too large for its way, and its payload leave
// in pieces, each in a tunnel packet of its own (RFC 791 section 3.2). Pieces end at the
// given places, multiples of 8. All are of the flow that p is of. Behind the first they
// have the options later.
func (c *Case) cut(p packet, t Tunnel, later []byte, ends ...int) {
	_, w, _ := c.choose(p.flow.hash(), []Tunnel{t})
	c.arrive(c.frame(p))
	start := 0
	for _, end := range append(ends, len(p.payload)) {
		f := p.hop()
		f.payload = p.payload[start:end]
		f.v4.offset += start
		f.v4.mf = p.v4.mf || end < len(p.payload)
		if start > 0 {
			f = f.options(later...)
			c.events["fragment"]++
		}
		c.leave(c.encapsulate(f, t, w), w)
		start = end
	}
	c.events["fragmented_inner"]++
}

// cutOuter has p arrive, and leave in one tunnel packet whose payload is cut at the given
// places (RFC 791 section 3.2, RFC 8200 section 4.5). Over IPv4 it has a UDP checksum, as
// packets that are cut should have one (RFC 6864 section 4), and no DF.
func (c *Case) cutOuter(p packet, t Tunnel, at ...int) {
	_, w, _ := c.choose(p.flow.hash(), []Tunnel{t})
	c.arrive(c.frame(p))
	whole := c.encapsulate(p.hop(), t, w)
	e := ends{w.Local, t.VTEP}
	h, from := whole[:14], 14+40
	if e.dst.Is4() {
		from = 14 + 20
	}
	udp := whole[from:]
	if e.dst.Is4() {
		udp = udpHeader{src: binary.BigEndian.Uint16(udp), dst: t.port()}.over(e, udp[8:])
	}
	id := identification + c.events["fragmented_outer"]
	start := 0
	for _, end := range append(at, len(udp)) {
		more := end < len(udp)
		piece := udp[start:end]
		if e.dst.Is4() {
			piece = ipv4{tos: p.trafficClass(), id: uint16(id), mf: more, offset: start, ttl: c.Options.ttl(), proto: protoUDP,
				src: e.src, dst: e.dst}.over(piece)
		} else {
			x := fragmentHeader(start, more)
			binary.BigEndian.PutUint32(x.body[2:], uint32(id))
			piece = ipv6{class: p.trafficClass(), label: p.flow.hash() >> 12, hops: c.Options.ttl(), next: protoUDP,
				src: e.src, dst: e.dst, ext: []extension{x}}.over(piece)
		}
		c.leave(append(append([]byte{}, h...), piece...), w)
		if start > 0 {
			c.events["fragment"]++
		}
		start = end
	}
	c.events["fragmented_outer"]++
}
