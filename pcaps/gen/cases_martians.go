package main

// martianCases are addresses that nobody has who is to be reached.
func martianCases() []story {
	// from has a packet from any address to the EIP of its family.
	from := func(src string) packet {
		if a := addr(src).Addr; a.Is4() {
			return udp(ends{a, eip4.Addr})
		} else {
			return udp(ends{a, eip6.Addr})
		}
	}
	both := func(c *Case) {
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel6)
	}
	blocks4 := []string{"0.0.0.0", "0.255.255.255", "127.0.0.0", "127.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.254", "255.255.255.255", "169.254.0.0", "169.254.255.255"}
	blocks6 := []string{"::", "::1", "::ffff:0.0.0.0", "::ffff:198.51.100.1", "::ffff:255.255.255.255", "fe80::", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::", "ff02::1", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}

	return []story{
		{"martian-sources", "this network, loopback, groups, what is reserved, broadcast, link-local", "RFC 1812 section 5.3.7, RFC 3927 section 7", func(c *Case) {
			both(c)
			for _, a := range blocks4 {
				c.drop(c.frame(from(a)), "martian_source")
			}
		}},
		{"martian-sources-ipv6", "unspecified, loopback, IPv4-mapped, link-local, groups", "RFC 4291 section 2.5.2, RFC 4291 section 2.5.3, RFC 4291 section 2.5.5.2, RFC 4291 section 2.5.6, RFC 4291 section 2.7", func(c *Case) {
			both(c)
			for _, a := range blocks6 {
				c.drop(c.frame(from(a)), "martian_source")
			}
		}},
		{"martian-destinations", "the same as destinations", "RFC 1812 section 5.3.7, RFC 1812 section 4.2.2.11, RFC 3927 section 7", func(c *Case) {
			both(c)
			for _, a := range blocks4 {
				c.drop(c.frame(udp(to(a))), "martian_destination")
			}
		}},
		{"martian-destinations-ipv6", "the same as destinations", "RFC 4291 section 2.5.2, RFC 4291 section 2.5.3, RFC 4291 section 2.5.6, RFC 4291 section 2.7", func(c *Case) {
			both(c)
			for _, a := range blocks6 {
				c.drop(c.frame(udp(ends{client6, addr(a).Addr})), "martian_destination")
			}
		}},
		{"martian-neighbors", "what is next to those blocks, and private addresses, are forwarded", "RFC 1812 section 5.3.7, RFC 4291 section 2.4", func(c *Case) {
			both(c)
			for _, a := range []string{"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "10.1.2.3", "172.16.1.2", "192.168.1.2", "100.64.0.1", "169.253.255.255", "169.255.0.0"} {
				c.forward(from(a), tunnel4)
			}
			for _, a := range []string{"::2", "::fffe:0:1", "0:0:0:1::1", "100::1", "fdff::1", "fe7f:ffff::1", "fec0::1", "feff::1", "64:ff9b::1"} {
				c.forward(from(a), tunnel6)
			}
		}},
		{"martian-both", "of two martians the source is counted", "order of the Reasons", func(c *Case) {
			both(c)
			c.drop(c.frame(udp(ends{addr("127.0.0.1").Addr, addr("127.0.0.1").Addr})), "martian_source")
			c.drop(c.frame(udp(ends{addr("::1").Addr, addr("::1").Addr})), "martian_source")
		}},
		{"martian-not-answered", "nobody is told", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			c.answering()
			c.rules().Unbound = "host-unreachable"
			c.drop(c.frame(from("127.0.0.1").ttl(1)), "martian_source")
			c.drop(c.frame(udp(to("224.0.0.1")).ttl(1)), "martian_destination")
			c.drop(c.frame(from("fe80::1").ttl(1)), "martian_source")
		}},
		{"martian-allowed", "by configuration martians are forwarded, when they are bound", "RFC 1812 section 5.3.7", func(c *Case) {
			both(c)
			c.rules().Martians = "allow"
			c.bind(network("240.0.0.0/4"), second4)
			for _, a := range []string{"0.0.0.0", "127.0.0.1", "240.1.2.3"} {
				c.forward(from(a), tunnel4)
			}
			for _, a := range []string{"::", "::1", "::ffff:198.51.100.1", "fe80::1"} {
				c.forward(from(a), tunnel6)
			}
			c.forward(udp(to("240.1.2.3")), second4)
			c.drop(c.frame(udp(to("127.0.0.1"))), "no_binding")
		}},
		{"own-source", "what claims to be from the gateway is not", "RFC 1812 section 5.3.7", func(c *Case) {
			both(c)
			c.rules().Own = []string{service4.String(), service6.String(), "192.0.2.1"}
			for _, a := range []string{"10.255.0.1", "192.0.2.1", "fd00:ff::1"} {
				c.drop(c.frame(from(a)), "own_source")
			}
			for _, a := range []string{"10.255.0.2", "192.0.2.0", "192.0.2.2", "fd00:ff::2"} {
				if addr(a).Is4() {
					c.forward(from(a), tunnel4)
				} else {
					c.forward(from(a), tunnel6)
				}
			}
		}},
		{"own-source-martians-allowed", "that martians are allowed does not matter to that", "RFC 1812 section 5.3.7", func(c *Case) {
			both(c)
			c.rules().Martians = "allow"
			c.rules().Own = []string{service4.String(), service6.String()}
			c.drop(c.frame(from("10.255.0.1")), "own_source")
			c.drop(c.frame(from("fd00:ff::1")), "own_source")
		}},
	}
}
