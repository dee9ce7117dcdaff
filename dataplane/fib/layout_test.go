package fib

import (
	"encoding/binary"
	"math/rand/v2"

	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// layout reads a table from the bytes of its regions, as another program could to
// which they are mapped. It is written from the doc comments and shares no code
// with the readers.
type layout map[string][]byte

func (l layout) word(region string, i uint64) uint32 {
	return binary.LittleEndian.Uint32(l[region][4*i:])
}

func (l layout) line(line uint64) []byte { return l["lines"][64*line:] }

// behind follows a word through nodes; next yields the next byte of the address.
func (l layout) behind(w uint32, next func() byte) uint32 {
	for w>>30 != 0 {
		b := next()
		if w>>30 == 3 {
			if byte(w>>22) != b {
				return 0
			}
			return w & 0x3fffff
		}
		node := l.line(uint64(w>>3) & 0x7ffffff)
		if w>>30 == 1 {
			w = binary.LittleEndian.Uint32(node[4*int(b):])
			continue
		}
		span := 256 >> (w & 3)
		node = node[64*(int(b)/span):]
		at, n := int(b)%span, 0
		set := func(i int) bool { return node[i/8]>>(i%8)&1 != 0 }
		for i := 0; i <= at; i++ {
			if set(i) {
				n++
			}
		}
		if w>>2&1 == 0 && !set(at) {
			n = 0
		}
		w = binary.LittleEndian.Uint32(node[span/8+4+4*n:])
	}
	return w
}

func (l layout) lookup4(a uint32) uint32 {
	return l.behind(l.word("root4", uint64(a>>8)), func() byte { return byte(a) })
}

func (l layout) lookup6(a [16]byte) uint32 {
	if v := l.long6(a); v != 0 {
		return v
	}
	i := 1
	return l.behind(l.word("root6", uint64(binary.BigEndian.Uint16(a[:]))), func() byte { i++; return a[i] })
}

func (l layout) long6(a [16]byte) uint32 {
	depth := l.word("directory6", 0)
	x := binary.BigEndian.Uint64(a[:8]) ^ binary.LittleEndian.Uint64(l["directory6"][8:])
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 32
	x ^= binary.BigEndian.Uint64(a[8:]) >> 8
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	first := l.word("directory6", 4+1<<depth+x>>(64-depth))
	if first == 0 {
		return 0
	}
	for n := range uint64(16) {
		b := l.line(uint64(first) + (x>>36+n)%16)
		for p := range 3 {
			hi, lo := binary.LittleEndian.Uint64(b[16*p:]), binary.LittleEndian.Uint64(b[16*p+8:])
			w := binary.LittleEndian.Uint32(b[48+4*p:])
			if w == 0 || hi != binary.BigEndian.Uint64(a[:8]) || lo>>8 != binary.BigEndian.Uint64(a[8:])>>8 {
				continue
			}
			return l.behind(w, func() byte { return a[15] })
		}
		if b[60]>>3&1 == 0 {
			return 0
		}
	}
	return 0
}

// entry is Out and MTU of the one entry of a value.
func (l layout) entry(v uint32) (out, mtu uint16) {
	w := l.word("slots", uint64(v))
	e := l.line(uint64(w))
	return binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:])
}

func TestLayout(t *testing.T) {
	h := &heap{}
	table, c := newTable(t, small(h))
	rd := newReader(t, table)
	l := layout(h.regions)
	r := rand.New(rand.NewPCG(1, 1))
	addr4 := func() uint32 { return 203<<24 | uint32(r.IntN(4))<<8 | uint32(r.IntN(256)) }
	addr6 := func() Addr6 { return Addr6{0x20010db8<<32 | uint64(r.IntN(2)), uint64(r.IntN(1 << 12))} }
	var bs []Binding
	for range 3000 {
		bits4, bits6 := uint8(32), uint8(128)
		if r.IntN(3) == 0 {
			bits4, bits6 = uint8(16+r.IntN(17)), uint8(32+r.IntN(97))
		}
		k := Addr6{Hi: uint64(addr4()) << 32}
		bs = append(bs, bound(key{k.first(bits4), bits4}.prefix(true), 1+r.IntN(200)))
		bs = append(bs, bound(prefix6(addr6(), bits6), 1+r.IntN(200)))
	}
	apply(t, c, bs...)
	found := 0
	rd.Begin()
	defer rd.End()
	for range 20000 {
		var v [2]Value
		a4, a6 := addr4(), addr6()
		rd.Lookup4([]uint32{a4}, v[:1])
		rd.Lookup6([]Addr6{a6}, v[1:])
		require.EqualValues(t, v[0], l.lookup4(a4))
		require.EqualValues(t, v[1], l.lookup6(prefix6(a6, 128).Addr().As16()))
		for _, v := range v {
			if v == 0 {
				continue
			}
			found++
			out, mtu := l.entry(uint32(v))
			e := rd.Entry(v, 0)
			require.EqualValues(t, e.Out, out)
			require.Equal(t, e.MTU, mtu)
		}
	}
	assert.Greater(t, found, 10000)
}
