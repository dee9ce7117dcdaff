package porttest

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/dataplane"
)

func testEOF(t *testing.T, h Harness) {
	const n = dataplane.BurstSize + 7
	in := h.frames(1, n, 256)
	s := h.open(t, in...)
	if s.End == nil && !h.Preload {
		t.Log("does not apply: the port never ends")
		return
	}
	equalFrames(t, in, s.recv(n), "received")
	if s.End != nil {
		s.End()
	}
	s.deadline("waiting for io.EOF", func() bool {
		_, err := s.Port.Rx(&s.b)
		return err != nil
	})
	for range 3 {
		k, err := s.Port.Rx(&s.b)
		assert.ErrorIs(t, err, io.EOF, "the end stays")
		assert.Zero(t, k)
		assert.Zero(t, s.b.N)
		s.release()
	}
	last := h.frame(n+1, minFrame)
	s.tx(s.foreign(last))
	equalFrames(t, [][]byte{last}, s.collect(1), "sent after the end of input")
}

func testDown(t *testing.T, h Harness) {
	in := h.frames(1, 10, 256)
	s := h.open(t, in[:5]...)
	if s.Down == nil {
		t.Log("does not apply: the port has no such state")
		return
	}
	equalFrames(t, in[:5], s.recv(5), "received before")

	s.Down()
	end := time.Now().Add(h.Timeout)
	for {
		n, err := s.Port.Rx(&s.b)
		if err != nil {
			assert.NotErrorIs(t, err, io.EOF, "down is not the end")
			assert.Zero(t, n)
			assert.Zero(t, s.b.N)
			break
		}
		s.release()
		require.False(t, time.Now().After(end), "Rx reports no error although the port is down")
		time.Sleep(100 * time.Microsecond)
	}
	assert.LessOrEqual(t, s.Port.Tx([]*dataplane.Frame{s.foreign(h.frame(90, minFrame))}), 1, "Tx while down")
	_ = s.Port.Flush() // may complain, must not panic

	s.Up()
	end = time.Now().Add(h.Timeout)
	for {
		_, err := s.Port.Rx(&s.b)
		s.release()
		_ = s.Port.Flush()
		if err == nil {
			break
		}
		require.False(t, time.Now().After(end), "the port did not recover: %v", err)
		time.Sleep(100 * time.Microsecond)
	}
	s.gather()
	s.out = 0
	s.send(in[5:]...)
	equalFrames(t, in[5:], s.recv(5), "received afterwards")
	last := h.frame(91, minFrame)
	s.tx(s.foreign(last))
	assert.Contains(t, s.collect(1), last, "sent afterwards")
}

// testAllocs counts allocations within the port's own calls, round by round. The far
// end works meanwhile and may allocate, so the best of many rounds counts.
func testAllocs(t *testing.T, h Harness) {
	if h.Allocates {
		t.Log("does not apply: the port allocates")
		return
	}
	const rounds, n = 120, 8 // bursts of up to 64: 15 rounds at least, of which the runtime leaves one alone
	s := h.open(t, h.frames(1, rounds*n, h.largest)...)
	p, fs := s.Port, make([]*dataplane.Frame, 0, dataplane.BurstSize)
	best, seen := ^uint64(0), 0
	for seen < rounds*n {
		s.push()
		var err error
		count := mallocs(func() { _, err = p.Rx(&s.b) })
		require.NoError(t, err)
		fs = fs[:0]
		for i := range s.b.F[:s.b.N] {
			fs = append(fs, &s.b.F[i])
		}
		got := s.b.N
		count += mallocs(func() {
			p.Tx(fs)
			err = p.Flush()
			p.Release(&s.b)
		})
		require.NoError(t, err)
		if got > 0 {
			best = min(best, count)
			s.out = max(0, s.out-got)
			seen += got
		}
	}
	assert.Zero(t, best, "allocations per round of Rx, Tx, Flush, Release")
}

// mallocs counts the process's allocations while f runs.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

func testClose(t *testing.T, h Harness) {
	s := h.open(t, h.frame(1, minFrame), h.frame(2, minFrame))
	s.recv(1)
	assert.NoError(t, s.Port.Close())
	assert.NoError(t, s.Port.Close(), "close twice")

	n, err := s.Port.Rx(&s.b)
	assert.Error(t, err, "Rx after Close")
	assert.Zero(t, n)
	assert.Zero(t, s.b.N)
	assert.Zero(t, s.Port.Tx([]*dataplane.Frame{s.foreign(h.frame(3, minFrame))}), "Tx after Close")
	_ = s.Port.Flush() // may complain, must not panic
	s.Port.Release(&s.b)
	if w, ok := s.Port.(dataplane.Waiter); ok {
		start := time.Now()
		w.Wait(time.Millisecond)
		assert.Less(t, time.Since(start), time.Second, "Wait after Close")
	}
}

func testLeak(t *testing.T, h Harness) {
	before := goleak.IgnoreCurrent()
	s := h.open(t, h.frame(1, minFrame))
	s.recv(1)
	require.NoError(t, s.Port.Close())
	goleak.VerifyNone(t, before)
}
