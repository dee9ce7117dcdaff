package main

import (
	"fmt"
)

// bindingCases are which binding a destination has, if any.
func bindingCases() []story {
	return []story{
		{"no-binding", "an EIP that nobody has bound goes nowhere", "RFC 1812 section 5.2.7.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			for _, neighbor := range []string{"203.0.113.6", "203.0.113.8", "203.0.113.0", "203.0.113.255", "203.0.112.7", "203.1.113.7"} {
				c.drop(c.frame(udp(to(neighbor))), "no_binding")
			}
			for _, neighbor := range []string{"2001:db8:e1b::6", "2001:db8:e1b::8", "2001:db8:e1b::", "2001:db8:e1b:0:8000::7", "2001:db8:e1b:1::7", "2001:db8:e1c::7"} {
				c.drop(c.frame(udp(to(neighbor))), "no_binding")
			}
		}},
		{"no-binding-at-all", "an empty table", "RFC 1812 section 5.2.7.1", func(c *Case) {
			c.drop(c.frame(udp(to4)), "no_binding")
			c.drop(c.frame(udp(to6)), "no_binding")
		}},
		{"no-binding-ttl-1", "nobody expires on the way to nowhere: no binding is looked at first", "order of the Reasons", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.drop(c.frame(udp(to("203.0.113.8")).ttl(1)), "no_binding")
			c.drop(c.frame(udp(to6).ttl(1)), "no_binding")
		}},
		{"no-binding-own", "the gateway's own addresses are bound to nothing: what is for them is the kernel's", "RFC 1812 section 5.2.3", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.drop(c.frame(udp(to("10.255.0.1"))), "no_binding")
			c.drop(c.frame(udp(to("fd00:ff::1"))), "no_binding")
		}},
		{"lpm-host-in-network", "an EIP inside a bound network has its own way", "RFC 1812 section 5.2.4.3", func(c *Case) {
			c.bind(network("203.0.113.0/24"), tunnel4)
			c.bind(eip4, second4)
			for _, host := range []string{"203.0.113.0", "203.0.113.6", "203.0.113.8", "203.0.113.255"} {
				c.forward(udp(to(host)), tunnel4)
			}
			c.forward(udp(to4), second4)
			c.drop(c.frame(udp(to("203.0.114.0"))), "no_binding")
			c.drop(c.frame(udp(to("203.0.112.255"))), "no_binding")
		}},
		{"lpm-cover-withdrawn", "hosts outlive the network that covered them; the rest of it has no binding", "RFC 1812 section 5.2.4.3", func(c *Case) {
			// What is left of lpm-host-in-network once 203.0.113.0/24 is withdrawn.
			c.bind(eip4, second4)
			c.forward(udp(to4), second4)
			for _, host := range []string{"203.0.113.0", "203.0.113.6", "203.0.113.8", "203.0.113.255"} {
				c.drop(c.frame(udp(to(host))), "no_binding")
			}
		}},
		{"lpm-nested", "from a default binding down to a host, each prefix as far as the next", "RFC 1812 section 5.2.4.3", func(c *Case) {
			// Bound from the longest to the shortest: order must not matter.
			nested := []struct{ prefix, inside string }{
				{"203.0.113.7/32", "203.0.113.7"},
				{"203.0.113.6/31", "203.0.113.6"},
				{"203.0.113.0/25", "203.0.113.127"},
				{"203.0.113.0/24", "203.0.113.128"},
				{"203.0.112.0/23", "203.0.112.255"},
				{"203.0.0.0/16", "203.0.114.1"},
				{"203.0.0.0/9", "203.127.255.255"},
				{"203.0.0.0/8", "203.128.0.0"},
				{"0.0.0.0/0", "198.51.100.77"},
			}
			for i, n := range nested {
				t := tunnel4
				t.VNI = uint32(100 + i)
				c.bind(network(n.prefix), t)
				c.forward(udp(to(n.inside)), t)
			}
		}},
		{"lpm-nested-ipv6", "the same in 128 bits", "RFC 8200, RFC 4291 section 2.5", func(c *Case) {
			nested := []struct{ prefix, inside string }{
				{"2001:db8:e1b::7/128", "2001:db8:e1b::7"},
				{"2001:db8:e1b::6/127", "2001:db8:e1b::6"},
				{"2001:db8:e1b::/112", "2001:db8:e1b::ffff"},
				{"2001:db8:e1b::/65", "2001:db8:e1b:0:7fff::1"},
				{"2001:db8:e1b::/64", "2001:db8:e1b:0:8000::1"},
				{"2001:db8:e1b::/63", "2001:db8:e1b:1::1"},
				{"2001:db8:e1b::/48", "2001:db8:e1b:ffff::1"},
				{"2001:db8::/32", "2001:db8:e1c::1"},
				{"2001::/17", "2001:7fff::1"},
				{"::/0", "2602::1"},
			}
			for i, n := range nested {
				t := tunnel4
				t.VNI = uint32(100 + i)
				c.bind(network(n.prefix), t)
				c.forward(udp(to(n.inside)), t)
			}
		}},
		{"lpm-edges", "networks end where they end", "RFC 4632 section 3.1", func(c *Case) {
			c.bind(network("203.0.113.64/26"), tunnel4)
			c.bind(network("2001:db8:e1b:40::/58"), tunnel4)
			c.drop(c.frame(udp(to("203.0.113.63"))), "no_binding")
			c.forward(udp(to("203.0.113.64")), tunnel4)
			c.forward(udp(to("203.0.113.127")), tunnel4)
			c.drop(c.frame(udp(to("203.0.113.128"))), "no_binding")
			c.drop(c.frame(udp(to("2001:db8:e1b:3f:ffff:ffff:ffff:ffff"))), "no_binding")
			c.forward(udp(to("2001:db8:e1b:40::")), tunnel4)
			c.forward(udp(to("2001:db8:e1b:7f:ffff:ffff:ffff:ffff")), tunnel4)
			c.drop(c.frame(udp(to("2001:db8:e1b:80::"))), "no_binding")
		}},
		{"many-eips", "128 EIPs, each in a network of its own", "RFC 8926 section 3.4", func(c *Case) {
			for i := range 64 {
				t := tunnel4
				t.VNI = uint32(7000 + i)
				host4, host6 := fmt.Sprintf("203.0.113.%d", 100+i), fmt.Sprintf("2001:db8:e1b:%x::1", i)
				c.bind(addr(host4), t)
				c.bind(addr(host6), t)
				c.forward(udpWith(to(host4), https, nil), t)
				c.forward(udpWith(to(host6), https, nil), t)
			}
		}},
		{"unresolved-vtep", "bound, but the underlay knows no way to the VTEP", "RFC 1812 section 5.2.7.1", func(c *Case) {
			c.bindUnresolved(eip4, tunnel4)
			c.bindUnresolved(eip6, tunnel6)
			c.drop(c.frame(udp(to4)), "unresolved_vtep")
			c.drop(c.frame(udp(to6)), "unresolved_vtep")
		}},
		{"unresolved-vtep-in-network", "an unresolved host does not fall back to the network around it", "RFC 1812 section 5.2.4.3", func(c *Case) {
			c.bind(network("203.0.113.0/24"), tunnel4)
			c.bindUnresolved(eip4, second4)
			c.forward(udp(to("203.0.113.6")), tunnel4)
			c.drop(c.frame(udp(to4)), "unresolved_vtep")
			c.drop(c.frame(udp(to4).ttl(1)), "ttl_expired")
		}},
	}
}
