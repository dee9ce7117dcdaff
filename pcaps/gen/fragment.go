package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// cut is an IPv4 packet in fragments for a link of that MTU, by the procedure of RFC 791
// section 3.2: as many units of 8 bytes as fit behind the header go first, and what is
// left is cut again, now behind a header that has lost the options that stay with the
// first fragment. A fragment that is not its datagram's last is cut into as few pieces,
// but even ones: none of them is the datagram's last, and none is smaller than need be.
func (p packet) cut(mtu int) []packet {
	header := 20 + len(p.v4.options)
	if header+len(p.payload) <= mtu {
		return []packet{p}
	}
	size := (mtu - header) / 8 * 8
	if p.v4.mf {
		pieces := 1
		for have := mtu - header; have < len(p.payload); have += size {
			pieces++
		}
		units := 1
		for units*8*pieces < len(p.payload) {
			units++
		}
		size = units * 8
	}
	first, rest := p, p
	first.payload, first.v4.mf = p.payload[:size], true
	rest.payload, rest.v4.offset = p.payload[size:], p.v4.offset+size
	rest.v4.options = copied(p.v4.options)
	return append([]packet{first}, rest.cut(mtu)...)
}

// copied are the options that go into all fragments: those whose type has the highest
// bit set (RFC 791 section 3.1), padded with end-of-list to a multiple of 4 bytes.
func copied(options []byte) []byte {
	var all []byte
	for len(options) > 0 && options[0] != 0 {
		n := 1
		if options[0] != 1 { // all but no operation have a length
			n = int(options[1])
		}
		if options[0]&0x80 != 0 {
			all = append(all, options[:n]...)
		}
		options = options[n:]
	}
	for len(all)%4 != 0 {
		all = append(all, 0)
	}
	return all
}

// room is the largest inner packet that way w takes through t without being fragmented.
func (c *Case) room(t Tunnel, w Way) int {
	_, out := c.port(w.Port)
	return min(w.MTU, out.mtu()) - t.overhead()
}

// overhead is what a tunnel adds to an IP packet: IP, UDP, Geneve and options, Ethernet.
func (t Tunnel) overhead() int {
	header := 20
	if t.VTEP.Is6() {
		header = 40
	}
	return header + 8 + 8 + len(t.options()) + 14
}

// fragmentInner has p arrive, which is too big for the tunnel and leaves in fragments,
// each behind a tunnel header of its own. All are of the flow that p is of.
func (c *Case) fragmentInner(p packet, tunnels ...Tunnel) {
	c.fragmentFrame(c.frame(p), p, tunnels...)
}

// fragmentFrame is fragmentInner for a frame that holds p in another manner.
func (c *Case) fragmentFrame(frame []byte, p packet, tunnels ...Tunnel) {
	c.arrive(frame)
	t, w, _ := c.choose(p.flow.hash(), tunnels)
	pieces := p.hop().cut(c.room(t, w))
	if len(pieces) < 2 {
		panic(fmt.Sprintf("case %s: %d bytes need no fragments", c.Name, len(p.bytes())))
	}
	for _, piece := range pieces {
		c.out[w.Port] = append(c.out[w.Port], c.encapsulate(piece, t, w))
	}
	c.event("fragmented_inner")
	c.events["fragment"] += len(pieces) - 1
}

// firstIdentification is that of the first tunnel packet that is cut in a replay.
const firstIdentification = 0x1d01

// fragmentOuter has p arrive, which leaves in a tunnel packet that is too big for its way
// and so goes in fragments. Their identification counts the packets that are cut.
func (c *Case) fragmentOuter(p packet, tunnels ...Tunnel) {
	c.arrive(c.frame(p))
	t, w, _ := c.choose(p.flow.hash(), tunnels)
	_, out := c.port(w.Port)
	id := uint32(firstIdentification + c.events["fragmented_outer"])
	pieces := cutFrame(c.encapsulate(p.hop(), t, w), min(w.MTU, out.mtu()), id)
	if len(pieces) < 2 {
		panic(fmt.Sprintf("case %s: %d bytes need no fragments", c.Name, len(p.bytes())))
	}
	c.out[w.Port] = append(c.out[w.Port], pieces...)
	c.event("fragmented_outer")
	c.events["fragment"] += len(pieces) - 1
}

// cutFrame is the frame in frames whose IP packets have up to mtu bytes: RFC 791 section
// 3.2 with DF taken off, or RFC 8200 section 4.5. Its header has no options. Over IPv4 the
// UDP packet gets the checksum that it goes without when it is whole: fragments of two
// packets with the same identification may meet (RFC 6864 section 4).
func cutFrame(frame []byte, mtu int, id uint32) (all [][]byte) {
	packet := afterTags(frame)
	link := frame[:len(frame)-len(packet)]
	is6 := packet[0]>>4 == 6
	if !is6 {
		packet = withUDPSum(packet)
	}
	header := 20
	if is6 {
		header = 40
	}
	body := packet[header:]
	room := mtu - header
	if is6 {
		room -= 8
	}
	for at := 0; at < len(body); {
		n, more := len(body)-at, false
		if n > room {
			n, more = room/8*8, true
		}
		head := append([]byte{}, packet[:header]...)
		if is6 {
			binary.BigEndian.PutUint16(head[4:], uint16(8+n))
			f := fragmentHeader(at, more)
			binary.BigEndian.PutUint32(f.body[2:], id)
			head = append(head, f.before(head[6])...)
			head[6] = protoFragment
		} else {
			binary.BigEndian.PutUint16(head[2:], uint16(header+n))
			binary.BigEndian.PutUint16(head[4:], uint16(id))
			word := uint16(at / 8)
			if more {
				word |= 1 << 13
			}
			binary.BigEndian.PutUint16(head[6:], word)
			setSum4(head)
		}
		piece := append(append([]byte{}, link...), head...)
		all = append(all, append(piece, body[at:at+n]...))
		at += n
	}
	return all
}

// withUDPSum is an IPv4 packet of UDP with a checksum.
func withUDPSum(packet []byte) []byte {
	b := append([]byte{}, packet...)
	udp := b[20:]
	udp[6], udp[7] = 0, 0
	e := ends{netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))}
	s := sum(e.pseudo(protoUDP, len(udp)), udp)
	if s == 0 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], s)
	return b
}
