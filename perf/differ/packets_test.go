package differ

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/encap"
)

// Destinations, by what the routers make of them. Their last 16 bits are the packet's
// number, by which it is found again, whatever else of it was random.
const (
	bound = iota
	unbound
	unresolved
)

var (
	nets4 = [3]netip.Prefix{netip.MustParsePrefix("100.64.0.0/16"), netip.MustParsePrefix("100.65.0.0/16"), netip.MustParsePrefix("100.66.0.0/16")}
	nets6 = [3]netip.Prefix{netip.MustParsePrefix("2001:db8:e1b::/64"), netip.MustParsePrefix("2001:db8:e1b:1::/64"), netip.MustParsePrefix("2001:db8:e1b:2::/64")}
)

// own4 and own6 are the routers' addresses where packets come in; out4 is another one.
var (
	own4 = netip.MustParseAddr("198.51.100.1")
	own6 = netip.MustParseAddr("2001:db8:c::1")
	out4 = netip.MustParseAddr("10.9.0.1")
)

const roomMTU = 1450 // largest packet that both routers forward whole

// packet is one that is sent to both routers.
type packet struct {
	number int
	kind   int    // of the destination
	frame  []byte // as sent, padding and faults included
	b      []byte // the IP packet
	is6    bool
	src    netip.Addr
}

// maker makes random packets.
type maker struct{ *rand.Rand }

func (m maker) chance(percent int) bool { return m.IntN(100) < percent }

func pick[T any](m maker, from ...T) T { return from[m.IntN(len(from))] }

func (m maker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

// packet is the random packet of that number.
func (m maker) packet(number int) packet {
	if m.chance(50) {
		return m.packet6(number)
	}
	return m.packet4(number)
}

func (m maker) kind() int {
	return pick(m, bound, bound, bound, bound, bound, bound, bound, unbound, unbound, unresolved)
}

// destination is the address of that number among p.
func destination(p netip.Prefix, number int) netip.Addr {
	b := p.Addr().AsSlice()
	binary.BigEndian.PutUint16(b[len(b)-2:], uint16(number))
	a, _ := netip.AddrFromSlice(b)
	return a
}

// size is bytes of a whole packet behind a header of that many.
func (m maker) size(header int) int {
	lo, hi := header, header+100
	switch m.IntN(6) {
	case 0:
		lo, hi = 540, 600 // around the size of an ICMP error
	case 1:
		lo, hi = roomMTU-12, roomMTU+12
	case 2:
		lo, hi = 1260, 1520
	case 3:
		lo, hi = 1500, 6000
	}
	return max(header, lo+m.IntN(hi-lo))
}

func (m maker) ttl() uint8 {
	if m.chance(70) {
		return 64
	}
	return uint8(pick(m, 0, 1, 1, 1, 2, 3, m.IntN(65), 255))
}

func (m maker) source4() netip.Addr {
	r := [4]byte(m.bytes(4))
	r[0], r[1] = 198, 18
	if m.chance(90) {
		return netip.AddrFrom4(r)
	}
	switch r[0] = pick[byte](m, 0, 0, 127, 224, 239, 240, 254, 255, 10, 10, 10, 10, 169); r[0] {
	case 255:
		return netip.AddrFrom4([4]byte{255, 255, 255, 255})
	case 10:
		return pick(m, own4, own4, out4)
	case 169:
		r[1] = 254
	}
	if r[0] == 0 && m.chance(50) {
		return netip.IPv4Unspecified()
	}
	return netip.AddrFrom4(r)
}

// packet4 is a random IPv4 packet. Most are right.
func (m maker) packet4(number int) packet {
	p := packet{number: number, kind: m.kind(), src: m.source4()}
	var options []byte
	if m.chance(15) {
		options = m.options()
	}
	header := 20 + len(options)
	b := m.bytes(m.size(header))
	b[0] = 0x40 | byte(header/4)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	fragment := uint16(0)
	if m.chance(40) {
		fragment |= 0x4000 // DF
	}
	if m.chance(20) {
		fragment |= pick[uint16](m, 0x2000, 0x2000, 0) | pick[uint16](m, 0, 0, 1, 2, uint16(m.IntN(6000)))
	}
	if m.chance(2) {
		fragment |= 0x8000
	}
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = m.ttl(), byte(pick(m, 6, 17, 1, 1, 132, m.IntN(256)))
	copy(b[12:], p.src.AsSlice())
	copy(b[16:], destination(nets4[p.kind], number).AsSlice())
	copy(b[20:], options)
	if b[9] == 1 && len(b) > header {
		b[header] = byte(pick(m, 0, 8, 8, 3, 3, 4, 5, 11, 12, 13, 17, 18, 19, m.IntN(45)))
	}
	setSum4(b, header)
	if m.chance(5) { // wrong in one way
		switch m.IntN(5) {
		case 0:
			b[10] ^= byte(1 + m.IntN(255)) // the checksum
		case 1:
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)+1+m.IntN(9))) // longer than the frame
			setSum4(b, header)
		case 2:
			binary.BigEndian.PutUint16(b[2:], uint16(m.IntN(header)))
			setSum4(b, header)
		case 3:
			b[0] = b[0]&0xf0 | byte(m.IntN(5))
			setSum4(b, 20)
		case 4:
			b[0] = b[0]&0x0f | byte(pick(m, 0, 1, 5, 6, 15))<<4
			setSum4(b, header)
		}
	}
	p.enclose(m, b, 0x0800)
	return p
}

// setSum4 writes the checksum of a header of n bytes.
func setSum4(b []byte, n int) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], encap.Checksum(b[:n], 0))
}

// enclose puts the packet into a frame, at times a padded or a cut one. Padding may make
// good what a header promised too much.
func (p *packet) enclose(m maker, b []byte, etherType uint16) {
	p.b = b
	p.frame = binary.BigEndian.AppendUint16(slices.Concat(routerMAC[:], hostMAC[:]), etherType)
	p.frame = append(p.frame, b...)
	switch {
	case m.chance(10):
		p.frame = append(p.frame, m.bytes(1+m.IntN(20))...)
		n := int(binary.BigEndian.Uint16(b[2:]))
		if p.is6 {
			n = 40 + int(binary.BigEndian.Uint16(b[4:]))
		}
		if n > len(b) && 14+n <= len(p.frame) {
			p.b = p.frame[14 : 14+n]
		}
	case m.chance(2):
		p.frame = p.frame[:14+m.IntN(len(b))]
	}
}

// IPv4 options (RFC 791 section 3.1).
const (
	optEnd         = 0
	optNop         = 1
	optRecordRoute = 7
	optTimestamp   = 68
	optSecurity    = 130
	optLooseRoute  = 131
	optStream      = 136
	optStrictRoute = 137
	optRouterAlert = 148
)

// options is up to 40 bytes of options, a multiple of 4.
func (m maker) options() (o []byte) {
	for range 1 + m.IntN(3) {
		next := m.option()
		if len(o)+len(next) > 40 {
			break
		}
		o = append(o, next...)
	}
	if m.chance(8) && len(o) < 38 { // one that ends nowhere
		o = append(o, pick[byte](m, optRecordRoute, optSecurity, 94, 222), pick[byte](m, 0, 1, 41, 255))
	}
	for len(o)%4 != 0 {
		o = append(o, optEnd)
	}
	if m.chance(10) && len(o) < 36 {
		o = append(o, optEnd, byte(m.Uint32()), 7, 3)
	}
	return o
}

func (m maker) option() []byte {
	switch m.IntN(8) {
	case 0:
		return []byte{optNop}
	case 1: // with room, or full
		return append([]byte{optRecordRoute, 11, pick[byte](m, 4, 8, 12)}, m.bytes(8)...)
	case 2:
		return append([]byte{optTimestamp, 12, pick[byte](m, 5, 9, 13), 0}, m.bytes(8)...)
	case 3:
		return append([]byte{optSecurity, 11}, m.bytes(9)...)
	case 4:
		return append([]byte{pick[byte](m, optLooseRoute, optStrictRoute), 7, pick[byte](m, 4, 8)}, m.bytes(4)...)
	case 5:
		return append([]byte{optStream, 4}, m.bytes(2)...)
	case 6:
		return []byte{optRouterAlert, 4, 0, 0}
	}
	n := 2 + m.IntN(6) // experimental, to be copied or not (RFC 4727 section 3)
	return append([]byte{pick[byte](m, 94, 158, 222), byte(n)}, m.bytes(n-2)...)
}
