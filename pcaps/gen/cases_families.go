package main

// familyCases are every family of EIP behind every family of VTEP.
func familyCases() []story {
	return []story{
		{"ipv4-over-ipv4", "an IPv4 EIP behind an IPv4 VTEP: 50 bytes more", "RFC 8926 section 3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.forward(udp(to4), tunnel4)
		}},
		{"ipv6-over-ipv4", "an IPv6 EIP behind an IPv4 VTEP", "RFC 8926 section 3.1", func(c *Case) {
			c.bind(eip6, tunnel4)
			c.forward(udp(to6), tunnel4)
		}},
		{"ipv4-over-ipv6", "an IPv4 EIP behind an IPv6 VTEP: 70 bytes more", "RFC 8926 section 3.2", func(c *Case) {
			c.bind(eip4, tunnel6)
			c.forward(udp(to4), tunnel6)
		}},
		{"ipv6-over-ipv6", "an IPv6 EIP behind an IPv6 VTEP", "RFC 8926 section 3.2", func(c *Case) {
			c.bind(eip6, tunnel6)
			c.forward(udp(to6), tunnel6)
		}},
		{"mixed-burst", "both families in and out, with drops between them: the order stays", "RFC 8926 section 3", func(c *Case) {
			other4, other6 := addr("203.0.113.8"), addr("2001:db8:e1b::8")
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			c.bind(other4, tunnel6)
			c.bind(other6, tunnel6)
			for range 3 {
				c.forward(tcp(to4), tunnel4)
				c.drop(c.frame(udp(to("203.0.113.9"))), "no_binding")
				c.forward(tcp(to6), tunnel4)
				c.drop(c.frame(udp(to4).ttl(1)), "ttl_expired")
				c.forward(tcp(ends{client4, other4.Addr}), tunnel6)
				c.drop(c.ether(typeARP, pattern(28)), "ether_type")
				c.forward(tcp(ends{client6, other6.Addr}), tunnel6)
			}
		}},
	}
}
