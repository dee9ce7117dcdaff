package dataplane

// Verdict is what happens to a frame. The zero value is Drop, so that a frame
// that nobody decided about goes nowhere.
type Verdict uint8

// Verdicts.
const (
	Drop    Verdict = iota // released; Reason says why
	Forward                // sent out of Frame.Out
	Reply                  // turned into an answer, sent out of the port it came from
)

// Reason is why a frame was dropped. Every drop has exactly one, and every Reason
// has a packet and a byte counter.
type Reason uint8

// Reasons. The name that follows in the comment is the counter's, see Reason.String.
const (
	ReasonNone Reason = iota // not dropped

	ReasonShortFrame      // frame ends inside a header
	ReasonEtherType       // neither IPv4 nor IPv6 behind at most two VLAN tags
	ReasonBadIPv4Header   // version, IHL or total length (RFC 1812 section 5.2.2)
	ReasonBadIPv4Checksum // header checksum (RFC 1812 section 5.2.2)
	ReasonBadIPv6Header   // version or payload length (RFC 8200 section 3)
	ReasonTTLExpired      // TTL 0 or 1 on arrival (RFC 1812 section 5.3.1)
	ReasonHopLimitExpired // hop limit 0 or 1 on arrival (RFC 8200 section 3)
	ReasonNoBinding       // no binding covers the destination
	ReasonUnresolvedVTEP  // bound, but the underlay knows no way to the VTEP
	ReasonPacketTooBig    // larger than the entry's MTU
	ReasonNoHeadroom      // the port left too little room in front of the frame
	ReasonNoPort          // the entry's port is not one of this worker's
	ReasonTxFull          // the port took no more frames
	ReasonPortDown        // the port is down or gone

	NumReasons // how many there are
)
