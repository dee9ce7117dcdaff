package fib

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDryPaint: a dry run changes nothing, and says what the change then takes.
func TestDryPaint(t *testing.T) {
	for _, is4 := range []bool{true, false} {
		table, _ := newTable(t, TableOptions{Poison: true})
		r := rand.New(rand.NewPCG(1, 1))
		took := 0
		for range Scaled(6000) {
			k, v := randomShort(r, is4), Value(r.IntN(4))
			require.NoError(t, table.room(k, is4, v))
			single := is4 && k.bits == 32
			rib := table.rib(k, is4)
			need := -1
			if !single && (v != 0 || rib.find(k) != 0) && (v == 0 || rib.find(k) != v) {
				words, retired := words4(table), table.lines.bin.len()
				before := table.lines.inUse()
				need = table.dryPaint(k, is4, v)
				require.Equal(t, before, table.lines.inUse())
				require.Equal(t, retired, table.lines.bin.len())
				require.Equal(t, words, words4(table))
			}
			before := table.lines.inUse()
			if v == 0 {
				table.unset(k, is4)
			} else {
				table.set(k, is4, v)
			}
			if need >= 0 {
				lines := int(table.lines.inUse()-before) / lineSize // nothing is freed before reclaim
				took += lines
				require.LessOrEqual(t, lines, need, "%v to %d", k, v)
				require.LessOrEqual(t, need, 2*lines+64, "%v to %d", k, v)
				require.LessOrEqual(t, need, table.mostLines(k, is4), "%v to %d", k, v)
			}
			table.reclaim()
		}
		assert.Greater(t, took, Scaled(1000), "hardly anything was painted")
	}
}

// randomShort is a prefix of a small space, in which prefixes lie in each other.
func randomShort(r *rand.Rand, is4 bool) key {
	if is4 {
		bits := uint8(10 + r.IntN(23))
		return key{Addr6{Hi: (100<<24 | uint64(r.IntN(1<<13))) << 32}.first(bits), bits}
	}
	bits := uint8(20 + r.IntN(101))
	a := Addr6{0x20010db8<<32 | uint64(r.IntN(1<<10)), uint64(r.IntN(1<<8)) << 40}
	return key{a.first(bits), bits}
}

// words4 is the words of the part of root4 that randomShort uses, and what is behind them.
func words4(t *Table) (all []uint32) {
	for i := range uint32(1 << 5) {
		w := *t.ipv4.root.word(100<<16 + i)
		all = append(all, w)
		for b := range uint32(256) {
			all = append(all, t.lines.behind(w, b))
		}
	}
	return all
}

// TestShortOverMany: a short prefix over many longer ones changes in a table that has room for
// little more than it holds.
func TestShortOverMany(t *testing.T) {
	n := Scaled(50_000)
	table, c := newTable(t, TableOptions{LookupSpace: 16 << 20})
	rd := newReader(t, table)
	short := netip.MustParsePrefix("2001:db8::/32")
	var bs []Binding
	for i := range n { // each in a /56 of its own
		bs = append(bs, bound(prefix6(Addr6{Hi: 0x20010db8<<32 | uint64(i)<<8 | 7}, 64), 1+i%3))
	}
	apply(t, c, bs...)
	check := func(others int) {
		t.Helper()
		rd.Begin()
		defer rd.End()
		var v [2]Value
		for i := range n {
			a := Addr6{Hi: 0x20010db8<<32 | uint64(i)<<8}
			rd.Lookup6([]Addr6{a, {Hi: a.Hi | 7}}, v[:])
			require.Equal(t, others == 0, v[0] == 0)
			require.NotZero(t, v[1])
			require.NotEqual(t, v[0], v[1])
		}
	}
	for _, to := range []int{4, 5, 0, 6, 0} {
		apply(t, c, bound(short, to))
		check(to)
	}
}
