package main

// geneveCases are what a binding says of the Geneve header and the frame in it.
func geneveCases() []story {
	ovn4, ovn6 := tunnel4, tunnel6
	ovn4.OVN, ovn6.OVN = &OVN{Inport: 2, Outport: 1}, &OVN{Inport: 2, Outport: 1}

	return []story{
		{"ovn-over-ipv4", "OVN's option names the logical ports; C is set", "RFC 8926 section 3.5", func(c *Case) {
			c.bind(eip4, ovn4)
			c.bind(eip6, ovn4)
			c.forward(udp(to4), ovn4)
			c.forward(udp(to6), ovn4)
		}},
		{"ovn-over-ipv6", "OVN's option over an IPv6 underlay", "RFC 8926 section 3.5", func(c *Case) {
			c.bind(eip4, ovn6)
			c.bind(eip6, ovn6)
			c.forward(udp(to4), ovn6)
			c.forward(udp(to6), ovn6)
		}},
		{"ovn-port-keys", "the largest logical port keys, 15 bits in and 16 bits out", "RFC 8926 section 3.5", func(c *Case) {
			t := tunnel4
			t.OVN = &OVN{Inport: 1<<15 - 1, Outport: 1<<16 - 1}
			c.bind(eip4, t)
			c.forward(udp(to4), t)
		}},
		{"option-not-critical", "an option that a VTEP may ignore leaves C clear", "RFC 8926 section 3.4", func(c *Case) {
			t := tunnel4
			t.Raw = raw(option{class: 0xff01, typ: 0x01, data: []byte{0xca, 0xfe, 0xf0, 0x0d}})
			c.bind(eip4, t)
			c.forward(udp(to4), t)
		}},
		{"option-without-data", "an option of nothing but its header", "RFC 8926 section 3.5", func(c *Case) {
			t := tunnel4
			t.Raw = raw(option{class: 0xffff, typ: 0x7f})
			c.bind(eip4, t)
			c.forward(udp(to4), t)
		}},
		{"options-chain", "two options, 24 bytes, the second critical: C speaks for the chain", "RFC 8926 section 3.4", func(c *Case) {
			for _, t := range []struct {
				eip address
				Tunnel
			}{{eip4, tunnel4}, {eip6, tunnel6}} {
				t.Raw = raw(
					option{class: 0xff01, typ: 0x01, data: pattern(8)},
					option{class: 0xff02, critical: true, typ: 0x02, data: pattern(8)})
				c.bind(t.eip, t.Tunnel)
				c.forward(udp(to(t.eip.String())), t.Tunnel)
			}
		}},
		{"vni-bounds", "the smallest and the largest VNI, 24 bits", "RFC 8926 section 3.4", func(c *Case) {
			low, high := tunnel4, tunnel4
			low.VNI, high.VNI = 0, 1<<24-1
			c.bind(eip4, low)
			c.bind(eip6, high)
			c.forward(udp(to4), low)
			c.forward(udp(to6), high)
		}},
		{"udp-port", "a VTEP that listens on another UDP port", "RFC 8926 section 3.3", func(c *Case) {
			t := tunnel4
			t.UDPPort = 16081
			c.bind(eip4, t)
			c.forward(udp(to4), t)
		}},
		{"inner-ethernet", "inner Ethernet addresses as the binding has them", "RFC 8926 section 3.4", func(c *Case) {
			t := tunnel6
			t.InnerMAC, t.InnerSrcMAC = "02:00:00:00:0a:01", "02:00:00:00:0a:02"
			c.bind(eip4, t)
			c.bind(eip6, t)
			c.forward(udp(to4), t)
			c.forward(udp(to6), t)
		}},
		{"one-vtep-many-networks", "one VTEP, told apart by VNI, by options and by inner address", "RFC 8926 section 3.4", func(c *Case) {
			vni, options, inner := tunnel4, ovn4, tunnel4
			vni.VNI = 5002
			inner.InnerMAC = "02:00:00:00:0a:01"
			for _, b := range []struct {
				eip string
				Tunnel
			}{{"203.0.113.7", tunnel4}, {"203.0.113.8", vni}, {"203.0.113.9", options}, {"203.0.113.10", inner}} {
				c.bind(addr(b.eip), b.Tunnel)
				c.forward(udp(to(b.eip)), b.Tunnel)
			}
		}},
	}
}
