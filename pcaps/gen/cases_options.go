package main

// optionCases are IPv4 options: source routes, all others, and broken ones.
func optionCases() []story {
	loose, strict := []byte{131, 7, 4, 192, 0, 2, 1}, []byte{137, 7, 4, 192, 0, 2, 1}
	record := append([]byte{7, 11, 4}, make([]byte, 8)...)
	both := func(c *Case) { c.bind(eip4, tunnel4) }
	dropped := func(c *Case, reason string, o ...[]byte) {
		c.drop(c.frame(udp(to4).options(join(o...)...)), reason)
	}

	return []story{
		{"source-route-loose", "a loose source route is not followed", "RFC 7126 section 4.3, RFC 1812 section 5.3.13.4", func(c *Case) {
			both(c)
			dropped(c, "source_route", loose)
			dropped(c, "source_route", []byte{131, 39, 4}, make([]byte, 36))
			dropped(c, "source_route", []byte{131, 7, 8, 192, 0, 2, 1}) // gone to its end
		}},
		{"source-route-strict", "a strict source route is not followed", "RFC 7126 section 4.4, RFC 1812 section 5.3.13.4", func(c *Case) {
			both(c)
			dropped(c, "source_route", strict)
			dropped(c, "source_route", []byte{137, 7, 8, 192, 0, 2, 1})
		}},
		{"source-route-behind-options", "a source route is found behind other options", "RFC 7126 section 4.3, RFC 7126 section 4.4", func(c *Case) {
			both(c)
			dropped(c, "source_route", []byte{1}, loose)
			dropped(c, "source_route", []byte{1, 1, 1}, strict)
			dropped(c, "source_route", record, loose)
			dropped(c, "source_route", []byte{148, 4, 0, 0}, record, strict)
		}},
		{"source-route-not-answered", "nobody is told", "RFC 7126 section 4.3", func(c *Case) {
			both(c)
			c.answering()
			dropped(c, "source_route", loose)
			c.drop(c.frame(udp(to4).options(strict...).ttl(1)), "source_route")
		}},
		{"source-route-behind-the-end", "what stands behind the end of the list is no option", "RFC 791 section 3.1", func(c *Case) {
			both(c)
			c.forward(udp(to4).options(join([]byte{0}, loose)...), tunnel4)
			c.forward(udp(to4).options(join([]byte{1, 0}, strict)...), tunnel4)
		}},
		{"options-forwarded", "record route, timestamp, router alert, security, stream identifier and unknown ones go on as they came", "RFC 1812 section 5.3.13.1, RFC 1812 section 5.3.13.5, RFC 1812 section 5.3.13.6, RFC 1812 section 4.2.2.6", func(c *Case) {
			both(c)
			for _, o := range [][]byte{
				record,
				append([]byte{68, 12, 5, 0}, make([]byte, 8)...),
				append([]byte{68, 36, 9, 1}, make([]byte, 32)...),
				{148, 4, 0, 0},
				{130, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9},
				{136, 4, 0x12, 0x34},
				{94, 6, 1, 2, 3, 4}, // experiment, not copied (RFC 4727)
				{222, 2},            // experiment, copied
			} {
				c.forward(udp(to4).options(o...), tunnel4)
			}
		}},
		{"options-malformed", "options shorter than themselves, or longer than the header", "RFC 791 section 3.1", func(c *Case) {
			both(c)
			for _, o := range [][]byte{
				{148, 0, 0, 0}, {148, 1, 0, 0}, // type and length are two bytes already
				{148, 5, 0, 0}, {148, 255, 0, 0}, {7, 41, 4, 0},
				{1, 1, 1, 148}, // no length
				{148, 4, 0, 0, 7, 5, 4, 0},
			} {
				dropped(c, "bad_ipv4_options", o)
			}
			c.forward(udp(to4).options(148, 2, 1, 0), tunnel4) // the shortest
			c.forward(udp(to4).options(1, 1, 148, 2), tunnel4) // up to the end
		}},
		{"options-malformed-not-answered", "and no parameter problem is sent", "RFC 1812 section 4.3.3.5", func(c *Case) {
			both(c)
			c.answering()
			dropped(c, "bad_ipv4_options", []byte{148, 0, 0, 0})
		}},
	}
}
