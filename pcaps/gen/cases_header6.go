package main

import "encoding/binary"

// header6Cases are IPv6 headers that are wrong, and some that only look like it.
func header6Cases() []story {
	payloadLength := func(c *Case, p packet, n int) []byte {
		b := p.bytes()
		binary.BigEndian.PutUint16(b[4:], uint16(n))
		return c.ether(typeIPv6, b)
	}

	return []story{
		{"ipv6-truncated", "frames that end inside the IPv6 header", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			f := c.frame(udp(to6))
			for _, size := range []int{14, 15, 34, 53} {
				c.drop(f[:size], "short_frame")
			}
		}},
		{"ipv6-version", "an IP version other than 6 under the EtherType of IPv6", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			for _, version := range []byte{0, 4, 5, 7} {
				f := c.frame(udp(to6))
				f[14] = version<<4 | f[14]&15
				c.drop(f, "bad_ipv6_header")
			}
			c.drop(c.ether(typeIPv6, udp(to4).bytes()), "bad_ipv6_header") // IPv4 in full
		}},
		{"ipv6-payload-length-long", "a payload length of more than the frame holds", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			size := len(udp(to6).payload)
			for _, n := range []int{size + 1, size + 2, 65535} {
				c.drop(payloadLength(c, udp(to6), n), "bad_ipv6_header")
			}
		}},
		{"ipv6-jumbogram", "a payload length of 0 in front of a hop-by-hop header", "RFC 2675 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			jumbo := extension{protoHopByHop, []byte{0xc2, 4, 0, 1, 0, 0}} // 65536 bytes
			c.drop(payloadLength(c, udp(to6).ext(jumbo), 0), "bad_ipv6_header")
		}},
		{"ipv6-header-alone", "a packet of nothing but its header", "RFC 8200 section 4.7", func(c *Case) {
			c.bind(eip6, tunnel4)
			for _, next := range []uint8{protoNone, protoUDP, protoExperiment} {
				c.forward(ip(to6, next, nil), tunnel4)
			}
		}},
		{"ipv6-extension-headers", "ports are found behind extension headers, which stay", "RFC 8200 section 4, RFC 7045 section 2.1", func(c *Case) {
			c.bind(eip6, tunnel4)
			routing := extension{protoRouting, append([]byte{2, 0, 0, 0, 0, 0}, client6.AsSlice()...)} // type 2, nothing left
			auth := extension{protoAH, pattern(22)}                                                    // 24 bytes, ICV of 12
			c.forward(udp(to6), tunnel4)
			c.forward(udp(to6).ext(padN(protoHopByHop, 8)), tunnel4)
			c.forward(udp(to6).ext(padN(protoDestOptions, 64)), tunnel4)
			c.forward(udp(to6).ext(routing), tunnel4)
			c.forward(udp(to6).ext(auth), tunnel4)
			c.forward(udp(to6).ext(extension{protoMobility, pattern(14)}), tunnel4)
			c.forward(udp(to6).ext(extension{protoHIP, pattern(38)}), tunnel4)
			c.forward(udp(to6).ext(extension{protoShim6, pattern(6)}), tunnel4)
			c.forward(tcp(to6).ext(padN(protoHopByHop, 16), padN(protoDestOptions, 8), routing, auth, padN(protoDestOptions, 24)), tunnel4)
		}},
		{"ipv6-routing-type-0", "a type 0 routing header is for its destination to refuse, not for who forwards", "RFC 5095 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			segments := append([]byte{0, 1, 0, 0, 0, 0}, client6.AsSlice()...) // one left
			c.forward(udp(to6).ext(extension{protoRouting, segments}), tunnel4)
		}},
		{"ipv6-extension-headers-bound", "eight extension headers are stepped over, not more", "RFC 8504 section 5.3", func(c *Case) {
			c.bind(eip6, tunnel4)
			var eight []extension
			for range 8 {
				eight = append(eight, padN(protoDestOptions, 8))
			}
			c.forward(udp(to6).ext(eight...), tunnel4)
			// The walk stops at the ninth: the flow is told by its number alone.
			c.forward(udp(to6).ext(eight...).ext(padN(protoDestOptions, 8)).hashedBy(protoDestOptions), tunnel4)
		}},
		{"ipv6-extension-header-overrun", "extension headers that reach beyond the packet are not followed", "RFC 8200 section 4", func(c *Case) {
			c.bind(eip6, tunnel4)
			overrun := append([]byte{protoUDP, 255}, udp(to6).payload...)
			c.forward(ip(to6, protoHopByHop, overrun), tunnel4)
			c.forward(ip(to6, protoDestOptions, []byte{protoUDP}), tunnel4) // not even a length
			c.forward(ip(to6, protoAH, overrun).ext(padN(protoDestOptions, 8)), tunnel4)
		}},
		{"ipv6-extension-header-unknown", "an unknown extension header ends the search for ports", "RFC 7045 section 2.1", func(c *Case) {
			c.bind(eip6, tunnel4)
			unknown := append([]byte{protoUDP, 0, 0, 0, 0, 0, 0, 0}, udp(to6).payload...)
			c.forward(ip(to6, protoExperiment, unknown), tunnel4)
			c.forward(ip(to6, protoExperiment, unknown).ext(padN(protoHopByHop, 8)), tunnel4)
		}},
	}
}
