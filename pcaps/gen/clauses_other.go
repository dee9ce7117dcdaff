package main

// fragmentClauses are those about fragments that attack.
func fragmentClauses() []specification {
	return []specification{
		{"Hostile fragments: RFC 1858, RFC 3128, RFC 5722, RFC 6946, RFC 7112", []clause{
			{"RFC 1858 section 3", "first fragments that hide TCP's flags are dropped by a filter", configurable, "counted, and dropped by configuration: the gateway filters nothing itself", ""},
			{"RFC 1858 section 4", "fragments that overlap a TCP header are dropped by a filter", configurable, "the same: those that begin 8 bytes into it", ""},
			{"RFC 3128", "both checks are needed", configurable, "both are made", ""},
			{"RFC 5722 section 4", "a node that puts fragments together drops those that overlap", elsewhere, "fragments are not put together here", ""},
			{"RFC 6946 section 2", "a fragment that is all of its packet", complies, "hashed as a fragment", ""},
			{"RFC 6946 section 4", "which is handled apart from all others", complies, "it is never a tiny one", ""},
			{"RFC 7112 section 5", "a first fragment holds all headers; others may be dropped", configurable, "counted, and dropped by configuration", ""},
		}},
	}
}

// transportClauses are those about what is above IP.
func transportClauses() []specification {
	return []specification{
		{"Transport", []clause{
			{"RFC 9293 section 3.1", "TCP's header and options", complies, "what does not keep to it is left alone", ""},
			{"RFC 9293 section 3.7.1", "MSS says how large a segment may be, less fixed headers", configurable, "lowered on SYNs, by segment", ""},
			{"RFC 4302 section 3.3.3", "an authentication header covers what is behind it", complies, "such a SYN keeps its MSS", ""},
			{"RFC 9260 section 3.1", "SCTP's ports", complies, "", ""},
			{"RFC 3828 section 3", "UDP-Lite's ports", complies, "", ""},
			{"RFC 4632 section 3.1", "prefixes", complies, "", ""},
		}},
	}
}

// tunnelClauses are those about tunnels.
func tunnelClauses() []specification {
	return []specification{
		{"Geneve: RFC 8926", []clause{
			{"RFC 8926 section 3", "the whole of a packet", complies, "", ""},
			{"RFC 8926 section 3.1", "over IPv4", complies, "", ""},
			{"RFC 8926 section 3.2", "over IPv6", complies, "", ""},
			{"RFC 8926 section 3.3", "UDP: a source port of the flow, destination port 6081, a checksum over IPv6", complies, "another port by configuration; over IPv6 without a checksum by configuration, see RFC 6935", ""},
			{"RFC 8926 section 4.3", "over IPv4 there should be a UDP checksum; it may be left out where the risk is known", deliberately, "there is one only where the outer packet is fragmented: all of a packet would have to be read for it", "cases of RFC 8926 section 3.1"},
			{"RFC 8926 section 3.4", "version 0, C when an option is critical, protocol type, VNI", complies, "", ""},
			{"RFC 8926 section 3.5", "options of up to 31 words", complies, "", ""},
			{"RFC 8926 section 4.4.1", "DF outside, so that path MTU discovery works", complies, "unless the outer packet is fragmented", ""},
			{"RFC 8926 section 4.4.2", "DSCP and ECN by RFC 2983 and RFC 6040", configurable, "", "cases of RFC 2983 and RFC 6040"},
		}},
		{"VXLAN: RFC 7348", []clause{
			{"RFC 7348 section 4.3", "VTEPs must not fragment; those that receive may drop fragments; MTUs are to be large enough; path MTU discovery is another way", configurable, "by default the inner packet is fragmented, not the outer; that is a choice of the operator, and what RFC 8200 section 5 leaves for IPv6 packets of up to 1280 bytes", ""},
			{"RFC 7348 section 5", "I set, all else reserved and 0, VNI; a source port of the flow, destination port 4789, no checksum over IPv4", complies, "another port by configuration", ""},
		}},
		{"Tunnels: RFC 2473, RFC 2983, RFC 6040, RFC 6935, RFC 6936", []clause{
			{"RFC 2473 section 7.1", "an IPv6 packet of more than 1280 bytes that does not fit is refused, a smaller one fragmented in its tunnel", complies, "", ""},
			{"RFC 2473 section 7.2", "an IPv4 packet that does not fit is refused with DF, else fragmented in its tunnel", configurable, "by default the inner packet is fragmented, which no VTEP has to put together", ""},
			{"RFC 2474 section 4.2.2", "class selectors are what precedence was", complies, "", ""},
			{"RFC 2983 section 3", "the outer DSCP is copied, or set by policy", configurable, "copy, fixed, map", ""},
			{"RFC 2983 section 3.1", "uniform model: copied", complies, "by default", ""},
			{"RFC 3168 section 5", "what is not ECN capable says so", complies, "answers", ""},
			{"RFC 6040 section 4.1", "the outer ECN field is the inner one's copy", complies, "whatever the DSCP policy", ""},
			{"RFC 6935 section 5", "a tunnel may go without UDP checksum over IPv6", configurable, "", ""},
			{"RFC 6936 section 4", "and says so at both ends", configurable, "it is the operator who knows both", ""},
		}},
	}
}

// linkClauses are those about Ethernet.
func linkClauses() []specification {
	return []specification{
		{"Ethernet: 802.1Q", []clause{
			{"802.1Q section 6.9", "a tag's priority is made from the packet's class", configurable, "off by default", ""},
			{"802.1Q section 8.6.2", "ingress filtering: frames of VLANs that the port is no member of are dropped", configurable, "off by default", ""},
			{"802.1Q section 9", "a tag is no part of the data", complies, "", ""},
			{"802.1Q section 9.3", "tags: type, priority, VLAN", complies, "taken off, put on; an answer has those of its frame", ""},
			{"802.1Q section 9.5", "service tags: 88a8", complies, "", ""},
			{"802.1ad", "a service tag in front of a customer tag", complies, "", ""},
			{"802.1Q section 9.6", "VLAN identifier 0 is a priority tag, 4095 reserved", complies, "", ""},
		}},
	}
}

// ownClauses are the gateway's own documentation, where it is what cases rest on.
func ownClauses() []specification {
	return []specification{
		{"The gateway's own", []clause{
			{"order of the Reasons", "of several faults the first in the list of dataplane.Reason counts", complies, "", ""},
			{"reason ether_type", "what is neither IPv4 nor IPv6 behind at most two tags is dropped", complies, "", ""},
			{"reason short_frame", "what ends inside a header is dropped", complies, "", ""},
			{"fib.Seed", "what a tunnel's seed is made of", complies, "", ""},
			{"fib.Score", "a flow takes the tunnel of the highest score", complies, "", ""},
			{"fib.WayScore", "and then the way of the highest", complies, "", ""},
			{"fib.Binding", "order and repetition do not matter", complies, "", ""},
		}},
	}
}
