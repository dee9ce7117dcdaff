package encap

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit words of b to initial, in one's complement, and returns the
// folded sum, at most 0xffff (RFC 1071). A last odd byte counts as the high half of
// a word, so that only the last of several parts may have odd length.
//
// Words are added eight bytes at a time in little-endian order with the carries
// kept: the sum of swapped words is the swapped sum (RFC 1071 section 2 B). Two
// chains of additions run side by side, because one chain waits for its own carry
// at each step.
func Sum(b []byte, initial uint32) uint32 {
	var x, y, carries, c uint64
	rest := b
	for len(rest) >= 64 {
		w := (*[64]byte)(rest)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[0:]), 0)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[8:]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[16:]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[24:]), c)
		carries += c
		y, c = bits.Add64(y, binary.LittleEndian.Uint64(w[32:]), 0)
		y, c = bits.Add64(y, binary.LittleEndian.Uint64(w[40:]), c)
		y, c = bits.Add64(y, binary.LittleEndian.Uint64(w[48:]), c)
		y, c = bits.Add64(y, binary.LittleEndian.Uint64(w[56:]), c)
		carries += c
		rest = rest[64:]
	}
	x, c = bits.Add64(x, y, 0)
	x, c = bits.Add64(x, carries, c)

	if len(rest)&32 != 0 {
		w := (*[32]byte)(rest)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[0:]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[8:]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[16:]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[24:]), c)
		rest = rest[32:]
	}
	if len(rest)&16 != 0 {
		w := (*[16]byte)(rest)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[0:]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(w[8:]), c)
		rest = rest[16:]
	}
	if len(rest)&8 != 0 {
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(rest), c)
	}
	x, c = bits.Add64(x, lastBytes(b), c)
	x, c = bits.Add64(x, 0, c)
	x += c // cannot carry again: x is 0 when c is 1

	x = x>>32 + x&0xffffffff
	x = x>>32 + x&0xffffffff // 32 bits
	return fold(uint64(bits.ReverseBytes16(uint16(fold(x)))) + uint64(initial))
}

// lastBytes is the last len(b) modulo 8 bytes as a little-endian word, the first
// of them lowest.
func lastBytes(b []byte) (w uint64) {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b[len(b)-8:]) >> (64 - 8*uint(len(b)%8))
	}
	for i, x := range b {
		w |= uint64(x) << (8 * i)
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
// of the data (RFC 1624 equation 3). Between 0 and 0xffff, which mean the same to a
// receiver, it chooses as a computation from scratch does, unless all data is zero.
func UpdateChecksum(checksum uint16, c Change) uint16 {
	sum := uint32(^checksum) + uint32(^c.Old) + uint32(c.New)
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum)
}

// DecrementTTL is the IPv4 header checksum after the header's TTL, not 0, went
// down by one: UpdateChecksum for the word of TTL and protocol, whatever it holds
// (RFC 1624 section 3 has why it must yield 0 and not 0xffff).
func DecrementTTL(checksum uint16) uint16 {
	sum := uint32(checksum) + 0x0100
	return uint16(sum + (sum+1)>>16)
}
