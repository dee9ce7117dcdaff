package dataplane

import (
	"encoding/binary"
	"math/bits"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Flags and offset of an IPv4 header (RFC 791 section 3.1), its seventh and eighth byte:
//
//	+-+-+-+-------------------------+
//	|0|D|M|     Fragment Offset     |    DF: must not be fragmented; MF: more follow;
//	| |F|F|                         |    the offset counts 8 bytes
//	+-+-+-+-------------------------+
const (
	moreFragments = 0x2000
	offsetMask    = 0x1fff
	fragmentUnit  = 8 // bytes; what a fragment but the last carries is a multiple
)

const (
	maxIPv4Len    = 60    // of an IPv4 header with all its options
	maxPacket     = 65535 // of an IP packet, and of all that IPv4 fragments make up
	copiedOption  = 0x80  // in an option's type: every fragment has it (RFC 791 section 3.1)
	udpLen        = 8
	udpChecksumAt = 6
)

// oversize decides about frame i of the burst, whose packet is larger than the room that
// its way has. It says whether the packet goes on: encapsulate then makes a tunnel packet
// of it that is too large, and mark has that cut. Otherwise the frame is dropped, and mtu
// is what would have passed.
//
//	IPv6, more than 1280 bytes     refused; nobody is told less than 1280 (RFC 8200 section 5)
//	IPv6, up to 1280 bytes         outer packet cut (RFC 2473 section 7.1 (b))
//	IPv4 with DF                   refused (RFC 791 section 3.2, RFC 1191 section 4)
//	IPv4 without                   by the rules: inner or outer packet cut, or refused
func (fw *Forwarder) oversize(f *Frame, e *fib.Entry, room int) bool {
	p, how := f.Packet(), FragmentOuter
	f.Reason, f.mtu = ReasonPacketTooBig, uint16(max(room, 0))
	if f.flags&flagIPv6 != 0 {
		f.mtu = uint16(max(room, minMTU6))
		if len(p) > minMTU6 {
			return false
		}
	} else if how = fw.r.oversize; binary.BigEndian.Uint16(p[6:])&dontFragment != 0 {
		return false
	}
	overhead := e.Header.Overhead()
	switch {
	case room < 0 || len(p)+overhead > maxPacket: // a whole tunnel packet is made first
		return false
	case how == FragmentInner:
		if !cuttable(p, room) {
			return false
		}
	case how == FragmentOuter: // where the headers fit, so do 8 bytes behind the first
		f.mtu = uint16(room + overhead)
	default:
		return false
	}
	f.Reason = ReasonNone
	return true
}

// cuttable says whether an IPv4 packet can be cut to packets of mtu bytes: 8 bytes fit
// behind its header, and the offset of every fragment can be written. The second fails
// when the packet is itself a fragment that reaches beyond the largest datagram, which
// nobody can put together.
func cuttable(p []byte, mtu int) bool {
	header := 4 * int(p[0]&0x0f)
	end := int(binary.BigEndian.Uint16(p[6:])&offsetMask)*fragmentUnit + len(p) - header
	return mtu >= header+fragmentUnit && end <= maxPacket
}

// mark gives the tunnel packets that are too large the Verdict Split, and leaves in their
// l3 where the IP header begins that is to be cut, in their mtu to what. They keep a
// Reason: a caller that does not cut them drops them for it.
func (fw *Forwarder) mark(b *Burst, in found, entries *[BurstSize]*fib.Entry) {
	for left := fw.splits; left != 0; left &= left - 1 {
		j := bits.TrailingZeros64(left) & burstMask
		f, e := &b.F[in.frames[j]&burstMask], entries[j]
		n := e.Header.Len()
		inner := f.Bytes()[n]>>4 == 4 && fw.r.oversize == FragmentInner
		if !inner {
			n -= e.Header.Overhead()
		}
		f.Verdict, f.Reason, f.l3 = Split, ReasonPacketTooBig, uint8(n)
	}
}

// Fragments cuts one frame of the Verdict Split. Each fragment goes to a buffer of its
// own, so that the frame stays as it is and none of its bytes is sent before all are
// read: a port may write to a buffer that it has Taken. That costs a copy of the first
// fragment which cutting in place would not, on a way that copies all others anyway.
//
// There are as few fragments as can be (RFC 1812 section 4.2.2.7), see share. All have
// the same outer headers: ports, flow label, TOS, VLAN.
type Fragments struct {
	fw    *Forwarder
	from  *Frame
	front []byte // what every fragment begins with: all in front of the IP header that is cut
	data  []byte // what fragments carry: all behind that header
	at    int    // how many bytes of it they have carried
	mtu   int    // bytes that an IP packet of the kind that is cut may have
	ip    int    // where the outer IP header begins
	cut   cut
	word  uint16 // flags and offset that the cut packet had
	id    uint32 // identification of the outer fragments

	header [maxIPv4Len]byte // the next fragment's IP header, header[:n], with its fragment header
	n      int
}

// cut is which IP packet is cut.
type cut uint8

const (
	cutInner cut = iota
	cutOuter4
	cutOuter6
)

// Fragments begins to cut a frame and counts it. Frame and forwarder must stay as they
// are until the last Next: no Process, no Release. For a frame of another Verdict there
// are none.
func (fw *Forwarder) Fragments(f *Frame) Fragments {
	s := Fragments{fw: fw, from: f}
	if f.Verdict != Split {
		return s
	}
	p := f.Bytes()
	s.ip = outerIP(p)
	s.front, s.mtu = p[:f.l3], int(f.mtu)
	h := p[f.l3:]
	if s.ip == int(f.l3) {
		s.data = h[s.beginOuter(h):]
		return s
	}
	s.n = 4 * int(h[0]&0x0f)
	s.word = binary.BigEndian.Uint16(h[6:])
	copy(s.header[:], h[:s.n])
	s.data = h[s.n:]
	fw.events[EventFragmentedInner]++
	return s
}

// outerIP is where in a tunnel packet its IP header begins.
func outerIP(p []byte) int {
	at := etherLen
	for t := binary.BigEndian.Uint16(p[at-2:]); t == typeVLAN || t == typeQinQ; t = binary.BigEndian.Uint16(p[at-2:]) {
		at += vlanLen
	}
	return at
}

// Next makes the next fragment in the buffer of a frame, from its first byte on, and
// counts every one but the first. It returns false, and leaves the frame alone, when
// there is none left. A buffer of the MTU of the port that sends plus encap.MaxLen is
// large enough; Next panics when it is not.
//
// The fragment comes in by the port of the frame that was cut, and goes where that went.
// Its Received is what it carries of that frame, the first one's also the headers: what
// all are counted with is what was received.
func (s *Fragments) Next(to *Frame) bool {
	rest := s.data[s.at:]
	if len(rest) == 0 {
		return false
	}
	n, more := s.share(len(rest))
	ip := len(s.front)
	to.AttachKept(to.buf, 0, ip+s.n+n) // its own buffer again
	p := to.Bytes()
	copy(p, s.front)
	copy(p[ip:], s.header[:s.n])
	copy(p[ip+s.n:], rest[:n])
	to.Cookie, to.In, to.Out, to.Verdict = s.from.Cookie, s.from.In, s.from.Out, Forward
	to.received = uint32(n)
	if s.at == 0 {
		to.received = uint32(max(int(s.from.received)-(len(rest)-n), 0))
	} else {
		s.fw.events[EventFragment]++
	}
	switch s.cut {
	case cutInner:
		s.inner(p, more)
	case cutOuter4:
		s.outer4(p[ip:], more)
	case cutOuter6:
		s.outer6(p[ip:], more)
	}
	s.at += n
	return true
}

// share is how many of the bytes that are left the next fragment carries, and whether others follow it.
//
// What has MF set is itself in the middle of a datagram, and so is every piece of it:
// they are of about the same size. A small piece in the middle looks like
// an attack (RFC 1858), and there are virtual routers that drop it: the userspace datapath
// of Open vSwitch any under 1200 bytes, or under 400 at the least.
func (s *Fragments) share(n int) (share int, more bool) {
	fits := s.mtu - s.n
	if n <= fits {
		return n, false
	}
	most := fits &^ (fragmentUnit - 1)
	if s.cut != cutInner || s.word&moreFragments == 0 {
		return most, true
	}
	pieces := 1 + (n-fits+most-1)/most
	even := (n + pieces - 1) / pieces
	return min(most, (even+fragmentUnit-1)&^(fragmentUnit-1)), true
}

// inner writes the fields of an IPv4 fragment in its tunnel packet p (RFC 791 section
// 3.2). Identification, reserved flag, and what an offset and MF tell of the packet that
// was cut, stay.
func (s *Fragments) inner(p []byte, more bool) {
	h := p[len(s.front):]
	word := s.word + uint16(s.at/fragmentUnit)
	if more {
		word |= moreFragments
	}
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	binary.BigEndian.PutUint16(h[6:], word)
	sumHeader(h[:s.n])
	resize(p[s.ip:])
	if s.at == 0 {
		s.n = laterHeader(&s.header)
	}
}

// laterHeader makes the header of a packet's first IPv4 fragment that of all others, and
// returns its length: options whose copied flag is clear go, padding fills the last word
// (RFC 791 section 3.2). checkOptions has seen that every option ends in the header.
func laterHeader(h *[maxIPv4Len]byte) int {
	end, n := 4*int(h[0]&0x0f), ipv4Len
	for at := ipv4Len; at < end && h[at] != optionEnd; {
		size := 1
		if h[at] != optionNop {
			size = int(h[at+1])
		}
		if h[at]&copiedOption != 0 {
			n += copy(h[n:], h[at:at+size])
		}
		at += size
	}
	for ; n%4 != 0; n++ {
		h[n] = optionEnd
	}
	h[0] = 0x40 | uint8(n/4)
	return n
}

// resize writes lengths and checksums of an outer IP packet anew.
func resize(p []byte) {
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		sumHeader(p[:ipv4Len])
		binary.BigEndian.PutUint16(p[ipv4Len+4:], uint16(len(p)-ipv4Len))
		return
	}
	udp := p[ipv6Len:]
	binary.BigEndian.PutUint16(p[4:], uint16(len(udp)))
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	if binary.BigEndian.Uint16(udp[udpChecksumAt:]) != 0 { // RFC 6935: a tunnel may go without
		sumUDP(p[8:], len(udp))
	}
}

// sumHeader writes the checksum of an IPv4 header (RFC 791 section 3.1).
func sumHeader(h []byte) {
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], encap.Checksum(h, 0))
}

// sumUDP writes the checksum of a UDP packet of n bytes, b being that behind the source
// and destination address of its IP header, IPv4 or IPv6: with length and protocol they
// are the pseudo header (RFC 768, RFC 8200 section 8.1).
func sumUDP(b []byte, n int) {
	at := b[len(b)-n+udpChecksumAt:]
	at[0], at[1] = 0, 0
	sum := encap.Checksum(b, uint32(protoUDP+n))
	if sum == 0 {
		sum = 0xffff // 0 says that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(at, sum)
}
