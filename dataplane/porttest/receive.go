package porttest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

func testInfo(t *testing.T, h Harness) {
	s := h.open(t, h.frame(1, minFrame))
	info := s.Port.Info()
	assert.NotEmpty(t, info.Name)
	assert.GreaterOrEqual(t, info.Queue, 0)
	assert.GreaterOrEqual(t, info.MTU, 68, "the least MTU of IPv4 (RFC 791)")
	assert.GreaterOrEqual(t, info.Headroom, 0)
	assert.GreaterOrEqual(t, info.Tailroom, 0)
	s.recv(1)
	assert.Equal(t, info, s.Port.Info(), "Info does not change")
}

func testRxEmpty(t *testing.T, h Harness) {
	s := h.open(t)
	for range 3 {
		start := time.Now()
		n, err := s.Port.Rx(&s.b)
		assert.Less(t, time.Since(start), time.Second, "Rx waited")
		if err != nil {
			require.True(t, h.Preload && errors.Is(err, io.EOF), "Rx of an idle link: %v", err)
			assert.Zero(t, n)
			assert.Zero(t, s.b.N)
		}
		s.release()
		s.flush()
	}
}

func testRxOrder(t *testing.T, h Harness) {
	const n = 200
	in := h.frames(1, n, h.largest)
	s := h.open(t, in...)
	equalFrames(t, in, s.recv(n), "received")
}

func testRxDirty(t *testing.T, h Harness) {
	const n = 3 * dataplane.BurstSize
	s := h.open(t, h.frames(1, n, h.largest)...)
	info := s.Port.Info()
	for seen := 0; seen < n; {
		for i := range s.b.F {
			f := &s.b.F[i]
			f.Attach(make([]byte, 10), 3, 4)
			f.Verdict, f.Reason, f.Taken, f.In, f.Out = dataplane.Reply, dataplane.ReasonTxFull, true, 99, 98
		}
		for _, f := range s.rx() {
			require.Equal(t, dataplane.Drop, f.Verdict, "Verdict")
			require.Equal(t, dataplane.ReasonNone, f.Reason, "Reason")
			require.False(t, f.Taken, "Taken")
			require.Equal(t, info.ID, f.In, "In")
			require.Zero(t, f.Out, "Out")
			require.Nil(t, f.Packet(), "Packet")
			require.Equal(t, f.Len(), f.Received(), "Received")
			require.GreaterOrEqual(t, f.Headroom(), info.Headroom, "headroom")
			require.GreaterOrEqual(t, f.Tailroom(), info.Tailroom, "tailroom")
			seen++
		}
		s.release()
		s.flush()
	}
}

func testRxLarge(t *testing.T, h Harness) {
	in := h.sized()
	s := h.open(t, in...)
	equalFrames(t, in, s.recv(len(in)), "received")
}

// mtu asks a port of its own.
func (h *Harness) mtu(t *testing.T) int {
	s := h.open(t)
	mtu := s.Port.Info().MTU
	require.NoError(t, s.Port.Close())
	return mtu
}

// testRoom writes all over each frame's promised headroom and tailroom, and looks
// whether any other frame of the burst has changed.
func testRoom(t *testing.T, h Harness) {
	const n = 2 * dataplane.BurstSize
	s := h.open(t, h.frames(1, n, h.largest)...)
	info := s.Port.Info()
	for seen := 0; seen < n; {
		got := s.rx()
		want := make([]uint64, len(got))
		for i, f := range got {
			want[i] = sum(f.Bytes())
		}
		for _, f := range got {
			front, ok := f.Prepend(info.Headroom)
			require.True(t, ok, "Prepend of the promised headroom")
			scribble(front)
			back, ok := f.Extend(info.Tailroom)
			require.True(t, ok, "Extend of the promised tailroom")
			scribble(back)
		}
		for i, f := range got {
			body := f.Bytes()[info.Headroom : f.Len()-info.Tailroom]
			require.Equal(t, want[i], sum(body), "frame %d of the burst changed when headroom was written", i)
		}
		seen += len(got)
		s.release()
		s.flush()
	}
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xA5
	}
}

// testBorrow holds a burst while more frames arrive: none of the held ones changes.
func testBorrow(t *testing.T, h Harness) {
	const n = 4 * window
	in := h.frames(1, n, h.largest)
	s := h.open(t, in...)
	var copies [][]byte
	for len(copies) < n {
		got := s.rx()
		var held [][]byte
		for _, f := range got {
			held = append(held, append([]byte{}, f.Bytes()...))
		}
		if !h.Preload {
			s.push() // arrives while the burst is held
		}
		s.flush()
		time.Sleep(2 * time.Millisecond)
		for i, f := range got {
			require.Equal(t, held[i], f.Bytes(), "frame %d changed before Release", i)
		}
		s.release()
		copies = append(copies, held...)
	}
	equalFrames(t, in, copies, "received")
}

// testRelease moves more frames through the port than it has buffers.
func testRelease(t *testing.T, h Harness) {
	n := 3*h.Buffers + dataplane.BurstSize
	in := h.frames(1, n, 256)
	s := h.open(t, in...)
	equalFrames(t, in, s.recv(n), "received")
}
