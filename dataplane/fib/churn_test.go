package fib

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// churn is a table whose writer changes it all the time, and what a reader may see
// meanwhile. Per family there are 8 ranges of 256 addresses. In each
//
//	address 0..15     always bound to tunnel 1000 + address
//	address 16..127   comes and goes: tunnel 2000 or 3000 + address, or the cover
//	address 128..255  the cover, or a prefix of 32 addresses that comes and goes: 4000
//
// and the cover, one prefix for all, is bound to tunnel 1 or 2.
type churn struct {
	table *Table
	c     *Compiler
	rand  *rand.Rand
}

const churnRanges = 8

func churnAddr4(n, a int) uint32 { return 203<<24 | uint32(n*7)<<8 | uint32(a) }
func churnAddr6(n, a int) Addr6  { return Addr6{0x20010db8 << 32, uint64(n*7)<<8 | uint64(a)} }

func churnPrefix(v6 bool, n, a, host int) netip.Prefix {
	if v6 {
		return prefix6(churnAddr6(n, a), uint8(128-host))
	}
	k := Addr6{Hi: uint64(churnAddr4(n, a)) << 32}
	bits := uint8(32 - host)
	return key{k.first(bits), bits}.prefix(true)
}

func newChurn(t testing.TB, table *Table, c *Compiler) *churn {
	ch := &churn{table: table, c: c, rand: rand.New(rand.NewPCG(1, 1))}
	for _, v6 := range []bool{false, true} {
		apply(t, c, bound(churnPrefix(v6, 0, 0, 16), 1))
		for n := range churnRanges {
			for a := range 16 {
				apply(t, c, bound(churnPrefix(v6, n, a, 0), 1000+a))
			}
		}
	}
	return ch
}

// change makes one change.
func (ch *churn) change() Binding {
	v6, n := ch.rand.IntN(2) == 0, ch.rand.IntN(churnRanges)
	switch x := ch.rand.IntN(100); {
	case x < 2:
		return bound(churnPrefix(v6, 0, 0, 16), 1+ch.rand.IntN(2))
	case x < 10:
		return bound(churnPrefix(v6, n, 128+32*ch.rand.IntN(4), 5), 4000*ch.rand.IntN(2))
	}
	a := 16 + ch.rand.IntN(112)
	if n%2 == 0 {
		a = 16 + a%8 // few at a time, so that nodes stay small
	}
	switch ch.rand.IntN(3) {
	case 0:
		return bound(churnPrefix(v6, n, a, 0), 2000+a)
	case 1:
		return bound(churnPrefix(v6, n, a, 0), 3000+a)
	}
	return bound(churnPrefix(v6, n, a, 0), 0)
}

// allowed says whether address a of a range may have an entry to this tunnel.
func allowed(a, out int) bool {
	switch {
	case a < 16:
		return out == 1000+a
	case a < 128:
		return out == 1 || out == 2 || out == 2000+a || out == 3000+a
	}
	return out == 1 || out == 2 || out == 4000
}

// read looks addresses up until stop, and returns how many bursts it made and the
// first thing that was wrong.
func (ch *churn) read(r *Reader, seed uint64, stop *atomic.Bool) (bursts int, wrong string) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	for !stop.Load() {
		r.Begin()
		wrong = ch.burst(r, rnd)
		r.End()
		if wrong != "" {
			return bursts, wrong
		}
		bursts++
	}
	return bursts, ""
}

// burst looks some addresses up, and returns the first thing that was wrong.
func (ch *churn) burst(r *Reader, rnd *rand.Rand) (wrong string) {
	var (
		dst4 [32]uint32
		dst6 [32]Addr6
		at   [64]int
		out  [64]Value
	)
	for i := range 32 {
		at[i], at[i+32] = rnd.IntN(256), rnd.IntN(256)
		dst4[i] = churnAddr4(rnd.IntN(churnRanges), at[i])
		dst6[i] = churnAddr6(rnd.IntN(churnRanges), at[i+32])
	}
	r.Lookup4(dst4[:], out[:32])
	r.Lookup6(dst6[:], out[32:])
	for i, v := range out {
		if wrong = entryOf(r, v, at[i]); wrong != "" {
			return wrong
		}
	}
	return ""
}

// entryOf says what is wrong with what a lookup found for address a.
func entryOf(r *Reader, v Value, a int) string {
	switch {
	case v == 0:
		return "no binding, but the cover is bound"
	case v > 1<<16:
		return "not a value, but memory that has been freed"
	}
	e := r.Entry(v, 0)
	if e == nil {
		return "unresolved"
	}
	if !allowed(a, int(e.Out)) {
		return "address " + itoa(a) + " has tunnel " + itoa(int(e.Out))
	}
	if e.MTU != 1450 || e.Header.Len() != 64 {
		return "half an entry"
	}
	return ""
}

func (ch *churn) run(t *testing.T, readers, updates int) {
	var (
		stop   atomic.Bool
		wg     sync.WaitGroup
		bursts = make([]int, readers)
		wrong  = make([]string, readers)
	)
	for i := range readers {
		r, err := ch.table.NewReader()
		require.NoError(t, err)
		wg.Go(func() {
			defer r.Close()
			bursts[i], wrong[i] = ch.read(r, uint64(i), &stop)
		})
	}
	for done := 0; done < updates; {
		n := 1 + ch.rand.IntN(8)
		var bs []Binding
		for range n {
			bs = append(bs, ch.change())
		}
		apply(t, ch.c, bs...)
		done += n
	}
	stop.Store(true)
	wg.Wait()
	for i := range readers {
		assert.Empty(t, wrong[i])
		assert.NotZero(t, bursts[i])
	}
}

// TestChurn: a million updates under three readers. Under the race detector there
// are fewer, in memory that it watches.
func TestChurn(t *testing.T) {
	o, updates := TableOptions{Poison: true}, 1_000_000
	if raceEnabled {
		o, updates = small(&heap{}), 40_000
	}
	table, c := newTable(t, o)
	ch := newChurn(t, table, c)
	ch.run(t, 3, updates)
	c.Reclaim()
	assert.Zero(t, c.Stats().Retired)
}

// TestChurnShowsEarlyFree proves that TestChurn can fail: memory freed while a
// reader is in a burst is found out.
func TestChurnShowsEarlyFree(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	r := newReader(t, table)
	var bs []Binding
	for a := range 8 {
		bs = append(bs, bound(churnPrefix(false, 0, a, 0), 1000+a), bound(churnPrefix(true, 0, a, 0), 1000+a))
	}
	apply(t, c, bs...)
	r.Begin()
	w4 := *table.ipv4.root.word(churnAddr4(0, 0) >> 8)
	k, i := table.long6.find(churnAddr6(0, 0))
	w6 := k.word[i]
	require.True(t, isNode(w4))
	require.True(t, isNode(w6))
	// As if r were not in a burst: a reader between the root and the node.
	r.End()
	apply(t, c, bound(churnPrefix(false, 0, 20, 0), 2020), bound(churnPrefix(true, 0, 20, 0), 2020))
	for _, w := range []uint32{w4, w6} {
		assert.NotEmpty(t, entryOf(r, Value(table.lines.behind(w, 3)), 3))
	}

	var out [1]Value
	r.Begin()
	r.Lookup4([]uint32{churnAddr4(0, 3)}, out[:])
	e := r.Entry(out[0], 0)
	require.EqualValues(t, 1003, e.Out)
	r.End()
	apply(t, c, bound(churnPrefix(false, 0, 3, 0), 0), bound(churnPrefix(true, 0, 3, 0), 0))
	assert.NotEqualValues(t, 1003, e.Out)
	assert.NotEmpty(t, entryOf(r, out[0], 3))
}
