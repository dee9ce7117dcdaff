package fib

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLookupDense: lookupDense does what lookupDenseGo does, for every number of addresses,
// whatever the root's words are, and writes nothing beyond them.
func TestLookupDense(t *testing.T) {
	const roots, nodes = 64, 8
	r := rand.New(rand.NewPCG(3, 4))
	lines := make([]uint32, (nodes+1)*256)
	for i := range lines {
		lines[i] = r.Uint32()
	}
	kinds := map[string]func() uint32{
		"direct": func() uint32 { return r.Uint32() & (firstDense - 1) },
		"dense":  func() uint32 { return firstDense | (1+r.Uint32N(nodes))*16<<lineShift },
		"packed": func() uint32 { return firstPacked | r.Uint32()>>2 },
		"single": func() uint32 { return firstSingle | r.Uint32()>>2 },
	}
	done, left := 0, 0
	for _, mix := range [][]string{{"direct"}, {"dense"}, {"direct", "dense"}, {"dense", "packed"}, {"dense", "single"}, {"direct", "dense", "dense", "dense", "dense", "dense", "packed"}} {
		for n := 1; n <= stage+1; n++ {
			root, dst := make([]uint32, roots), make([]uint32, n)
			for i := range root {
				root[i] = kinds[mix[r.IntN(len(mix))]]()
			}
			for i := range dst {
				dst[i] = r.Uint32N(roots << 8)
			}
			want, got := make([]Value, n+2), make([]Value, n+2)
			for i := range got {
				want[i] = Value(r.Uint32())
				got[i] = want[i]
			}
			rootAt, linesAt := unsafe.Pointer(&root[0]), unsafe.Pointer(&lines[0])
			ok := lookupDenseGo(rootAt, linesAt, dst, want[1:n+1])
			require.Equal(t, ok, lookupDense(rootAt, linesAt, &dst[0], &got[1], n), "%v, %d addresses", mix, n)
			require.Equal(t, want, got, "%v, %d addresses", mix, n)
			if ok {
				done++
			} else {
				left++
			}
			for i, d := range dst {
				w := root[d>>8]
				if ok && w >= firstDense {
					w = lines[(w&lineMask)>>lineShift*16+d&0xff]
				}
				require.EqualValues(t, w, got[i+1])
			}
		}
	}
	assert.NotZero(t, done)
	assert.NotZero(t, left)
}
