package main

// cutCases are packets that do not fit their way and may be cut.
func cutCases() []story {
	ovn := tunnel4
	ovn.OVN = &OVN{Inport: 2, Outport: 1}
	const rfc = "RFC 791 section 3.2"

	// through has one packet cut at these places of its payload.
	through := func(t Tunnel, n int, ends ...int) func(*Case) {
		return func(c *Case) {
			c.bind(eip4, t)
			c.cut(sized(to4, n), t, nil, ends...)
		}
	}
	// small is a link of 1280 bytes.
	small := func(c *Case) {
		p := sw0
		p.MTU = 1280
		c.ports(p)
	}

	return []story{
		{"cut-over-ipv4", "1451 bytes do not fit 1450: 1424 behind the header, and 7", rfc, through(tunnel4, 1451, 1424)},
		{"cut-over-ipv4-ovn", "1500 bytes do not fit 1442", rfc, through(ovn, 1500, 1416)},
		{"cut-over-ipv6", "1500 bytes do not fit 1430", rfc, through(tunnel6, 1500, 1408)},
		{"cut-options", "options with the copied flag are in every fragment, others in the first", "RFC 791 sections 3.1 and 3.2", func(c *Case) {
			c.bind(eip4, tunnel4)
			alert, record := []byte{148, 4, 0, 0}, []byte{7, 7, 4, 0, 0, 0, 0}
			c.cut(sized(to4, 1488).options(append(record, alert...)...), tunnel4, alert, 1416)
			c.cut(sized(to4, 1488).options(record...), tunnel4, nil, 1416)
		}},
		{"cut-fragments", "fragments that are cut on keep their place, and MF where it was", rfc, func(c *Case) {
			c.bind(eip4, tunnel4)
			datagram := udpWith(to4, https, pattern(4000))
			for _, f := range datagram.fragments(1480, 2960) {
				if len(f.payload) > 1424 {
					c.cut(f, tunnel4, nil, 1424)
				} else {
					c.forward(f, tunnel4)
				}
			}
		}},
		{"cut-to-tos", "every fragment has TOS and ECN of its packet, inside and outside", "RFC 3168 section 5.3, RFC 6040 section 4.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.cut(sized(to4, 1500).tos(0xbb), tunnel4, nil, 1424)
		}},
		{"cut-to-vlan", "every fragment has the VLAN tag of its way", rfc, func(c *Case) {
			w := c.wayOut(sw0)
			w.VLAN = 100
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, w)
			c.cut(sized(to4, 1500), tunnel4, nil, 1424)
		}},
		{"cut-to-way", "a way that takes less than its port", rfc, func(c *Case) {
			w := c.wayOut(sw0)
			w.MTU = 600
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, w)
			c.cut(sized(to4, 1500), tunnel4, nil, 528, 1056)
		}},
		{"cut-jumbo", "9000 bytes in by one port, fragments of 1280 out by another", rfc, func(c *Case) {
			in, out := sw0, vr0
			in.MTU, out.MTU = 9000, 1280
			c.ports(in, out)
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(out))
			c.cut(sized(to4, 9000), tunnel4, nil, 1208, 2416, 3624, 4832, 6040, 7248, 8456)
		}},
		{"cut-in-order", "packets that are cut, and others of their flow that are not, leave in order", rfc, func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			for i := range 24 {
				c.cut(sized(to4, 1500-i).id(uint16(i)), tunnel4, nil, 1424)
				c.forward(udp(to4).id(uint16(100+i)), tunnel4)
				c.forward(udp(to6), tunnel6)
				c.drop(c.frame(sized(to4, 1500).df()), "packet_too_big")
			}
		}},
		{"cut-ipv6-1280-over-ipv4", "an IPv6 packet of 1280 bytes gets through a link of 1280: the tunnel packet is cut", "RFC 2473 section 7.1, RFC 8200 section 5", func(c *Case) {
			small(c)
			c.bind(eip6, tunnel4)
			c.cutOuter(sized(to6, 1280), tunnel4, 1256)
			c.cutOuter(sized(to6, 1231).tos(0xb9), tunnel4, 1256)
			c.forward(sized(to6, 1230), tunnel4)
			c.drop(c.frame(sized(to6, 1281)), "packet_too_big")
		}},
		{"cut-ipv6-1280-over-ipv6", "an IPv6 packet of 1280 bytes gets through a link of 1280 over IPv6", "RFC 2473 section 7.1, RFC 8200 section 5", func(c *Case) {
			small(c)
			c.bind(eip6, tunnel6)
			c.cutOuter(sized(to6, 1280), tunnel6, 1232)
			c.cutOuter(sized(to6, 1211), tunnel6, 1232)
			c.forward(sized(to6, 1210), tunnel6)
		}},
	}
}
