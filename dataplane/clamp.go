package dataplane

import (
	"encoding/binary"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// A TCP header (RFC 9293 section 3.1), as far as it is read here: data offset in the
// upper half of byte 12, flags in byte 13, checksum in bytes 16 and 17, options from
// byte 20 on.
const (
	tcpLen      = 20
	tcpSYN      = 0x02
	tcpChecksum = 16

	tcpOptionEnd = 0
	tcpOptionNop = 1
	tcpOptionMSS = 2 // of 4 bytes: kind, length, value (RFC 9293 section 3.7.1)
	tcpMSSLen    = 4
)

// clampPacket lowers the MSS of a TCP SYN to what the way takes, less the headers that
// every segment has (RFC 9293 section 3.7.1). The MSS is what its sender is sent at the
// most, so this holds down what comes back from behind the EIP, where that takes a tunnel
// of the same kind. What goes into this one obeys the SYN of the other side.
//
// All TCP packets come here, nearly none is a SYN: that is looked at before the prefixes.
func (fw *Forwarder) clampPacket(f *Frame, e *fib.Entry) {
	p := f.Packet()
	segment, room := []byte(nil), fw.port(e.Out).room(e)-tcpLen
	if f.flags&flagIPv6 == 0 {
		segment, room = tcp4(p), room-ipv4Len
	} else {
		segment, room = tcp6(p), room-ipv6Len
	}
	if room <= 0 || len(segment) < tcpLen || segment[13]&tcpSYN == 0 || !fw.r.clamps(p) {
		return
	}
	if clampSegment(segment, uint16(room)) {
		fw.events[EventClamped]++
	}
}

// tcp4 is the TCP segment of a sound IPv4 packet, or the first fragment of one; nil when
// there is none.
func tcp4(p []byte) []byte {
	if p[9] != protoTCP || binary.BigEndian.Uint16(p[6:])&offsetMask != 0 {
		return nil
	}
	return p[4*int(p[0]&0x0f):]
}

// tcp6 is the TCP segment of a sound IPv6 packet; nil when there is none, or one in a
// fragment, or one that may not be changed because an authentication header covers it
// (RFC 4302 section 3.3.3).
func tcp6(p []byte) []byte {
	if p[6] == protoTCP {
		return p[ipv6Len:]
	}
	next, body := skipExtensions(p[6], p[ipv6Len:])
	if next != protoTCP || authenticated(p[6], p[ipv6Len:]) {
		return nil
	}
	return body
}

// clamps says whether SYNs to the destination of a sound packet are clamped.
func (r *rules) clamps(p []byte) bool {
	if p[0]>>4 == 4 {
		return r.clamp.has4(binary.BigEndian.Uint32(p[16:]))
	}
	return r.clamp.has6(addr6(p[24:]))
}

// clampSegment lowers the MSS option of a SYN, a whole TCP header at least, to limit, and
// says whether it did. A SYN without the option means 536, or 1220 over IPv6, which fits
// (RFC 9293 section 3.7.1).
func clampSegment(b []byte, limit uint16) bool {
	header := int(b[12]>>4) * 4
	if header < tcpLen || header > len(b) {
		return false
	}
	for at := tcpLen; at < header; {
		switch {
		case b[at] == tcpOptionEnd:
			return false
		case b[at] == tcpOptionNop:
			at++
			continue
		case at+2 > header || b[at+1] < 2 || at+int(b[at+1]) > header:
			return false
		case b[at] == tcpOptionMSS && b[at+1] == tcpMSSLen:
			return setMSS(b, at+2, limit)
		}
		at += int(b[at+1])
	}
	return false
}

// setMSS lowers the value at b[at:] to limit and corrects the checksum (RFC 1624). A
// value at an odd place lies across two words, which adds up to the same with its bytes
// exchanged (RFC 1071 section 2 B).
func setMSS(b []byte, at int, limit uint16) bool {
	was := binary.BigEndian.Uint16(b[at:])
	if was <= limit {
		return false
	}
	binary.BigEndian.PutUint16(b[at:], limit)
	c := encap.Change{Old: was, New: limit}
	if at%2 == 1 {
		c = encap.Change{Old: was<<8 | was>>8, New: limit<<8 | limit>>8}
	}
	sum := b[tcpChecksum : tcpChecksum+2]
	binary.BigEndian.PutUint16(sum, encap.UpdateChecksum(binary.BigEndian.Uint16(sum), c))
	return true
}
