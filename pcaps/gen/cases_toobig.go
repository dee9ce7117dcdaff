package main

// tooBigCases are packets that do not fit their way: answered, or fragmented.
func tooBigCases() []story {
	ovn4, ovn6 := tunnel4, tunnel6
	ovn4.OVN, ovn6.OVN = &OVN{Inport: 2, Outport: 1}, &OVN{Inport: 2, Outport: 1}

	// told has packets just too big for t, and the largest ones, answered with mtu.
	told := func(t Tunnel, mtu int) func(*Case) {
		return func(c *Case) {
			c.answering()
			c.bind(eip4, t)
			c.bind(eip6, t)
			for _, n := range []int{mtu + 1, 1500} {
				c.answer(sized(to4, n).df(), "packet_too_big", tooBig(mtu))
				c.answer(sized(to6, n), "packet_too_big", tooBig(mtu))
			}
		}
	}
	// over binds t and answers; its way takes mtu.
	over := func(c *Case, t Tunnel, mtu int) {
		c.answering()
		w := c.wayOut(sw0)
		w.MTU = mtu
		c.resolve(t, w)
		c.bind(eip4, t)
		c.bind(eip6, t)
	}
	const clause = "RFC 1191 section 4, RFC 4443 section 3.2, RFC 8201 section 4"
	const procedure = "RFC 791 section 3.2, RFC 1812 section 4.2.2.7"

	return []story{
		{"too-big-over-ipv4", "fragmentation needed, packet too big: 1450", clause, told(tunnel4, 1450)},
		{"too-big-over-ipv4-ovn", "1442 with OVN's option", clause, told(ovn4, 1442)},
		{"too-big-over-ipv6", "1430 over IPv6", clause, told(tunnel6, 1430)},
		{"too-big-over-ipv6-ovn", "1422 over IPv6 with OVN's option", clause, told(ovn6, 1422)},
		{"too-big-of-way", "a way of less than its port takes: what it leaves is told", "RFC 1191 section 4, RFC 4443 section 3.2", func(c *Case) {
			over(c, tunnel4, 1400)
			c.answer(sized(to4, 1351).df(), "packet_too_big", tooBig(1350))
			c.answer(sized(to6, 1351), "packet_too_big", tooBig(1350))
		}},
		{"too-big-1280", "nobody is told less than 1280 over IPv6: what comes then is fragmented in its tunnel", "RFC 8200 section 5, RFC 2473 section 7.1", func(c *Case) {
			over(c, tunnel6, 1300)
			c.answer(sized(to6, 1281), "packet_too_big", tooBig(1280))
			c.answer(sized(to6, 1500), "packet_too_big", tooBig(1280))
			c.fragmentOuter(sized(to6, 1280), tunnel6)
			c.fragmentOuter(sized(to6, 1231), tunnel6)
			c.forward(sized(to6, 1230), tunnel6)
		}},
		{"too-big-1280-over-ipv4", "the same over IPv4: DF is taken off the outer packet, and a UDP checksum covers it", "RFC 8200 section 5, RFC 2473 section 7.1, RFC 6864 section 4", func(c *Case) {
			over(c, tunnel4, 1300)
			c.answer(sized(to6, 1281), "packet_too_big", tooBig(1280))
			c.fragmentOuter(sized(to6, 1280), tunnel4)
			c.forward(sized(to6, 1250), tunnel4)
		}},
		{"too-big-refuse", "by configuration DF does not matter", "RFC 1191 section 4", func(c *Case) {
			c.answering()
			c.rules().Oversize = "refuse"
			c.bind(eip4, tunnel4)
			c.answer(sized(to4, 1451), "packet_too_big", tooBig(1450))
			c.answer(sized(to4, 1451).df(), "packet_too_big", tooBig(1450))
		}},
		{"too-big-fragment", "a first fragment with DF is answered like a whole packet", "RFC 1191 section 4", func(c *Case) {
			c.answering()
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			c.answer(sized(to4, 3000).df().fragments(1480)[0], "packet_too_big", tooBig(1450))
			c.answer(sized(to6, 3000).fragments(1440)[0], "packet_too_big", tooBig(1450))
		}},

		{"fragment-inner", "without DF a packet of 1451 bytes goes in two, each in a tunnel packet of its own", procedure, func(c *Case) {
			c.bind(eip4, tunnel4)
			c.fragmentInner(sized(to4, 1451), tunnel4)
			c.fragmentInner(sized(to4, 1500), tunnel4)
			c.forward(sized(to4, 1450), tunnel4)
		}},
		{"fragment-inner-three", "three fragments: 32 more bytes than two can hold", procedure, func(c *Case) {
			over(c, tunnel4, 700)
			for _, n := range []int{651, 20 + 2*624, 20 + 2*624 + 8, 1300, 1499, 1500} {
				c.fragmentInner(sized(to4, n), tunnel4)
			}
		}},
		{"fragment-inner-odd", "ways of odd size: fragments hold units of 8 bytes", procedure, func(c *Case) {
			over(c, tunnel4, 1357)
			for _, n := range []int{1308, 1309, 1325, 1407, 1500} {
				c.fragmentInner(sized(to4, n), tunnel4)
			}
		}},
		{"fragment-inner-small", "through the smallest way there is, 68 bytes inside, the longest header leaves 8 for data", procedure, func(c *Case) {
			over(c, tunnel4, 50+68)
			c.fragmentInner(sized(to4, 69), tunnel4)
			for _, kind := range []byte{222, 94} { // copied, and not: then later fragments hold more
				c.fragmentInner(sized(to4, 100).options(append([]byte{kind, 40}, pattern(38)...)...), tunnel4)
			}
		}},
		{"fragment-inner-many", "more fragments than a burst has frames, between packets that stay whole", procedure, func(c *Case) {
			over(c, tunnel4, 50+68)
			for range 4 {
				c.forward(sized(to4, 68), tunnel4)
				c.fragmentInner(sized(to4, 1500), tunnel4)
			}
		}},
		{"fragment-inner-over-ipv6", "over IPv6 each has a UDP checksum of its own", "RFC 791 section 3.2, RFC 8200 section 8.1", func(c *Case) {
			c.bind(eip4, tunnel6)
			c.fragmentInner(sized(to4, 1431), tunnel6)
			c.fragmentInner(sized(to4, 1499), tunnel6)
		}},
		{"fragment-inner-udp6-checksum-zero", "or none, by configuration", "RFC 791 section 3.2, RFC 6935 section 5", func(c *Case) {
			c.Options = &Options{UDP6Checksum: "zero"}
			c.bind(eip4, tunnel6)
			c.fragmentInner(sized(to4, 1431), tunnel6)
		}},
		{"fragment-inner-ovn", "each has OVN's option", "RFC 791 section 3.2, RFC 8926 section 3.5", func(c *Case) {
			c.bind(eip4, ovn4)
			c.bind(addr("203.0.113.8"), ovn6)
			c.fragmentInner(sized(to4, 1443), ovn4)
			c.fragmentInner(sized(to("203.0.113.8"), 1500), ovn6)
		}},
		{"fragment-inner-vxlan", "in VXLAN it is the same", "RFC 791 section 3.2, RFC 7348 section 4.3", func(c *Case) {
			t := tunnel4
			t.Protocol = "vxlan"
			c.bind(eip4, t)
			c.fragmentInner(sized(to4, 1500), t)
		}},
		{"fragment-inner-vlan", "and the way's VLAN tag, whatever tags the packet came with", "RFC 791 section 3.2, 802.1Q section 9.3", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 100}
			c.ports(tagged)
			c.bind(eip4, tunnel4)
			c.fragmentInner(sized(to4, 1500), tunnel4)
		}},
		{"fragment-inner-fragment", "a fragment is fragmented further: its offset counts, and its MF stays", procedure, func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, f := range sized(to4, 4000).fragments(1480, 2960) {
				if len(f.bytes()) > 1450 {
					c.fragmentInner(f, tunnel4)
				} else {
					c.forward(f, tunnel4)
				}
			}
		}},
		{"fragment-inner-options", "options that are copied go into all fragments, others into the first", "RFC 791 section 3.1, RFC 1812 section 4.2.2.7", func(c *Case) {
			c.bind(eip4, tunnel4)
			alert, record := []byte{148, 4, 0, 0}, append([]byte{7, 11, 4}, make([]byte, 8)...)
			nops := []byte{1, 1, 1, 1}
			stream := []byte{136, 4, 0x12, 0x34}
			for _, o := range [][]byte{alert, record, nops, join(record, alert), join(alert, record, stream), join(nops[:1], alert, record), join(alert, []byte{0, 0, 0, 0})} {
				c.fragmentInner(sized(to4, 1480).options(o...), tunnel4)
			}
		}},
		{"fragment-inner-options-padding", "copied options that do not fill a word are padded", "RFC 791 section 3.1", func(c *Case) {
			over(c, tunnel4, 700)
			odd := []byte{0x82, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9} // security, 11 bytes
			c.fragmentInner(sized(to4, 1400).options(odd...), tunnel4)
			c.fragmentInner(sized(to4, 1400).options(join([]byte{1}, odd, []byte{1, 1})...), tunnel4)
		}},
		{"fragment-inner-keeps", "fragments have TOS, identification, TTL and protocol of the packet", "RFC 791 section 3.2, RFC 6040 section 4.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, v := range tosValues {
				c.fragmentInner(sized(to4, 1500).tos(v).id(uint16(v)<<8|0x5a).ttl(2), tunnel4)
			}
		}},
		{"fragment-inner-groups", "fragments of a flow leave where its whole packets leave", "RFC 6438 section 3", func(c *Case) {
			three := []Tunnel{tunnel4, second4, third4}
			c.bind(eip4, three...)
			for i := range uint16(12) {
				o := ports{20000 + 7*i, 443}
				c.forward(udpWith(to4, o, nil), three...)
				c.fragmentInner(udpWith(to4, o, pattern(1472)), three...)
			}
		}},
		{"fragment-inner-order", "fragments, whole packets and packets of another family leave in the order in which they came", procedure, func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			for i := range 24 {
				c.fragmentInner(sized(to4, 1500-i).id(uint16(i)), tunnel4)
				c.forward(udp(to4).id(uint16(100+i)), tunnel4)
				c.forward(udp(to6), tunnel6)
				c.drop(c.frame(sized(to4, 1500).df()), "packet_too_big")
			}
		}},
		{"fragment-inner-padding", "padding is not fragmented", "RFC 1812 section 5.2.2", func(c *Case) {
			over(c, tunnel4, 50+68)
			p := sized(to4, 69)
			c.fragmentFrame(pad(c.frame(p), 9), p, tunnel4)
		}},
		{"fragment-inner-jumbo", "a packet of 9000 bytes in, seven out by a port of 1500", procedure, func(c *Case) {
			in := sw0
			in.MTU = 9000
			c.ports(in, vr0)
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(vr0))
			c.fragmentInner(sized(to4, 9000), tunnel4)
		}},
		{"fragment-inner-ttl-1", "what expires is not fragmented", "order of the Reasons", func(c *Case) {
			c.answering()
			c.bind(eip4, tunnel4)
			c.answer(sized(to4, 1500).ttl(1), "ttl_expired", timeExceeded)
		}},

		{"fragment-outer", "by configuration the tunnel packet is fragmented: no DF, an identification, and a UDP checksum", "RFC 791 section 3.2, RFC 2473 section 7.2, RFC 6864 section 4", func(c *Case) {
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, tunnel4)
			c.fragmentOuter(sized(to4, 1451), tunnel4)
			c.fragmentOuter(sized(to4, 1500), tunnel4)
			c.forward(sized(to4, 1450), tunnel4)
		}},
		{"fragment-outer-three", "in three fragments and more, from ways of any size", "RFC 791 section 3.2", func(c *Case) {
			c.rules().Oversize = "fragment-outer"
			over(c, tunnel4, 577)
			for _, n := range []int{528, 1100, 1101, 1499, 1500} {
				c.fragmentOuter(sized(to4, n), tunnel4)
			}
		}},
		{"fragment-outer-ipv6", "an IPv6 tunnel packet has a fragment header; its UDP checksum covers the whole", "RFC 8200 section 4.5, RFC 2473 section 7.2", func(c *Case) {
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, tunnel6)
			c.fragmentOuter(sized(to4, 1431), tunnel6)
			c.fragmentOuter(sized(to4, 1500), tunnel6)
		}},
		{"fragment-outer-udp6-checksum-zero", "or none, by configuration", "RFC 8200 section 4.5, RFC 6935 section 5", func(c *Case) {
			c.Options = &Options{UDP6Checksum: "zero"}
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, tunnel6)
			c.fragmentOuter(sized(to4, 1500), tunnel6)
		}},
		{"fragment-outer-ovn-vlan", "with OVN's option in the first fragment and a VLAN tag on all", "RFC 791 section 3.2, 802.1Q section 9.3", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 100}
			c.ports(tagged)
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, ovn4)
			c.fragmentOuter(sized(to4, 1500), ovn4)
		}},
		{"fragment-outer-vxlan", "in VXLAN it is the same, by configuration: whether the VTEP puts fragments together is for its operator to know", "RFC 791 section 3.2, RFC 7348 section 4.3", func(c *Case) {
			t4, t6 := tunnel4, tunnel6
			t4.Protocol, t6.Protocol = "vxlan", "vxlan"
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, t4)
			c.bind(eip6, t6)
			c.fragmentOuter(sized(to4, 1500), t4)
			c.forward(sized(to6, 1430), t6)
		}},
		{"fragment-outer-df", "DF inside forbids it", "RFC 2473 section 7.2, RFC 1191 section 4", func(c *Case) {
			c.answering()
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			c.answer(sized(to4, 1451).df(), "packet_too_big", tooBig(1450))
			c.answer(sized(to6, 1451), "packet_too_big", tooBig(1450))
		}},
		{"fragment-outer-fragment", "a fragment inside is no matter", "RFC 2473 section 7.2", func(c *Case) {
			c.rules().Oversize = "fragment-outer"
			c.bind(eip4, tunnel4)
			for _, f := range sized(to4, 4000).fragments(1480, 2960) {
				if len(f.bytes()) > 1450 {
					c.fragmentOuter(f, tunnel4)
				} else {
					c.forward(f, tunnel4)
				}
			}
		}},
	}
}

// join is parts laid end to end.
func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
