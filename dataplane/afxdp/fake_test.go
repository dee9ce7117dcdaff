package afxdp

import (
	"bytes"
	"testing"
	"time"

	"github.com/asavie/xdp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
)

// chunkRoom is what the kernel puts into one chunk of 4096 bytes.
const chunkRoom = 4096 - 256

// fakeKernel is the other end of a port's four rings, in memory.
type fakeKernel struct {
	t    testing.TB
	p    *Port
	fill *consumer[uint64]
	rx   *producer[xdp.Desc]
	tx   *consumer[xdp.Desc]
	comp *producer[uint64]
}

// newFake makes a port of that MTU without a kernel.
func newFake(t testing.TB, frames, mtu int) *fakeKernel {
	g := geometry{frames: frames, size: frameSize(mtu)}
	p := &Port{info: dataplane.PortInfo{ID: 3, Name: "fake", Headroom: headroom}, offset: g.offset()}
	p.checked = now() + time.Hour // nobody looks at a link
	p.fit(portMTU(mtu))
	return adopted(t, p, g)
}

// adopted gives a port a new socket. Its rings' indices are about to wrap.
func adopted(t testing.TB, p *Port, g geometry) *fakeKernel {
	s := &socket{geometry: g, umem: make([]byte, g.frames*g.size)}
	k := &fakeKernel{t: t, p: p}
	fill, kfill := ringIn[uint64](g.ring(), nearWrap)
	krx, rx := ringIn[xdp.Desc](g.ring(), nearWrap)
	tx, ktx := ringIn[xdp.Desc](g.ring(), nearWrap)
	kcomp, comp := ringIn[uint64](g.frames, nearWrap)
	s.fill, s.rx, s.tx, s.comp = *fill, *rx, *tx, *comp
	k.fill, k.rx, k.tx, k.comp = kfill, krx, ktx, kcomp
	p.adopt(s, 1)
	return k
}

// chunk puts one descriptor with data into the RX ring, in a chunk of the FILL ring.
func (k *fakeKernel) chunk(data []byte, more bool) {
	k.t.Helper()
	require.Positive(k.t, k.fill.ready(1), "the FILL ring is empty")
	d := xdp.Desc{Addr: k.fill.take() + headroom, Len: uint32(len(data))}
	if more {
		d.Options = unix.XDP_PKT_CONTD
	}
	copy(k.p.s.umem[d.Addr:], data)
	k.rx.put(d)
}

// deliver is what the kernel does with a frame that comes in.
func (k *fakeKernel) deliver(frame []byte) {
	k.t.Helper()
	for len(frame) > chunkRoom {
		k.chunk(frame[:chunkRoom], true)
		frame = frame[chunkRoom:]
	}
	k.chunk(frame, false)
}

func (k *fakeKernel) publish() {
	k.fill.release()
	k.rx.publish()
}

// sent takes everything out of the TX ring, completes it, and returns the frames.
func (k *fakeKernel) sent() (frames [][]byte) {
	k.t.Helper()
	var open []byte
	var done []uint64
	for n := k.tx.ready(1 << 16); n > 0; n-- {
		d := k.tx.take()
		require.Positive(k.t, d.Len)
		require.LessOrEqual(k.t, d.Addr%4096+uint64(d.Len), uint64(4096), "a descriptor within one chunk")
		open = append(open, k.p.s.umem[d.Addr:d.Addr+uint64(d.Len)]...)
		done = append(done, d.Addr|1) // as copy mode does
		if d.Options&unix.XDP_PKT_CONTD == 0 {
			frames, open = append(frames, open), nil
		}
	}
	require.Empty(k.t, open, "the ring ends within a chain")
	k.tx.release()
	for _, addr := range done {
		require.Positive(k.t, k.comp.room(1))
		k.comp.put(addr)
	}
	k.comp.publish()
	return frames
}

// receive is one Rx and copies of what it returned; the burst stays out.
func (k *fakeKernel) receive(b *dataplane.Burst) (got [][]byte) {
	k.t.Helper()
	n, err := k.p.Rx(b)
	require.NoError(k.t, err)
	require.Equal(k.t, n, b.N)
	for i := range b.F[:n] {
		require.GreaterOrEqual(k.t, b.F[i].Headroom(), headroom)
		require.Equal(k.t, k.p.info.ID, b.F[i].In)
		got = append(got, bytes.Clone(b.F[i].Bytes()))
	}
	return got
}

// verify: every chunk is somewhere once, and so is every buffer.
func (k *fakeKernel) verify() {
	k.t.Helper()
	k.p.collect()
	p := k.p
	require.Equal(k.t, p.s.tx.next, p.s.comp.next)
	require.Equal(k.t, p.s.frames, p.pool.n+int(p.s.fill.next-p.s.rx.next))
	buffers := jumboBuffers
	if p.jumbo.open && !p.jumbo.lost {
		buffers--
	}
	require.Equal(k.t, buffers, p.jumbo.free.n)
}

func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(k*7) + byte(k>>8) + seed
	}
	return b
}

// drain completes what is in the TX ring without looking at it.
func (k *fakeKernel) drain() {
	for n := k.tx.ready(1 << 16); n > 0; n-- {
		k.comp.put(k.tx.take().Addr)
	}
	k.tx.release()
	k.comp.publish()
}

// describe delivers a frame without writing its bytes.
func (k *fakeKernel) describe(frame []byte) {
	for left := len(frame); left > 0; left -= chunkRoom {
		if k.fill.ready(1) == 0 {
			k.t.Fatal("the FILL ring is empty")
		}
		d := xdp.Desc{Addr: k.fill.take() + headroom, Len: uint32(min(left, chunkRoom))}
		if left > chunkRoom {
			d.Options = unix.XDP_PKT_CONTD
		}
		k.rx.put(d)
	}
}
