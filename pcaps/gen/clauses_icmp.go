package main

// icmpClauses are those about ICMP and ICMPv6 errors, and path MTU discovery.
func icmpClauses() []specification {
	return []specification{
		{"ICMP: RFC 792, RFC 1812 section 4.3", []clause{
			{"RFC 792", "layout of errors and echo; a quote of the header and 8 bytes at least", complies, "", ""},
			{"RFC 1812 section 4.3.2.2", "an answer's TTL is not that of the packet", complies, "64", "every case of an ICMP error"},
			{"RFC 1812 section 4.3.2.3", "the packet is quoted as it was received, as much as 576 bytes hold", complies, "", ""},
			{"RFC 1812 section 4.3.2.4", "the answer's source is an address of the interface by which it leaves, or the router's own", configurable, "the port's address, else the service address; without one there is no answer", ""},
			{"RFC 1812 section 4.3.2.5", "errors have precedence 6 or 7, and the TOS bits of the packet", complies, "class selector 6; not the TOS bits, which are of the DS field and ECN since", ""},
			{"RFC 1812 section 4.3.2.6", "an answer to a source-routed packet goes back by that route", deliberately, "source routes are dropped in silence", ""},
			{"RFC 1812 section 4.3.2.7", "no error about an error, a later fragment, a broken packet, a broadcast or multicast of network or link, or to who is no single host", complies, "nor to an address of the gateway, nor about ICMP types that nobody knows", ""},
			{"RFC 1812 section 4.3.2.8", "errors are limited in rate", configurable, "all together and per source prefix; too big apart", "package dataplane: tests of buckets over time"},
			{"RFC 1812 section 4.3.3.1", "no route: code 0; no path to a host of a connected network: code 1", configurable, "unbound EIPs by default code 1, VTEPs without a way code 0", ""},
			{"RFC 1812 section 4.3.3.3", "source quench is not sent", complies, "there is none", "no case has one"},
			{"RFC 1812 section 4.3.3.4", "time exceeded, code 0; a router may have an option against it", complies, "as soon as the gateway has an address to answer from; there is no option", "cases of RFC 1812 section 5.3.1"},
			{"RFC 1812 section 4.3.3.5", "parameter problem about headers that no other message covers", deliberately, "a broken packet is dropped in silence; who sends those looks for answers", ""},
			{"RFC 1812 section 4.3.3.6", "echo requests to the router are answered", elsewhere, "the kernel answers for the gateway's own addresses", ""},
			{"RFC 4884", "extensions behind the quote, and its length", deliberately, "no extensions: the length field is 0, which says so", ""},
		}},
		{"ICMPv6: RFC 4443", []clause{
			{"RFC 4443 section 2.2", "an error's source is a unicast address of the node", configurable, "the port's address, else the service address", ""},
			{"RFC 4443 section 2.3", "the checksum covers a pseudo header", complies, "", "every case of an ICMPv6 error"},
			{"RFC 4443 section 2.4 (c)", "as much of the packet is quoted as 1280 bytes hold", complies, "", ""},
			{"RFC 4443 section 2.4 (e)", "no error about an error or a redirect, to or from a group, to who is no single node", complies, "nor about later fragments, and chains of headers that hide what they lead to: whether that is an error cannot be seen. The first fragment is answered, for all", ""},
			{"RFC 4443 section 2.4 (f)", "errors are limited in rate", configurable, "all together and per source prefix; too big apart", "package dataplane: tests of buckets over time"},
			{"RFC 4443 section 3.1", "destination unreachable: 0 no route, 1 prohibited, 3 address unreachable", configurable, "on by default: unbound EIPs code 3, VTEPs without a way code 0", ""},
			{"RFC 4443 section 3.2", "packet too big, with the MTU of the next link", complies, "less the tunnel's overhead, never less than 1280", ""},
			{"RFC 4443 section 3.3", "time exceeded, code 0, when the hop limit ends", complies, "", ""},
			{"RFC 4443 section 3.4", "parameter problem", deliberately, "a broken packet is dropped in silence", ""},
			{"RFC 4443 section 4.1", "layout of echo", complies, "what is not the gateway's own is forwarded", ""},
		}},
		{"Path MTU: RFC 1191, RFC 8201", []clause{
			{"RFC 1191 section 3", "a host never believes in less than 68 bytes, nor in more than it did", complies, "for the gateway's own tunnel packets", "package dataplane/underlay"},
			{"RFC 1191 section 4", "a router tells the MTU of the next hop in fragmentation needed, never less than 68 bytes", complies, "what the tunnel leaves: 1450 over IPv4, 1430 over IPv6, 8 less with OVN's option", ""},
			{"RFC 8201 section 4", "a packet too big tells what would fit", complies, "", ""},
			{"RFC 1191 section 6", "a host remembers what it was told, and forgets it in time", configurable, "for the gateway's own tunnel packets: a VTEP's path MTU", "package dataplane/underlay"},
		}},
	}
}
