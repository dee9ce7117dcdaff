package fib

import "slices"

// smallBatch is up to how many changes keep their order.
const smallBatch = 512

// sorter puts changes into an order in which those close to each other touch the
// same memory: IPv4 first, then by address. It is stable, so that changes of one
// prefix stay in order, and no more exact than is useful.
type sorter struct {
	a, b []sortItem
	out  []change
}

type sortItem struct{ key, nth uint32 }

// sort returns cs in order.
func (s *sorter) sort(cs []change) []change {
	if len(cs) <= smallBatch {
		return cs
	}
	s.out = slices.Grow(s.out[:0], len(cs))
	s.family(cs, true)
	s.family(cs, false)
	out := s.out
	s.out = cs
	return out
}

// family appends the order of one family. It sorts by the first four bytes in
// which the addresses differ, least significant first.
func (s *sorter) family(cs []change, is4 bool) {
	var first, differ Addr6
	s.a = s.a[:0]
	for i := range cs {
		if cs[i].is4 != is4 {
			continue
		}
		if len(s.a) == 0 {
			first = cs[i].Addr6
		}
		differ.Hi |= cs[i].Hi ^ first.Hi
		differ.Lo |= cs[i].Lo ^ first.Lo
		s.a = append(s.a, sortItem{nth: uint32(i)})
	}
	var take [4]uint8 // the bit where each byte ends
	n := 0
	for end := uint8(8); end <= 128 && n < 4; end += 8 {
		if differ.byteAt(end) != 0 {
			take[n] = end
			n++
		}
	}
	for i := range s.a {
		it := &s.a[i]
		for _, end := range take[:n] {
			it.key = it.key<<8 | cs[it.nth].byteAt(end)
		}
	}
	for shift := range n {
		s.pass(8 * shift)
	}
	for _, it := range s.a {
		s.out = append(s.out, cs[it.nth])
	}
}

// pass sorts by the 8 bits of the key from bit shift on.
func (s *sorter) pass(shift int) {
	var at [256]uint32
	for _, it := range s.a {
		at[it.key>>shift&0xff]++
	}
	sum := uint32(0)
	for i, n := range at {
		at[i], sum = sum, sum+n
	}
	if cap(s.b) < len(s.a) {
		s.b = make([]sortItem, len(s.a))
	}
	s.b = s.b[:len(s.a)]
	for _, it := range s.a {
		b := it.key >> shift & 0xff
		s.b[at[b]] = it
		at[b]++
	}
	s.a, s.b = s.b, s.a
}
