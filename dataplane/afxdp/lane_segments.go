package afxdp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// sureSegments is what spares the lane's program the search for the longest prefix: a bit
// for each IPv4 /24 that is set where all of it is redirected. The bits never say more than
// the prefix map does. The program reads them at any time, and finds each as it was or as it
// is to be. The zero value, of an interface without a lane, has none. Interface.mu guards it.
type sureSegments struct {
	bits []byte // the program's, mapped
	all  []byte // the whole mapping
}

const (
	sureBytes = 1 << 24 / 8
	sureName  = "lane_segments" // the program's variable
)

// mapSure maps the bits of a program that has been loaded. Variables is the map that it has them in.
func mapSure(spec *ebpf.CollectionSpec, variables *ebpf.Map) (s sureSegments, err error) {
	page := unix.Getpagesize()
	size := (int(variables.ValueSize()) + page - 1) / page * page
	if s.all, err = unix.Mmap(variables.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return s, fmt.Errorf("the fast lane: mapping its segments: %w", err)
	}
	at := spec.Variables[sureName].Offset
	s.bits = s.all[at : at+sureBytes]
	return s, nil
}

func (s *sureSegments) close() error {
	if s.all == nil {
		return nil
	}
	all := s.all
	*s = sureSegments{}
	return unix.Munmap(all)
}

// narrow clears the bits that are not to stay. It comes before the prefix map is changed.
func (s *sureSegments) narrow(target map[netip.Prefix]filterAction) {
	if s.bits == nil {
		return
	}
	next := sure(target)
	for i := 0; i < sureBytes; i += 8 {
		now := binary.NativeEndian.Uint64(s.bits[i:])
		if both := now & binary.NativeEndian.Uint64(next[i:]); both != now {
			binary.NativeEndian.PutUint64(s.bits[i:], both)
		}
	}
}

// widen sets the bits of what the prefix map has now.
func (s *sureSegments) widen(have map[netip.Prefix]filterAction) {
	if s.bits != nil {
		copy(s.bits, sure(have))
	}
}

// sure is the bits for what a prefix map holds: a /24 that a prefix covers has one unless an
// own address lies in it. Bit n is bit n%8 of byte n/8, which on a little-endian machine is
// the program's order of 32-bit words as well.
func sure(m map[netip.Prefix]filterAction) []byte {
	b := make([]byte, sureBytes)
	for p, action := range m {
		if action == filterActionACTION_REDIRECT && p.Addr().Is4() && p.Bits() <= 24 {
			setBits(b, number24(p.Addr()), 1<<(24-p.Bits()))
		}
	}
	for p, action := range m {
		if action == filterActionACTION_PASS && p.Addr().Is4() {
			n := number24(p.Addr())
			b[n/8] &^= 1 << (n % 8)
		}
	}
	return b
}

// number24 is the number of an address's /24.
func number24(a netip.Addr) int {
	b := a.As4()
	return int(b[0])<<16 | int(b[1])<<8 | int(b[2])
}

// setBits sets n bits from number first on; n is a power of two, and first a multiple of it.
func setBits(b []byte, first, n int) {
	if n < 8 {
		b[first/8] |= (1<<n - 1) << (first % 8)
		return
	}
	for i := first / 8; i < (first+n)/8; i++ {
		b[i] = 0xff
	}
}
