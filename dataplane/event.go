package dataplane

// Event is something that happened to a frame beside its end. Each has a counter of
// frames.
type Event uint8

// Events.
const (
	// Frames that the gateway made. What was received and what was made is what was sent
	// and what was dropped.
	EventTimeExceeded Event = iota // an ICMP time exceeded was made
	EventUnreachable               // an ICMP destination unreachable was made
	EventTooBig                    // an ICMP fragmentation needed or packet too big was made
	EventFragment                  // a fragment was made, beside a packet's first one

	// Why a dropped frame was not answered.
	EventAnswerForbidden // no error may be sent about it
	EventAnswerNoSource  // the gateway has no address to answer from
	EventAnswerNoRoom    // too little room in front of the frame
	EventLimitedSource   // the limit of its source prefix was reached
	EventLimitedGlobal   // the limit of all answers was reached

	// What was done to forwarded packets.
	EventFragmentedInner // fragmented in front of the tunnel
	EventFragmentedOuter // its tunnel packet was fragmented
	EventClamped         // a TCP SYN's MSS was lowered
	EventTinyFragment    // a tiny fragment was seen, whether or not it was dropped

	NumEvents // how many there are
)

// made are the events that stand for a frame that the gateway made.
var made = [NumEvents]bool{EventTimeExceeded: true, EventUnreachable: true, EventTooBig: true, EventFragment: true}

// Made says whether the event stands for a frame that the gateway made.
func (e Event) Made() bool { return e < NumEvents && made[e] }

// events says what every Event is called and what it means.
var events = [NumEvents]struct{ name, doc string }{
	EventTimeExceeded: {"time_exceeded",
		"an ICMP time exceeded was sent (RFC 1812 section 5.3.1, RFC 4443 section 3.3)"},
	EventUnreachable: {"unreachable",
		"an ICMP destination unreachable was sent (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1)"},
	EventTooBig: {"too_big",
		"an ICMP fragmentation needed or packet too big was sent (RFC 1191 section 4, RFC 4443 section 3.2)"},
	EventFragment: {"fragment",
		"a fragment was sent beside the first one of its packet (RFC 791 section 3.2)"},
	EventAnswerForbidden: {"answer_forbidden",
		"a dropped packet must not be answered: an ICMP error, a later fragment, or from or to no single host (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e))"},
	EventAnswerNoSource: {"answer_no_source",
		"a dropped packet was not answered: the gateway has no address of its family to answer from (RFC 1812 section 4.3.2.4)"},
	EventAnswerNoRoom: {"answer_no_room",
		"a dropped packet was not answered: the receiving port left too little room for the answer's headers"},
	EventLimitedSource: {"answer_limited_source",
		"a dropped packet was not answered: its source prefix has had its share (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f))"},
	EventLimitedGlobal: {"answer_limited_global",
		"a dropped packet was not answered: the limit of all answers was reached (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f))"},
	EventFragmentedInner: {"fragmented_inner",
		"a packet was fragmented and each fragment encapsulated (RFC 791 section 3.2)"},
	EventFragmentedOuter: {"fragmented_outer",
		"a tunnel packet was fragmented (RFC 791 section 3.2, RFC 2473 section 7.1)"},
	EventClamped: {"mss_clamped",
		"the MSS of a TCP SYN was lowered to what fits the tunnel (RFC 9293 section 3.7.1)"},
	EventTinyFragment: {"tiny_fragment",
		"a fragment hides its transport header, or overlaps one (RFC 1858 sections 3 and 4, RFC 3128)"},
}

// String is the name of the Event's counter, such as time_exceeded.
func (e Event) String() string {
	if e < NumEvents {
		return events[e].name
	}
	return "unknown_event"
}

// Doc says what the Event means, in a sentence with the clause it rests on.
func (e Event) Doc() string {
	if e < NumEvents {
		return events[e].doc
	}
	return ""
}
