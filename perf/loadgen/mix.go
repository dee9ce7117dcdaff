package loadgen

import (
	"fmt"
	"net/netip"
)

// Mix is which shares of a generator's frames are hostile, each from 0 to 1. The zero
// value is none. Their sources are random: of an IPv4 address the first byte is that of
// Config.Source, of an IPv6 one the first four bytes are, and the last eight.
type Mix struct {
	Unbound   float64 // to one of Unbounds addresses in a row from FirstUnbound on
	TTL       float64 // with TTL or hop limit 1, to the ordinary destinations
	Malformed float64 // likewise: a header with one of two mistakes, see spoil in bpf/load.bpf.c

	FirstUnbound netip.Addr // of the family of Config.FirstDst, in IPv6 of its /96
	Unbounds     int
}

// Share is that of all hostile frames.
func (m Mix) Share() float64 { return m.Unbound + m.TTL + m.Malformed }

func (m Mix) check(firstDst netip.Addr) error {
	switch {
	case !(min(m.Unbound, m.TTL, m.Malformed) >= 0) || !(m.Share() <= 1):
		return fmt.Errorf("loadgen: shares of hostile frames %v, %v, %v: expected none below 0, and 1 at most together", m.Unbound, m.TTL, m.Malformed)
	case m.Unbound == 0:
		return nil
	case !m.FirstUnbound.IsValid() || !sameBlock(m.FirstUnbound, firstDst):
		return fmt.Errorf("loadgen: first unbound address %v: expected one of the family, in IPv6 of the /96, of %v", m.FirstUnbound, firstDst)
	case m.Unbounds < 1 || uint64(low32(m.FirstUnbound))+uint64(m.Unbounds) > 1<<32:
		return fmt.Errorf("loadgen: %d unbound addresses from %v on: expected at least one and none beyond the last address", m.Unbounds, m.FirstUnbound)
	}
	return nil
}

// sameBlock says whether two addresses are of one family and differ in the last four bytes
// at most.
func sameBlock(a, b netip.Addr) bool {
	return a.BitLen() == b.BitLen() && netip.PrefixFrom(a, a.BitLen()-32).Masked() == netip.PrefixFrom(b, b.BitLen()-32).Masked()
}

// bounds are the shares one behind the other, in 1/2^32, as the program has them.
func (m Mix) bounds() (b [3]uint64) {
	sum := 0.0
	for i, share := range []float64{m.Unbound, m.TTL, m.Malformed} {
		sum += share
		b[i] = uint64(sum * (1 << 32))
	}
	return b
}
