package encap

import "encoding/binary"

// Apply writes the header: pkt[:Len] is room for it, whatever that holds, and
// pkt[Len:] is the inner IP packet, without Ethernet. Every byte of the room is
// written and none of the packet; over IPv6 with a computed checksum the packet is
// read as well.
//
// The caller has made sure that the room is there (Apply panics otherwise) and
// that the packet fits the link (an outer length of 65536 and more is cut off).
func (h *Header) Apply(pkt []byte, in Inner) {
	h.copyTo(pkt)
	innerType := uint32(etherTypeIPv4)
	if in.IPv6 {
		innerType = etherTypeIPv6
	}
	n, ip := int(h.n), int(h.ip)
	binary.BigEndian.PutUint16(pkt[n-2:n], uint16(innerType))
	sport := 0xc000 | in.Hash&0x3fff
	if h.form == formIPv4 {
		total := uint32(len(pkt) - ip)
		w := pkt[ip : ip+ipv4Len+udpLen]
		binary.BigEndian.PutUint32(w[0:], 0x45<<24|uint32(in.TOS)<<16|total&0xffff)
		sum := uint32(h.sum) + uint32(in.TOS) + total&0xffff
		sum = sum>>16 + sum&0xffff
		binary.BigEndian.PutUint16(w[10:], ^uint16(sum>>16+sum))
		putUDP(w[ipv4Len:], sport, uint32(h.port), total-ipv4Len, 0)
		return
	}
	length := uint32(len(pkt) - ip - ipv6Len)
	var sum uint32
	if h.form == formIPv6 {
		sum = uint32(Checksum(pkt[n:], uint32(h.sum)+2*(length&0xffff)+sport+innerType))
		if sum == 0 {
			sum = 0xffff // RFC 768: zero on the wire is "no checksum"
		}
	}
	w := pkt[ip : ip+ipv6Len+udpLen]
	binary.BigEndian.PutUint32(w[0:], 6<<28|uint32(in.TOS)<<20|in.Hash>>12)
	binary.BigEndian.PutUint16(w[4:], uint16(length))
	putUDP(w[ipv6Len:], sport, uint32(h.port), length, sum)
}

// putUDP writes the UDP header in one store.
func putUDP(w []byte, sport, dport, length, sum uint32) {
	binary.BigEndian.PutUint64(w, uint64(sport<<16|dport)<<32|uint64(length&0xffff)<<16|uint64(sum))
}

// copyTo copies the constant bytes in blocks of 16, each one load and one store of
// an SSE register. No header is shorter than four blocks; what is longer ends in
// blocks that reach back over bytes already copied, so there is no loop and no
// length to compute with.
func (h *Header) copyTo(pkt []byte) {
	n := int(h.n)
	d, s := (*[MinLen]byte)(pkt), (*[MinLen]byte)(h.b[:])
	*(*[16]byte)(d[0:]) = *(*[16]byte)(s[0:])
	*(*[16]byte)(d[16:]) = *(*[16]byte)(s[16:])
	*(*[16]byte)(d[32:]) = *(*[16]byte)(s[32:])
	*(*[16]byte)(d[48:]) = *(*[16]byte)(s[48:])
	if n <= 64 {
		return
	}
	*(*[16]byte)(pkt[n-16:]) = *(*[16]byte)(h.b[n-16:])
	if n <= 80 {
		return
	}
	*(*[16]byte)(pkt[n-32:]) = *(*[16]byte)(h.b[n-32:])
	if n <= 96 {
		return
	}
	*(*[16]byte)(pkt[n-48:]) = *(*[16]byte)(h.b[n-48:])
}
