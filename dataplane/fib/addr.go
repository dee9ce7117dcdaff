package fib

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Addr6 is an IPv6 address as two numbers in host byte order. Inside the package
// it also holds an IPv4 address, in its first 32 bits.
type Addr6 struct{ Hi, Lo uint64 }

// Addr6From is an IPv6 address in the form that Lookup6 takes.
func Addr6From(a netip.Addr) Addr6 {
	b := a.As16()
	return Addr6{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

func (a Addr6) less(b Addr6) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

// next is a + 1.
func (a Addr6) next() Addr6 {
	lo, carry := bits.Add64(a.Lo, 1, 0)
	return Addr6{a.Hi + carry, lo}
}

// prev is a - 1.
func (a Addr6) prev() Addr6 {
	lo, borrow := bits.Sub64(a.Lo, 1, 0)
	return Addr6{a.Hi - borrow, lo}
}

// hostBits has all bits after the first n set.
func hostBits(n uint8) Addr6 {
	if n < 64 {
		return Addr6{^uint64(0) >> n, ^uint64(0)}
	}
	return Addr6{0, ^uint64(0) >> (n - 64)} // a shift by 64 leaves 0
}

// first is the first address with a's first n bits, last is the last one.
func (a Addr6) first(n uint8) Addr6 {
	h := hostBits(n)
	return Addr6{a.Hi &^ h.Hi, a.Lo &^ h.Lo}
}

func (a Addr6) last(n uint8) Addr6 {
	h := hostBits(n)
	return Addr6{a.Hi | h.Hi, a.Lo | h.Lo}
}

// byteAt is the 8 bits of a that end at bit n, a multiple of 8.
func (a Addr6) byteAt(n uint8) uint32 {
	if n <= 64 {
		return uint32(a.Hi>>(64-n)) & 0xff
	}
	return uint32(a.Lo>>(128-n)) & 0xff
}

// common is how many first bits a and b share.
func (a Addr6) common(b Addr6) uint8 {
	if x := a.Hi ^ b.Hi; x != 0 {
		return uint8(bits.LeadingZeros64(x))
	}
	return uint8(64 + bits.LeadingZeros64(a.Lo^b.Lo))
}

// key is a prefix; IPv4 in the first 32 bits, its length from 0 to 32. Keys are in
// order of address, then of length: a prefix comes before all those inside it.
type key struct {
	Addr6
	bits uint8
}

func (k key) less(l key) bool {
	return k.Addr6.less(l.Addr6) || k.Addr6 == l.Addr6 && k.bits < l.bits
}

// covers says whether l lies in k, or is k.
func (k key) covers(l key) bool { return k.bits <= l.bits && l.first(k.bits) == k.Addr6 }

// keyOf is the key of a prefix and whether it is IPv4.
func keyOf(p netip.Prefix) (key, bool) {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		return key{Addr6{Hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}, uint8(p.Bits())}, true
	}
	return key{Addr6From(p.Addr()), uint8(p.Bits())}, false
}

func (k key) prefix(is4 bool) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.Hi)
	if is4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), int(k.bits))
	}
	binary.BigEndian.PutUint64(b[8:], k.Lo)
	return netip.PrefixFrom(netip.AddrFrom16(b), int(k.bits))
}
