package porttest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

// window is the most frames that are on their way to the port at once.
const window = 32

// session is one open link, and the worker's part in it.
type session struct {
	*Link
	t    *testing.T
	h    *Harness
	b    dataplane.Burst
	todo [][]byte // still to be sent to the port
	out  int      // sent and not yet received by it
}

// open opens a link whose port is to receive the frames in.
func (h *Harness) open(t *testing.T, in ...[]byte) *session {
	t.Helper()
	s := &session{t: t, h: h}
	if h.Preload {
		s.Link = h.Open(t, in)
	} else {
		s.Link = h.Open(t, nil)
		s.todo = in
	}
	require.NotNil(t, s.Link, "Open returned no link")
	t.Cleanup(func() { s.Port.Close() })
	return s
}

// send has more frames sent to the port, as it receives.
func (s *session) send(frames ...[]byte) { s.todo = append(s.todo, frames...) }

// push sends what the window allows.
func (s *session) push() {
	if n := min(window-s.out, len(s.todo)); n > 0 {
		s.Send(s.todo[:n]...)
		s.todo, s.out = s.todo[n:], s.out+n
	}
}

// deadline polls until f returns true, flushing in between as a worker does.
func (s *session) deadline(what string, f func() bool) {
	s.t.Helper()
	for end := time.Now().Add(s.h.Timeout); !f(); {
		require.False(s.t, time.Now().After(end), "timed out after %v: %s", s.h.Timeout, what)
		s.flush()
		time.Sleep(20 * time.Microsecond)
	}
}

func (s *session) flush() {
	s.t.Helper()
	require.NoError(s.t, s.Port.Flush(), "Flush")
}

// rx polls until a burst with marked frames comes, and returns those. They are valid
// until release.
func (s *session) rx() []*dataplane.Frame {
	s.t.Helper()
	var got []*dataplane.Frame
	s.deadline("waiting for a frame", func() bool {
		s.push()
		n, err := s.Port.Rx(&s.b)
		require.NoError(s.t, err, "Rx")
		require.Equal(s.t, n, s.b.N, "Rx returns b.N")
		require.LessOrEqual(s.t, n, dataplane.BurstSize)
		for i := range s.b.F[:n] {
			if f := &s.b.F[i]; ours(f.Bytes()) {
				got = append(got, f)
			}
		}
		if len(got) == 0 {
			s.release()
		}
		return len(got) > 0
	})
	s.out = max(0, s.out-len(got))
	return got
}

func (s *session) release() {
	s.t.Helper()
	s.Port.Release(&s.b)
	require.Zero(s.t, s.b.N, "Release empties the burst")
}

// recv receives n marked frames, releasing as it goes, and returns copies.
func (s *session) recv(n int) [][]byte {
	s.t.Helper()
	var got [][]byte
	for len(got) < n {
		for _, f := range s.rx() {
			got = append(got, slices.Clone(f.Bytes()))
		}
		s.release()
		s.flush()
	}
	return got
}

// tx gives frames to the port until it has taken all, flushing when it is full.
func (s *session) tx(frames ...*dataplane.Frame) {
	s.t.Helper()
	s.deadline("waiting for room to send", func() bool {
		n := s.Port.Tx(frames)
		require.LessOrEqual(s.t, n, len(frames))
		frames = frames[n:]
		return len(frames) == 0
	})
	s.flush()
}

// collect waits until the far end has got n marked frames, and returns them.
func (s *session) collect(n int) [][]byte {
	s.t.Helper()
	var got [][]byte
	s.deadline("waiting at the far end", func() bool {
		got = append(got, s.gather()...)
		return len(got) >= n
	})
	return got
}

// gather returns the marked frames that the far end has got since last time.
func (s *session) gather() [][]byte {
	return slices.DeleteFunc(s.Received(), func(f []byte) bool { return !ours(f) })
}

// foreign makes a frame of some other port, in a buffer of the suite's own.
func (s *session) foreign(bytes []byte) *dataplane.Frame {
	f, buf := new(dataplane.Frame), make([]byte, 128+len(bytes)+64)
	copy(buf[128:], bytes)
	f.Attach(buf, 128, len(bytes))
	f.In = s.Port.Info().ID + 1
	return f
}

// equalFrames compares byte by byte and says which frame differs.
func equalFrames(t *testing.T, want, got [][]byte, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		require.Equal(t, want[i], got[i], "%s: frame %d of %d", what, i, len(want))
	}
}
