package main

// mtuCases are packets that just fit and packets that just do not.
func mtuCases() []story {
	ovn4, ovn6 := tunnel4, tunnel6
	ovn4.OVN, ovn6.OVN = &OVN{Inport: 2, Outport: 1}, &OVN{Inport: 2, Outport: 1}

	// edge sends a packet of that size, which fits, and one a byte longer, which does not
	// and, if IPv4, says that it must not be fragmented.
	edge := func(c *Case, e ends, t Tunnel, fits int) {
		c.forward(sized(e, fits), t)
		c.drop(c.frame(sized(e, fits+1).df()), "packet_too_big")
	}
	// edges is edge for both families through one tunnel.
	edges := func(t Tunnel, fits int) func(*Case) {
		return func(c *Case) {
			c.bind(eip4, t)
			c.bind(eip6, t)
			edge(c, to4, t, fits)
			edge(c, to6, t, fits)
		}
	}

	return []story{
		{"mtu-over-ipv4", "1450 bytes go through a link of 1500 over IPv4", "RFC 1191 section 4, RFC 4443 section 3.2", edges(tunnel4, 1500-50)},
		{"mtu-over-ipv4-ovn", "1442 bytes with OVN's option", "RFC 1191 section 4, RFC 4443 section 3.2", edges(ovn4, 1500-58)},
		{"mtu-over-ipv6", "1430 bytes over IPv6", "RFC 1191 section 4, RFC 4443 section 3.2", edges(tunnel6, 1500-70)},
		{"mtu-over-ipv6-ovn", "1422 bytes over IPv6 with OVN's option", "RFC 1191 section 4, RFC 4443 section 3.2", edges(ovn6, 1500-78)},
		{"mtu-df", "a packet that is too big and must not be fragmented is not forwarded", "RFC 791 section 3.2", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.forward(sized(to4, 1450).df(), tunnel4)
			c.drop(c.frame(sized(to4, 1451).df()), "packet_too_big")
		}},
		{"mtu-vlan", "a VLAN tag is not part of the packet, neither in nor out", "802.1Q section 9", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 100}
			c.ports(tagged)
			c.bind(eip4, tunnel4)
			in := tag{tpid: typeCTag, vid: 7}
			c.forwardFrame(in.in(c.frame(sized(to4, 1450))), sized(to4, 1450), tunnel4)
			c.drop(in.in(c.frame(sized(to4, 1451).df())), "packet_too_big")
		}},
		{"mtu-qinq", "a port sends one tag beyond its MTU: a second one takes 4 bytes from the packet", "802.1Q section 9, 802.1ad", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{100, 200}
			c.ports(tagged)
			c.bind(eip4, tunnel4)
			in := tag{tpid: typeSTag, vid: 7}
			c.forwardFrame(in.in(c.frame(sized(to4, 1446))), sized(to4, 1446), tunnel4)
			c.drop(in.in(c.frame(sized(to4, 1447).df())), "packet_too_big")
		}},
		{"mtu-padding", "padding does not make a packet too big", "RFC 1812 section 5.2.2", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.forwardFrame(pad(c.frame(sized(to4, 1450)), 50), sized(to4, 1450), tunnel4)
		}},
		{"mtu-of-way", "a way that takes less than its port", "RFC 1191 section 4", func(c *Case) {
			w := c.wayOut(sw0)
			w.MTU = 1400
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, w)
			c.bindUnresolved(eip6, tunnel6)
			c.resolve(tunnel6, w)
			edge(c, to4, tunnel4, 1350)
			edge(c, to6, tunnel6, 1330)
		}},
		{"mtu-of-port", "a way that claims more than its port takes", "RFC 1191 section 4", func(c *Case) {
			w := c.wayOut(sw0)
			w.MTU = 9000
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, w)
			edge(c, to4, tunnel4, 1450)
		}},
		{"mtu-1280", "an IPv6 packet of 1280 bytes goes in two tunnel packets through a link of 1280", "RFC 8200 section 5, RFC 2473 section 7.1", func(c *Case) {
			small := sw0
			small.MTU = 1280
			c.ports(small)
			c.bind(eip6, tunnel6)
			c.bind(eip4, tunnel6)
			edge(c, to4, tunnel6, 1280-70)
			c.forward(sized(to6, 1280-70), tunnel6)
			c.fragmentOuter(sized(to6, 1280-70+1), tunnel6)
			c.fragmentOuter(sized(to6, 1280), tunnel6)
		}},
		{"mtu-two-ports", "a larger port in, a smaller one out: what leaves counts", "RFC 1191 section 4", func(c *Case) {
			in, out := sw0, vr0
			in.MTU, out.MTU = 1600, 1500
			c.ports(in, out)
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(out))
			edge(c, to4, tunnel4, 1450)
			c.drop(c.frame(sized(to4, 1600).df()), "packet_too_big")
		}},
		{"mtu-underlay-1600", "with 100 bytes to spare in the underlay, 1500 go through", "RFC 8926 section 4.4.1", func(c *Case) {
			in, out := sw0, vr0
			out.MTU = 1600
			c.ports(in, out)
			c.bindUnresolved(eip4, ovn4)
			c.resolve(ovn4, c.wayOut(out))
			c.bindUnresolved(eip6, ovn6)
			c.resolve(ovn6, c.wayOut(out))
			c.forward(sized(to4, 1500), ovn4)
			c.forward(sized(to6, 1500), ovn6)
		}},
		{"mtu-largest", "the largest IP packet of all, 65535 bytes, leaves; one byte more cannot be", "RFC 791 section 3.1", func(c *Case) {
			large := sw0
			large.MTU = 65535
			c.ports(large)
			c.bind(eip4, tunnel4)
			edge(c, to4, tunnel4, 65485)
		}},
		{"mtu-jumbo", "8950 bytes go through a link of 9000", "RFC 1191 section 4", func(c *Case) {
			jumbo := sw0
			jumbo.MTU = 9000
			c.ports(jumbo)
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			edge(c, to4, tunnel4, 8950)
			edge(c, to6, tunnel6, 8930)
		}},
	}
}
