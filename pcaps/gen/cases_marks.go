package main

// markCases are DSCP, ECN and PCP by the rules.
func markCases() []story {
	// all has every family of EIP in every family of tunnel, with every mark.
	all := func(c *Case) {
		other4, other6 := addr("203.0.113.8"), addr("2001:db8:e1b::8")
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel4)
		c.bind(other4, tunnel6)
		c.bind(other6, tunnel6)
		for _, v := range tosValues {
			c.forward(udp(to4).tos(v), tunnel4)
			c.forward(udp(to6).tos(v), tunnel4)
			c.forward(udp(ends{client4, other4.Addr}).tos(v), tunnel6)
			c.forward(udp(ends{client6, other6.Addr}).tos(v), tunnel6)
		}
	}
	tagged := func(c *Case) {
		p := sw0
		p.VLAN = vlan{customer: 100}
		c.ports(p)
	}
	fixed := func(dscp uint8) *DSCP { return &DSCP{Fixed: &dscp} }
	const marks = "RFC 2983 section 3, RFC 6040 section 4.1"

	return []story{
		{"dscp-copy", "by default the outer DSCP is the inner one", marks, all},
		{"dscp-fixed", "always the same DSCP outside; ECN is copied, and inside nothing changes", marks, func(c *Case) {
			c.rules().DSCP = fixed(46)
			all(c)
		}},
		{"dscp-fixed-zero", "always best effort outside", marks, func(c *Case) {
			c.rules().DSCP = fixed(0)
			all(c)
		}},
		{"dscp-map", "by a table; what is not in it is copied", marks, func(c *Case) {
			c.rules().DSCP = &DSCP{Map: []DSCPPair{{46, 34}, {0, 8}, {63, 0}}}
			all(c)
		}},
		{"pcp", "the priority of the outer tag is the class of the outer DSCP", "802.1Q section 6.9, RFC 2474 section 4.2.2", func(c *Case) {
			tagged(c)
			c.rules().PCP = true
			all(c)
		}},
		{"pcp-by-map", "of the outer one, after the table", "802.1Q section 6.9, RFC 2983 section 3", func(c *Case) {
			tagged(c)
			c.rules().PCP = true
			c.rules().DSCP = &DSCP{Map: []DSCPPair{{46, 24}, {0, 48}}}
			all(c)
		}},
		{"pcp-qinq", "of two tags the outer one has it, which switches look at", "802.1Q section 6.9", func(c *Case) {
			p := sw0
			p.VLAN = vlan{100, 200}
			c.ports(p)
			c.rules().PCP = true
			all(c)
		}},
		{"pcp-not", "by default the priority is 0", "802.1Q section 6.9", func(c *Case) {
			tagged(c)
			all(c)
		}},
		{"pcp-untagged", "a frame without a tag has no priority", "802.1Q section 9.3", func(c *Case) {
			c.rules().PCP = true
			all(c)
		}},
		{"dscp-fragments", "all fragments of a packet have its mark", "RFC 2983 section 3, RFC 791 section 3.2", func(c *Case) {
			tagged(c)
			c.rules().PCP = true
			c.rules().DSCP = &DSCP{Map: []DSCPPair{{46, 34}}}
			c.bind(eip4, tunnel4)
			c.fragmentInner(sized(to4, 1500).tos(0xb9), tunnel4)
		}},
	}
}
