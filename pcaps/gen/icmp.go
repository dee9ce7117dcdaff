package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// icmpError is an ICMP error message (RFC 792, RFC 1191 section 4; RFC 4443 sections
// 3.1 to 3.3):
//
//	type 8 | code 8 | checksum 16
//	ICMP: 0 16 | MTU of the next hop 16        ICMPv6: MTU 32; both 0 but in "too big"
//	the packet that it is about, as it was received, as much as fits
type icmpError struct {
	type4, code4 uint8
	type6, code6 uint8
	mtu          int
	event        string // what counts it
}

// Errors that the gateway sends.
var (
	timeExceeded    = icmpError{type4: 11, code4: 0, type6: 3, code6: 0, event: "time_exceeded"}
	netUnreachable  = icmpError{type4: 3, code4: 0, type6: 1, code6: 0, event: "unreachable"}
	hostUnreachable = icmpError{type4: 3, code4: 1, type6: 1, code6: 3, event: "unreachable"}
	adminProhibited = icmpError{type4: 3, code4: 13, type6: 1, code6: 1, event: "unreachable"}
)

// tooBig says that packets of up to mtu bytes would pass.
func tooBig(mtu int) icmpError {
	return icmpError{type4: 3, code4: 4, type6: 2, code6: 0, mtu: mtu, event: "too_big"}
}

// Sizes up to which every host takes what it did not ask for: RFC 1812 section 4.3.2.3
// has an ICMP error end there, RFC 4443 section 3.3 an ICMPv6 error.
const (
	largestError4 = 576
	largestError6 = 1280
)

// Fields of an answer that the RFCs leave to who sends it. DF is set and the
// identification 0, as RFC 6864 section 4.1 allows.
const (
	answerTTL = 64   // RFC 1812 section 4.3.2.2: not from the packet that is answered
	answerTOS = 0xc0 // RFC 1812 section 4.3.2.5: internetwork control; not ECN capable
)

// about is the IP packet that tells the sender of p, as it was received, of the error.
func (e icmpError) about(p packet, source netip.Addr) packet {
	quote := p.bytes()
	if p.is6 {
		b := make([]byte, 8)
		b[0], b[1] = e.type6, e.code6
		binary.BigEndian.PutUint32(b[4:], uint32(e.mtu))
		b = append(b, quote[:min(len(quote), largestError6-40-len(b))]...)
		back := ends{source, p.v6.src}
		binary.BigEndian.PutUint16(b[2:], sum(back.pseudo(protoICMPv6, len(b)), b))
		return ip(back, protoICMPv6, b).ttl(answerTTL).tos(answerTOS)
	}
	b := make([]byte, 8)
	b[0], b[1] = e.type4, e.code4
	binary.BigEndian.PutUint16(b[6:], uint16(e.mtu))
	b = append(b, quote[:min(len(quote), largestError4-20-len(b))]...)
	binary.BigEndian.PutUint16(b[2:], sum(b))
	return ip(ends{source, p.v4.src}, protoICMP, b).ttl(answerTTL).tos(answerTOS).id(0).df()
}

// answer has p arrive, which is dropped for that Reason, and its sender told.
func (c *Case) answer(p packet, reason string, e icmpError) {
	c.answerFrame(c.frame(p), p, reason, e)
}

// answerFrame is answer for a frame that holds p in another manner. The answer leaves by
// the port that the frame came from, to the station that sent it, with the tags that it
// had.
func (c *Case) answerFrame(frame []byte, p packet, reason string, e icmpError) {
	c.drop(frame, reason)
	c.event(e.event)
	source := c.source(p.is6)
	if !source.IsValid() {
		panic(fmt.Sprintf("case %s: an answer from no address", c.Name))
	}
	link := append(append([]byte{}, frame[6:12]...), frame[:6]...)
	link = append(link, frame[12:len(frame)-len(afterTags(frame))]...)
	c.out[c.at] = append(c.out[c.at], append(link, e.about(p, source).bytes()...))
}

// afterTags is a frame from behind its EtherType, and the tags in front of that, on.
func afterTags(frame []byte) []byte {
	for at := 12; ; at += 4 {
		if t := binary.BigEndian.Uint16(frame[at:]); t != typeCTag && t != typeSTag {
			return frame[at+2:]
		}
	}
}

// silent has a frame arrive that is dropped without an answer, and an Event say why
// there is none.
func (c *Case) silent(frame []byte, reason, event string) {
	c.drop(frame, reason)
	c.event(event)
}
