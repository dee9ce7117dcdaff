package fib

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testPool(t *testing.T, poison bool) *pool {
	r, err := reserve(&heap{}, "test", 32<<20)
	require.NoError(t, err)
	return newPool(r, poison)
}

// TestPool: blocks are aligned, never overlap, and all memory comes back.
func TestPool(t *testing.T) {
	p := testPool(t, false)
	r := rand.New(rand.NewPCG(1, 1))
	owner := map[uint32]uint32{} // line to block
	var blocks []uint32
	sizes := map[uint32]uint32{}
	for step := range 50000 {
		if len(blocks) > 0 && r.IntN(10) < 4+step/40000*5 {
			i := r.IntN(len(blocks))
			b := blocks[i]
			blocks[i] = blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			for l := range sizes[b] {
				delete(owner, b+l)
			}
			p.release(b)
			continue
		}
		c := class(r.IntN(int(numClasses)))
		require.NoError(t, p.room(int(classLines[c])))
		b := p.alloc(c)
		require.Zero(t, b%classLines[c], "aligned to its size")
		for l := range classLines[c] {
			_, taken := owner[b+l]
			require.False(t, taken)
			owner[b+l] = b
		}
		sizes[b] = classLines[c]
		blocks = append(blocks, b)
		require.EqualValues(t, len(owner)*lineSize, p.inUse())
	}
	for _, b := range blocks {
		p.release(b)
	}
	assert.Zero(t, p.inUse())
	assert.Len(t, p.spare, len(p.chunks), "every chunk is free for any class")
}

func TestPoolFreedTwice(t *testing.T) {
	p := testPool(t, false)
	require.NoError(t, p.room(2))
	b := p.alloc(class64)
	p.alloc(class64)
	p.release(b)
	assert.PanicsWithValue(t, `fib: line 0 of region "test" freed twice`, func() { p.release(b) })
}

func TestPoolWithoutRoom(t *testing.T) {
	p := testPool(t, false)
	assert.Panics(t, func() { p.alloc(class64) })
}

func TestPoolPoison(t *testing.T) {
	p := testPool(t, true)
	require.NoError(t, p.room(16))
	b, other := p.alloc(class128), p.alloc(class128)
	p.release(b)
	for i, w := range unsafe.Slice((*uint32)(p.at(b)), 32) {
		require.EqualValues(t, poisonWord, w, "word %d", i)
	}
	assert.Zero(t, *(*uint32)(p.at(other)))
}
