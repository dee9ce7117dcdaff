package encap

import "encoding/binary"

// Apply writes the header: pkt[:Len] is room for it, whatever that holds, and
// pkt[Len:] is the inner IP packet, without Ethernet. Every byte of the room is
// written and none of the packet; over IPv6 with a computed checksum the packet is
// read as well.
//
// The caller has made sure that the room is there (Apply panics otherwise) and
// that the outer IP packet is shorter than 65536 bytes (lengths are wrong otherwise).
//
// The constant bytes are copied in blocks of 16, each one load and one store of an
// SSE register. No header is shorter than four of them; a longer one ends in blocks
// that reach back over bytes already copied, so there is neither a loop nor a block
// of another size. All of it is safe Go: unsafe pointers gained half a nanosecond
// out of seven, too little to give up the checks. The function is long because
// nothing in it is worth a call.
func (h *Header) Apply(pkt []byte, in Inner) {
	n, ip := int(h.n), int(h.ip)&31   // the mask, which changes nothing, spares bounds checks
	d, s := pkt[:n:len(pkt)], h.b[:n] // against the length: a frame has capacity behind it
	head, from := (*[MinLen]byte)(d), (*[MinLen]byte)(s)
	*(*[16]byte)(head[0:]) = *(*[16]byte)(from[0:])
	*(*[16]byte)(head[16:]) = *(*[16]byte)(from[16:])
	*(*[16]byte)(head[32:]) = *(*[16]byte)(from[32:])
	*(*[16]byte)(head[48:]) = *(*[16]byte)(from[48:])
	if n > 64 {
		*(*[16]byte)(d[n-16:]) = *(*[16]byte)(s[n-16:])
		if n > 80 {
			*(*[16]byte)(d[n-32:]) = *(*[16]byte)(s[n-32:])
			if n > 96 {
				*(*[16]byte)(d[n-48:]) = *(*[16]byte)(s[n-48:])
				if n > 112 {
					*(*[16]byte)(d[n-64:]) = *(*[16]byte)(s[n-64:])
				}
			}
		}
	}

	innerType := uint32(etherTypeIPv4)
	if in.IPv6 {
		innerType = etherTypeIPv6
	}
	binary.BigEndian.PutUint16(d[n-2:], uint16(innerType))
	ports := (0xc000|in.Hash&0x3fff)<<16 | uint32(h.port)

	if h.form == formIPv4 {
		total := uint32(len(pkt) - ip)
		sum := uint32(h.sum) + uint32(in.TOS) + total // RFC 1071, over the three words that vary
		sum = sum>>16 + sum&0xffff
		w := (*[ipv4Len + udpLen]byte)(head[ip:])
		binary.BigEndian.PutUint32(w[0:], 0x45<<24|uint32(in.TOS)<<16|total)
		binary.BigEndian.PutUint16(w[10:], ^uint16(sum>>16+sum))
		putUDP(w[ipv4Len:], ports, total-ipv4Len, 0)
		return
	}

	length := uint32(len(pkt) - ip - ipv6Len)
	var sum uint32
	if h.form == formIPv6 {
		// The length counts twice: in the pseudo header and in UDP's own.
		sum = uint32(Checksum(pkt[n:], uint32(h.sum)+2*length+ports>>16+innerType))
		if sum == 0 {
			sum = 0xffff // on the wire 0 means that there is none (RFC 768)
		}
	}
	w := (*[ipv6Len + udpLen]byte)(d[ip:])
	binary.BigEndian.PutUint32(w[0:], 6<<28|uint32(in.TOS)<<20|in.Hash>>12)
	binary.BigEndian.PutUint16(w[4:], uint16(length))
	putUDP(w[ipv6Len:], ports, length, sum)
}

// putUDP writes a UDP header in one store.
func putUDP(w []byte, ports, length, sum uint32) {
	binary.BigEndian.PutUint64(w, uint64(ports)<<32|uint64(length)<<16|uint64(sum))
}
