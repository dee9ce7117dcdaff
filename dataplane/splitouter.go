package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
)

// beginOuter begins to cut a tunnel packet whose outer IP header and what follows is h, and returns
// where in it begins what fragments carry.
//
// A later fragment shows no ports, so the underlay may send it another way than the
// first one. Over IPv4 it may also be put together with pieces of another packet, as the
// identification comes again after 65536: that is why the UDP checksum, which tunnel
// packets over IPv4 go without, is written here (RFC 6864 section 4). Over IPv6 the
// packet has one already, unless its tunnel goes without (RFC 6935).
func (s *Fragments) beginOuter(h []byte) int {
	s.id = s.fw.identification()
	s.fw.events[EventFragmentedOuter]++
	if h[0]>>4 == 4 {
		sumUDP(h[12:], len(h)-ipv4Len)
		s.cut, s.n = cutOuter4, copy(s.header[:], h[:ipv4Len])
		binary.BigEndian.PutUint16(s.header[4:], uint16(s.id))
		return ipv4Len
	}
	s.cut, s.n = cutOuter6, copy(s.header[:], h[:ipv6Len])+fragmentHeaderLen
	s.header[ipv6Len] = s.header[6] // next header: UDP
	s.header[6] = protoFragment
	binary.BigEndian.PutUint32(s.header[ipv6Len+4:], s.id)
	return ipv6Len
}

// outer4 writes the fields of an outer IPv4 fragment (RFC 791 section 3.2). It is without
// DF, which every whole tunnel packet has: the next router may cut on.
func (s *Fragments) outer4(p []byte, more bool) {
	word := uint16(s.at / fragmentUnit)
	if more {
		word |= moreFragments
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[6:], word)
	sumHeader(p[:ipv4Len])
}

// outer6 writes the fields of an outer IPv6 fragment (RFC 8200 section 4.5). Its fragment
// header is drawn in inspect.go; the offset, in bytes, is the field with its lower bits.
func (s *Fragments) outer6(p []byte, more bool) {
	word := uint16(s.at)
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-ipv6Len))
	binary.BigEndian.PutUint16(p[ipv6Len+2:], word)
}

// identification is that of the next outer packet that is cut: one counter for all
// destinations, which starts anywhere so that a restart does not begin where the last
// run did. Each destination then sees a number again after 2^16 of the worker's cut
// packets over IPv4, 2^32 over IPv6, at the earliest. A counter for each destination would
// do better for many destinations only, and nothing does well for one: at 546 packets a
// second 16 bits do not last the two minutes that RFC 6864 section 4.3 asks for. The
// checksum is what protects. Two workers may use the same number at the same time. It may
// be guessed, which matters where strangers send into the underlay (RFC 7739 section 3).
func (fw *Forwarder) identification() uint32 {
	fw.ident++
	return fw.ident - 1
}

// firstIdentification is where the counter starts.
func firstIdentification(wish uint32) uint32 {
	if wish != 0 {
		return wish
	}
	return rand.Uint32()
}
