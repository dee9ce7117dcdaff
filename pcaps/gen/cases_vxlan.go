package main

// vxlanCases are tunnels in VXLAN: what it says in other bytes than Geneve, and that the
// rest is the same.
func vxlanCases() []story {
	over4, over6 := tunnel4, tunnel6
	over4.Protocol, over6.Protocol = "vxlan", "vxlan"

	both := func(c *Case, t Tunnel) {
		c.bind(eip4, t)
		c.bind(eip6, t)
		c.forward(udp(to4), t)
		c.forward(tcp(to4), t)
		c.forward(udp(to6), t)
		c.forward(tcp(to6), t)
	}
	return []story{
		{"vxlan-over-ipv4", "VXLAN over an IPv4 underlay: I set, all else reserved, no UDP checksum", "RFC 7348 section 5", func(c *Case) {
			both(c, over4)
		}},
		{"vxlan-over-ipv6", "VXLAN over an IPv6 underlay, with a UDP checksum", "RFC 7348 section 5, RFC 8200 section 8.1", func(c *Case) {
			both(c, over6)
		}},
		{"vxlan-udp6-checksum", "the UDP checksum covers the whole packet, of even and odd length", "RFC 7348 section 5, RFC 8200 section 8.1", func(c *Case) {
			c.bind(eip4, over6)
			c.bind(eip6, over6)
			for _, size := range []int{0, 1, 2, 3, 32, 33, 1001} {
				c.forward(udpWith(to4, https, pattern(size)), over6)
				c.forward(udpWith(to6, https, pattern(size)), over6)
			}
		}},
		{"vxlan-udp6-checksum-zero", "no UDP checksum over IPv6, by configuration", "RFC 7348 section 5, RFC 6935 section 5", func(c *Case) {
			c.Options = &Options{UDP6Checksum: "zero"}
			both(c, over6)
		}},
		{"vxlan-udp-port", "a VTEP that listens on another UDP port, even on Geneve's", "RFC 7348 section 5", func(c *Case) {
			other, geneves := over4, over6
			other.UDPPort, geneves.UDPPort = 8472, genevePort
			c.bind(eip4, other)
			c.bind(eip6, geneves)
			c.forward(udp(to4), other)
			c.forward(udp(to6), geneves)
		}},
		{"vxlan-vni-bounds", "the smallest and the largest VNI, 24 bits", "RFC 7348 section 5", func(c *Case) {
			low, high := over4, over4
			low.VNI, high.VNI = 0, 1<<24-1
			c.bind(eip4, low)
			c.bind(eip6, high)
			c.forward(udp(to4), low)
			c.forward(udp(to6), high)
		}},
		{"vxlan-inner-ethernet", "inner Ethernet addresses as the binding has them", "RFC 7348 section 5", func(c *Case) {
			t := over4
			t.InnerMAC, t.InnerSrcMAC = "02:00:00:00:0a:01", "02:00:00:00:0a:02"
			both(c, t)
		}},
		{"vxlan-tos", "DSCP and ECN come from the inner packet", "RFC 6040 section 4.1, RFC 2983 section 3.1", func(c *Case) {
			c.bind(eip4, over4)
			c.bind(eip6, over6)
			for _, v := range tosValues {
				c.forward(udp(to4).tos(v), over4)
				c.forward(udp(to6).tos(v), over6)
			}
		}},
		{"vxlan-source-port", "the source port is from the flow hash, between 49152 and 65535; the flow label too", "RFC 7348 section 5, RFC 6438 section 3", func(c *Case) {
			c.bind(eip4, over4)
			c.bind(eip6, over6)
			for i := range uint16(16) {
				c.forward(udpWith(to4, ports{40000 + i, 443}, pattern(8)), over4)
				c.forward(udpWith(to6, ports{40000 + i, 443}, pattern(8)), over6)
			}
		}},
		{"vxlan-mtu-over-ipv4", "1450 bytes go through a link of 1500 over IPv4", "RFC 1191 section 4, RFC 7348 section 4.3", func(c *Case) {
			c.bind(eip4, over4)
			c.bind(eip6, over4)
			for _, e := range []ends{to4, to6} {
				c.forward(sized(e, 1450).df(), over4)
				c.drop(c.frame(sized(e, 1451).df()), "packet_too_big")
			}
		}},
		{"vxlan-mtu-over-ipv6", "1430 bytes go through a link of 1500 over IPv6", "RFC 1191 section 4, RFC 7348 section 4.3", func(c *Case) {
			c.bind(eip4, over6)
			c.bind(eip6, over6)
			for _, e := range []ends{to4, to6} {
				c.forward(sized(e, 1430).df(), over6)
				c.drop(c.frame(sized(e, 1431).df()), "packet_too_big")
			}
		}},
		{"vxlan-vlan-out", "an 802.1Q tag in front of the underlay header", "802.1Q section 9.3", func(c *Case) {
			tagged := sw0
			tagged.VLAN = vlan{customer: 100}
			c.ports(tagged)
			c.bind(eip4, over4)
			c.bind(eip6, over6)
			c.forward(udp(to4), over4)
			c.forward(udp(to6), over6)
		}},
		{"vxlan-and-geneve", "one VTEP and VNI by either protocol: two tunnels", "RFC 7348 section 5, RFC 8926 section 3.4", func(c *Case) {
			c.bind(eip4, over4)
			c.bind(addr("203.0.113.8"), tunnel4)
			c.forward(udp(to4), over4)
			c.forward(udp(to("203.0.113.8")), tunnel4)
		}},
		{"vxlan-group-mixed", "a group of Geneve and VXLAN, over both families", "fib.Seed, fib.Score", func(c *Case) {
			ovn := second4
			ovn.OVN = &OVN{Inport: 2, Outport: 1}
			mixed := []Tunnel{tunnel4, over4, ovn, over6}
			c.bind(eip4, mixed...)
			c.bind(eip6, mixed...)
			for _, p := range append(flowsOf(to4, 96), flowsOf(to6, 96)...) {
				c.forward(p, mixed...)
			}
		}},
	}
}
