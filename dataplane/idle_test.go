package dataplane

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plain is a port that can do nothing but be polled, waiter one that notes how long
// it is asked to wait.
type plain struct{ Port }

type waiter struct {
	Port
	asked []time.Duration
	take  func(time.Duration)
}

func (w *waiter) Wait(d time.Duration) {
	w.asked = append(w.asked, d)
	if w.take != nil {
		w.take(d)
	}
}

// desc is a port with a descriptor: the reading end of a pipe.
type desc struct {
	waiter
	r, w  *os.File
	asked int
	down  bool
}

func newDesc(t *testing.T) *desc {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return &desc{r: r, w: w}
}

func (d *desc) FD() int {
	d.asked++
	if d.down {
		return -1
	}
	return int(d.r.Fd())
}

// idleFor has the pacer be idle for n rounds after the spinning ones, and returns how
// long those took.
func idleFor(t *testing.T, p *pacer, n int) time.Duration {
	t.Helper()
	for range spinRounds {
		require.False(t, p.idle(), "no sleep while spinning")
	}
	start := time.Now()
	for range n {
		require.True(t, p.idle())
	}
	return time.Since(start)
}

// doubt has waits end early until the ports are not believed any more. On a busy machine one may
// take as long as it was to, by chance, and does not count then.
func doubt(t *testing.T, p *pacer) {
	t.Helper()
	for tries := 0; p.vain < vainWakes; tries++ {
		require.Less(t, tries, 10_000, "waits do not end early")
		p.idle()
	}
}

// waitsLong sees that the next wait takes as long as any. Signals of the runtime may end some early.
func waitsLong(t *testing.T, p *pacer, why string) {
	t.Helper()
	var took time.Duration
	for tries := 0; tries < 100 && took < waitMax-time.Millisecond; tries++ {
		p.vain = 0
		start := time.Now()
		require.True(t, p.idle())
		took = time.Since(start)
	}
	assert.GreaterOrEqual(t, took, waitMax-time.Millisecond, why)
}

func TestBusyNeverSleeps(t *testing.T) {
	w := &waiter{}
	p := newPacer(Busy, []Port{w})
	for range 10_000 {
		require.False(t, p.idle())
	}
	assert.Empty(t, w.asked)
}

func TestPausesGrow(t *testing.T) {
	p := newPacer(Adaptive, []Port{&plain{}, &waiter{}})
	assert.GreaterOrEqual(t, idleFor(t, p, 50), 1275*time.Microsecond, "1 + 2 + ... + 50 µs")
	p.worked()
	require.False(t, p.idle(), "work starts anew")
	p.worked()
	idleFor(t, p, 29)
	before := ticks()
	require.True(t, p.idle())
	assert.GreaterOrEqual(t, p.due-before, int64(30*time.Microsecond), "a pause is no poll gap")
}

func TestOneWaiterWaits(t *testing.T) {
	w := &waiter{take: func(d time.Duration) { sleep(min(d, pauseMax)) }}
	p := newPacer(Adaptive, []Port{w})
	idleFor(t, p, 99)
	var want []time.Duration
	for i := range 99 {
		want = append(want, time.Duration(i+1)*time.Microsecond)
	}
	assert.Equal(t, want, w.asked)
	w.asked, p.vain = nil, 0 // signals of the runtime end waits, too
	doubt(t, p)
	asked := len(w.asked)
	assert.GreaterOrEqual(t, asked, vainWakes)
	assert.Equal(t, slices.Repeat([]time.Duration{waitMax}, asked), w.asked)
	for range 20 {
		p.idle()
	}
	assert.Len(t, w.asked, asked, "it is not believed any more")
	p.worked()
	w.asked = nil
	idleFor(t, p, 1)
	assert.Len(t, w.asked, 1, "work restores confidence")
}

func TestSeveralWaitersShareThePause(t *testing.T) {
	a, b := &waiter{take: sleep}, &waiter{take: sleep}
	p := newPacer(Adaptive, []Port{a, b})
	idleFor(t, p, 200)
	assert.Equal(t, a.asked, b.asked)
	require.Len(t, a.asked, 200)
	assert.Equal(t, 500*time.Nanosecond, a.asked[0])
	assert.Equal(t, pauseMax/2, a.asked[199])

	a.take, b.take = nil, nil // frames, or an error state
	p.vain = 0
	doubt(t, p)
	asked := len(a.asked)
	assert.GreaterOrEqual(t, asked, 200+vainWakes)
	for range 20 {
		p.idle()
	}
	assert.Len(t, a.asked, asked)
}

// The same inside of the runtime and outside.
func TestDescriptorsArePolledTogether(t *testing.T) {
	for _, out := range []bool{false, true} {
		t.Run(fmt.Sprintf("outside %v", out), func(t *testing.T) { pollTogether(t, out) })
	}
}

func pollTogether(t *testing.T, out bool) {
	a, b := newDesc(t), newDesc(t)
	p := newPacer(Adaptive, []Port{a, b})
	p.out = out
	idleFor(t, p, 99)
	waitsLong(t, p, "nothing to read")
	assert.Empty(t, a.waiter.asked)

	p.vain = 0 // signals of the runtime end waits, too
	_, err := b.w.Write([]byte{1})
	require.NoError(t, err)
	doubt(t, p) // the second port is readable

	polls := b.asked
	start := time.Now()
	for range 20 {
		p.idle()
	}
	assert.Equal(t, polls, b.asked, "ready for ever with nothing to show: not polled any more")
	assert.GreaterOrEqual(t, time.Since(start), 20*pauseMax/2/2)

	a.down, b.down = true, true
	p.worked()
	idleFor(t, p, 99)
	waitsLong(t, p, "no descriptor is never ready")
}

func TestPinThread(t *testing.T) {
	current := func() (m cpuMask) {
		_, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, &m)
		require.Zero(t, e)
		return m
	}
	allowed := current()
	cpu := 0
	for allowed[cpu/64]>>(cpu%64)&1 == 0 {
		cpu++
	}
	var want cpuMask
	want[cpu/64] = 1 << (cpu % 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		undo, err := pinThread(cpu)
		if !assert.NoError(t, err) {
			return
		}
		assert.Equal(t, want, current())
		start := time.Now()
		for range 100 {
			sleep(time.Microsecond)
		}
		t.Logf("100 sleeps of 1 µs take %v", time.Since(start))
		undo()
	}()
	<-done
	for _, cpu := range []int{-1, 8192} {
		_, err := pinThread(cpu)
		assert.ErrorContains(t, err, "expected 0 to 8191")
	}
}
