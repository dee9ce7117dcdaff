package afxdp

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPoolHasEveryFrameOnce(t *testing.T) {
	p := newPool(geometry{frames: 8, size: 2048})
	seen := make(map[uint32]bool)
	for p.n > 0 {
		seen[p.get()] = true
	}
	want := make(map[uint32]bool)
	for k := range uint32(8) {
		want[k*2048] = true
	}
	assert.Equal(t, want, seen)
}

func TestPoolIsLastInFirstOut(t *testing.T) {
	p := newPool(geometry{frames: 8, size: 2048})
	a, b := p.get(), p.get()
	p.put(a)
	p.put(b)
	assert.Equal(t, b, p.get())
	assert.Equal(t, a, p.get())
}

func TestPoolNoticesAFrameGivenBackTwice(t *testing.T) {
	p := newPool(geometry{frames: 8, size: 2048})
	a := p.get()
	p.put(a)
	assert.Panics(t, func() { p.put(a) })
}
