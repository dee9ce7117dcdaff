package main

// tinyCases are fragments that hide a transport header, or overlap one.
func tinyCases() []story {
	tcp4, tcp6 := tcpWith(to4, tcpSYN, nil, pattern(100)), tcpWith(to6, tcpSYN, nil, pattern(100))
	// tiny4 hides the flags: a first fragment of 8 bytes, and a second that begins there.
	tiny4 := []packet{tcp4.fragment(0, 8), tcp4.fragment(8, len(tcp4.payload))}
	tiny6 := []packet{
		tcp6.fragment(0, 16), tcp6.fragment(0, 8), tcp6.fragment(8, len(tcp6.payload)),
		udp(to6).fragment(0, 0), // a fragment header and nothing behind it
	}
	// chain is a first fragment whose extension headers end in the next one.
	chain := ip(to6, protoFragment, join([]byte{protoDestOptions, 0, 0, 1, 0x1d, 1, 0x1d, 1}, []byte{protoTCP, 7, 1, 4, 0, 0, 0, 0}))
	fine4 := []packet{
		tcp4.fragment(0, 16), tcp4.fragment(0, 24), tcp4.fragment(16, 56), tcp4.fragment(56, len(tcp4.payload)),
		udp(to4).fragment(0, 8), udp(to4).fragment(8, 40), ping(to4).fragment(0, 8), ping(to4).fragment(8, 40),
	}
	fine6 := []packet{
		tcp6.fragment(0, 24), tcp6.fragment(16, 56), udp(to6).fragment(0, 8), udp(to6).fragment(8, 40),
		tcp6.fragment(0, len(tcp6.payload)), // its only fragment
		ip(to6, protoNone, nil).ext(fragmentHeader(0, true)).hashedBy(protoFragment),
	}
	both := func(c *Case) {
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel6)
	}

	return []story{
		{"tiny-fragments", "fragments that hide TCP's flags are counted, and forwarded", "RFC 1858 section 3, RFC 1858 section 4, RFC 3128", func(c *Case) {
			both(c)
			for _, p := range tiny4 {
				c.forward(p, tunnel4)
				c.event("tiny_fragment")
			}
		}},
		{"tiny-fragments-dropped", "or dropped, by configuration", "RFC 1858 section 3, RFC 1858 section 4, RFC 3128", func(c *Case) {
			both(c)
			c.rules().TinyFragments = "drop"
			for _, p := range tiny4 {
				c.silent(c.frame(p), "tiny_fragment", "tiny_fragment")
			}
			c.silent(c.frame(tiny4[0].options(148, 4, 0, 0)), "tiny_fragment", "tiny_fragment")
		}},
		{"tiny-fragments-ipv6", "the first fragment has to hold all headers up to the transport's end", "RFC 7112 section 5, RFC 1858 section 4", func(c *Case) {
			both(c)
			for _, p := range append(tiny6, chain) {
				c.forward(p.hashedBy(protoFragment), tunnel6)
				c.event("tiny_fragment")
			}
		}},
		{"tiny-fragments-ipv6-dropped", "or is dropped, by configuration", "RFC 7112 section 5, RFC 1858 section 4", func(c *Case) {
			both(c)
			c.rules().TinyFragments = "drop"
			for _, p := range append(tiny6, chain) {
				c.silent(c.frame(p), "tiny_fragment", "tiny_fragment")
			}
			c.silent(c.frame(tcp6.ext(padN(protoHopByHop, 8)).fragment(0, 16)), "tiny_fragment", "tiny_fragment")
		}},
		{"tiny-fragments-not", "fragments that are small are not tiny for that", "RFC 1858 section 3, RFC 6946 section 4", func(c *Case) {
			both(c)
			c.rules().TinyFragments = "drop"
			for _, p := range fine4 {
				c.forward(p, tunnel4)
			}
			for _, p := range fine6 {
				c.forward(p, tunnel6)
			}
		}},
		{"overlapping-fragments", "overlapping fragments go on: only who puts them together can tell", "RFC 5722 section 4, RFC 791 section 3.2", func(c *Case) {
			both(c)
			d4, d6 := udpWith(to4, https, pattern(400)), udpWith(to6, https, pattern(400))
			for _, cut := range [][2]int{{0, 200}, {160, 304}, {96, 408}} {
				c.forward(d4.fragment(cut[0], cut[1]), tunnel4)
				c.forward(d6.fragment(cut[0], cut[1]), tunnel6)
			}
		}},
	}
}
