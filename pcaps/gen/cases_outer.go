package main

import "encoding/binary"

// tosValues are every ECN codepoint under some DSCPs: none, EF, CS6, AF11, all bits.
var tosValues = []uint8{0x00, 0x01, 0x02, 0x03, 0xb8, 0xc1, 0x2a, 0xff}

// outerCases are the outer IP and UDP headers.
func outerCases() []story {
	return []story{
		{"tos-ipv4-over-ipv4", "DSCP and ECN come from the inner TOS", "RFC 6040 section 4.1, RFC 2983 section 3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, v := range tosValues {
				c.forward(udp(to4).tos(v), tunnel4)
			}
		}},
		{"tos-ipv6-over-ipv4", "the inner traffic class becomes the outer TOS", "RFC 6040 section 4.1", func(c *Case) {
			c.bind(eip6, tunnel4)
			for _, v := range tosValues {
				c.forward(udp(to6).tos(v).label(0xfffff), tunnel4)
			}
		}},
		{"tos-ipv4-over-ipv6", "the inner TOS becomes the outer traffic class", "RFC 6040 section 4.1", func(c *Case) {
			c.bind(eip4, tunnel6)
			for _, v := range tosValues {
				c.forward(udp(to4).tos(v), tunnel6)
			}
		}},
		{"tos-ipv6-over-ipv6", "traffic class to traffic class; the inner flow label stays inside", "RFC 6040 section 4.1, RFC 6438", func(c *Case) {
			c.bind(eip6, tunnel6)
			for _, v := range tosValues {
				c.forward(udp(to6).tos(v).label(0x12345), tunnel6)
			}
		}},
		{"outer-df", "DF is set outside, whatever it is inside, and identification is 0", "RFC 8926 section 4.4.1, RFC 6864 section 4.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.forward(udp(to4).id(0xbeef), tunnel4)
			c.forward(udp(to4).id(0xbeef).df(), tunnel4)
		}},
		{"outer-ttl", "outer TTL and hop limit by configuration, the inner one going down by one", "RFC 1812 section 5.3.1", func(c *Case) {
			c.Options = &Options{TTL: 7}
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			c.forward(udp(to4), tunnel4)
			c.forward(udp(to6), tunnel6)
		}},
		{"udp6-checksum", "the UDP checksum over IPv6 covers the whole packet, of even and odd length", "RFC 8200 section 8.1", func(c *Case) {
			c.bind(eip4, tunnel6)
			c.bind(eip6, tunnel6)
			for _, size := range []int{0, 1, 2, 3, 31, 32, 33, 1000, 1001} {
				c.forward(udpWith(to4, https, pattern(size)), tunnel6)
				c.forward(udpWith(to6, https, pattern(size)), tunnel6)
			}
		}},
		{"udp6-checksum-all-ones", "a UDP checksum that comes out as zero is sent as ffff", "RFC 8200 section 8.1", func(c *Case) {
			// An experimental protocol has no checksum of its own that would even out
			// what the payload adds to the outer one: with a payload of what the
			// outer checksum is over zeros, it comes out as zero.
			c.bind(eip4, tunnel6)
			over := func(payload uint16) packet {
				return ip(to4, protoExperiment, binary.BigEndian.AppendUint16(nil, payload))
			}
			w := c.ways(tunnel6.VTEP)[0]
			const udpChecksum = 14 + 40 + 6
			zeros := c.encapsulate(over(0).hop(), tunnel6, w)
			c.forward(over(binary.BigEndian.Uint16(zeros[udpChecksum:])), tunnel6)
			c.forward(over(0), tunnel6)
		}},
		{"udp6-checksum-zero", "no UDP checksum over IPv6, by configuration", "RFC 6935 section 5, RFC 6936 section 4", func(c *Case) {
			c.Options = &Options{UDP6Checksum: "zero"}
			c.bind(eip4, tunnel6)
			c.bind(eip6, tunnel6)
			c.forward(udp(to4), tunnel6)
			c.forward(udp(to6), tunnel6)
		}},
		{"udp-source-port", "64 flows: the low 14 bits of the flow hash are the source port, the high 20 the IPv6 flow label", "RFC 8926 section 3.3, RFC 6438 section 3", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			for i := range uint16(32) {
				c.forward(udpWith(to4, ports{40000 + i, 443}, pattern(8)), tunnel4)
				c.forward(udpWith(to6, ports{40000 + i, 443}, pattern(8)), tunnel6)
			}
		}},
	}
}
