package main

// flowsOf are n flows to an EIP that differ in their source ports, as small as they
// can be.
func flowsOf(e ends, n int) []packet {
	all := make([]packet, n)
	for i := range all {
		all[i] = udpWith(e, ports{uint16(20000 + 7*i), 443}, nil)
	}
	return all
}

// groupCases are EIPs with several VTEPs, and VTEPs with several ways.
func groupCases() []story {
	three := []Tunnel{tunnel4, second4, third4}
	const flows = 192 // three bursts

	return []story{
		{"group", "three VTEPs share an EIP: each flow has one of them, by rendezvous", "fib.Seed, fib.Score", func(c *Case) {
			c.bind(eip4, three...)
			for _, p := range flowsOf(to4, flows) {
				c.forward(p, three...)
			}
		}},
		{"group-ipv6", "the same for an IPv6 EIP", "fib.Seed, fib.Score", func(c *Case) {
			c.bind(eip6, three...)
			for _, p := range flowsOf(to6, flows) {
				c.forward(p, three...)
			}
		}},
		{"group-order", "neither order nor repetition in the binding moves a flow of case group", "fib.Binding", func(c *Case) {
			c.bind(eip4, third4, tunnel4, second4, tunnel4)
			for _, p := range flowsOf(to4, flows) {
				c.forward(p, three...)
			}
		}},
		{"group-one-unresolved", "a VTEP is gone: its flows move to the others, no other flow of case group does", "fib.Score", func(c *Case) {
			c.bindUnresolved(eip4, three...)
			c.resolve(tunnel4, c.wayOut(sw0))
			c.resolve(third4, c.wayOut(sw0))
			for _, p := range flowsOf(to4, flows) {
				c.forward(p, three...)
			}
		}},
		{"group-none-resolved", "no VTEP of the group has a way", "RFC 1812 section 5.2.7.1", func(c *Case) {
			c.bindUnresolved(eip4, three...)
			for _, p := range flowsOf(to4, 3) {
				c.drop(c.frame(p), "unresolved_vtep")
			}
		}},
		{"group-mixed", "a group over both families, with and without options, each with its own MTU", "fib.Seed, RFC 1191 section 4", func(c *Case) {
			ovn := second4
			ovn.OVN = &OVN{Inport: 2, Outport: 1}
			mixed := []Tunnel{tunnel6, ovn, third4}
			fits := map[string]int{tunnel6.VTEP.String(): 1430, ovn.VTEP.String(): 1442, third4.VTEP.String(): 1450}
			c.bind(eip4, mixed...)
			for _, p := range flowsOf(to4, 32) {
				t := c.forward(p, mixed...)
				big := udpWith(to4, ports{uint16(p.flow.ports >> 16), 443}, pattern(1442-28)).df()
				if fits[t.VTEP.String()] >= 1442 {
					c.forward(big, mixed...)
				} else {
					c.drop(c.frame(big), "packet_too_big")
				}
			}
		}},
		{"group-fragments", "fragments and packets without ports choose a VTEP too, all of a datagram the same", "RFC 6438 section 3", func(c *Case) {
			hosts := []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"}
			c.bind(network("203.0.113.0/29"), three...)
			for _, h := range hosts {
				for _, f := range udpWith(to(h), https, pattern(100)).fragments(40, 80) {
					c.forward(f, three...)
				}
				c.forward(ping(to(h)), three...)
			}
		}},
		{"ecmp", "two next hops to one VTEP share its flows", "RFC 2991 section 2", func(c *Case) {
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(sw0), Way{Port: sw0.Name, DstMAC: switch2MAC})
			for _, p := range flowsOf(to4, flows) {
				c.forward(p, tunnel4)
			}
		}},
		{"ecmp-ports", "two next hops by two ports, one of them tagged, with different MTUs", "RFC 2991 section 2", func(c *Case) {
			tagged := vr1
			tagged.VLAN = vlan{customer: 42}
			tagged.MTU = 1400
			c.ports(sw0, vr0, tagged)
			c.bindUnresolved(eip6, tunnel6)
			c.resolve(tunnel6, c.wayOut(vr0), c.wayOut(tagged))
			for _, p := range flowsOf(to6, 64) {
				c.forward(p, tunnel6)
			}
		}},
		{"ecmp-in-group", "a flow chooses its VTEP, then the way: two choices that do not depend on each other", "fib.WayScore", func(c *Case) {
			pair := []Tunnel{tunnel4, second4}
			c.bindUnresolved(eip4, pair...)
			c.resolve(tunnel4, c.wayOut(sw0), Way{Port: sw0.Name, DstMAC: switch2MAC})
			c.resolve(second4, c.wayOut(sw0), Way{Port: sw0.Name, DstMAC: switch2MAC})
			for _, p := range flowsOf(to4, flows) {
				c.forward(p, pair...)
			}
		}},
	}
}
