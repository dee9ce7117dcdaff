package fib

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func compareKeys(a, b key) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}

// randomKey is one of a few million prefixes that overlap a lot.
func randomKey(r *rand.Rand, max uint8) key {
	a := Addr6{Hi: uint64(r.IntN(4))<<62 | uint64(r.IntN(1<<12))<<32, Lo: uint64(r.IntN(1<<6)) << 50}
	bits := uint8(r.IntN(int(max) + 1))
	return key{a.first(bits), bits}
}

// TestRIB compares with a map.
func TestRIB(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p, err := openPool(&heap{}, "prefixes", 64<<20, true)
			require.NoError(t, err)
			r := rand.New(rand.NewPCG(seed, 1))
			rib, want := newRIB(p), map[key]Value{}
			var ever []key
			for step := range 40000 {
				k := randomKey(r, 128)
				if len(ever) > 0 && r.IntN(2) == 0 {
					k = ever[r.IntN(len(ever))]
				}
				require.NoError(t, p.room(chunkLines))
				if r.IntN(100) < 40+step/20000*25 {
					require.Equal(t, want[k], rib.delete(k))
					delete(want, k)
				} else {
					v := Value(1 + r.IntN(1000))
					require.Equal(t, want[k], rib.put(k, v))
					want[k] = v
					ever = append(ever, k)
				}
				require.Equal(t, want[k], rib.find(k))
				require.Equal(t, len(want), rib.n)
				if step%10000 == 0 {
					checkRIB(t, rib, want, r)
				}
			}
			checkRIB(t, rib, want, r)
			for k := range want {
				require.NotZero(t, rib.delete(k))
			}
			assert.Zero(t, rib.n)
			assert.Zero(t, p.inUse())
		})
	}
}

func checkRIB(t *testing.T, rib *rib, want map[key]Value, r *rand.Rand) {
	t.Helper()
	sorted := slices.SortedFunc(maps.Keys(want), compareKeys)
	var got []key
	c := rib.seek(key{})
	for {
		k, v, ok := rib.get(&c)
		if !ok {
			break
		}
		require.Equal(t, want[k], v)
		got = append(got, k)
		rib.next(&c)
	}
	require.Equal(t, sorted, got)
	for range 2000 {
		k := randomKey(r, 128)
		if len(sorted) > 0 && r.IntN(2) == 0 {
			k = sorted[r.IntN(len(sorted))]
		}
		at, found := slices.BinarySearchFunc(sorted, k, compareKeys)
		c := rib.seek(k)
		first, _, ok := rib.get(&c)
		require.Equal(t, at < len(sorted), ok)
		if ok {
			require.Equal(t, sorted[at], first)
		}
		if found {
			at++
		}
		last, _, ok := rib.floor(k)
		require.Equal(t, at > 0, ok)
		if ok {
			require.Equal(t, sorted[at-1], last)
		}
		for _, outer := range []bool{false, true} {
			in, v, ok := rib.cover(k)
			bits := int(k.bits)
			if outer {
				in, v, ok = rib.outer(k)
				bits--
			}
			for ; bits >= 0 && want[key{k.first(uint8(bits)), uint8(bits)}] == 0; bits-- {
			}
			require.Equal(t, bits >= 0, ok, "%v", k)
			if ok {
				require.Equal(t, key{k.first(uint8(bits)), uint8(bits)}, in)
				require.Equal(t, want[in], v)
			}
		}
	}
}

// TestRIBInOrder: prefixes that come in order fill their pages.
func TestRIBInOrder(t *testing.T) {
	p, err := openPool(&heap{}, "prefixes", 64<<20, false)
	require.NoError(t, err)
	rib := newRIB(p)
	const n = 100_000
	for i := range uint64(n) {
		require.NoError(t, p.room(chunkLines))
		rib.put(key{Addr6{Hi: i << 32}, 32}, 1)
	}
	assert.Less(t, float64(p.inUse())/n, 26.0, "bytes per prefix")
	for i := range uint64(n) {
		require.EqualValues(t, 1, rib.delete(key{Addr6{Hi: (n - 1 - i) << 32}, 32}))
	}
	assert.Zero(t, p.inUse())
}

// TestGaps compares what a prefix covers and no longer one does with a naive list
// of its addresses.
func TestGaps(t *testing.T) {
	p, err := openPool(&heap{}, "prefixes", 64<<20, false)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		rib := newRIB(p)
		var all []key
		for range r.IntN(40) {
			bits := uint8(20 + r.IntN(13))
			k := key{Addr6{Hi: 203<<56 | uint64(r.IntN(1<<12))<<32}.first(bits), bits}
			require.NoError(t, p.room(chunkLines))
			rib.put(k, 1)
			all = append(all, k)
		}
		at := key{Addr6{Hi: 203 << 56}, 20}
		if len(all) > 0 && r.IntN(2) == 0 {
			at = all[0]
		}
		var got []uint64
		g := newGaps(rib, at)
		for s, ok := g.next(); ok; s, ok = g.next() {
			require.False(t, s.hi.less(s.lo))
			for hi := s.lo.Hi >> 32; hi <= s.hi.Hi>>32; hi++ {
				got = append(got, hi)
			}
		}
		var want []uint64
		for hi := at.Hi >> 32; hi <= at.last(at.bits).Hi>>32; hi++ {
			if !slices.ContainsFunc(all, func(k key) bool { return k.bits > at.bits && k.covers(key{Addr6{Hi: hi << 32}, 32}) }) {
				want = append(want, hi)
			}
		}
		require.Equal(t, want, got)
		for _, k := range all {
			rib.delete(k)
		}
	}
}
