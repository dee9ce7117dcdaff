package main

// portCases are frames from port to port.
func portCases() []story {
	return []story{
		{"two-ports", "in by one port, out by another, under that port's address", "RFC 1812 section 5.2.4", func(c *Case) {
			c.ports(sw0, vr0)
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(vr0))
			c.bindUnresolved(eip6, tunnel6)
			c.resolve(tunnel6, c.wayOut(vr0))
			c.forward(udp(to4), tunnel4)
			c.forward(udp(to6), tunnel6)
		}},
		{"two-ports-in-one-out", "frames from two ports leave by a third, each only as itself", "RFC 1812 section 5.2.4", func(c *Case) {
			c.ports(sw0, vr0, vr1)
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(vr1))
			for range 4 {
				c.forward(tcp(to4), tunnel4)
			}
			c.at = vr0.Name
			for range 4 {
				c.forward(udp(to4), tunnel4)
			}
			// The other port's address is another station's here.
			f := c.frame(udp(to4))
			_, first := c.port(sw0.Name)
			own := macOr(first.MAC, mac{})
			copy(f, own[:])
			c.drop(f, "not_for_us")
		}},
		{"one-port-per-router", "EIPs behind two virtual routers, each with its own port, tag and next hop", "RFC 1812 section 5.2.4", func(c *Case) {
			tagged := vr1
			tagged.VLAN = vlan{customer: 42}
			c.ports(sw0, vr0, tagged)
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, c.wayOut(vr0))
			other := addr("203.0.113.8")
			c.bindUnresolved(other, second4)
			c.resolve(second4, Way{Port: vr1.Name, DstMAC: switch2MAC})
			for range 3 {
				c.forward(udp(to4), tunnel4)
				c.forward(udp(ends{client4, other.Addr}), second4)
			}
		}},
		{"one-arm", "in and out by one port, even to the station that it came from", "RFC 1812 section 5.2.7.2", func(c *Case) {
			// A router might send a redirect here. The gateway does not: the switch
			// has no other way.
			c.bind(eip4, tunnel4)
			c.forward(udp(to4), tunnel4)
		}},
		{"source-addresses", "outer source addresses as the way has them", "RFC 8926 section 3.1", func(c *Case) {
			w := c.wayOut(sw0)
			w.SrcMAC = "02:00:00:00:00:99"
			w.Local = addr("192.168.7.9").Addr
			c.bindUnresolved(eip4, tunnel4)
			c.resolve(tunnel4, w)
			c.forward(udp(to4), tunnel4)
		}},
	}
}
