package main

// clampCases are TCP SYNs whose MSS is lowered to what fits, and segments that stay as
// they are.
func clampCases() []story {
	const syn, ack = tcpSYN, tcpACK
	segments := map[string]bool{"203.0.113.0/24": true, "2001:db8:e1b::/48": true}
	clamping := func(c *Case) {
		c.rules().ClampMSS = segments
		c.bind(eip4, tunnel4)
		c.bind(eip6, tunnel6)
	}
	// lowered has p arrive, and want leave.
	lowered := func(c *Case, p, want packet, t Tunnel) {
		c.forwardFrame(c.frame(p), want, t)
		c.event("mss_clamped")
	}
	with := func(e ends, options ...[]byte) packet { return tcpWith(e, syn, join(options...), nil) }
	const fits4, fits6 = 1500 - 50 - 40, 1500 - 70 - 60 // over an underlay of the same family

	return []story{
		{"mss-clamp", "the MSS of a SYN comes down to what the tunnel leaves: 1410 over IPv4, 1370 over IPv6", "RFC 9293 section 3.7.1, RFC 1624 section 3", func(c *Case) {
			clamping(c)
			lowered(c, with(to4, mss(1460)), with(to4, mss(fits4)), tunnel4)
			lowered(c, with(to6, mss(1440)), with(to6, mss(fits6)), tunnel6)
			lowered(c, with(to4, mss(65535)), with(to4, mss(fits4)), tunnel4)
		}},
		{"mss-clamp-syn-ack", "and that of a SYN/ACK", "RFC 9293 section 3.7.1", func(c *Case) {
			clamping(c)
			lowered(c, tcpWith(to4, syn|ack, mss(1460), nil), tcpWith(to4, syn|ack, mss(fits4), nil), tunnel4)
			lowered(c, tcpWith(to6, syn|ack, mss(1440), nil), tcpWith(to6, syn|ack, mss(fits6), nil), tunnel6)
		}},
		{"mss-clamp-mixed-families", "1390 for IPv4 over IPv6 and for IPv6 over IPv4", "RFC 9293 section 3.7.1", func(c *Case) {
			c.rules().ClampMSS = segments
			c.bind(eip4, tunnel6)
			c.bind(eip6, tunnel4)
			lowered(c, with(to4, mss(1460)), with(to4, mss(1390)), tunnel6)
			lowered(c, with(to6, mss(1440)), with(to6, mss(1390)), tunnel4)
		}},
		{"mss-clamp-of-way", "a way of 1400 bytes leaves 1310, with OVN's option 1302", "RFC 9293 section 3.7.1", func(c *Case) {
			c.rules().ClampMSS = segments
			w := c.wayOut(sw0)
			w.MTU = 1400
			ovn := second4
			ovn.OVN = &OVN{Inport: 2, Outport: 1}
			c.resolve(tunnel4, w)
			c.resolve(ovn, w)
			c.bind(eip4, tunnel4)
			c.bind(addr("203.0.113.8"), ovn)
			lowered(c, with(to4, mss(1460)), with(to4, mss(1310)), tunnel4)
			other := to("203.0.113.8")
			lowered(c, with(other, mss(1460)), with(other, mss(1302)), ovn)
		}},
		{"mss-clamp-options", "the option is found among others, its value at even and odd places", "RFC 9293 section 3.1, RFC 1071 section 2", func(c *Case) {
			clamping(c)
			nop, sack, scale := []byte{1}, []byte{4, 2}, []byte{3, 3, 7}
			stamp := append([]byte{8, 10}, pattern(8)...)
			for _, o := range [][2][]byte{
				{nop, nil}, {join(nop, nop, nop), nil}, {scale, nil}, {nil, join(sack, stamp, nop, scale)},
				{join(sack, nop), join(stamp, scale)}, {join(sack, stamp, nop, scale), nil},
			} {
				lowered(c, with(to4, o[0], mss(1460), o[1]), with(to4, o[0], mss(fits4), o[1]), tunnel4)
				lowered(c, with(to6, o[0], mss(1440), o[1]), with(to6, o[0], mss(fits6), o[1]), tunnel6)
			}
		}},
		{"mss-clamp-checksums", "the checksum is right for any value, and with data behind the SYN", "RFC 1624 section 3", func(c *Case) {
			clamping(c)
			for _, n := range []uint16{1411, 1412, 0x0600, 0x7fff, 0x8000, 0xff00, 0xfffe, 0xffff} {
				data := pattern(int(n % 31))
				lowered(c, tcpWith(to4, syn, mss(n), data), tcpWith(to4, syn, mss(fits4), data), tunnel4)
				o := join([]byte{1}, mss(n))
				lowered(c, tcpWith(to6, syn, o, data), tcpWith(to6, syn, join([]byte{1}, mss(fits6)), data), tunnel6)
			}
		}},
		{"mss-clamp-authenticated", "behind an authentication header nothing is changed", "RFC 4302 section 3.3.3", func(c *Case) {
			clamping(c)
			auth := extension{protoAH, pattern(22)}
			c.forward(with(to6, mss(1440)).ext(auth), tunnel6)
			c.forward(with(to6, mss(1440)).ext(padN(protoDestOptions, 8), auth), tunnel6)
			c.forward(with(to6, mss(1440)).ext(auth, padN(protoDestOptions, 8)), tunnel6)
		}},
		{"mss-clamp-ip-options", "behind IPv4 options and IPv6 extension headers", "RFC 9293 section 3.7.1", func(c *Case) {
			clamping(c)
			lowered(c, with(to4, mss(1460)).options(148, 4, 0, 0), with(to4, mss(fits4)).options(148, 4, 0, 0), tunnel4)
			for _, e := range [][]extension{{padN(protoDestOptions, 8)}, {padN(protoHopByHop, 8), padN(protoDestOptions, 24)}} {
				lowered(c, with(to6, mss(1440)).ext(e...), with(to6, mss(fits6)).ext(e...), tunnel6)
			}
		}},
		{"mss-clamp-fragments", "the first IPv4 fragment of a SYN is clamped, so that the checksum of the whole is right; later ones are data, and IPv6 fragments are not looked into", "RFC 9293 section 3.7.1", func(c *Case) {
			clamping(c)
			data := pattern(200)
			from, to := tcpWith(to4, syn, mss(1460), data).fragments(96, 160), tcpWith(to4, syn, mss(fits4), data).fragments(96, 160)
			lowered(c, from[0], to[0], tunnel4)
			c.forward(from[1], tunnel4)
			c.forward(from[2], tunnel4)
			// A later fragment that looks like a SYN.
			p := tcpWith(to4, syn, mss(1460), nil)
			p.v4.offset, p.flow.ports = 800, 0
			c.forward(p, tunnel4)
			for _, f := range tcpWith(to6, syn, mss(1440), data).fragments(96, 160) {
				c.forward(f, tunnel6)
			}
		}},
		{"mss-clamp-fragmented", "a SYN that is too big itself is clamped first, then fragmented", "RFC 9293 section 3.7.1, RFC 791 section 3.2", func(c *Case) {
			clamping(c)
			data := pattern(1456)
			c.fragmentFrame(c.frame(tcpWith(to4, syn, mss(1460), data)), tcpWith(to4, syn, mss(fits4), data), tunnel4)
			c.event("mss_clamped")
		}},
		{"mss-fits", "an MSS that fits stays", "RFC 9293 section 3.7.1", func(c *Case) {
			clamping(c)
			for _, n := range []uint16{0, 1, 536, 1220, fits6} {
				c.forward(with(to4, mss(n)), tunnel4)
				c.forward(with(to6, mss(n)), tunnel6)
			}
			c.forward(with(to4, mss(fits4)), tunnel4)
		}},
		{"mss-none", "a SYN without the option gets none: it means 536, or 1220", "RFC 9293 section 3.7.1", func(c *Case) {
			clamping(c)
			for _, o := range [][]byte{nil, {1, 1, 1, 1}, {4, 2, 3, 3, 7}} {
				c.forward(with(to4, o), tunnel4)
				c.forward(with(to6, o), tunnel6)
			}
			c.forward(with(to4, []byte{0, 1, 1, 1}, mss(1460)), tunnel4) // behind the end of the list
		}},
		{"mss-no-syn", "other segments stay, whatever options they have, and so does what is not TCP", "RFC 9293 section 3.7.1", func(c *Case) {
			clamping(c)
			for _, flags := range []uint8{ack, tcpPSH | ack, 0x04, 0x01, 0} {
				c.forward(tcpWith(to4, flags, mss(1460), nil), tunnel4)
				c.forward(tcpWith(to6, flags, mss(1440), nil), tunnel6)
			}
			like := with(to4, mss(1460))
			c.forward(ip(to4, protoExperiment, like.payload), tunnel4)
			c.forward(ip(to6, protoExperiment, like.payload), tunnel6)
		}},
		{"mss-malformed", "options that lie about their length, and headers that do, are left alone", "RFC 9293 section 3.1", func(c *Case) {
			clamping(c)
			for _, o := range [][]byte{
				join([]byte{8, 0}, mss(1460), []byte{1, 1}), join([]byte{8, 1}, mss(1460), []byte{1, 1}), // shorter than itself
				join([]byte{8, 40}, mss(1460), []byte{1, 1}), // reaches beyond the header
				{2, 3, 0x05, 1}, {2, 5, 0x05, 0xb4, 0, 1, 1, 1}, // MSS of another length
				{1, 1, 1, 2}, {1, 1, 2, 4}, // ends before its value
			} {
				c.forward(with(to4, o), tunnel4)
				c.forward(with(to6, o), tunnel6)
			}
			for _, offset := range []uint8{0, 4, 7, 15} { // words: less than a header, or more than the segment
				p := with(to4, mss(1460))
				p.payload[12] = offset << 4
				c.forward(p, tunnel4)
			}
			p := with(to4, mss(1460))
			p.payload = p.payload[:19]
			c.forward(p, tunnel4)
		}},
		{"mss-not-clamped", "where clamping is not configured nothing is clamped", "RFC 9293 section 3.7.1", func(c *Case) {
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel6)
			c.forward(with(to4, mss(1460)), tunnel4)
			c.forward(with(to6, mss(1440)), tunnel6)
		}},
		{"mss-by-segment", "the longest segment says yes or no; outside of all it is no", "RFC 9293 section 3.7.1", func(c *Case) {
			c.rules().ClampMSS = map[string]bool{
				"203.0.113.0/24": true, "203.0.113.8/29": false, "203.0.113.9/32": true,
				"2001:db8:e1b::/48": false, "2001:db8:e1b:1::/64": true,
			}
			c.bind(network("203.0.112.0/23"), tunnel4)
			c.bind(network("2001:db8:e1b::/48"), tunnel6)
			for _, host := range []string{"203.0.113.7", "203.0.113.16", "203.0.113.9", "203.0.113.255"} {
				lowered(c, with(to(host), mss(1460)), with(to(host), mss(fits4)), tunnel4)
			}
			for _, host := range []string{"203.0.113.8", "203.0.113.10", "203.0.113.15", "203.0.112.255"} {
				c.forward(with(to(host), mss(1460)), tunnel4)
			}
			lowered(c, with(to("2001:db8:e1b:1::7"), mss(1440)), with(to("2001:db8:e1b:1::7"), mss(fits6)), tunnel6)
			c.forward(with(to("2001:db8:e1b:2::7"), mss(1440)), tunnel6)
		}},
	}
}
