package dataplane

import (
	"encoding/binary"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// answerCode is an ICMP error by its type and code in both families, and the event that
// it is counted as. The zero value is none.
type answerCode struct {
	type4, code4 uint8 // RFC 792
	type6, code6 uint8 // RFC 4443
	made         Event
}

// ICMP and ICMPv6 types of errors.
const (
	icmpUnreachable   = 3
	icmpTimeExceeded  = 11
	icmp6Unreachable  = 1
	icmp6PacketTooBig = 2
	icmp6TimeExceeded = 3
)

var (
	// RFC 1812 section 5.3.1, RFC 4443 section 3.3: in transit, code 0.
	answerTimeExceeded = answerCode{icmpTimeExceeded, 0, icmp6TimeExceeded, 0, EventTimeExceeded}

	// RFC 1191 section 4, RFC 4443 section 3.2: with what would have fitted.
	answerTooBig = answerCode{icmpUnreachable, 4, icmp6PacketTooBig, 0, EventTooBig}

	// RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3.1.
	refusalCodes = [numRefusals]answerCode{
		NetUnreachable:  {icmpUnreachable, 0, icmp6Unreachable, 0, EventUnreachable},
		HostUnreachable: {icmpUnreachable, 1, icmp6Unreachable, 3, EventUnreachable},
		AdminProhibited: {icmpUnreachable, 13, icmp6Unreachable, 1, EventUnreachable},
	}
)

// answerTo is what a Reason calls for. A frame that is broken, was not for this gateway,
// or comes from or goes to nowhere is never answered (RFC 1812 section 4.3.2.7, RFC 4443
// section 2.4 (e)); what the gateway lacks itself, headroom or a free place, is nothing
// to tell a sender of.
func (r *rules) answerTo(why Reason) answerCode {
	switch why {
	case ReasonTTLExpired, ReasonHopLimitExpired:
		return answerTimeExceeded
	case ReasonNoBinding:
		return r.unbound
	case ReasonUnresolvedVTEP, ReasonNoPort:
		return r.unresolved
	case ReasonPacketTooBig:
		return answerTooBig
	}
	return answerCode{}
}

// respond turns the dropped frames of a burst that call for an ICMP error into that
// error, as far as there may be one. Such a frame keeps its Reason and counts as dropped;
// the answer that it becomes counts as made, and leaves by the port that the frame came
// by. Every frame that called for an answer counts for exactly one event.
//
// Once the limit of all is reached, the rest of the burst is not looked at more closely:
// in a flood a frame costs little beyond what it takes to drop it.
func (fw *Forwarder) respond(b *Burst) {
	fw.limits.begin()
	for i := range b.F[:b.N] {
		f := &b.F[i]
		if f.Verdict != Drop {
			continue
		}
		e := fw.r.answerTo(f.Reason)
		if e.type4 == 0 {
			continue
		}
		if fw.limits.budget(e.made).spent {
			fw.events[EventLimitedGlobal]++
			continue
		}
		var what Event
		if f.flags&flagIPv6 == 0 {
			what = fw.answer4(f, e)
		} else {
			what = fw.answer6(f, e)
		}
		fw.events[what]++
		if what.Made() {
			f.Verdict, f.Out, f.flags = Reply, f.In, 0
		}
	}
}

// answerRoom is how large a packet the port that a frame came in by sends behind the
// frame's link header.
func (fw *Forwarder) answerRoom(f *Frame) int {
	mtu := fw.port(f.In).mtu
	return min(mtu, mtu+maxLink-int(f.l3))
}

// answer4 makes the answer to an IPv4 packet. It returns what it made, or why nothing.
// Limits come last: what is not sent anyway takes no share of them.
func (fw *Forwarder) answer4(f *Frame, e answerCode) Event {
	a, p := &fw.r.answers, f.Packet()
	local := a.source(f.In).v4
	if local == 0 {
		return EventAnswerNoSource
	}
	src := binary.BigEndian.Uint32(p[12:])
	if f.fromGroup() || !mayAnswer4(p) || slices.Contains(a.own4, src) {
		return EventAnswerForbidden
	}
	size := min(maxAnswer4, fw.answerRoom(f))
	if f.Headroom() < head4 || size < minAnswer4 {
		return EventAnswerNoRoom
	}
	if why, ok := fw.limits.allow(a, e.made, sourceKey4(src)); !ok {
		return why
	}
	f.error4(e, local, size)
	return e.made
}

// answer6 is answer4 for IPv6.
func (fw *Forwarder) answer6(f *Frame, e answerCode) Event {
	a, p := &fw.r.answers, f.Packet()
	local := a.source(f.In).v6
	if local == (fib.Addr6{}) {
		return EventAnswerNoSource
	}
	src := addr6(p[8:])
	if f.fromGroup() || !mayAnswer6(p, e) || slices.Contains(a.own6, src) {
		return EventAnswerForbidden
	}
	size := min(maxAnswer6, fw.answerRoom(f))
	if f.Headroom() < head6 || size < minAnswer6 {
		return EventAnswerNoRoom
	}
	if why, ok := fw.limits.allow(a, e.made, sourceKey6(src)); !ok {
		return why
	}
	f.error6(e, local, size)
	return e.made
}
