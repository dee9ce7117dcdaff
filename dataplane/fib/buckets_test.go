package fib

import (
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func prefix6(a Addr6, bits uint8) netip.Prefix { return key{a.first(bits), bits}.prefix(false) }

// outs is the Out of the entry of each address, 0 for none.
func outs(r *Reader, dst []Addr6) []int {
	vs, got := make([]Value, len(dst)), make([]int, len(dst))
	r.Begin()
	defer r.End()
	r.Lookup6(dst, vs)
	for i, v := range vs {
		if v != 0 {
			got[i] = int(r.Entry(v, 0).Out)
		}
	}
	return got
}

// TestBucketsGrowAndShrink fills the table with addresses of few and of many
// blocks, and empties it again.
func TestBucketsGrowAndShrink(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	rd := newReader(t, table)
	b := table.long6
	r := rand.New(rand.NewPCG(1, 1))
	want := map[Addr6]int{}
	var all []Addr6
	n := Scaled(40000)
	var bs []Binding
	for len(want) < n {
		a := Addr6{0x20010db8_00000000 | uint64(r.IntN(3000)), uint64(r.IntN(1 << 13))}
		if r.IntN(2) == 0 {
			a.Lo = r.Uint64()
		}
		if want[a] == 0 {
			all = append(all, a)
		}
		want[a] = 1 + r.IntN(500)
		bs = append(bs, bound(prefix6(a, 128), want[a]))
	}
	apply(t, c, bs...)
	assert.Greater(t, b.depth, uint8(5))
	same := func() {
		t.Helper()
		for i, got := range outs(rd, all) {
			require.Equal(t, want[all[i]], got)
		}
		pages := uint32(0)
		for d, n := range b.pages {
			pages += n
			if d > int(b.depth) {
				require.Zero(t, n)
			}
		}
		require.Equal(t, table.lines.blocks[class1K]-dense(table, all), pages)
	}
	same()
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, a := range all {
		apply(t, c, Binding{Prefix: prefix6(a, 128)})
		delete(want, a)
		if i%5000 == 0 {
			same()
		}
	}
	assert.Zero(t, b.n)
	assert.Zero(t, b.depth)
	assert.Zero(t, b.pages)
	assert.Zero(t, table.lines.inUse())
}

// dense counts the blocks of all that are dense nodes.
func dense(table *Table, all []Addr6) (n uint32) {
	seen := map[Addr6]bool{}
	for _, a := range all {
		a.Lo &^= 0xff
		if k, i := table.long6.find(a); i >= 0 && !seen[a] && k.word[i]>>kindShift == kindDense {
			n++
		}
		seen[a] = true
	}
	return n
}

// TestBucketsChurn: blocks that come and go with ever other keys find room, because
// pages are written anew without those that have gone.
func TestBucketsChurn(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	r := rand.New(rand.NewPCG(1, 1))
	for range Scaled(20000) {
		p := prefix6(Addr6{0x20010db8 << 32, r.Uint64()}, 128)
		apply(t, c, bound(p, 1), Binding{Prefix: p})
	}
	assert.Zero(t, table.lines.inUse())
}

// unhash is the address with Hi 0 whose hash is h; false when there is none.
func unhash(seed, h uint64) (Addr6, bool) {
	inverse := func(m uint64) uint64 { // of an odd number, by Newton's method
		x := m
		for range 6 {
			x *= 2 - m*x
		}
		return x
	}
	m := inverse(0xd6e8feb86659fd93)
	h ^= h >> 32
	h *= m
	h ^= h >> 32
	h *= m
	hi := seed * 0x9e3779b97f4a7c15
	hi ^= hi >> 32
	h ^= hi
	return Addr6{0, h << 8}, h>>56 == 0
}

// TestBucketsFull: addresses that somehow all have the same hash are refused when
// they fill a page, and what was there stays.
func TestBucketsFull(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	rd := newReader(t, table)
	table.long6.limit = 12
	var all []Addr6
	for low := uint64(0); len(all) < pageBuckets*bucketPlaces+1; low++ {
		if a, ok := unhash(table.long6.seed, 0xabcdef_8_000000000|low*0x10001); ok {
			require.Equal(t, uint64(0xabcdef), hash6(table.long6.seed, a)>>40)
			all = append(all, a)
		}
	}
	var held []Addr6
	for _, a := range all {
		rep, err := c.Apply([]Binding{bound(prefix6(a, 128), 7)})
		require.NoError(t, err)
		if len(rep.Refused) > 0 {
			assert.ErrorIs(t, rep.Refused[0].Err, errPageFull)
			continue
		}
		held = append(held, a)
	}
	assert.Len(t, held, pageFull)
	assert.EqualValues(t, 12, table.long6.depth)
	for i, got := range outs(rd, all) {
		want := 0
		if i < len(held) {
			want = 7
		}
		require.Equal(t, want, got)
	}
	assert.Equal(t, len(held), c.Stats().IPv6)
	for _, a := range all {
		apply(t, c, Binding{Prefix: prefix6(a, 128)})
	}
	assert.Zero(t, table.long6.depth)
	assert.Zero(t, table.lines.inUse())
}

// TestHash6 flips each bit of an address: about half of the hash must change.
func TestHash6(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 120 {
		sum := 0
		for range 200 {
			a, seed := Addr6{r.Uint64(), r.Uint64()}, r.Uint64()
			b := a
			if i < 64 {
				b.Hi ^= 1 << i
			} else {
				b.Lo ^= 1 << (8 + i - 64)
			}
			// What chooses page and bucket: the 28 bits from bit 36.
			sum += bits.OnesCount64((hash6(seed, a) ^ hash6(seed, b)) >> 36)
		}
		assert.InDelta(t, 14, float64(sum)/200, 2.5, "bit %d", i)
	}
	a := Addr6{1, 0x1200}
	assert.Equal(t, hash6(5, a), hash6(5, Addr6{1, 0x12ff}), "one block, one hash")
}
