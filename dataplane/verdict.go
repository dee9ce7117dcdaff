package dataplane

// Verdict is what happens to a frame. The zero value is Drop, so that a frame
// that nobody decided about goes nowhere.
type Verdict uint8

// Verdicts.
const (
	Drop    Verdict = iota // released; Reason says why
	Forward                // sent out of Frame.Out
	Reply                  // dropped, and turned into the answer, sent out of the port it came from
	Split                  // too large for its way: sent out of Frame.Out in fragments, see Forwarder.Fragments
)

// String is the verdict in a word.
func (v Verdict) String() string {
	switch v {
	case Drop:
		return "drop"
	case Forward:
		return "forward"
	case Reply:
		return "reply"
	case Split:
		return "split"
	}
	return "unknown verdict"
}

// Reason is why a frame was dropped. Every drop has exactly one, and every Reason
// has a packet and a byte counter.
type Reason uint8

// Reasons, in the order in which the forwarder checks: a frame with several faults
// gets the first. What each means, and by which clause, is in the table reasons.
const (
	ReasonNone Reason = iota // not dropped

	// The link layer.
	ReasonShortFrame    // frame ends inside a header
	ReasonLinkBroadcast // sent to a group address of the link layer
	ReasonNotForUs      // sent to another station
	ReasonEtherType     // neither IPv4 nor IPv6 behind at most two VLAN tags
	ReasonVLAN          // of a VLAN that the port does not take

	// The IP header.
	ReasonBadIPv4Header   // version, IHL or total length
	ReasonBadIPv4Checksum // header checksum
	ReasonBadIPv4Options  // an option that ends nowhere
	ReasonBadIPv6Header   // version or payload length
	ReasonSourceRoute     // IPv4 source routing
	ReasonTinyFragment    // a fragment that hides its transport header

	// Addresses.
	ReasonMartianSource      // nobody can have sent it
	ReasonMartianDestination // nobody can be meant
	ReasonOwnSource          // it claims to be from this machine

	// Forwarding.
	ReasonNoBinding       // no binding covers the destination
	ReasonTTLExpired      // IPv4, TTL 0 or 1 on arrival
	ReasonHopLimitExpired // IPv6, hop limit 0 or 1 on arrival
	ReasonUnresolvedVTEP  // bound, but the underlay knows no way to the VTEP
	ReasonNoPort          // the entry's port is not one of this worker's
	ReasonPacketTooBig    // larger than the way to the VTEP takes
	ReasonNoHeadroom      // too little room in front of the frame

	// Sending.
	ReasonTxFull   // the port took no more frames
	ReasonPortDown // the port is down or gone

	NumReasons // how many there are
)

// reasons says what every Reason is called and what it means.
var reasons = [NumReasons]struct{ name, doc string }{
	ReasonNone: {"none", "not dropped"},

	ReasonShortFrame: {"short_frame",
		"the frame ends inside its Ethernet, VLAN, IPv4 or IPv6 header (RFC 1812 section 5.2.2 (1))"},
	ReasonLinkBroadcast: {"link_broadcast",
		"the frame was sent to a broadcast or multicast MAC address, its packet to a unicast address (RFC 1812 section 5.3.4)"},
	ReasonNotForUs: {"not_for_us",
		"the frame was sent to the MAC address of another station (RFC 1812 section 5.2.1.1)"},
	ReasonEtherType: {"ether_type",
		"the frame carries neither IPv4 nor IPv6 behind at most two VLAN tags"},
	ReasonVLAN: {"vlan",
		"the frame has tags that the port does not take (802.1Q section 8.6.2)"},

	ReasonBadIPv4Header: {"bad_ipv4_header",
		"version is not 4, IHL is less than 5, or total length disagrees with IHL or with the frame (RFC 1812 section 5.2.2 (3) to (5))"},
	ReasonBadIPv4Checksum: {"bad_ipv4_checksum",
		"the IPv4 header checksum is wrong (RFC 1812 section 5.2.2 (2))"},
	ReasonBadIPv6Header: {"bad_ipv6_header",
		"version is not 6, payload length exceeds the frame (RFC 8200 section 3), or the packet is a jumbogram (RFC 2675)"},

	ReasonBadIPv4Options: {"bad_ipv4_options",
		"an IPv4 option's length is less than 2 or reaches beyond the header (RFC 791 section 3.1)"},
	ReasonSourceRoute: {"source_route",
		"the IPv4 packet has a source route option, which is not followed (RFC 7126 sections 4.3 and 4.4)"},
	ReasonTinyFragment: {"tiny_fragment",
		"a fragment hides its transport header, or overlaps one, and is dropped by configuration (RFC 1858 sections 3 and 4, RFC 3128)"},

	ReasonMartianSource: {"martian_source",
		"the source address is none that anybody can send from (RFC 1812 section 5.3.7, RFC 4291 section 2)"},
	ReasonMartianDestination: {"martian_destination",
		"the destination address is none of a single host elsewhere (RFC 1812 section 5.3.7, RFC 4291 section 2)"},
	ReasonOwnSource: {"own_source",
		"the source address is one of the gateway's own, and the packet is no ICMP error (RFC 1812 section 5.3.7)"},

	ReasonNoBinding: {"no_binding",
		"no binding covers the destination address (RFC 1812 section 5.2.7.1)"},
	ReasonTTLExpired: {"ttl_expired",
		"the IPv4 packet arrived with TTL 0 or 1 (RFC 1812 section 5.3.1)"},
	ReasonHopLimitExpired: {"hop_limit_expired",
		"the IPv6 packet arrived with hop limit 0 or 1 (RFC 8200 section 3)"},
	ReasonUnresolvedVTEP: {"unresolved_vtep",
		"the destination is bound, but the underlay knows no way to the virtual router's VTEP (RFC 1812 section 5.2.7.1)"},
	ReasonNoPort: {"no_port",
		"the way to the VTEP leaves by a port that this worker does not have"},
	ReasonPacketTooBig: {"packet_too_big",
		"the packet is larger than the way to the VTEP takes, less the tunnel's overhead (RFC 1191 section 4, RFC 8200 section 5)"},
	ReasonNoHeadroom: {"no_headroom",
		"the receiving port left less room in front of the frame than the tunnel header takes"},

	ReasonTxFull: {"tx_full",
		"the sending port took no more frames: its link is slower than what arrives"},
	ReasonPortDown: {"port_down",
		"the sending port is down or gone"},
}

// String is the name of the Reason's counter, such as no_binding.
func (r Reason) String() string {
	if r < NumReasons {
		return reasons[r].name
	}
	return "unknown_reason"
}

// Doc says what the Reason means, in a sentence with the clause it rests on.
func (r Reason) Doc() string {
	if r < NumReasons {
		return reasons[r].doc
	}
	return ""
}
