package main

// answerCases are packets that are dropped and whose senders are told.
func answerCases() []story {
	expired4 := func(c *Case, p packet) { c.answer(p.ttl(1), "ttl_expired", timeExceeded) }
	expired6 := func(c *Case, p packet) { c.answer(p.ttl(1), "hop_limit_expired", timeExceeded) }
	// both binds both EIPs and answers.
	both := func(c *Case) {
		c.answering()
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel6)
	}
	customer := tag{tpid: typeCTag, pcp: 5, vid: 100}
	service := tag{tpid: typeSTag, pcp: 3, dei: true, vid: 200}
	// refused has what is unbound, or bound and unresolved, answered with e.
	refused := func(reason, refusal string, e icmpError) func(*Case) {
		return func(c *Case) {
			c.answering()
			if reason == "no_binding" {
				c.rules().Unbound = refusal
			} else {
				c.rules().Unresolved = refusal
				c.bindUnresolved(eip4, tunnel4)
				c.bindUnresolved(eip6, tunnel6)
			}
			c.answer(udp(to4), reason, e)
			c.answer(tcp(to6), reason, e)
			c.answer(ping(to4), reason, e)
			c.answer(ping(to6), reason, e)
		}
	}

	return []story{
		{"answer-ttl", "time exceeded, from the service address: TTL 1, and TTL 0", "RFC 1812 section 5.3.1, RFC 1812 section 5.2.7.3, RFC 792", func(c *Case) {
			both(c)
			expired4(c, udp(to4))
			expired4(c, tcp(to4).df().id(0xbeef))
			c.answer(udp(to4).ttl(0), "ttl_expired", timeExceeded)
		}},
		{"answer-hop-limit", "time exceeded: hop limit 1, and hop limit 0", "RFC 4443 section 3.3, RFC 4443 section 2.2", func(c *Case) {
			both(c)
			expired6(c, udp(to6))
			expired6(c, tcp(to6).label(0x12345).tos(0xb8))
			c.answer(udp(to6).ttl(0), "hop_limit_expired", timeExceeded)
		}},
		{"answer-traceroute", "traceroute: what expires here is answered, what does not goes on to the virtual router", "RFC 1812 section 5.3.1", func(c *Case) {
			both(c)
			for ttl := range uint8(3) {
				probe := func(e ends) packet { return udpWith(e, ports{40000, 33434 + uint16(ttl)}, pattern(32)).ttl(ttl + 1) }
				if ttl == 0 {
					expired4(c, probe(to4))
					expired6(c, probe(to6))
					continue
				}
				c.forward(probe(to4), tunnel4)
				c.forward(probe(to6), tunnel6)
			}
		}},
		{"answer-echo-request", "an echo request is no error: it is answered when it expires", "RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e)", func(c *Case) {
			both(c)
			expired4(c, ping(to4))
			expired6(c, ping(to6))
			expired6(c, ping(to6).ext(padN(protoHopByHop, 8), padN(protoDestOptions, 16)))
		}},
		{"answer-quote-options", "the quote has the header as it came, options and extension headers too", "RFC 1812 section 4.3.2.3", func(c *Case) {
			both(c)
			expired4(c, udp(to4).options(148, 4, 0, 0))
			expired4(c, tcp(to4).options(append([]byte{7, 39, 4}, make([]byte, 36)...)...))
			expired6(c, udp(to6).ext(padN(protoDestOptions, 64)))
		}},
		{"answer-quote-576", "an ICMP error has at most 576 bytes: 548 are quoted", "RFC 1812 section 4.3.2.3", func(c *Case) {
			both(c)
			for _, n := range []int{28, 29, 547, 548, 549, 1400, 1500} {
				expired4(c, sized(to4, n))
			}
			expired4(c, sized(to4, 700).options(148, 4, 0, 0, 1, 1, 1, 1))
		}},
		{"answer-quote-1280", "an ICMPv6 error has at most 1280 bytes: 1232 are quoted", "RFC 4443 section 2.4 (c), RFC 4443 section 3.3", func(c *Case) {
			both(c)
			for _, n := range []int{48, 49, 1231, 1232, 1233, 1400, 1500} {
				expired6(c, sized(to6, n))
			}
		}},
		{"answer-quote-without-padding", "padding is no part of the packet, and not quoted", "RFC 1812 section 4.3.2.3, RFC 1812 section 5.2.2", func(c *Case) {
			both(c)
			tiny := udpWith(to4, https, nil).ttl(1)
			c.answerFrame(pad(c.frame(tiny), 18), tiny, "ttl_expired", timeExceeded)
			none := ip(to6, protoNone, nil).ttl(1)
			c.answerFrame(pad(c.frame(none), 6), none, "hop_limit_expired", timeExceeded)
		}},
		{"answer-quote-checksum-negative-zero", "a header checksum of ffff is quoted as it came", "RFC 1812 section 4.3.2.3", func(c *Case) {
			both(c)
			p := withChecksum(udp(to4).ttl(1), 0)
			f := c.frame(p)
			f[14+10], f[14+11] = 0xff, 0xff
			c.answerFrame(f, p, "ttl_expired", timeExceeded)
			// The quote is as it came; the ICMP checksum is the same, for ffff and 0000 are.
			last := c.out[c.at][len(c.out[c.at])-1]
			last[14+20+8+10], last[14+20+8+11] = 0xff, 0xff
		}},
		{"answer-vlan", "the answer has the tag of the frame that is answered", "802.1Q section 9.3", func(c *Case) {
			both(c)
			for _, t := range []tag{customer, {tpid: typeCTag, pcp: 7, dei: true}} {
				c.answerFrame(t.in(c.frame(udp(to4).ttl(1))), udp(to4).ttl(1), "ttl_expired", timeExceeded)
				c.answerFrame(t.in(c.frame(udp(to6).ttl(1))), udp(to6).ttl(1), "hop_limit_expired", timeExceeded)
			}
		}},
		{"answer-qinq", "and both tags, where it has two", "802.1Q section 9.3", func(c *Case) {
			both(c)
			c.answerFrame(service.in(customer.in(c.frame(udp(to4).ttl(1)))), udp(to4).ttl(1), "ttl_expired", timeExceeded)
			c.answerFrame(service.in(customer.in(c.frame(udp(to6).ttl(1)))), udp(to6).ttl(1), "hop_limit_expired", timeExceeded)
			big := sized(to4, 1492).ttl(1)
			c.answerFrame(service.in(customer.in(c.frame(big))), big, "ttl_expired", timeExceeded)
		}},
		{"answer-to-the-station", "the answer goes to the station that sent the frame, whoever that is", "RFC 1812 section 4.3.2.4", func(c *Case) {
			both(c)
			f := c.frame(udp(to4).ttl(1))
			other := macOr(switch2MAC, mac{})
			copy(f[6:], other[:])
			c.answerFrame(f, udp(to4).ttl(1), "ttl_expired", timeExceeded)
		}},
		{"answer-from-the-port", "a port with addresses answers from them, another from the default", "RFC 1812 section 4.3.2.4, RFC 4443 section 2.2", func(c *Case) {
			two, one := sw0, vr0
			two.ICMPSource = []string{"192.0.2.1", "2001:db8:2::1"}
			one.ICMPSource = []string{"192.0.2.129"} // of one family
			c.ports(two, one, vr1)
			c.answering()
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			for _, p := range []Port{sw0, vr0, vr1} {
				c.at = p.Name
				expired4(c, udp(to4))
				expired6(c, udp(to6))
			}
		}},
		{"answer-no-source", "without an address of the family there is no answer", "RFC 1812 section 4.3.2.4", func(c *Case) {
			c.rules().ICMPSource = []string{service4.String()}
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			expired4(c, udp(to4))
			c.silent(c.frame(udp(to6).ttl(1)), "hop_limit_expired", "answer_no_source")
		}},
		{"answer-tos", "whatever the packet was marked as, the answer is internetwork control, and not ECN capable", "RFC 1812 section 4.3.2.5, RFC 3168 section 5", func(c *Case) {
			both(c)
			for _, v := range tosValues {
				expired4(c, udp(to4).tos(v))
				expired6(c, udp(to6).tos(v))
			}
		}},
		{"answer-jumbo", "of a packet of 9000 bytes no more is quoted than of any other", "RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)", func(c *Case) {
			jumbo := sw0
			jumbo.MTU = 9000
			c.ports(jumbo)
			both(c)
			expired4(c, sized(to4, 9000))
			expired6(c, sized(to6, 9000))
			c.answer(sized(to4, 9000).df(), "packet_too_big", tooBig(8950))
			c.answer(sized(to6, 9000), "packet_too_big", tooBig(8930))
		}},
		{"answer-fragment", "the first fragment is answered for all", "RFC 1812 section 4.3.2.7", func(c *Case) {
			both(c)
			expired4(c, udpWith(to4, https, pattern(1000)).fragments(400)[0])
			expired6(c, udpWith(to6, https, pattern(1000)).fragments(400)[0])
		}},
		{"answer-between", "answers and forwarded packets leave in the order in which the frames came", "RFC 1812 section 5.3.1", func(c *Case) {
			both(c)
			for range 5 {
				c.forward(udp(to4), tunnel4)
				expired4(c, udp(to4))
				expired6(c, tcp(to6))
				c.forward(tcp(to6), tunnel6)
				c.drop(c.frame(udp(to("203.0.113.8"))), "no_binding")
			}
		}},

		{"unbound-drop", "by default nobody is told that an EIP is not bound", "RFC 1812 section 5.2.7.1", func(c *Case) {
			both(c)
			c.drop(c.frame(udp(to("203.0.113.8"))), "no_binding")
			c.drop(c.frame(udp(to("2001:db8:e1b::8"))), "no_binding")
		}},
		{"unbound-network", "unbound: network unreachable, no route to destination", "RFC 1812 section 5.2.7.1, RFC 4443 section 3.1", refused("no_binding", "net-unreachable", netUnreachable)},
		{"unbound-host", "unbound: host unreachable, address unreachable", "RFC 1812 section 4.3.3.1, RFC 4443 section 3.1", refused("no_binding", "host-unreachable", hostUnreachable)},
		{"unbound-prohibited", "unbound: communication administratively prohibited", "RFC 1812 section 5.2.7.1, RFC 4443 section 3.1", refused("no_binding", "prohibited", adminProhibited)},
		{"unresolved-drop", "by default nobody is told that a VTEP has no way", "RFC 1812 section 5.2.7.1", func(c *Case) {
			c.answering()
			c.rules().Unbound = "host-unreachable"
			c.bindUnresolved(eip4, tunnel4)
			c.bindUnresolved(eip6, tunnel6)
			c.drop(c.frame(udp(to4)), "unresolved_vtep")
			c.drop(c.frame(udp(to6)), "unresolved_vtep")
			c.answer(udp(to("203.0.113.8")), "no_binding", hostUnreachable)
		}},
		{"unresolved-network", "unresolved: network unreachable, no route to destination", "RFC 1812 section 5.2.7.1, RFC 4443 section 3.1", refused("unresolved_vtep", "net-unreachable", netUnreachable)},
		{"unresolved-host", "unresolved: host unreachable, address unreachable", "RFC 1812 section 4.3.3.1, RFC 4443 section 3.1", refused("unresolved_vtep", "host-unreachable", hostUnreachable)},
		{"unresolved-prohibited", "unresolved: communication administratively prohibited", "RFC 1812 section 5.2.7.1, RFC 4443 section 3.1", refused("unresolved_vtep", "prohibited", adminProhibited)},
		{"unbound-ttl-1", "an unbound EIP is unreachable also at the last hop", "order of the Reasons", func(c *Case) {
			both(c)
			c.rules().Unbound = "host-unreachable"
			c.answer(udp(to("203.0.113.8")).ttl(1), "no_binding", hostUnreachable)
			c.answer(udp(to("2001:db8:e1b::8")).ttl(1), "no_binding", hostUnreachable)
		}},
	}
}
