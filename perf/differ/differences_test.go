package differ

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// difference is one way in which the gateway is not the kernel, on purpose.
type difference struct {
	name, why string

	// field is that of an answer's headers in which they differ, both saying the same.
	field string

	// is says whether what became of the packet differs in this way.
	is func(p packet, kernel, own outcome) bool
}

// differences is all of them. For a packet the first one counts that holds.
var differences = []difference{
	{name: "TOS of errors",
		why:   "class selector 6 always (RFC 1812 section 4.3.2.5, RFC 2474 section 4.2.2.2); the kernel keeps TOS bits of the packet, and has 0 in IPv6",
		field: "TOS"},
	{name: "identification of errors", why: "0, as they are atomic (RFC 6864 section 4.1); the kernel counts", field: "identification"},
	{name: "DF of errors", why: "set, as they are atomic (RFC 6864 section 4.1)", field: "flags"},
	{name: "options of errors", why: "none; the kernel echoes those that record (RFC 792 asks for neither)", field: "options"},
	{name: "length of the quote",
		why:   "as much as makes 576 or 1280 bytes (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)); the kernel takes echoed options off",
		field: "length of the quote by that of the options"},

	{name: "options that end nowhere",
		why: "a broken packet is dropped in silence (RFC 1812 section 5.3.13.4 has such options ignored); the kernel sends parameter problem (RFC 1812 section 4.3.3.5)",
		is: func(p packet, kernel, own outcome) bool {
			_, sound := optionsOf(p)
			return !p.is6 && !sound && kernel.says(12, 0) && own.silent()
		}},
	{name: "options that come twice",
		why: "not looked for (RFC 791 section 3.1 has record route, timestamp and source route once at most); the kernel sends parameter problem",
		is: func(p packet, kernel, own outcome) bool {
			return twice(p) && (kernel.says(12, 0) || kernel.silent()) && own.asReceived(p)
		}},
	{name: "options that record",
		why: "record route and timestamp stay as they are (RFC 7126 sections 4.5 and 4.7, against RFC 1812 sections 5.3.13.5 and 5.3.13.6); the kernel fills them in",
		is: func(p packet, kernel, own outcome) bool {
			k, o := kernel.blanked(), own.blanked()
			return recording(p) && own.asReceived(p) && sameAnswers(k, o) && (sameForwarded(k, o) || sameWhole(k, o) && copiesOptions(p, own))
		}},
	{name: "behind the end of options",
		why: "bytes there mean nothing and stay (RFC 791 section 3.1); the kernel clears them",
		is: func(p packet, kernel, own outcome) bool {
			k, o := kernel.blanked(), own.blanked()
			return behindEnd(p) && own.asReceived(p) && sameAnswers(k, o) && (sameForwarded(k, o) || sameWhole(k, o) && copiesOptions(p, own))
		}},
	{name: "options of later fragments",
		why: "those that are not to be copied go, and so does padding, as RFC 791 section 3.2 has it; the kernel overwrites them with no operation",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && p.b[0]&15 > 5 && sameWhole(kernel, own) && copiesOptions(p, own)
		}},
	{name: "pieces of a fragment in the middle",
		why: "of even size, lest they look like an attack (RFC 1858 section 3); the kernel's last one is as small as it comes",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && p.b[6]&0x20 != 0 && len(kernel.forwarded) == len(own.forwarded) && sameWhole(kernel, own)
		}},
	{name: "reserved flag of fragments",
		why: "kept as it came (RFC 791 section 3.1); the kernel clears it when it fragments",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && p.b[6]&0x80 != 0 && sameWhole(kernel, own)
		}},

	{name: "the last hop to an unresolved VTEP",
		why: "time exceeded: the destination is bound, and a traceroute shows the gateway (RFC 1812 section 5.3.1); the kernel looks for a route first",
		is: func(p packet, kernel, own outcome) bool {
			exceeded := own.says(11, 0) && p.b[8] <= 1
			if p.is6 {
				exceeded = own.says(3, 0) && p.b[7] <= 1
			}
			return p.kind == unresolved && exceeded && len(kernel.forwarded) == 0
		}},
	{name: "sources of the zero network",
		why: "0.0.0.0/8 is no one's (RFC 1122 section 3.2.1.3, RFC 6890); the kernel takes all but 0.0.0.0 for unicast",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && p.b[12] == 0 && !p.src.IsUnspecified() && !kernel.silent() && own.silent()
		}},
	{name: "sources that are IPv4-mapped",
		why: "::ffff:0.0.0.0/96 is on no wire (RFC 6890); the kernel forwards it",
		is: func(p packet, kernel, own outcome) bool {
			return p.is6 && p.src.Is4In6() && !kernel.silent() && own.silent()
		}},
	{name: "sources of class E",
		why: "240.0.0.0/4 is no one's (RFC 1812 sections 4.2.2.11 and 5.3.7, RFC 6890); the kernel takes them for unicast",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && p.b[12] >= 240 && !kernel.silent() && own.silent()
		}},
	{name: "link-local sources of IPv4",
		why: "169.254.0.0/16 does not leave its link (RFC 3927 section 7); the kernel forwards it",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && p.b[12] == 169 && p.b[13] == 254 && !kernel.silent() && own.silent()
		}},
	{name: "errors from the gateway's own IPv4 address",
		why: "they pass, as hosts behind EIPs need those of gateways with the same address (RFC 1191 section 3); the kernel drops them",
		is: func(p packet, kernel, own outcome) bool {
			return !p.is6 && (p.src == own4 || p.src == out4) && p.b[9] == 1 && kernel.silent() && len(own.forwarded) > 0
		}},
	{name: "the gateway's own IPv6 address as source",
		why: "dropped, as in IPv4 (RFC 1812 section 5.3.7); the kernel does not look",
		is: func(p packet, kernel, own outcome) bool {
			return p.is6 && p.src == own6 && !kernel.silent() && own.silent()
		}},
	{name: "link-local sources of IPv6",
		why: "dropped (RFC 4291 section 2.5.6) in silence; the kernel says that they are beyond their scope (RFC 4443 section 3.1), or what else is wrong",
		is: func(p packet, kernel, own outcome) bool {
			return p.is6 && p.src == linkLocal && !kernel.silent() && len(kernel.forwarded) == 0 && own.silent()
		}},

	{name: "hop-by-hop options",
		why: "not looked at (RFC 8200 section 4); the kernel drops the packet for one that it does not know, where that says so, or that is broken",
		is: func(p packet, kernel, own outcome) bool {
			return strangeHopByHop(p) && (kernel.silent() || kernel.says(4, 2)) && own.asReceived(p)
		}},
	{name: "address unreachable",
		why: "RFC 4443 section 3.1, code 3, where so configured; the kernel's unreachable routes say no route, code 0",
		is: func(p packet, kernel, own outcome) bool {
			return p.is6 && kernel.says(1, 0) && own.says(1, 3)
		}},
	{name: "errors about later IPv6 fragments",
		why: "none, as they may belong to an ICMPv6 error, and the first one is answered (RFC 4443 section 2.4 (e.1))",
		is: func(p packet, kernel, own outcome) bool {
			c := chainOf(p)
			return c.later && len(kernel.answers) == 1 && own.silent()
		}},
	{name: "errors about what hides behind extension headers",
		why: "none where the chain has no end, or one too far: it may be an ICMPv6 error (RFC 4443 section 2.4 (e.1))",
		is: func(p packet, kernel, own outcome) bool {
			c := chainOf(p)
			return (c.open || c.n > 8) && len(kernel.answers) == 1 && own.silent()
		}},
	{name: "errors about redirects",
		why: "none (RFC 4443 section 2.4 (e.2)); the kernel sends them",
		is: func(p packet, kernel, own outcome) bool {
			c := chainOf(p)
			return c.redirect && len(kernel.answers) == 1 && own.silent()
		}},
}

// strangeHopByHop says whether the option that a packet has for every router is one that
// is to be dropped where it is unknown (RFC 8200 section 4.2), or longer than its header.
func strangeHopByHop(p packet) bool {
	if !p.is6 || p.b[6] != nextHopByHop {
		return false
	}
	return len(p.b) < 48 || p.b[42]&0xc0 != 0 || p.b[43] > 4
}

// optionsOf lists the types of an IPv4 packet's options up to their end, and says whether
// all end inside the header.
func optionsOf(p packet) (kinds []byte, sound bool) {
	if p.is6 {
		return nil, true
	}
	o := p.b[20 : 4*int(p.b[0]&15)]
	for len(o) > 0 && o[0] != optEnd {
		kinds = append(kinds, o[0])
		n := 1
		if o[0] != optNop {
			if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
				return kinds, false
			}
			n = int(o[1])
		}
		o = o[n:]
	}
	return kinds, true
}

func recording(p packet) bool {
	kinds, sound := optionsOf(p)
	return sound && slices.ContainsFunc(kinds, func(k byte) bool { return k == optRecordRoute || k == optTimestamp })
}

// copiesOptions says whether every fragment but the first has the options whose copied
// flag is set, and nothing else.
func copiesOptions(p packet, o outcome) bool {
	var want []byte
	options := p.b[20 : 4*int(p.b[0]&15)]
	for len(options) > 0 && options[0] != optEnd {
		n := 1
		if options[0] != optNop {
			n = int(options[1])
		}
		if options[0]&0x80 != 0 {
			want = append(want, options[:n]...)
		}
		options = options[n:]
	}
	for len(want)%4 != 0 {
		want = append(want, optEnd)
	}
	for _, f := range o.forwarded[1:] {
		if !bytes.Equal(want, f[20:4*int(f[0]&15)]) {
			return false
		}
	}
	return true
}

// twice says whether an option is there twice that may not be; source routes are one.
func twice(p packet) bool {
	kinds, sound := optionsOf(p)
	n := map[byte]int{}
	for _, k := range kinds {
		if k == optStrictRoute {
			k = optLooseRoute
		}
		n[k]++
	}
	return sound && max(n[optRecordRoute], n[optTimestamp], n[optLooseRoute]) > 1
}

// behindEnd says whether something other than padding follows the end of options.
func behindEnd(p packet) bool {
	if p.is6 {
		return false
	}
	o := p.b[20 : 4*int(p.b[0]&15)]
	for len(o) > 0 && o[0] != optEnd {
		n := 1
		if o[0] != optNop {
			n = int(o[1])
		}
		o = o[n:]
	}
	return slices.ContainsFunc(o, func(b byte) bool { return b != 0 })
}

// chain is what an IPv6 packet's extension headers are.
type chain struct {
	n        int  // how many
	open     bool // the packet ends inside of them
	later    bool // a fragment other than the first
	redirect bool // an ICMPv6 redirect follows
}

func chainOf(p packet) (c chain) {
	if !p.is6 {
		return c
	}
	next, b := p.b[6], p.b[40:]
	for {
		size := 0
		switch {
		case next == nextICMPv6:
			c.open = len(b) == 0
			c.redirect = len(b) > 0 && b[0] == 137
			return c
		case !slices.Contains([]byte{nextHopByHop, nextRouting, nextFragment, nextAH, nextDestOptions}, next):
			return c
		case len(b) < 8:
			c.open = true
			return c
		case next == nextFragment:
			if size = 8; binary.BigEndian.Uint16(b[2:])>>3 != 0 {
				c.later = true
				return c
			}
		case next == nextAH:
			size = 8 + 4*int(b[1])
		default:
			size = 8 + 8*int(b[1])
		}
		if c.n++; len(b) < size {
			c.open = true
			return c
		}
		next, b = b[0], b[size:]
	}
}
