package porttest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

// testTxForeign overwrites frames of another port as soon as Tx has returned.
func testTxForeign(t *testing.T, h Harness) {
	const n = 150
	s := h.open(t)
	want := h.frames(1, n, h.largest)
	for chunk := range slices.Chunk(want, dataplane.BurstSize) {
		var fs []*dataplane.Frame
		for _, b := range chunk {
			fs = append(fs, s.foreign(b))
		}
		for left := fs; len(left) > 0; {
			took := s.Port.Tx(left)
			for _, f := range left[:took] {
				require.False(t, f.Taken, "a foreign frame's buffer cannot be kept")
				scribble(f.Buffer())
			}
			left = left[took:]
			s.flush()
		}
		equalFrames(t, chunk, s.collect(len(chunk)), "sent")
	}
}

// testTxOwn puts a header in front of what it receives and sends it back, in place.
func testTxOwn(t *testing.T, h Harness) {
	const n, head = 100, 8
	in := h.frames(1, n, h.largest-head)
	s := h.open(t, in...)
	if s.Port.Info().Headroom < head {
		t.Log("does not apply: the port promises no headroom")
		return
	}
	want := make([][]byte, n)
	for i, b := range in {
		want[i] = slices.Concat(b[:12], []byte{0x88, 0xB5, 1, 2, 3, 4, 5, 6}, b[12:])
	}
	equalFrames(t, want, s.echo(n, func(f *dataplane.Frame) bool {
		macs := [12]byte(f.Bytes())
		_, ok := f.Prepend(head)
		require.True(t, ok)
		copy(f.Bytes(), macs[:])
		copy(f.Bytes()[12:], []byte{0x88, 0xB5, 1, 2, 3, 4, 5, 6})
		return true
	}), "sent back")
}

// echo receives n marked frames, sends those back that keep returns true for, and
// returns what the far end got. Keep may change the frame.
func (s *session) echo(n int, keep func(*dataplane.Frame) bool) [][]byte {
	s.t.Helper()
	var back [][]byte
	for seen := 0; seen < n; {
		got := s.rx()
		seen += len(got)
		var fs []*dataplane.Frame
		for _, f := range got {
			if keep(f) {
				fs = append(fs, f)
			}
		}
		s.tx(fs...)
		s.release()
		back = append(back, s.collect(len(fs))...)
	}
	return back
}

// testTxReturns sends more of its own frames back than the port has buffers.
func testTxReturns(t *testing.T, h Harness) {
	n := 3*h.Buffers + dataplane.BurstSize
	in := h.frames(1, n, 256)
	s := h.open(t, in...)
	equalFrames(t, in, s.echo(n, func(*dataplane.Frame) bool { return true }), "sent back")
}

// testTxMixed sends every other frame back and drops the rest.
func testTxMixed(t *testing.T, h Harness) {
	n := 2*h.Buffers + dataplane.BurstSize
	in := h.frames(1, n, 256)
	s := h.open(t, in...)
	var want [][]byte
	for i := 0; i < n; i += 2 {
		want = append(want, in[i])
	}
	i := 0
	equalFrames(t, want, s.echo(n, func(*dataplane.Frame) bool {
		i++
		return i%2 == 1
	}), "sent back")
}

func testTxLarge(t *testing.T, h Harness) {
	s := h.open(t)
	want := h.sized()
	if h.Tagged {
		want = append(want, tagged(h.frame(len(want)+1, h.largest), 5))
		require.Len(t, want[len(want)-1], s.Port.Info().MaxFrame())
	}
	for _, b := range want {
		s.tx(s.foreign(b))
	}
	equalFrames(t, want, s.collect(len(want)), "sent")
}

func testTxNothing(t *testing.T, h Harness) {
	s := h.open(t)
	assert.Zero(t, s.Port.Tx(nil))
	assert.Zero(t, s.Port.Tx([]*dataplane.Frame{}))
	s.flush()
	assert.Empty(t, s.gather())
}

// testTxEcho sends bursts of short and large frames back, in place or copied.
func testTxEcho(t *testing.T, h Harness) {
	var in [][]byte
	for len(in) < 2*h.Buffers {
		n := len(in)
		in = append(in, h.frame(n, minFrame), h.frame(n+1, h.largest), h.frame(n+2, minFrame+n*89%(h.largest-minFrame)))
	}
	s := h.open(t, in...)
	equalFrames(t, in, s.echo(len(in), func(*dataplane.Frame) bool { return true }), "sent back")
}

func testTxFull(t *testing.T, h Harness) { txFull(t, h, 128) }

func testTxFullLarge(t *testing.T, h Harness) { txFull(t, h, h.largest) }

// txFull sends frames of up to largest bytes without Flush until the port takes no more.
// What it took goes out, in order, and nothing else; then it takes frames again.
func txFull(t *testing.T, h Harness, largest int) {
	if h.NeverFull {
		t.Log("does not apply: the port is never full")
		return
	}
	const most = 1 << 17
	s := h.open(t)
	var want [][]byte
	for seq := 1; ; seq += dataplane.BurstSize {
		require.Less(t, seq, most, "the port took %d frames without Flush", most)
		chunk := h.frames(seq, dataplane.BurstSize, largest)
		var fs []*dataplane.Frame
		for _, b := range chunk {
			fs = append(fs, s.foreign(b))
		}
		took := s.Port.Tx(fs)
		require.GreaterOrEqual(t, took, 0)
		require.LessOrEqual(t, took, len(fs))
		want = append(want, chunk[:took]...)
		if took < len(fs) {
			break
		}
	}
	require.NotEmpty(t, want, "the port took nothing at all")

	got := s.collect(len(want))
	last := h.frame(most, minFrame)
	s.tx(s.foreign(last))
	got = append(got, s.collect(1)...)
	equalFrames(t, append(want, last), got, "sent")
}

func testWait(t *testing.T, h Harness) {
	s := h.open(t)
	if d, ok := s.Port.(dataplane.Descriptor); ok {
		assert.GreaterOrEqual(t, d.FD(), 0, "the descriptor of an open port")
	}
	w, ok := s.Port.(dataplane.Waiter)
	if !ok {
		t.Log("does not apply: the port cannot wait")
		return
	}
	start := time.Now()
	w.Wait(time.Millisecond)
	assert.Less(t, time.Since(start), time.Second, "an idle wait outlived its time")

	if h.Preload {
		return
	}
	s.send(h.frame(1, minFrame))
	s.push()
	start = time.Now()
	w.Wait(h.Timeout)
	for {
		if n, err := s.Port.Rx(&s.b); n > 0 || err != nil {
			require.NoError(t, err)
			break
		}
		require.Less(t, time.Since(start), h.Timeout, "Wait slept although a frame was waiting")
		w.Wait(h.Timeout)
	}
	assert.Less(t, time.Since(start), h.Timeout, "Wait slept although a frame was waiting")
	s.release()
}
