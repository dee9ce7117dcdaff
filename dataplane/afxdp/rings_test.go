package afxdp

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asavie/xdp"
	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

// ringIn makes both ends of one ring in Go memory: what one puts in, the other takes
// out. The indices start at first, so that tests can have them wrap.
func ringIn[T element](slots int, first uint32) (*producer[T], *consumer[T]) {
	words := make([]uint32, 3*16) // a cache line each, as the kernel has them
	words[0], words[16] = first, first
	sh := shared{producer: &words[0], consumer: &words[16], flags: &words[32]}
	array := make([]T, slots)
	p := &producer[T]{shared: sh, slots: &array[0], mask: uint32(slots - 1), next: first, taken: first}
	c := &consumer[T]{shared: sh, slots: &array[0], mask: uint32(slots - 1), next: first, given: first}
	return p, c
}

const nearWrap = ^uint32(0) - 5

func TestRingKeepsOrderAcrossTheWrap(t *testing.T) {
	for _, first := range []uint32{0, nearWrap} {
		p, c := ringIn[uint64](8, first)
		next, want := uint64(0), uint64(0) // values put in and taken out
		for round := range 40 {
			room := p.room(8)
			assert.Equal(t, 8-uint32(next-want), room, "room")
			before := c.ready(8)
			for range min(room, uint32(round%8+1)) {
				p.put(next)
				next++
			}
			assert.Equal(t, before, c.ready(8), "nothing is seen before publish")
			p.publish()
			assert.Equal(t, uint32(next-want), c.ready(8))
			assert.Equal(t, uint32(next-want), p.pending())
			n := c.ready(uint32(round%5 + 1))
			for range n {
				assert.Equal(t, want, c.take())
				want++
			}
			assert.Equal(t, uint32(next-want)+n, p.pending(), "nothing is free before release")
			c.release()
			assert.Equal(t, uint32(next-want), p.pending())
		}
		assert.Greater(t, want, uint64(40))
	}
}

func TestRingIsFullAtItsSize(t *testing.T) {
	p, c := ringIn[xdp.Desc](4, nearWrap)
	for k := range 4 {
		assert.Equal(t, uint32(4-k), p.room(4))
		p.put(xdp.Desc{Addr: uint64(k), Len: uint32(100 + k), Options: 7})
	}
	p.publish()
	assert.Zero(t, p.room(1))
	assert.Equal(t, uint32(3), c.ready(3), "no more than asked for")
	assert.Equal(t, uint32(4), c.ready(64))
	assert.Equal(t, xdp.Desc{Addr: 0, Len: 100, Options: 7}, c.take())
	assert.Zero(t, p.room(1), "taken, but not released")
	c.release()
	assert.Equal(t, uint32(1), p.room(1))
}

// The other side's index is read again only when what is known does not do: its cache
// line is the one that bounces.
func TestRingReadsTheOtherSideOnlyWhenItMust(t *testing.T) {
	p, c := ringIn[uint64](8, 0)
	for range 6 {
		p.put(1)
	}
	p.publish()
	assert.Equal(t, uint32(2), p.room(2))
	assert.Equal(t, uint32(6), c.ready(6))
	for range 6 {
		c.take()
	}
	c.release()
	assert.Equal(t, uint32(2), p.room(2), "what is known does")
	assert.Equal(t, uint32(8), p.room(3), "it does not")
	p.put(1)
	p.publish()
	assert.Zero(t, c.ready(0))
	assert.Equal(t, uint32(1), c.ready(1))
}

func TestRingWakeupFlag(t *testing.T) {
	p, _ := ringIn[uint64](8, 0)
	assert.False(t, p.needsWakeup())
	atomic.StoreUint32(p.flags, unix.XDP_RING_NEED_WAKEUP|2)
	assert.True(t, p.needsWakeup())
	atomic.StoreUint32(p.flags, 2)
	assert.False(t, p.needsWakeup())
}

// Two goroutines move values through a ring as we and the kernel do. Under the race
// detector this proves that slots are only touched between an acquire and a release.
func TestRingBetweenGoroutines(t *testing.T) {
	const n = 100_000
	p, c := ringIn[xdp.Desc](64, nearWrap)
	var wg sync.WaitGroup
	wg.Go(func() {
		for sent := uint64(0); sent < n; {
			room := min(uint64(p.room(16)), n-sent)
			if room == 0 {
				runtime.Gosched()
				continue
			}
			for range room {
				p.put(xdp.Desc{Addr: sent, Len: uint32(sent * 3)})
				sent++
			}
			p.publish()
		}
	})
	wrong := 0
	for got := uint64(0); got < n; {
		ready := c.ready(32)
		if ready == 0 {
			runtime.Gosched()
			continue
		}
		for range ready {
			if c.take() != (xdp.Desc{Addr: got, Len: uint32(got * 3)}) {
				wrong++
			}
			got++
		}
		c.release()
	}
	wg.Wait()
	assert.Zero(t, wrong, "descriptors out of order or torn")
}

func TestRingAllocatesNothing(t *testing.T) {
	p, c := ringIn[xdp.Desc](64, 0)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		p.room(8)
		p.put(xdp.Desc{})
		p.publish()
		c.ready(8)
		c.take()
		c.release()
	}))
}
