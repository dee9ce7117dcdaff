package differ

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// outcome is what a router made of one packet: what it forwarded, more than one packet if
// it fragmented, and the ICMP errors that it sent back.
type outcome struct {
	forwarded [][]byte
	answers   []answer
}

// answer is an ICMP error, in parts.
type answer struct {
	src, dst   netip.Addr
	tos, ttl   uint8
	id, flags  uint16 // of IPv4, flags with the offset
	options    []byte
	kind, code uint8
	rest       uint32 // the four bytes behind the checksum
	quote      []byte
}

// numberOf is the number of the packet that p is, or was.
func numberOf(p []byte) (int, bool) {
	var dst netip.Addr
	nets := &nets4
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		dst = netip.AddrFrom4([4]byte(p[16:]))
	case len(p) >= 40 && p[0]>>4 == 6:
		dst, nets = netip.AddrFrom16([16]byte(p[24:])), &nets6
	default:
		return 0, false
	}
	b := dst.AsSlice()
	return int(binary.BigEndian.Uint16(b[len(b)-2:])), slices.ContainsFunc(nets[:], func(n netip.Prefix) bool { return n.Contains(dst) })
}

// outcomes sorts what a router sent by packet.
func outcomes(n int, forwarded, answers [][]byte) ([]outcome, error) {
	all := make([]outcome, n)
	for _, p := range forwarded {
		i, ok := numberOf(p)
		if !ok || i >= n {
			return nil, fmt.Errorf("forwarded what was not sent: %x", p)
		}
		all[i].forwarded = append(all[i].forwarded, p)
	}
	for _, p := range answers {
		a, err := parseAnswer(p)
		if err != nil {
			return nil, fmt.Errorf("sent back %x: %w", p, err)
		}
		i, ok := numberOf(a.quote)
		if !ok || i >= n {
			return nil, fmt.Errorf("answered what was not sent: %x", p)
		}
		all[i].answers = append(all[i].answers, a)
	}
	return all, nil
}

func parseAnswer(p []byte) (a answer, err error) {
	var icmp []byte
	var pseudo []byte
	switch {
	case p[0]>>4 == 4 && p[9] == 1 && sum(p[:4*int(p[0]&15)]) == 0xffff:
		header := 4 * int(p[0]&15)
		a = answer{src: netip.AddrFrom4([4]byte(p[12:])), dst: netip.AddrFrom4([4]byte(p[16:])), tos: p[1], ttl: p[8],
			id: binary.BigEndian.Uint16(p[4:]), flags: binary.BigEndian.Uint16(p[6:]), options: p[20:header]}
		icmp = p[header:binary.BigEndian.Uint16(p[2:])]
	case p[0]>>4 == 6 && p[6] == nextICMPv6:
		a = answer{src: netip.AddrFrom16([16]byte(p[8:])), dst: netip.AddrFrom16([16]byte(p[24:])), tos: uint8(binary.BigEndian.Uint16(p) >> 4), ttl: p[7]}
		icmp = p[40 : 40+int(binary.BigEndian.Uint16(p[4:]))]
		pseudo = slices.Concat(p[8:40], []byte{0, 0}, p[4:6], []byte{0, 0, 0, nextICMPv6})
	default:
		return a, fmt.Errorf("no sound ICMP packet")
	}
	if len(icmp) < 8 || sum(append(pseudo, icmp...)) != 0xffff {
		return a, fmt.Errorf("an ICMP message of %d bytes with a wrong checksum", len(icmp))
	}
	a.kind, a.code, a.rest, a.quote = icmp[0], icmp[1], binary.BigEndian.Uint32(icmp[4:]), icmp[8:]
	return a, nil
}

// sum is that of RFC 1071, word by word.
func sum(b []byte) (s uint32) {
	for i, x := range b {
		if i%2 == 0 {
			s += uint32(x) << 8
		} else {
			s += uint32(x)
		}
		s = s>>16 + s&0xffff
	}
	return s
}

// sameForwarded says whether both forwarded the same packets, to the byte.
func sameForwarded(a, b outcome) bool { return slices.EqualFunc(a.forwarded, b.forwarded, bytes.Equal) }

// sameAnswers says whether both answered alike: the same error from and to the same
// address, about the same packet, as far as both quote it.
func sameAnswers(a, b outcome) bool {
	return slices.EqualFunc(a.answers, b.answers, func(x, y answer) bool {
		n := min(len(x.quote), len(y.quote))
		return x.src == y.src && x.dst == y.dst && x.kind == y.kind && x.code == y.code && x.rest == y.rest &&
			bytes.Equal(x.quote[:n], y.quote[:n])
	})
}

// asReceived says whether every answer quotes the packet as it was, as much of it as makes
// 576 bytes, or 1280 in IPv6 (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)).
func (o outcome) asReceived(p packet) bool {
	most := 576 - 28
	if p.is6 {
		most = 1280 - 48
	}
	for _, a := range o.answers {
		if !bytes.Equal(a.quote, p.b[:min(len(p.b), most)]) {
			return false
		}
	}
	return true
}

// fields names what differs between two answers beside what they say.
func fields(a, b answer) (names []string) {
	longer := len(b.quote) - len(a.quote)
	for name, differs := range map[string]bool{
		"TOS": a.tos != b.tos, "TTL": a.ttl != b.ttl, "identification": a.id != b.id, "flags": a.flags != b.flags,
		"options": !bytes.Equal(a.options, b.options),
		"length of the quote by that of the options": longer > 0 && longer <= len(a.options),
		"length of the quote":                        longer < 0 || longer > len(a.options),
	} {
		if differs {
			names = append(names, name)
		}
	}
	return names
}

func (o outcome) silent() bool { return len(o.forwarded)+len(o.answers) == 0 }

// says says whether the outcome is one answer of that type and code, and nothing else.
func (o outcome) says(kind, code uint8) bool {
	return len(o.forwarded) == 0 && len(o.answers) == 1 && o.answers[0].kind == kind && o.answers[0].code == code
}

// whole is the payload of IPv4 fragments put together, with where it began in its datagram
// and whether more follows. They have to be in order and without gaps.
func whole(pieces [][]byte) (payload []byte, from int, more, ok bool) {
	at := 0
	for i, p := range pieces {
		header := 4 * int(p[0]&15)
		word := binary.BigEndian.Uint16(p[6:])
		if i == 0 {
			from = int(word&0x1fff) * 8
			at = from
		}
		if int(word&0x1fff)*8 != at || i > 0 && !more || sum(p[:header]) != 0xffff || int(binary.BigEndian.Uint16(p[2:])) != len(p) || len(p) > roomMTU {
			return nil, 0, false, false
		}
		payload, more = append(payload, p[header:]...), word&0x2000 != 0
		at += len(p) - header
	}
	return payload, from, more, len(pieces) > 0
}

// sameWhole says whether both fragmented, and the fragments make up the same.
func sameWhole(a, b outcome) bool {
	p, from, more, ok := whole(a.forwarded)
	q, from2, more2, ok2 := whole(b.forwarded)
	return ok && ok2 && len(a.forwarded) > 1 && len(b.forwarded) > 1 && bytes.Equal(p, q) && from == from2 && more == more2 && sameAnswers(a, b)
}

// blanked is the outcome without IPv4 options, and without the checksums over them, as far
// as they are in forwarded packets and quotes.
func (o outcome) blanked() (out outcome) {
	blank := func(p []byte) []byte {
		p = bytes.Clone(p)
		if header := 4 * int(p[0]&15); p[0]>>4 == 4 && len(p) >= header {
			clear(p[20:header])
			p[10], p[11] = 0, 0
		}
		return p
	}
	for _, p := range o.forwarded {
		out.forwarded = append(out.forwarded, blank(p))
	}
	for _, a := range o.answers {
		a.quote = blank(a.quote)
		out.answers = append(out.answers, a)
	}
	return out
}

// String is for failures.
func (o outcome) String() string {
	var s strings.Builder
	for _, p := range o.forwarded {
		fmt.Fprintf(&s, "  forwarded %d bytes: %x\n", len(p), p[:min(len(p), 80)])
	}
	for _, a := range o.answers {
		fmt.Fprintf(&s, "  answered %d/%d %#x from %s to %s about %x\n", a.kind, a.code, a.rest, a.src, a.dst, a.quote[:min(len(a.quote), 80)])
	}
	if o.silent() {
		return "  silence\n"
	}
	return s.String()
}
