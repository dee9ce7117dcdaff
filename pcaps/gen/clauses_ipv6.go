package main

// ipv6Clauses are those about IPv6 headers, addresses and flow labels.
func ipv6Clauses() []specification {
	return []specification{
		{"IPv6: RFC 8200", []clause{
			{"RFC 8200 section 3", "header layout; the hop limit goes down by one and ends at 0; the payload length says where the packet ends", complies, "", ""},
			{"RFC 8200 section 4", "extension headers are not examined on the way, but hop-by-hop by configuration", complies, "stepped over for the flow hash alone, eight at most; hop-by-hop options are not processed", ""},
			{"RFC 8200 section 4.5", "fragments; only the source fragments", complies, "the gateway does for its own tunnel packets", ""},
			{"RFC 8200 section 4.7", "no next header: what follows is passed on", complies, "", ""},
			{"RFC 8200 section 5", "every link takes 1280 bytes, or fragments below IPv6", complies, "the outer packet is fragmented", ""},
			{"RFC 8200 section 8.1", "UDP has a checksum, sent as ffff when it comes out 0", complies, "", ""},
			{"RFC 8200", "128-bit addresses", complies, "", ""},
			{"RFC 2675 section 3", "jumbograms", deliberately, "dropped: no link here takes packets of 64 KiB", ""},
			{"RFC 5095 section 3", "type 0 routing headers: not processed by their destination, no matter to others", complies, "", ""},
			{"RFC 7045 section 2.1", "unknown extension headers do not stop forwarding", complies, "", ""},
			{"RFC 8504 section 5.3", "limits on extension headers", complies, "a longer chain is forwarded, and hashed without ports", ""},
		}},
		{"IPv6 addresses: RFC 4291", []clause{
			{"RFC 4291 section 2.4", "types of addresses by their first bits", complies, "", ""},
			{"RFC 4291 section 2.5", "prefixes of any length", complies, "", ""},
			{"RFC 4291 section 2.5.2", "the unspecified address is no destination, and no source of what is forwarded", configurable, "martians", ""},
			{"RFC 4291 section 2.5.3", "nor is loopback", configurable, "martians", ""},
			{"RFC 4291 section 2.5.5.2", "IPv4-mapped addresses stand for IPv4 within a node", configurable, "martians, with RFC 6890", ""},
			{"RFC 4291 section 2.5.6", "link-local addresses are not forwarded", configurable, "martians", ""},
			{"RFC 4291 section 2.7", "a group is no source", configurable, "martians; nor a destination, for the gateway forwards to single hosts", ""},
		}},
		{"Flows: RFC 6438, RFC 2991", []clause{
			{"RFC 6438", "the inner flow label is the sender's", complies, "it stays", ""},
			{"RFC 6438 section 3", "a tunnel's flow label tells flows apart, by addresses and ports, or by addresses alone", complies, "with the UDP source port, from one hash; fragments without ports", ""},
			{"RFC 2991 section 2", "equal ways by a hash that moves few flows when one goes", complies, "highest random weight", ""},
		}},
	}
}
