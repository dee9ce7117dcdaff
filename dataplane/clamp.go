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

// clamp lowers the MSS of the burst's TCP SYNs whose destinations have it clamped.
func (fw *Forwarder) clamp(b *Burst, entries *[BurstSize]*fib.Entry) {
	for i := range b.F[:b.N] {
		if e := entries[i&burstMask]; e != nil {
			fw.clampPacket(&b.F[i], e)
		}
	}
}

// clampPacket lowers the MSS of a TCP SYN to what the way takes, less the headers that
// every segment has (RFC 9293 section 3.7.1): a sender that no ICMP error reaches then
// never sends too much.
func (fw *Forwarder) clampPacket(f *Frame, e *fib.Entry) {
	p := f.Packet()
	room := fw.port(e.Out).room(e)
	var segment []byte
	if f.flags&flagIPv6 == 0 {
		header := int(p[0]&0x0f) * 4
		if p[9] != protoTCP || binary.BigEndian.Uint16(p[6:])&0x1fff != 0 ||
			!fw.r.clamp.has4(binary.BigEndian.Uint32(p[16:])) {
			return
		}
		segment, room = p[header:], room-ipv4Len-tcpLen
	} else {
		next, body := p[6], p[ipv6Len:]
		if next != protoTCP {
			next, body = skipExtensions(next, body)
		}
		dst := fib.Addr6{Hi: binary.BigEndian.Uint64(p[24:]), Lo: binary.BigEndian.Uint64(p[32:])}
		if next != protoTCP || !fw.r.clamp.has6(dst) {
			return
		}
		segment, room = body, room-ipv6Len-tcpLen
	}
	if room > 0 && clampSegment(segment, uint16(room)) {
		fw.events[EventClamped]++
	}
}

// clampSegment lowers the MSS option of a SYN to limit, and says whether it did. A SYN
// without the option means 536, or 1220 over IPv6, which fits (RFC 9293 section 3.7.1).
func clampSegment(b []byte, limit uint16) bool {
	if len(b) < tcpLen || b[13]&tcpSYN == 0 {
		return false
	}
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
