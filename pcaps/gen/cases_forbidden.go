package main

import "encoding/binary"

// icmpOf is an ICMP or ICMPv6 message of any type with some payload.
func icmpOf(e ends, typ uint8) packet {
	b := append(make([]byte, 8), pattern(40)...)
	b[0] = typ
	if e.src.Is4() {
		binary.BigEndian.PutUint16(b[2:], sum(b))
		return ip(e, protoICMP, b)
	}
	binary.BigEndian.PutUint16(b[2:], sum(e.pseudo(protoICMPv6, len(b)), b))
	return ip(e, protoICMPv6, b)
}

// forbiddenCases are packets that no error may be sent about.
func forbiddenCases() []story {
	const forbidden = "answer_forbidden"
	both := func(c *Case) {
		c.answering()
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel6)
	}
	// from is a packet from any address to the EIP of its family.
	from := func(src string) packet {
		a := addr(src).Addr
		if a.Is4() {
			return udp(ends{a, eip4.Addr}).ttl(1)
		}
		return udp(ends{a, eip6.Addr}).ttl(1)
	}

	return []story{
		{"no-answer-to-icmp-errors", "destination unreachable, source quench, redirect, time exceeded, parameter problem", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			for _, typ := range []uint8{3, 4, 5, 11, 12} {
				c.silent(c.frame(icmpOf(to4, typ).ttl(1)), "ttl_expired", forbidden)
			}
			for _, typ := range []uint8{0, 8, 13, 14} { // echo reply and request, timestamp
				c.answer(icmpOf(to4, typ).ttl(1), "ttl_expired", timeExceeded)
			}
			c.silent(c.frame(icmpOf(to4, 3).options(148, 4, 0, 0).ttl(1)), "ttl_expired", forbidden)
		}},
		{"no-answer-to-icmpv6-errors", "ICMPv6 types up to 127, and redirect", "RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			for _, typ := range []uint8{1, 2, 3, 4, 100, 127, 137} {
				c.silent(c.frame(icmpOf(to6, typ).ttl(1)), "hop_limit_expired", forbidden)
			}
			for _, typ := range []uint8{128, 129, 135, 200} {
				c.answer(icmpOf(to6, typ).ttl(1), "hop_limit_expired", timeExceeded)
			}
		}},
		{"no-answer-to-icmpv6-errors-behind-extension-headers", "an ICMPv6 error is one behind extension headers too", "RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			e := icmpOf(to6, 1).ttl(1)
			c.silent(c.frame(e.ext(padN(protoHopByHop, 8))), "hop_limit_expired", forbidden)
			c.silent(c.frame(e.ext(padN(protoHopByHop, 8), padN(protoDestOptions, 24))), "hop_limit_expired", forbidden)
			c.silent(c.frame(e.fragment(0, len(e.payload))), "hop_limit_expired", forbidden) // its only fragment
			c.silent(c.frame(e.fragment(0, 16)), "hop_limit_expired", forbidden)             // its first
		}},
		{"no-answer-to-icmp-errors-of-any-kind", "nor that it is too big, unbound or unresolved", "RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			c.rules().Unbound, c.rules().Unresolved = "host-unreachable", "net-unreachable"
			c.bindUnresolved(addr("203.0.113.9"), second4)
			big := icmpOf(to4, 11).df()
			big.payload = append(big.payload, pattern(1451-20-len(big.payload))...)
			c.silent(c.frame(big), "packet_too_big", forbidden)
			c.silent(c.frame(icmpOf(to("203.0.113.8"), 3)), "no_binding", forbidden)
			c.silent(c.frame(icmpOf(to("203.0.113.9"), 3)), "unresolved_vtep", forbidden)
			c.silent(c.frame(icmpOf(to("2001:db8:e1b::8"), 3)), "no_binding", forbidden)
		}},
		{"no-answer-to-fragments", "a fragment that is not the first is not answered", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			f := udpWith(to4, https, pattern(1000)).ttl(1).fragments(400, 800)
			c.answer(f[0], "ttl_expired", timeExceeded)
			c.silent(c.frame(f[1]), "ttl_expired", forbidden)
			c.silent(c.frame(f[2]), "ttl_expired", forbidden)
		}},
		{"no-answer-to-fragments-ipv6", "nor is one of IPv6: what it hides may be an ICMPv6 error", "RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			f := udpWith(to6, https, pattern(1000)).ttl(1).fragments(400, 800)
			c.answer(f[0], "hop_limit_expired", timeExceeded)
			c.silent(c.frame(f[1]), "hop_limit_expired", forbidden)
			c.silent(c.frame(f[2]), "hop_limit_expired", forbidden)
		}},
		{"no-answer-to-own", "no error goes to the gateway itself", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			c.silent(c.frame(udp(ends{service4, eip4.Addr}).ttl(1)), "ttl_expired", forbidden)
			c.silent(c.frame(udp(ends{service6, eip6.Addr}).ttl(1)), "hop_limit_expired", forbidden)
		}},
		{"no-answer-to-group-stations", "a frame from a group address of the link has no sender to be told", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			f := c.frame(udp(to4).ttl(1))
			f[6] |= 1
			c.silent(f, "ttl_expired", forbidden)
		}},
		{"no-answer-to-sources", "no error goes to who is no single host", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			c.rules().Martians = "allow"
			for _, src := range []string{"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"} {
				c.silent(c.frame(from(src)), "ttl_expired", forbidden)
			}
		}},
		{"no-answer-to-sources-ipv6", "nor to the unspecified address or a group", "RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			c.rules().Martians = "allow"
			for _, src := range []string{"::", "::1", "ff02::1", "ff0e::1"} {
				c.silent(c.frame(from(src)), "hop_limit_expired", forbidden)
			}
			c.answer(from("fe80::1"), "hop_limit_expired", timeExceeded) // a single host, on this link
		}},
		{"no-answer-to-groups", "no error is about a packet to a group or a broadcast address", "RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			c.rules().Martians, c.rules().Unbound = "allow", "host-unreachable"
			for _, dst := range []string{"224.0.0.5", "239.255.255.250", "255.255.255.255", "ff02::5", "ff0e::1"} {
				c.silent(c.frame(udp(to(dst))), "no_binding", forbidden)
			}
		}},
		{"no-answer-to-broken-packets", "no error is about what fails the checks of the header, or of the frame", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			c.rules().Unbound = "host-unreachable"
			f := c.frame(udp(to4).ttl(1))
			f[14+10] ^= 0xff
			c.drop(f, "bad_ipv4_checksum")
			f = c.frame(udp(to4).ttl(1))
			copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			c.drop(f, "link_broadcast")
			f = c.frame(udp(to6).ttl(1))
			copy(f, []byte{0x33, 0x33, 0, 0, 0, 7})
			c.drop(f, "link_broadcast")
			f = c.frame(udp(to6).ttl(1))
			c.drop(f[:60], "bad_ipv6_header")
			c.drop(c.ether(typeARP, pattern(46)), "ether_type")
		}},
	}
}
