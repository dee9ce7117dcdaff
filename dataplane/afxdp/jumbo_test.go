package afxdp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

func TestChainsBecomeOneFrame(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	var want [][]byte
	for n, size := range []int{60, 3840, 3841, 4096, 7680, 7681, 9018, 9022, 60, 9022} {
		want = append(want, noise(size, byte(n)))
		k.deliver(want[n])
	}
	k.publish()
	var b dataplane.Burst
	assert.Equal(t, want, k.receive(&b))
	for i := range b.F[:b.N] {
		assert.Equal(t, b.F[i].Len() > chunkRoom, b.F[i].Cookie&jumboMark != 0, "only what must be is copied")
	}
	k.p.Release(&b)
	k.verify()
	assert.EqualValues(t, 7, k.p.counters.jumbo.Load())
}

// The RX ring ends, or the burst does, within a chain: the frame comes with its end.
func TestChainSpansCalls(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	small, large := noise(100, 1), noise(9000, 2)
	var b dataplane.Burst
	k.deliver(small)
	k.chunk(large[:chunkRoom], true)
	k.publish()
	assert.Equal(t, [][]byte{small}, k.receive(&b))
	k.p.Release(&b)
	k.chunk(large[chunkRoom:2*chunkRoom], true)
	k.publish()
	for range 3 {
		assert.Empty(t, k.receive(&b), "not yet")
	}
	k.chunk(large[2*chunkRoom:], false)
	k.deliver(small)
	k.publish()
	assert.Equal(t, [][]byte{large, small}, k.receive(&b))
	k.p.Release(&b)
	k.verify()

	var want [][]byte
	for n := range 40 { // 120 descriptors, 64 at a time
		want = append(want, noise(9000, byte(n)))
		k.deliver(want[n])
	}
	k.publish()
	first := k.receive(&b)
	assert.Len(t, first, 21)
	k.p.Release(&b)
	assert.Equal(t, want, append(first, k.receive(&b)...))
	k.p.Release(&b)
	k.verify()
}

// The worst burst takes every buffer and not one more: the end of a chain, chains of two
// chunks, the beginning of one.
func TestJumboBuffersAreAsManyAsABurstNeeds(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	var b dataplane.Burst
	k.chunk(noise(chunkRoom, 0), true)
	k.publish()
	assert.Empty(t, k.receive(&b))
	k.chunk(noise(10, 0), false)
	for n := range 31 {
		k.deliver(noise(4000, byte(n)))
	}
	k.chunk(noise(chunkRoom, 9), true)
	k.publish()
	got := k.receive(&b)
	assert.Len(t, got, 32)
	assert.Zero(t, k.p.jumbo.free.n)
	k.p.Release(&b)
	k.verify()
	k.chunk(noise(chunkRoom, 10), false)
	k.publish()
	assert.Equal(t, [][]byte{append(noise(chunkRoom, 9), noise(chunkRoom, 10)...)}, k.receive(&b))
	k.p.Release(&b)
	k.verify()
}

// A chain that is longer than a buffer is lost and counted, wherever it begins and ends,
// and its chunks go back even when no frame comes.
func TestChainTooLong(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	var b dataplane.Burst
	for n := range 100 {
		for range 5 {
			k.deliver(noise(17*chunkRoom, byte(n)))
		}
		k.publish()
		assert.Empty(t, k.receive(&b))
		assert.Empty(t, k.receive(&b))
		k.verify()
	}
	assert.EqualValues(t, 500, k.p.counters.rxTooLong.Load())

	small, large := noise(60, 1), noise(9022, 2)
	k.deliver(large)
	k.chunk(noise(chunkRoom, 0), true)
	k.chunk(noise(chunkRoom, 0), true)
	k.chunk(noise(chunkRoom, 0), true)
	k.publish()
	assert.Equal(t, [][]byte{large}, k.receive(&b))
	k.p.Release(&b)
	k.verify()
	k.chunk(noise(1, 0), false)
	k.deliver(small)
	k.deliver(large)
	k.publish()
	assert.Equal(t, [][]byte{small, large}, k.receive(&b))
	k.p.Release(&b)
	k.verify()
	assert.EqualValues(t, 501, k.p.counters.rxTooLong.Load())
	st := k.p.status()
	assert.EqualValues(t, 501, st.RxTooLong)
	assert.EqualValues(t, 501, st.RxMissed())
	assert.EqualValues(t, 2, st.Chains)
}

// A new socket begins without what the old one has left open.
func TestChainOfAnOldSocketIsForgotten(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	var b dataplane.Burst
	k.chunk(noise(chunkRoom, 0), true)
	k.publish()
	assert.Empty(t, k.receive(&b))
	k = adopted(t, k.p, k.p.s.geometry)
	k.verify()
	k.deliver(noise(60, 1))
	k.publish()
	assert.Equal(t, [][]byte{noise(60, 1)}, k.receive(&b))
	k.p.Release(&b)
	k.verify()
}

// Frames that are longer than a chunk leave in as many as they need, the others in one.
func TestTxSplits(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	var want [][]byte
	var frames []*dataplane.Frame
	for n, size := range []int{60, 4095, 4096, 4097, 8191, 8192, 8193, 9018, 60} {
		want = append(want, noise(size, byte(n)))
		frames = append(frames, foreign(want[n]))
	}
	require.Equal(t, len(frames), k.p.Tx(frames))
	assert.EqualValues(t, 3+2*3+2*3+1, k.tx.ready(100), "descriptors")
	assert.Equal(t, want, k.sent())
	assert.EqualValues(t, len(want), k.p.counters.copied.Load())
	k.verify()

	assert.Equal(t, 2, k.p.Tx([]*dataplane.Frame{foreign(noise(9019, 1)), foreign(want[0])}))
	assert.Equal(t, want[:1], k.sent())
	assert.EqualValues(t, 1, k.p.counters.tooLong.Load())
	k.verify()
}

// Where there is room for a part of a frame only, none of it is taken: for want of chunks, and
// for want of slots in the ring.
func TestTxTakesAFrameWholeOrNotAtAll(t *testing.T) {
	large := noise(9018, 1)
	for free := range 4 {
		k := newFake(t, MinFrames, 9000)
		var held []uint32
		for k.p.pool.n > free {
			held = append(held, k.p.pool.get())
		}
		want := free / 3
		assert.Equal(t, want, k.p.Tx([]*dataplane.Frame{foreign(large), foreign(large)}), "%d chunks free", free)
		assert.Len(t, k.sent(), want)
		assert.Equal(t, want, k.p.Tx([]*dataplane.Frame{foreign(large)}), "what is sent is collected")
		k.sent()
		for _, chunk := range held {
			k.p.pool.put(chunk)
		}
		k.verify()
	}
	k := newFake(t, MinFrames, 9000) // 128 slots, 128 chunks
	var frames []*dataplane.Frame
	for range 64 {
		frames = append(frames, foreign(large))
	}
	assert.Equal(t, 42, k.p.Tx(frames), "126 slots")
	assert.Equal(t, 2, k.p.Tx([]*dataplane.Frame{foreign(noise(60, 1)), foreign(noise(60, 2)), foreign(noise(60, 3))}))
	k.tx.ready(128)
	for range 10 { // in the kernel, not sent: their slots may be read once more
		k.tx.take()
	}
	k.tx.release()
	assert.Zero(t, k.p.Tx(frames))
}

// Frames of chains and frames in chunks, in place and copied, dropped and sent, with too few
// chunks for all: nothing is lost, changed or out of order, and nothing leaks.
func TestChainsAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	k := newFake(t, MinFrames, 9000)
	var b dataplane.Burst
	var delivered, want, sent [][]byte
	taken, lost := 0, 0
	for round := range 3000 {
		for range rng.IntN(30) {
			size := 60 + rng.IntN(9022-60+1)
			switch rng.IntN(10) {
			case 0, 1, 2, 3:
				size = 60 + rng.IntN(200)
			case 4:
				size = 3 * (chunkRoom + rng.IntN(100))
			}
			if int(k.fill.ready(128)) < (size-1)/chunkRoom+1 {
				break // the kernel drops it
			}
			f := noise(size, byte(rng.IntN(256)))
			k.deliver(f)
			if size > k.p.jumbo.size-headroom {
				lost++
			} else {
				delivered = append(delivered, f)
			}
		}
		k.publish()
		got := k.receive(&b)
		for i, f := range got {
			require.Equal(t, delivered[i], f, "round %d, frame %d", round, i)
		}
		delivered = delivered[len(got):]
		var out []*dataplane.Frame
		for i := range b.F[:b.N] {
			if f := &b.F[i]; f.Len() <= k.p.longest-50 && rng.IntN(3) > 0 {
				front, ok := f.Prepend(50)
				require.True(t, ok)
				copy(front, noise(50, byte(round)))
				out = append(out, f)
			}
		}
		n := k.p.Tx(out)
		for _, f := range out[:n] {
			want = append(want, bytes.Clone(f.Bytes()))
		}
		taken += n
		k.p.Release(&b)
		if rng.IntN(4) > 0 {
			sent = append(sent, k.sent()...)
		}
	}
	sent = append(sent, k.sent()...)
	require.Len(t, sent, len(want))
	for i := range want {
		require.Equal(t, want[i], sent[i], "sent frame %d", i)
	}
	for len(delivered) > 0 {
		delivered = delivered[len(k.receive(&b)):]
		k.p.Release(&b)
	}
	k.verify()
	assert.Positive(t, taken)
	assert.EqualValues(t, lost, k.p.counters.rxTooLong.Load())
	assert.Positive(t, lost)
}

func TestChainsAllocateNothing(t *testing.T) {
	k := newFake(t, MinFrames, 9000)
	large, other := noise(9000, 1), foreign(noise(9000, 2))
	var b dataplane.Burst
	frames := make([]*dataplane.Frame, 0, dataplane.BurstSize)
	allocs := testing.AllocsPerRun(200, func() {
		k.describe(large)
		k.publish()
		_, _ = k.p.Rx(&b)
		frames = append(frames[:0], &b.F[0], other)
		k.p.Tx(frames)
		k.p.Release(&b)
		k.drain()
		k.p.collect()
	})
	assert.Zero(t, allocs)
	k.verify()
}

// BenchmarkPort is one frame through Rx, Tx by the same port and Release, the kernel's part in
// memory. 1500: a port whose frames all fit a chunk. 9000: what a jumbo port does with
// a frame of each size.
func BenchmarkPort(b *testing.B) {
	for _, c := range []struct {
		name      string
		mtu, size int
	}{
		{"MTU=1500/frame=64", 1500, 64},
		{"MTU=9000/frame=64", 9000, 64},
		{"MTU=9000/frame=4500", 9000, 4500},
		{"MTU=9000/frame=9014", 9000, 9014},
	} {
		b.Run(c.name, func(b *testing.B) {
			k := newFake(b, DefaultFrames, c.mtu)
			frame := noise(c.size, 1)
			per := dataplane.BurstSize / ((c.size-1)/chunkRoom + 1)
			var burst dataplane.Burst
			var out []*dataplane.Frame
			for i := range burst.F {
				out = append(out, &burst.F[i])
			}
			moved := 0
			for moved < b.N {
				for range per {
					k.describe(frame)
				}
				k.publish()
				n, _ := k.p.Rx(&burst)
				moved += k.p.Tx(out[:n])
				k.p.Release(&burst)
				k.drain()
				k.p.collect()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(moved), "ns/frame")
		})
	}
}
