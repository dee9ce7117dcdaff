package encap

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit words of b to initial, in one's complement, and returns the
// folded sum, at most 0xffff (RFC 1071). A last odd byte counts as the high half of
// a word, so that only the last of several parts may have odd length.
//
// It adds eight bytes at a time in the machine's order with the carry kept: the
// sum of swapped words is the swapped sum (RFC 1071 section 2 B).
func Sum(b []byte, initial uint32) uint32 {
	var acc, c uint64
	rest := b
	for len(rest) >= 64 {
		w := (*[64]byte)(rest)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[0:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[8:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[16:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[24:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[32:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[40:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[48:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[56:]), c)
		rest = rest[64:]
	}
	for len(rest) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(rest), c)
		rest = rest[8:]
	}
	acc, c = bits.Add64(acc, tail(rest), c)
	acc, c = bits.Add64(acc, 0, c) // at most one of these two carries
	acc += c

	acc = acc>>32 + acc&0xffffffff // 33 bits
	acc = acc>>32 + acc&0xffffffff // 32 bits
	acc = acc>>16 + acc&0xffff     // 17 bits
	acc = acc>>16 + acc&0xffff     // 16 bits
	return fold(uint64(bits.ReverseBytes16(uint16(acc))) + uint64(initial))
}

// tail is the last, fewer than eight, bytes of a sum as one little-endian word.
func tail(b []byte) (w uint64) {
	switch {
	case len(b) >= 4:
		w = uint64(binary.LittleEndian.Uint32(b))
		for i, x := range b[4:] {
			w |= uint64(x) << (32 + 8*i)
		}
	default:
		for i, x := range b {
			w |= uint64(x) << (8 * i)
		}
	}
	return w
}

// fold adds the carries above bit 15 of a sum below 2^34 back in.
func fold(sum uint64) uint32 {
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint32(sum>>16 + sum&0xffff)
}

// Checksum is the Internet checksum over b and what initial has summed before: the
// complement of Sum. Over data that holds its own correct checksum it is 0.
func Checksum(b []byte, initial uint32) uint16 {
	return ^uint16(Sum(b, initial))
}

// Change is a 16-bit word of checksummed data before and after.
type Change struct{ Old, New uint16 }

// UpdateChecksum is checksum after one word of the data changed, without the rest
// of the data (RFC 1624 equation 3). It yields 0, never 0xffff, where the data
// sums to 0xffff, as a computation from scratch does.
func UpdateChecksum(checksum uint16, c Change) uint16 {
	sum := uint32(^checksum) + uint32(^c.Old) + uint32(c.New)
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum)
}

// DecrementTTL is the IPv4 header checksum after the header's TTL, not 0, went
// down by one: UpdateChecksum for the word of TTL and protocol, whatever it holds
// (RFC 1624 section 4 has why 0xffff must become 0).
func DecrementTTL(checksum uint16) uint16 {
	sum := uint32(checksum) + 0x0100
	return uint16(sum + (sum+1)>>16)
}
