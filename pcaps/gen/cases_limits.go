package main

import "fmt"

// limitCases are limits of answers. A bucket refills by one in a second, which is longer
// than a case takes: what is answered is what the bucket holds at first. Which prefixes
// share a bucket the gateway decides by a secret hash, so no case relies on two prefixes
// having one each.
func limitCases() []story {
	const ofSource, ofAll = "answer_limited_source", "answer_limited_global"
	from := func(format string, i int) packet {
		src := addr(fmt.Sprintf(format, i)).Addr
		if src.Is4() {
			return udp(ends{src, eip4.Addr})
		}
		return udp(ends{src, eip6.Addr})
	}
	expired := func(c *Case, p packet) {
		reason := "ttl_expired"
		if p.is6 {
			reason = "hop_limit_expired"
		}
		c.answer(p.ttl(1), reason, timeExceeded)
	}
	limited := func(c *Case, p packet, event string) {
		reason := "ttl_expired"
		if p.is6 {
			reason = "hop_limit_expired"
		}
		c.silent(c.frame(p.ttl(1)), reason, event)
	}
	both := func(c *Case, l Limits) {
		c.answering()
		c.rules().ICMPLimits = &l
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel6)
	}

	return []story{
		{"limit-source", "a /24 gets its share of answers, and no more", "RFC 1812 section 4.3.2.8", func(c *Case) {
			both(c, Limits{SourceRate: 1, SourceBurst: 3})
			for i := range 3 {
				expired(c, from("198.51.100.%d", 1+80*i))
			}
			limited(c, from("198.51.100.%d", 255), ofSource)
			limited(c, from("198.51.100.%d", 1), ofSource)
		}},
		{"limit-source-ipv6", "the same for a /48", "RFC 4443 section 2.4 (f)", func(c *Case) {
			both(c, Limits{SourceRate: 1, SourceBurst: 3})
			for i := range 3 {
				expired(c, from("2001:db8:a:%x::1", 0x7fff*i))
			}
			limited(c, from("2001:db8:a:ffff:ffff::%x", 0xffff), ofSource)
			limited(c, from("2001:db8:a::%x", 1), ofSource)
		}},
		{"limit-global", "from however many prefixes: all answers together have a limit", "RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)", func(c *Case) {
			both(c, Limits{Rate: 1, Burst: 6})
			for i := range 3 {
				expired(c, from("198.51.%d.1", 100+i))
				expired(c, from("2001:db8:%x::1", 0xa0+i))
			}
			for i := range 3 {
				limited(c, from("198.51.%d.1", 110+i), ofAll)
				limited(c, from("2001:db8:%x::1", 0xb0+i), ofAll)
			}
		}},
		{"limit-too-big-apart", "a flood of unbound EIPs does not end path MTU discovery", "RFC 1812 section 4.3.2.8, RFC 8201 section 4", func(c *Case) {
			both(c, Limits{1, 2, 1, 2})
			c.rules().Unbound = "host-unreachable"
			c.answer(udp(to("203.0.113.8")), "no_binding", hostUnreachable)
			c.answer(udp(to("203.0.113.8")), "no_binding", hostUnreachable)
			c.silent(c.frame(udp(to("203.0.113.8"))), "no_binding", ofAll)
			c.answer(sized(to4, 1451).df(), "packet_too_big", tooBig(1450))
			c.answer(sized(to6, 1431), "packet_too_big", tooBig(1430))
			c.silent(c.frame(sized(ends{addr("192.0.2.1").Addr, eip4.Addr}, 1451).df()), "packet_too_big", ofAll)
		}},
		{"limit-not-for-the-forbidden", "what may not be answered uses up no limit", "RFC 1812 section 4.3.2.8", func(c *Case) {
			both(c, Limits{1, 2, 1, 2})
			for range 4 {
				c.silent(c.frame(icmpOf(to4, 3).ttl(1)), "ttl_expired", "answer_forbidden")
			}
			expired(c, udp(to4))
			expired(c, udp(to4))
			limited(c, udp(to4), ofAll)
		}},
	}
}
