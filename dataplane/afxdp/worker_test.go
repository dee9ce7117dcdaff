package afxdp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

// worker plays the forwarder's part over some ports: frames come in on the first.
type worker struct {
	t      *testing.T
	ports  []*Port
	decide func(n int, frame []byte) int // index of the port that sends frame number n, or out of range to drop it
	seen   int
	b      dataplane.Burst
}

// round is one round of the poll loop. It returns what Rx and Flush said.
func (w *worker) round() error {
	w.t.Helper()
	_, err := w.ports[0].Rx(&w.b)
	out := make([][]*dataplane.Frame, len(w.ports))
	for k := range w.b.F[:w.b.N] {
		f := &w.b.F[k]
		if to := w.decide(w.seen, f.Bytes()); to < len(w.ports) {
			out[to] = append(out[to], f)
		}
		w.seen++
	}
	for k, p := range w.ports {
		p.Tx(out[k])
		if flushErr := p.Flush(); err == nil {
			err = flushErr
		}
	}
	w.ports[0].Release(&w.b)
	return err
}

func (w *worker) until(what string, done func() bool) {
	w.t.Helper()
	eventually(w.t, what, func() bool {
		require.NoError(w.t, w.round())
		return done()
	})
}

// verifyFrames waits until nothing is on its way out, then counts: every frame is in
// exactly one place.
func (p *Port) verifyFrames(t *testing.T) {
	t.Helper()
	eventually(t, "all sent", func() bool {
		require.NoError(t, p.Flush())
		return p.s.tx.next == p.s.comp.next
	})
	receiving := int(p.s.fill.next - p.s.rx.next)
	require.Equal(t, p.s.frames, p.pool.n+receiving, "frames: free and receiving")
	require.LessOrEqual(t, receiving, p.s.ring())
	free := slices.Sorted(slices.Values(p.pool.chunks[:p.pool.n]))
	require.Len(t, slices.Compact(free), p.pool.n, "a frame is in the pool twice")
	for _, chunk := range free {
		require.Zero(t, int(chunk)%p.s.size)
	}
}

// marked keeps the frames of packet: from its source address and to its UDP port.
func marked(frames [][]byte) [][]byte {
	return slices.DeleteFunc(frames, func(f []byte) bool {
		return !bytes.Equal(f[6:12], swMAC[:]) || !bytes.Contains(f, []byte{0x0f, 0xa0, 0, 9})
	})
}
