package main

// ipv4Clauses are those about IPv4 headers and their forwarding.
func ipv4Clauses() []specification {
	return []specification{
		{"IPv4: RFC 791, RFC 1071, RFC 1624", []clause{
			{"RFC 791 section 3.1", "header layout; options by type and length, up to an end or the header's end; the highest bit of a type says that every fragment has it", complies, "", ""},
			{"RFC 791 section 3.2", "fragments of units of 8 bytes, offsets, MF, and DF that forbids it", complies, "", ""},
			{"RFC 1071 section 1 (3)", "a sum with its checksum is all ones; both zeros of one's complement are right", complies, "", ""},
			{"RFC 1071 section 2", "the sum does not depend on the order of bytes within words", complies, "a value at an odd place is corrected with its bytes exchanged", ""},
			{"RFC 1624 section 3", "a checksum is corrected for one field as HC' = ~(~HC + ~m + m')", complies, "", ""},
		}},
		{"IPv4 routers: RFC 1812 section 4.2", []clause{
			{"RFC 1812 section 4.2.2.1", "options in datagrams to the router itself", elsewhere, "what is for the gateway's own addresses goes to the kernel", ""},
			{"RFC 1812 section 4.2.2.3", "unused header bits are ignored and passed on", complies, "the reserved flag stays as it came", ""},
			{"RFC 1812 section 4.2.2.5", "a router may not turn off the header checksum", complies, "see 5.2.2 (2)", "cases of RFC 1812 section 5.2.2 (2)"},
			{"RFC 1812 section 4.2.2.6", "options that are not recognized are passed on", complies, "", ""},
			{"RFC 1812 section 4.2.2.7", "fragmentation: as few and as large fragments as can be, the options copied that have to be", complies, "the largest first", ""},
			{"RFC 1812 section 4.2.2.8", "reassembly of what is for the router", elsewhere, "the kernel's; nothing that is forwarded is put together", ""},
			{"RFC 1812 section 4.2.2.11", "addresses that may not be a destination, or a source", configurable, "martians", ""},
			{"RFC 1812 section 4.2.3.3", "path MTU discovery: DF obeyed, the next hop's MTU told", complies, "see RFC 1191", "cases of RFC 1191 section 4"},
		}},
		{"IPv4 forwarding: RFC 1812 section 5", []clause{
			{"RFC 1812 section 5.2.1.1", "link-layer validation: only frames for this station", complies, "", ""},
			{"RFC 1812 section 5.2.2", "a header that fails a check has the packet dropped in silence; what the link adds behind the packet is no part of it", complies, "", ""},
			{"RFC 1812 section 5.2.2 (1)", "the link layer's length holds a header", complies, "", ""},
			{"RFC 1812 section 5.2.2 (2)", "the checksum is right", complies, "", ""},
			{"RFC 1812 section 5.2.2 (3)", "the version is 4", complies, "", ""},
			{"RFC 1812 section 5.2.2 (4)", "IHL is 5 or more", complies, "", ""},
			{"RFC 1812 section 5.2.2 (5)", "the total length holds the header", complies, "", ""},
			{"RFC 1812 section 5.2.3", "what is for the router itself is delivered to it", elsewhere, "the XDP program leaves it to the kernel; what comes here in spite of that is bound to nothing", ""},
			{"RFC 1812 section 5.2.4", "the next hop and the interface are looked up for the destination", complies, "the binding's VTEP, and the underlay's way there", ""},
			{"RFC 1812 section 5.2.4.3", "longest match", complies, "a longer binding without a way does not fall back to a shorter one", ""},
			{"RFC 1812 section 5.2.5", "unused bits are passed on", complies, "", ""},
			{"RFC 1812 section 5.2.6", "fragmentation at the way out; no reassembly in transit", configurable, "the inner packet, the outer packet, or refused", "cases of RFC 1812 section 4.2.2.7 and RFC 2473 section 7.2"},
			{"RFC 1812 section 5.2.7.1", "no route: destination unreachable, with a code that says why; code 13 may be turned off", configurable, "on by default, for unbound EIPs and for VTEPs without a way; code 0, 1 or 13, or none", ""},
			{"RFC 1812 section 5.2.7.2", "redirects", deliberately, "the switch has no better way to an EIP than this gateway", ""},
			{"RFC 1812 section 5.2.7.3", "time exceeded, code 0, in transit", complies, "", ""},
			{"RFC 1812 section 5.3.1", "TTL goes down by one at least; at 0 the packet is dropped and time exceeded sent", complies, "after the lookup: what is unbound is unreachable at the last hop too", ""},
			{"RFC 1812 section 5.3.2", "TOS in route lookup", deliberately, "superseded by the DS field (RFC 2474); a binding has one way for all", ""},
			{"RFC 1812 section 5.3.3", "precedence-ordered queues", elsewhere, "the gateway has no queues; switches have the DSCP and PCP that it writes", ""},
			{"RFC 1812 section 5.3.4", "a packet to one host in a broadcast or multicast frame is not forwarded", complies, "", ""},
			{"RFC 1812 section 5.3.5", "broadcasts are not forwarded", complies, "the limited broadcast is a martian; directed ones go to whom the EIP is bound, who knows the subnet", "cases of RFC 1812 section 5.3.7"},
			{"RFC 1812 section 5.3.7", "martian sources and destinations, and the router's own as a source, are not forwarded; it may be turned off", configurable, "on by default", ""},
			{"RFC 1812 section 5.3.8", "a source that could not have come by that way is dropped", elsewhere, "a gateway of one arm has one way for all sources; the switch knows more", ""},
			{"RFC 1812 section 5.3.13", "options of what is forwarded", complies, "ports are found behind them, and they stay", ""},
			{"RFC 1812 section 5.3.13.1", "unrecognized options are passed on unchanged", complies, "", ""},
			{"RFC 1812 section 5.3.13.4", "source routes are followed, unless configured not to be", deliberately, "dropped, as RFC 7126 asks: whoever chooses the way gets behind filters", ""},
			{"RFC 1812 section 5.3.13.5", "record route: the router writes its address", deliberately, "the option is passed on unchanged: a rewritten header would be for a diagnosis that traceroute makes without", ""},
			{"RFC 1812 section 5.3.13.6", "timestamp: the router writes the time", deliberately, "the option is passed on unchanged; the packet path reads no clock", ""},
		}},
		{"IPv4 options: RFC 7126", []clause{
			{"RFC 7126 section 4.3", "packets with a loose source route are dropped", complies, "", ""},
			{"RFC 7126 section 4.4", "packets with a strict source route are dropped", complies, "", ""},
			{"RFC 7126 section 4.5", "advises on packets with record route", deliberately, "no filter but for source routes: RFC 1812 section 5.3.13.1 has options passed on", ""},
			{"RFC 7126 section 4.7", "advises on packets with timestamps", deliberately, "the same", ""},
		}},
		{"Identification and reassembly: RFC 6864", []clause{
			{"RFC 6864 section 4.1", "what is never fragmented needs no identification", complies, "outer packets and ICMP errors have DF and 0", ""},
			{"RFC 6864 section 4", "reassembly errors are found by a checksum above", complies, "an outer IPv4 packet that is fragmented has a UDP checksum", ""},
			{"RFC 6864 section 4.3", "identifications do not repeat within a datagram's life", deliberately, "16 bits cannot do that at the gateway's rates; a counter, and the checksum. Fragmenting the inner packet needs none", ""},
		}},
	}
}
