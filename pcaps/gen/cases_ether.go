package main

// pad appends what a NIC appends to make a frame long enough for Ethernet, or a
// switch leaves behind.
func pad(frame []byte, n int) []byte {
	for range n {
		frame = append(frame, 0xa5)
	}
	return frame
}

// etherCases are the link layer, in and out.
func etherCases() []story {
	customer := tag{tpid: typeCTag, vid: 100}
	service := tag{tpid: typeSTag, vid: 200}

	both := func(c *Case, in func(frame []byte) []byte) {
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel4)
		c.forwardFrame(in(c.frame(udp(to4))), udp(to4), tunnel4)
		c.forwardFrame(in(c.frame(udp(to6))), udp(to6), tunnel4)
	}

	return []story{
		{"vlan-in", "a VLAN tag is taken off", "802.1Q section 9.3", func(c *Case) {
			both(c, func(f []byte) []byte { return customer.in(f) })
		}},
		{"vlan-in-two-tags", "two tags are taken off, 802.1ad outside or 802.1Q twice", "802.1Q section 9.3", func(c *Case) {
			both(c, func(f []byte) []byte { return service.in(customer.in(f)) })
			f := c.frame(tcp(to4))
			c.forwardFrame(tag{tpid: typeCTag, vid: 300}.in(customer.in(f)), tcp(to4), tunnel4)
		}},
		{"vlan-in-priority-tag", "a priority tag names no VLAN; PCP and DEI do not matter", "802.1Q section 9.6", func(c *Case) {
			both(c, func(f []byte) []byte { return tag{tpid: typeCTag, pcp: 5, dei: true}.in(f) })
		}},
		{"vlan-in-three-tags", "more than two tags are not looked behind", "reason ether_type", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.drop(service.in(service.in(customer.in(c.frame(udp(to4))))), "ether_type")
		}},
		{"vlan-in-truncated", "frames that end inside a VLAN tag", "reason short_frame", func(c *Case) {
			c.bind(eip4, tunnel4)
			one := customer.in(c.frame(udp(to4)))
			two := service.in(one)
			c.drop(one[:14], "short_frame")
			c.drop(one[:17], "short_frame")
			c.drop(two[:21], "short_frame")
		}},
		{"vlan-out", "a port with a VLAN tags what leaves", "802.1Q section 9.3", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 100}
			c.ports(tagged)
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			c.forward(udp(to4), tunnel4)
			c.forward(udp(to6), tunnel6)
		}},
		{"vlan-out-by-way", "the way's VLAN is taken before the port's; the largest one", "802.1Q section 9.6", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 100}
			c.ports(tagged)
			w := c.wayOut(tagged)
			w.VLAN = vlan{customer: 4094}
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, w)
			c.forward(udp(to4), tunnel4)
		}},
		{"vlan-in-and-out", "one tag off, another one on; priority is not carried over", "802.1Q section 9.3", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 300}
			c.ports(tagged)
			both(c, func(f []byte) []byte { return tag{tpid: typeCTag, pcp: 7, vid: 100}.in(f) })
		}},

		{"qinq-out", "a port with two VLANs: 802.1ad outside, 802.1Q inside", "802.1Q section 9.5, 802.1ad", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{100, 200}
			c.ports(tagged)
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			c.forward(udp(to4), tunnel4)
			c.forward(udp(to6), tunnel6)
		}},
		{"qinq-out-service-tag", "one 802.1ad tag alone, with the largest VLAN", "802.1Q section 9.5, 802.1ad", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{service: 4094}
			c.ports(tagged)
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			c.forward(udp(to4), tunnel4)
			c.forward(udp(to6), tunnel6)
		}},
		{"qinq-out-by-way", "ways with their own tags: one, two, another pair", "802.1Q section 9.5, 802.1ad", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{100, 200}
			c.ports(tagged)
			for _, x := range []struct {
				Tunnel
				eip address
				vlan
			}{{tunnel4, eip4, vlan{100, 4094}}, {second4, addr("203.0.113.8"), vlan{customer: 1}}, {third4, addr("203.0.113.9"), vlan{service: 7}}} {
				w := c.wayOut(tagged)
				w.VLAN = x.vlan
				c.bindUnresolved(x.eip, x.Tunnel)
				c.resolve(x.Tunnel, w)
				c.forward(udp(to(x.eip.String())), x.Tunnel)
			}
		}},
		{"qinq-out-longest", "the longest header of all: IPv6, two tags, 24 bytes of options; two tags came in", "RFC 8926 section 3.4, 802.1ad", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{100, 200}
			c.ports(tagged)
			t := tunnel6
			t.Raw = raw(option{class: 0xff01, typ: 0x01, data: pattern(20)})
			c.bind(eip4, t)
			c.bind(eip6, t)
			c.forward(udp(to4), t)
			c.forwardFrame(service.in(customer.in(c.frame(udp(to6)))), udp(to6), t)
		}},
		{"qinq-out-ecmp", "ways that only their tags tell apart share a VTEP's flows", "RFC 2991 section 2", func(c *Case) {
			one, two := c.wayOut(sw0), c.wayOut(sw0)
			one.VLAN, two.VLAN = vlan{100, 200}, vlan{101, 200}
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, one, two)
			for _, p := range flowsOf(to4, 64) {
				c.forward(p, tunnel4)
			}
		}},

		{"padding-ipv4", "what follows the IPv4 packet in its frame does not go into the tunnel", "RFC 1812 section 5.2.2", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(addr("203.0.113.8"), tunnel6)
			tiny := udpWith(to4, https, nil) // 28 bytes: 18 of padding make the 60 of the shortest frame
			c.forwardFrame(pad(c.frame(tiny), 18), tiny, tunnel4)
			c.forwardFrame(pad(c.frame(tcp(to4)), 1), tcp(to4), tunnel4)
			odd := udpWith(to("203.0.113.8"), https, pattern(3))
			c.forwardFrame(pad(c.frame(odd), 15), odd, tunnel6) // and does not go into the checksum
		}},
		{"padding-ipv6", "what follows the IPv6 packet in its frame does not go into the tunnel", "RFC 8200 section 3", func(c *Case) {
			c.bind(eip6, tunnel6)
			none := ip(to6, protoNone, nil) // 40 bytes
			c.forwardFrame(pad(c.frame(none), 6), none, tunnel6)
			c.forwardFrame(customer.in(pad(c.frame(none), 6)), none, tunnel6)
			odd := udpWith(to6, https, pattern(3))
			c.forwardFrame(pad(c.frame(odd), 301), odd, tunnel6)
		}},

		{"mac-broadcast", "a unicast packet in a broadcast frame is not forwarded", "RFC 1812 section 5.3.4", func(c *Case) {
			c.bind(eip4, tunnel4)
			f := c.frame(udp(to4))
			copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			c.drop(f, "link_broadcast")
		}},
		{"mac-multicast", "a unicast packet in a multicast frame is not forwarded", "RFC 1812 section 5.3.4", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			f := c.frame(udp(to4))
			copy(f, []byte{0x01, 0x00, 0x5e, 0x00, 0x71, 0x07})
			c.drop(f, "link_broadcast")
			f = c.frame(udp(to6))
			copy(f, []byte{0x33, 0x33, 0x00, 0x00, 0x00, 0x07})
			c.drop(f, "link_broadcast")
		}},
		{"mac-other-station", "frames that a switch floods for other stations", "RFC 1812 section 5.2.1.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			for at, bit := range []byte{0x40, 0x01, 0x01, 0x01, 0x01, 0x03} { // one byte differs
				f := c.frame(udp(to4))
				f[at] ^= bit
				c.drop(f, "not_for_us")
			}
			c.forward(udp(to4), tunnel4)
		}},
		{"ether-type", "ARP, LLDP, MPLS and a length instead of a type", "reason ether_type", func(c *Case) {
			c.bind(eip4, tunnel4)
			for _, typ := range []uint16{typeARP, typeLLDP, typeMPLS, 0x0005} {
				c.drop(c.ether(typ, pattern(46)), "ether_type")
			}
			c.drop(customer.in(c.ether(typeARP, pattern(46))), "ether_type")
		}},
		{"runt", "frames too short for an Ethernet header", "reason short_frame", func(c *Case) {
			f := c.frame(udp(to4))
			for _, size := range []int{1, 6, 13} {
				c.drop(f[:size], "short_frame")
			}
		}},
		{"first-fault-counts", "of several faults the outermost is counted", "order of the Reasons", func(c *Case) {
			// From the outside in: each frame has all faults of those after it.
			bad := c.frame(udp(to("203.0.113.9")).ttl(0))
			bad[14+10] ^= 0xff // IPv4 checksum
			version := append([]byte{}, bad...)
			version[14] = 0x55
			station := append([]byte{}, version...)
			station[5] ^= 0xff
			group := append([]byte{}, station...)
			group[0] |= 0x01

			c.drop(group, "link_broadcast")
			c.drop(station, "not_for_us")
			c.drop(version, "bad_ipv4_header")
			c.drop(bad, "bad_ipv4_checksum")
			c.drop(c.frame(udp(to("203.0.113.9")).ttl(0)), "no_binding")
		}},
		{"first-fault-addresses", "options count before fragments, fragments before addresses", "order of the Reasons", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.rules().TinyFragments = "drop"
			martian := ends{addr("127.0.0.1").Addr, addr("224.0.0.1").Addr}
			tiny := tcp(martian).fragment(0, 8)
			c.drop(c.frame(tiny.options(148, 0, 0, 0)), "bad_ipv4_options")
			c.drop(c.frame(tiny.options(131, 3, 4, 0)), "source_route")
			c.silent(c.frame(tiny), "tiny_fragment", "tiny_fragment")
			c.drop(c.frame(tcp(martian)), "martian_source")
			c.drop(c.frame(tcp(ends{client4, martian.dst})), "martian_destination")
		}},
	}
}
