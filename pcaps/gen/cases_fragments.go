package main

// fragmentCases are fragments, which all have to take one path although only the
// first knows the ports.
func fragmentCases() []story {
	all := func(fragments func() []packet, eip prefixer, t Tunnel) func(*Case) {
		return func(c *Case) {
			c.bind(eip, t)
			for _, f := range fragments() {
				c.forward(f, t)
			}
		}
	}
	datagram4 := udpWith(to4, https, pattern(1000))
	datagram6 := udpWith(to6, https, pattern(1000))

	return []story{
		{"fragments-ipv4", "first, middle and last fragment take one path", "RFC 791 section 3.2, RFC 6438 section 3",
			all(func() []packet { return datagram4.fragments(400, 800) }, eip4, tunnel4)},
		{"fragments-ipv4-out-of-order", "fragments in any order, between packets of the same flow that are whole", "RFC 791 section 3.2",
			all(func() []packet {
				f := datagram4.fragments(400, 800)
				return []packet{f[2], datagram4, f[0], udp(to4), f[1]}
			}, eip4, tunnel4)},
		{"fragments-ipv4-over-ipv6", "fragments through an IPv6 tunnel share flow label and source port", "RFC 6438 section 3",
			all(func() []packet { return datagram4.fragments(400, 800) }, eip4, tunnel6)},
		{"fragments-ipv4-options", "fragments that carry options", "RFC 791 section 3.2",
			all(func() []packet { return datagram4.options(148, 4, 0, 0).fragments(400, 800) }, eip4, tunnel4)},
		{"fragments-ipv4-tiny", "a first fragment of 8 bytes, and a fragment of ICMP", "RFC 791 section 3.2",
			all(func() []packet { return append(datagram4.fragments(8), ping(to4).fragments(8, 16)...) }, eip4, tunnel4)},
		{"fragments-ipv4-ttl", "each fragment expires for itself", "RFC 1812 section 5.3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			f := datagram4.fragments(400, 800)
			c.forward(f[0], tunnel4)
			c.drop(c.frame(f[1].ttl(1)), "ttl_expired")
			c.forward(f[2].ttl(2), tunnel4)
		}},
		{"fragments-ipv6", "first, middle and last fragment take one path", "RFC 8200 section 4.5, RFC 6438 section 3",
			all(func() []packet { return datagram6.fragments(400, 800) }, eip6, tunnel6)},
		{"fragments-ipv6-over-ipv4", "IPv6 fragments through an IPv4 tunnel", "RFC 8200 section 4.5",
			all(func() []packet { return datagram6.fragments(400, 800) }, eip6, tunnel4)},
		{"fragments-ipv6-extension-headers", "a fragment header behind other extension headers", "RFC 8200 section 4.5",
			all(func() []packet {
				return datagram6.ext(padN(protoHopByHop, 8), padN(protoDestOptions, 16)).fragments(400, 800)
			}, eip6, tunnel6)},
		{"fragments-ipv6-next-header", "the next header of a later fragment may be anything, and does not count", "RFC 8200 section 4.5",
			all(func() []packet {
				f := datagram6.fragments(400, 800)
				f[1].v6.next, f[2].v6.next = protoNone, protoTCP
				return f
			}, eip6, tunnel6)},
		{"fragments-ipv6-atomic", "a packet that is its only fragment is hashed as a fragment", "RFC 6946 section 2",
			all(func() []packet { return []packet{datagram6.fragment(0, len(datagram6.payload)), datagram6} }, eip6, tunnel6)},
	}
}
