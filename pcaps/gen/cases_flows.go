package main

// flowCases are what makes packets one flow: the UDP source port and flow label of
// what leaves show it.
func flowCases() []story {
	// pairs has each packet once per family.
	pairs := func(build ...func(ends) packet) func(*Case) {
		return func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			for _, b := range build {
				c.forward(b(to4), tunnel4)
				c.forward(b(to6), tunnel6)
			}
		}
	}
	// other has a packet of a protocol without ports, told by the protocol alone.
	other := func(proto uint8) func(ends) packet {
		return func(e ends) packet { return ip(e, proto, pattern(24)) }
	}
	// short has only n bytes of a TCP header.
	short := func(n int) func(ends) packet {
		return func(e ends) packet {
			p := tcp(e)
			p.payload = p.payload[:n]
			return p
		}
	}

	return []story{
		{"flow-tcp", "TCP: a flow is addresses, protocol and ports", "RFC 8926 section 3.3", pairs(tcp)},
		{"flow-udp", "UDP: the same ports as TCP's are another flow", "RFC 8926 section 3.3", pairs(udp)},
		{"flow-sctp", "SCTP has its ports in the same place", "RFC 9260 section 3.1", pairs(sctp)},
		{"flow-udp-lite", "UDP-Lite has its ports in the same place", "RFC 3828 section 3", pairs(udpLite)},
		{"flow-icmp", "ICMP echo: identifier and sequence number do not count", "RFC 792, RFC 4443 section 4.1", pairs(ping)},
		{"flow-unknown", "GRE, ESP and unknown protocols: addresses and protocol", "RFC 6438 section 3", pairs(other(protoGRE), other(protoESP), other(protoExperiment))},
		{"flow-short", "a packet too short for ports has none; four bytes are enough", "RFC 6438 section 3",
			pairs(func(e ends) packet { return short(3)(e).hashedBy(protoTCP) }, short(4), short(19))},
		{"flow-is-steady", "TTL, TOS, identification, length and payload do not change a flow", "RFC 6438 section 3", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			for _, p := range []packet{udp(to4), udp(to4).ttl(9), udp(to4).tos(4), udp(to4).id(77), udp(to4).df(), udpWith(to4, https, nil), sized(to4, 900)} {
				c.forward(p, tunnel4)
			}
			for _, p := range []packet{udp(to6), udp(to6).ttl(9), udp(to6).tos(4), udp(to6).label(77), udpWith(to6, https, nil), sized(to6, 900)} {
				c.forward(p, tunnel6)
			}
		}},
		{"flow-has-a-direction", "source and destination are not interchangeable, nor are their ports", "RFC 6438 section 3", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(address{client4}, tunnel4)
			c.bind(eip6, tunnel6)
			c.bind(address{client6}, tunnel6)
			c.forward(udpWith(to4, ports{1000, 2000}, nil), tunnel4)
			c.forward(udpWith(to4, ports{2000, 1000}, nil), tunnel4)
			c.forward(udpWith(ends{to4.dst, to4.src}, ports{2000, 1000}, nil), tunnel4)
			c.forward(udpWith(to6, ports{1000, 2000}, nil), tunnel6)
			c.forward(udpWith(to6, ports{2000, 1000}, nil), tunnel6)
			c.forward(udpWith(ends{to6.dst, to6.src}, ports{2000, 1000}, nil), tunnel6)
		}},
	}
}
