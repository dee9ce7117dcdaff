package rib

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// key is an address of one family as the trie wants it: key4 or key6.
type key[K any] interface {
	comparable
	bit(i uint8) uint8      // i counts from the most significant bit
	common(o K) uint8       // leading bits that both share
	first(n uint8) K        // first address of the prefix of n bits
	last(n uint8) K         // last address of the prefix of n bits
	less(o K) bool          // in address order
	next() K                // address that follows; the last one wraps
	pack(n uint8) prefixKey // the prefix of n bits
}

// key4 is an IPv4 address in host byte order.
type key4 uint32

func (k key4) bit(i uint8) uint8   { return uint8(k>>(31-i)) & 1 }
func (k key4) common(o key4) uint8 { return uint8(bits.LeadingZeros32(uint32(k ^ o))) }
func (k key4) first(n uint8) key4  { return k &^ (1<<(32-n) - 1) }
func (k key4) last(n uint8) key4   { return k | (1<<(32-n) - 1) }
func (k key4) less(o key4) bool    { return k < o }
func (k key4) next() key4          { return k + 1 }

func (k key4) pack(n uint8) prefixKey { return prefixKey{hi: uint64(k) << 32, bits: n} }

// key6 is an IPv6 address in host byte order.
type key6 struct{ hi, lo uint64 }

func (k key6) bit(i uint8) uint8 {
	if i < 64 {
		return uint8(k.hi>>(63-i)) & 1
	}
	return uint8(k.lo>>(127-i)) & 1
}

func (k key6) common(o key6) uint8 {
	if d := k.hi ^ o.hi; d != 0 {
		return uint8(bits.LeadingZeros64(d))
	}
	return 64 + uint8(bits.LeadingZeros64(k.lo^o.lo))
}

// hostMask6 has the bits set that a prefix of n bits leaves to the host.
func hostMask6(n uint8) (hi, lo uint64) {
	if n < 64 {
		return 1<<(64-n) - 1, ^uint64(0)
	}
	return 0, 1<<(128-n) - 1
}

func (k key6) first(n uint8) key6 {
	hi, lo := hostMask6(n)
	return key6{k.hi &^ hi, k.lo &^ lo}
}

func (k key6) last(n uint8) key6 {
	hi, lo := hostMask6(n)
	return key6{k.hi | hi, k.lo | lo}
}

func (k key6) less(o key6) bool { return k.hi < o.hi || k.hi == o.hi && k.lo < o.lo }

func (k key6) next() key6 {
	lo, carry := bits.Add64(k.lo, 1, 0)
	return key6{k.hi + carry, lo}
}

func (k key6) pack(n uint8) prefixKey { return prefixKey{hi: k.hi, lo: k.lo, bits: n, v6: true} }

// prefixKey is a prefix of either family as a map key. IPv4 lies in the high half
// of hi.
type prefixKey struct {
	hi, lo uint64
	bits   uint8
	v6     bool
}

// keyOf converts a valid, masked prefix.
func keyOf(p netip.Prefix) prefixKey {
	a := p.Addr()
	if a.Is4() {
		b := a.As4()
		return prefixKey{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32, bits: uint8(p.Bits())}
	}
	b := a.As16()
	return prefixKey{
		hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:]),
		bits: uint8(p.Bits()), v6: true,
	}
}

func (k prefixKey) key4() key4 { return key4(k.hi >> 32) }
func (k prefixKey) key6() key6 { return key6{k.hi, k.lo} }

// block is k's place among up to 16 neighbors of its length, and the first of them.
func (k prefixKey) block() (first prefixKey, place int) {
	half, bits := &k.hi, k.bits
	if bits > 64 {
		half, bits = &k.lo, bits-64
	}
	place = int(*half >> (64 - bits) & 15)
	*half &^= 15 << (64 - bits)
	return k, place
}

func (k prefixKey) prefix() netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	if !k.v6 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), int(k.bits))
	}
	binary.BigEndian.PutUint64(b[8:], k.lo)
	return netip.PrefixFrom(netip.AddrFrom16(b), int(k.bits))
}

// cleanPrefix masks p; false when p is no prefix of EIPs at all.
func cleanPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() || p.Addr().Is4In6() {
		return p, false
	}
	return p.Masked(), true
}
