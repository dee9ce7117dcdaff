package dataplane

// Answer is the kind of ICMP error that a Reason calls for.
type Answer uint8

// Answers. The clauses are those that have a router send them.
const (
	AnswerNone         Answer = iota // dropped in silence
	AnswerTimeExceeded               // ICMP 11/0 (RFC 1812 section 5.3.1), ICMPv6 3/0 (RFC 4443 section 3.3)
	AnswerUnreachable                // ICMP 3 (RFC 1812 section 5.2.7.1), ICMPv6 1 (RFC 4443 section 3.1)
	AnswerTooBig                     // ICMP 3/4 (RFC 1191 section 4), ICMPv6 2 (RFC 4443 section 3.2)
)

// answers says what each Reason calls for. A frame that is broken, or was not for
// this gateway, is never answered (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e)).
var answers = [NumReasons]Answer{
	ReasonTTLExpired:      AnswerTimeExceeded,
	ReasonHopLimitExpired: AnswerTimeExceeded,
	ReasonNoBinding:       AnswerUnreachable,
	ReasonUnresolvedVTEP:  AnswerUnreachable,
	ReasonPacketTooBig:    AnswerTooBig,
}

// Question is what a Responder is asked.
type Question struct {
	Answer Answer
	MTU    uint16 // for AnswerTooBig: the largest IP packet that would have passed
}

// Responder turns a dropped frame into the answer to its sender. It is the seam at
// which ICMP errors are to be built; none is in this package, and without one every
// such frame is dropped in silence, which is what the gateway does today.
type Responder interface {
	// Respond overwrites f, whose Packet is as it was received and whose Reason is
	// set, with a frame that leaves by the port that f came from, and returns true.
	// It returns false, and leaves f alone, when the packet must not be answered or
	// a rate limit says so. It runs on the worker: it neither blocks nor allocates.
	Respond(f *Frame, q Question) bool
}

// respond asks the responder about every dropped frame that calls for an answer. An
// answered frame keeps its Reason and is sent, so it does not count as dropped.
func (fw *Forwarder) respond(b *Burst) {
	for i := range b.F[:b.N] {
		f := &b.F[i]
		if f.Verdict != Drop || answers[f.Reason] == AnswerNone {
			continue
		}
		if fw.responder.Respond(f, Question{Answer: answers[f.Reason], MTU: f.mtu}) {
			f.Verdict, f.Out = Reply, f.In
		}
	}
}
