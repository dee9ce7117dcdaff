package fib

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// randomWords is 256 words of one of the shapes that tables have.
func randomWords(r *rand.Rand) (ws [256]uint32) {
	fill := uint32(r.IntN(3))
	for i := range ws {
		ws[i] = fill
	}
	switch r.IntN(5) {
	case 0: // single addresses
		for range r.IntN(90) {
			ws[r.IntN(256)] = uint32(r.IntN(8))
		}
	case 1: // ranges
		often, v := r.IntN(60), uint32(0)
		for i := range ws {
			if i%2 == 0 && r.IntN(128) < often {
				v = uint32(r.IntN(100))
			}
			ws[i] = v
		}
	case 2: // anything
		for i := range ws {
			ws[i] = r.Uint32() % firstDense
		}
	case 3: // one address
		ws = [256]uint32{}
		ws[r.IntN(256)] = 1 + uint32(r.IntN(9))
	case 4: // one value
	}
	return ws
}

func toRuns(ws *[256]uint32, r *runs) {
	r.n = 0
	for i, w := range ws {
		r.add(i, w)
	}
}

func words(a *arena, w uint32) (ws [256]uint32) {
	for b := range ws {
		ws[b] = a.behind(w, uint32(b))
	}
	return ws
}

// TestNode turns a node into one shape after the other and reads it back.
func TestNode(t *testing.T) {
	table, _ := newTable(t, TableOptions{Poison: true})
	a := table.lines
	base := a.inUse()
	r := rand.New(rand.NewPCG(1, 1))
	kinds, forms := map[uint32]int{}, map[uint32]int{}
	w := uint32(0)
	var in, out runs
	n := Scaled(20000)
	for range n {
		ws := randomWords(r)
		toRuns(&ws, &in)
		require.NoError(t, a.room(chunkLines))
		was := words(a, w)
		old := w
		w = a.repack(&in, w)
		require.Equal(t, ws, words(a, w))
		if isNode(old) && old != w {
			require.Equal(t, was, words(a, old), "readers still see the old node")
		}
		a.unpack(w, &out)
		require.Equal(t, in.start[:in.n], out.start[:out.n])
		require.Equal(t, in.word[:in.n], out.word[:out.n])
		kinds[w>>kindShift]++
		if w>>kindShift == kindPacked {
			forms[w&(withRuns|sizeMask)]++
		}
		table.reclaim()
	}
	for k := range uint32(4) {
		assert.Greater(t, kinds[k], n/50, "kind %d", k)
		if k < 3 {
			assert.Greater(t, forms[k], n/100, "size %d", k)
			assert.Greater(t, forms[k|withRuns], n/100, "size %d of runs", k)
		}
	}
	a.retireTree(w)
	table.reclaim()
	assert.Equal(t, base, a.inUse())
}

// TestPaintOne compares the quick way with the long one.
func TestPaintOne(t *testing.T) {
	table, _ := newTable(t, TableOptions{Poison: true})
	a := table.lines
	r := rand.New(rand.NewPCG(1, 1))
	quick := 0
	var in runs
	for range 300 {
		var ws [256]uint32
		for range 1 + r.IntN(50) {
			ws[r.IntN(256)] = 1 + uint32(r.IntN(5))
		}
		toRuns(&ws, &in)
		require.NoError(t, a.room(chunkLines))
		w := a.repack(&in, 0)
		if w>>kindShift != kindPacked || w&withRuns != 0 {
			a.retireTree(w)
			continue
		}
		for range 50 {
			b, v := uint32(r.IntN(256)), uint32(r.IntN(3))
			to, ok := a.paintOne(w, b, v)
			if !ok {
				continue
			}
			quick++
			ws[b] = v
			require.Equal(t, ws, words(a, to), "address %d gets %d", b, v)
			w = to
		}
		a.retire(w)
		table.reclaim()
	}
	assert.Greater(t, quick, 5000)
	assert.Zero(t, a.inUse())
}

// TestSimple: no dense node that could be packed is taken for one that cannot.
func TestSimple(t *testing.T) {
	table, _ := newTable(t, TableOptions{})
	a := table.lines
	r := rand.New(rand.NewPCG(1, 1))
	var in runs
	n := map[[2]bool]int{}
	for range 5000 {
		ws := randomWords(r)
		for range r.IntN(60) { // single addresses next to each other, and far apart
			ws[r.IntN(256)&^1] = uint32(r.IntN(5))
		}
		toRuns(&ws, &in)
		require.NoError(t, a.room(chunkLines))
		w := a.makeDense(&in, 0)
		simple, packable := a.simple(w), a.packed.pack(&in, true)
		require.True(t, simple || !packable)
		n[[2]bool{simple, packable}]++
		a.retire(w)
		table.reclaim()
	}
	assert.Greater(t, n[[2]bool{false, false}], 500)
	assert.Greater(t, n[[2]bool{true, true}], 500)

	var ws [256]uint32 // as many changes as fit: 12 single addresses in each line
	for q := range 4 {
		for i := range 12 {
			ws[64*q+2*i+1] = 1
		}
	}
	toRuns(&ws, &in)
	require.NoError(t, a.room(chunkLines))
	assert.True(t, a.packed.pack(&in, false))
	w := a.makeDense(&in, 0)
	assert.True(t, a.simple(w))
	a.retire(w)
	table.reclaim()
}

func TestOnes(t *testing.T) {
	for _, x := range []uint64{0, 1, 1 << 63, ^uint64(0), 0x123456789abcdef0} {
		n := uint32(0)
		for i := range 64 {
			n += uint32(x >> i & 1)
		}
		assert.Equal(t, n, ones(x))
	}
}

// TestSingle: a single word, at both ends, with the largest value and one more.
func TestSingle(t *testing.T) {
	table, _ := newTable(t, TableOptions{})
	a := table.lines
	var in, out runs
	require.NoError(t, a.room(chunkLines))
	for _, b := range []int{0, 1, 254, 255} {
		for _, v := range []uint32{1, singleValue, singleValue + 1} {
			var ws [256]uint32
			ws[b] = v
			toRuns(&ws, &in)
			w := a.repack(&in, 0)
			assert.Equal(t, v <= singleValue, w>>kindShift == kindSingle)
			assert.Equal(t, ws, words(a, w))
			a.unpack(w, &out)
			assert.Equal(t, in.word[:in.n], out.word[:out.n])
			a.retireTree(w)
		}
	}
	table.reclaim()
	assert.Zero(t, a.inUse())
}

// TestHysteresis: one address that comes and goes does not turn a node that is just
// too large to be packed back and forth.
func TestHysteresis(t *testing.T) {
	_, c := newTable(t, TableOptions{})
	addr := func(line, i int) netip.Prefix { return host("203.0.113." + itoa(64*line+3*i)) }
	room := roomOf(maxSize)
	for line := range 1 << maxSize {
		for i := range room {
			apply(t, c, bound(addr(line, i), 1+i))
		}
	}
	word := func() uint32 { return *c.t.ipv4.root.word(203<<16 | 113) }
	require.EqualValues(t, kindDense, word()>>kindShift)
	dense := word()
	for range 10 {
		apply(t, c, Binding{Prefix: addr(0, 0)})
		apply(t, c, bound(addr(0, 0), 1))
	}
	assert.Equal(t, dense, word(), "the same node all the time")
	for line := range 1 << maxSize {
		assert.EqualValues(t, kindDense, word()>>kindShift)
		for i := range slack + 1 {
			apply(t, c, Binding{Prefix: addr(line, i)})
		}
	}
	assert.EqualValues(t, kindPacked, word()>>kindShift)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
