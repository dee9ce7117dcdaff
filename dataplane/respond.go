package dataplane

import (
	"net/netip"

	"github.com/eipgw/eipgw/dataplane/fib"
)

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

// answerCode is an answer with its ICMP and ICMPv6 code.
type answerCode struct {
	answer       Answer
	code4, code6 uint8
}

// refusalCodes are the codes of each Refusal (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443
// section 3.1).
var refusalCodes = [numRefusals]answerCode{
	NetUnreachable:  {AnswerUnreachable, 0, 0},
	HostUnreachable: {AnswerUnreachable, 1, 3},
	AdminProhibited: {AnswerUnreachable, 13, 1},
}

// AnswerConfig says from where and how often the gateway answers with ICMP errors. The
// zero value never answers: it has no address to answer from.
type AnswerConfig struct {
	Sources map[fib.PortID]AnswerSource // the addresses of the port that a frame came in by
	Default AnswerSource                // for a port, or a family of it, that is not there

	// Limits of each worker: answers in a second and at once, all together and to one
	// source prefix, IPv4 /24 and IPv6 /48. 0 is no limit. Too big has limits of its own
	// of the same size, so that no flood of the others ends path MTU discovery.
	Rate, Burst             int
	SourceRate, SourceBurst int
}

// AnswerSource is an address of each family; invalid where there is none.
type AnswerSource struct{ V4, V6 netip.Addr }

// answerRules is AnswerConfig in the form that workers use.
type answerRules struct{}

func (c *AnswerConfig) compile() (answerRules, error) { return answerRules{}, nil }

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
