package differ

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// IPv6 next header values.
const (
	nextHopByHop    = 0
	nextRouting     = 43
	nextFragment    = 44
	nextAH          = 51
	nextICMPv6      = 58
	nextNone        = 59
	nextDestOptions = 60
)

func (m maker) source6() netip.Addr {
	r := [16]byte(m.bytes(16))
	copy(r[:], []byte{0x20, 0x01, 0x0d, 0xb8, 0x00, 0x05})
	if m.chance(90) {
		return netip.AddrFrom16(r)
	}
	return pick(m, netip.IPv6Unspecified(), netip.IPv6Loopback(), netip.MustParseAddr("ff02::1"), linkLocal, linkLocal,
		netip.MustParseAddr("::ffff:192.0.2.1"), own6, own6, netip.MustParseAddr("fd12::1"), netip.MustParseAddr("::5"))
}

// linkLocal is the one neighbor on the link that packets come in by.
var linkLocal = netip.MustParseAddr("fe80::5")

// extension is one extension header; next is filled in later.
type extension struct {
	kind uint8
	b    []byte
}

// packet6 is a random IPv6 packet.
func (m maker) packet6(number int) packet {
	p := packet{number: number, kind: m.kind(), is6: true, src: m.source6()}
	var chain []extension
	if m.chance(40) {
		chain = m.chain()
	}
	upper := uint8(pick(m, 6, 17, nextICMPv6, nextICMPv6, 132, nextNone, 50, 253))
	size := 40
	for _, e := range chain {
		size += len(e.b)
	}
	headers := size
	b := m.bytes(m.size(size))
	b[0] = 0x60 | b[0]&0x0f
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	b[6], b[7] = upper, m.ttl()
	copy(b[8:], p.src.AsSlice())
	copy(b[24:], destination(nets6[p.kind], number).AsSlice())
	at, next := 40, &b[6]
	for _, e := range chain {
		*next = e.kind
		copy(b[at:], e.b)
		b[at], next = upper, &b[at]
		at += len(e.b)
	}
	if upper == nextICMPv6 && len(b) > headers {
		b[headers] = byte(pick(m, 1, 2, 3, 4, 0, 127, 128, 128, 129, 135, 137, 143))
	}
	if m.chance(5) { // wrong in one way
		switch m.IntN(3) {
		case 0:
			b[0] = byte(pick(m, 0, 4, 5, 7, 15)) << 4
		case 1:
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40+1+m.IntN(9))) // longer than the frame
		case 2: // ends inside its extension headers, or has none
			b = b[:40+m.IntN(headers-40+1)]
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		}
	}
	p.enclose(m, b, 0x86dd)
	return p
}

// chain is some extension headers, at most one of them for fragments.
func (m maker) chain() (all []extension) {
	if m.chance(30) {
		all = append(all, m.hopByHop())
	}
	for range pick(m, 0, 1, 1, 2, 10) {
		switch m.IntN(3) {
		case 0:
			all = append(all, extension{nextDestOptions, []byte{0, 0, 1, 4, 0, 0, 0, 0}})
		case 1: // segments left of a type that nobody here knows
			all = append(all, extension{nextRouting, append([]byte{0, 1, 253, pick[byte](m, 0, 1)}, m.bytes(12)...)})
		case 2:
			all = append(all, extension{nextAH, append([]byte{0, 4}, m.bytes(22)...)})
		}
	}
	if m.chance(50) {
		word := pick[uint16](m, 0, 1, 1, 8|1, 16, uint16(m.IntN(8000))<<3)
		f := binary.BigEndian.AppendUint16([]byte{0, 0}, word)
		all = append(all, extension{nextFragment, append(f, m.bytes(4)...)})
		if m.chance(10) {
			all = append(all, extension{nextDestOptions, []byte{0, 0, 1, 4, 0, 0, 0, 0}})
		}
	}
	return all
}

// hopByHop holds padding, an unknown option that is to be skipped, or one for which the
// packet is to be discarded by who looks (RFC 8200 section 4.2).
func (m maker) hopByHop() extension {
	option := pick(m, []byte{1, 4, 0, 0, 0, 0}, []byte{0x3e, 4, 1, 2, 3, 4}, []byte{0x7e, 4, 1, 2, 3, 4}, []byte{0xbe, 4, 1, 2, 3, 4}, []byte{0x3e, 9, 0, 0, 0, 0})
	return extension{nextHopByHop, slices.Concat([]byte{0, 0}, option)}
}
