package main

// ttlCases are packets that live on and packets that do not.
func ttlCases() []story {
	return []story{
		{"ttl-2", "a TTL of 2 goes on with 1", "RFC 1812 section 5.3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.forward(udp(to4).ttl(2), tunnel4)
		}},
		{"ttl-1", "a TTL of 1 ends here", "RFC 1812 section 5.3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.drop(c.frame(udp(to4).ttl(1)), "ttl_expired")
		}},
		{"ttl-0", "a TTL of 0 should not have come here", "RFC 1812 section 5.3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.drop(c.frame(udp(to4).ttl(0)), "ttl_expired")
		}},
		{"ttl-255", "the largest TTL goes down by one", "RFC 1812 section 5.3.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.forward(udp(to4).ttl(255), tunnel4)
		}},
		{"hop-limit-2", "a hop limit of 2 goes on with 1", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			c.forward(udp(to6).ttl(2), tunnel4)
		}},
		{"hop-limit-1", "a hop limit of 1 ends here", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			c.drop(c.frame(udp(to6).ttl(1)), "hop_limit_expired")
		}},
		{"hop-limit-0", "a hop limit of 0 should not have come here", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			c.drop(c.frame(udp(to6).ttl(0)), "hop_limit_expired")
		}},
		{"hop-limit-255", "the largest hop limit goes down by one", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel4)
			c.forward(udp(to6).ttl(255), tunnel4)
		}},
		{"ttl-before-mtu", "a packet that expires and is too big has expired", "order of the Reasons", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			c.drop(c.frame(sized(to4, 1451).ttl(1)), "ttl_expired")
			c.drop(c.frame(sized(to6, 1451).ttl(1)), "hop_limit_expired")
		}},
	}
}
