package main

import "encoding/binary"

// header4Cases are IPv4 headers that are wrong, and some that only look like it.
func header4Cases() []story {
	// broken is a frame whose IPv4 header was changed and its checksum made right, so
	// that the change is its only fault.
	broken := func(c *Case, p packet, change func(header []byte)) []byte {
		b := p.bytes()
		size := 4 * int(b[0]&15)
		change(b)
		header := append([]byte{}, b[:size]...)
		header[10], header[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], sum(header))
		return c.ether(typeIPv4, b)
	}
	totalLength := func(n int) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint16(b[2:], uint16(n)) }
	}

	return []story{
		{"ipv4-truncated", "frames that end inside the IPv4 header", "RFC 1812 section 5.2.2 (1)", func(c *Case) {
			c.bind(eip4, tunnel4)
			f := c.frame(udp(to4))
			for _, size := range []int{14, 15, 24, 33} {
				c.drop(f[:size], "short_frame")
			}
		}},
		{"ipv4-truncated-options", "frames that end inside the IPv4 options", "RFC 1812 section 5.2.2 (1)", func(c *Case) {
			c.bind(eip4, tunnel4)
			f := c.frame(udp(to4).options(1, 1, 1, 1, 1, 1, 1, 1))
			c.drop(f[:14+20], "short_frame")
			c.drop(f[:14+27], "short_frame")
		}},
		{"ipv4-version", "an IP version other than 4 under the EtherType of IPv4", "RFC 1812 section 5.2.2 (3)", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, version := range []byte{0, 5, 6, 15} {
				c.drop(broken(c, udp(to4), func(b []byte) { b[0] = version<<4 | 5 }), "bad_ipv4_header")
			}
			c.drop(c.ether(typeIPv4, udp(to6).bytes()), "bad_ipv4_header") // IPv6 in full
		}},
		{"ipv4-header-length", "an IHL of less than five words", "RFC 1812 section 5.2.2 (4)", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, ihl := range []byte{0, 1, 4} {
				c.drop(broken(c, udp(to4), func(b []byte) { b[0] = 4<<4 | ihl }), "bad_ipv4_header")
			}
		}},
		{"ipv4-total-length-short", "a total length that does not hold the header", "RFC 1812 section 5.2.2 (5)", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, n := range []int{0, 1, 19} {
				c.drop(broken(c, udp(to4), totalLength(n)), "bad_ipv4_header")
			}
			c.drop(broken(c, udp(to4).options(1, 1, 1, 1), totalLength(20)), "bad_ipv4_header")
			c.drop(broken(c, udp(to4).options(1, 1, 1, 1), totalLength(23)), "bad_ipv4_header")
		}},
		{"ipv4-total-length-long", "a total length of more than the frame holds", "RFC 1812 section 5.2.2", func(c *Case) {
			c.bind(eip4, tunnel4)
			size := len(udp(to4).bytes())
			for _, n := range []int{size + 1, size + 2, 65535} {
				c.drop(broken(c, udp(to4), totalLength(n)), "bad_ipv4_header")
			}
		}},
		{"ipv4-header-alone", "a packet of nothing but its header", "RFC 791 section 3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, proto := range []uint8{protoUDP, protoTCP, protoExperiment} {
				c.forward(ip(to4, proto, nil), tunnel4)
			}
		}},
		{"ipv4-checksum", "one bit of the header is wrong, at every word", "RFC 1812 section 5.2.2 (2)", func(c *Case) {
			c.bind(eip4, tunnel4)
			for at := 1; at < 20; at += 2 { // the low byte of each word; version and lengths come first
				if at == 3 {
					continue
				}
				f := c.frame(udp(to4))
				f[14+at] ^= 0x10
				c.drop(f, "bad_ipv4_checksum")
			}
			f := c.frame(udp(to4).options(1, 1, 1, 1))
			f[14+23] ^= 0x01
			c.drop(f, "bad_ipv4_checksum")
		}},
		{"ipv4-checksum-zero", "no checksum is no IPv4 checksum", "RFC 1812 section 5.2.2 (2)", func(c *Case) {
			c.bind(eip4, tunnel4)
			f := c.frame(udp(to4))
			f[14+10], f[14+11] = 0, 0
			c.drop(f, "bad_ipv4_checksum")
		}},
		{"ipv4-checksum-carry", "checksums at the edges of one's complement, before and after TTL goes down", "RFC 1624 section 3", func(c *Case) {
			c.bind(eip4, tunnel4)
			// feff becomes 0000, ff00 becomes 0001, 0000 becomes 0100.
			for _, want := range []uint16{0x0000, 0x0001, 0x00ff, 0xfeff, 0xff00, 0xff01, 0xfffe} {
				c.forward(withChecksum(udp(to4), want), tunnel4)
			}
		}},
		{"ipv4-checksum-negative-zero", "a checksum of ffff where 0000 is meant is right", "RFC 1071 section 1 (3)", func(c *Case) {
			c.bind(eip4, tunnel4)
			p := withChecksum(udp(to4), 0)
			f := c.frame(p)
			f[14+10], f[14+11] = 0xff, 0xff
			c.forwardFrame(f, p, tunnel4)
		}},
		{"ipv4-reserved-flag", "the reserved flag is passed on, in fragments too", "RFC 1812 section 4.2.2.3, RFC 1812 section 5.2.5", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, p := range []packet{udp(to4), udp(to4).df(), udp(to4).fragment(0, 16), udp(to4).fragment(16, 40)} {
				p.v4.reserved = true
				c.forward(p, tunnel4)
			}
			p := sized(to4, 1500)
			p.v4.reserved = true
			c.fragmentInner(p, tunnel4)
		}},
		{"ipv4-options", "options stay, and ports are found behind them", "RFC 1812 section 5.3.13", func(c *Case) {
			c.bind(eip4, tunnel4)
			recordRoute := append([]byte{7, 39, 4}, make([]byte, 36)...) // room for nine addresses
			c.forward(udp(to4), tunnel4)
			c.forward(udp(to4).options(1, 1, 1, 0), tunnel4)     // no operation, end of list
			c.forward(udp(to4).options(148, 4, 0, 0), tunnel4)   // router alert (RFC 2113)
			c.forward(tcp(to4).options(recordRoute...), tunnel4) // 60 bytes of header
			c.forward(ping(to4).options(1, 1, 1, 1), tunnel4)
		}},
	}
}

// withChecksum is p with the identification that makes its header checksum as wanted.
func withChecksum(p packet, want uint16) packet {
	for id := range 1 << 16 {
		q := p.id(uint16(id))
		if binary.BigEndian.Uint16(q.bytes()[10:]) == want {
			return q
		}
	}
	panic("no such identification")
}
