package dataplane_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// heldPort never has a frame. It lets go of its Hold in every hundredth round, to wait for a
// lock and for a while.
type heldPort struct {
	given  atomic.Int32 // Holds, also nil ones
	hold   *dataplane.Hold
	mu     sync.Mutex
	rounds atomic.Int64
	sleeps atomic.Int64 // of its thread, of its own will

	failing bool
}

func (p *heldPort) UseHold(h *dataplane.Hold) {
	p.given.Add(1)
	p.hold = h
}

func (p *heldPort) Info() dataplane.PortInfo {
	return dataplane.PortInfo{ID: north, Name: "held", MTU: 1500, Headroom: 128, Tailroom: 64}
}

func (p *heldPort) Rx(*dataplane.Burst) (int, error) {
	n := p.rounds.Add(1)
	if n%100 == 0 {
		var u syscall.Rusage
		if syscall.Getrusage(unix.RUSAGE_THREAD, &u) == nil {
			p.sleeps.Store(u.Nvcsw)
		}
	}
	if p.failing && n%100 == 0 {
		p.hold.Let()
		p.mu.Lock()
		p.mu.Unlock() //nolint:staticcheck // waiting for it is all
		time.Sleep(time.Microsecond)
		p.hold.Take()
		return 0, errors.New("down")
	}
	return 0, nil
}

func (p *heldPort) Tx([]*dataplane.Frame) int { return 0 }
func (p *heldPort) Flush() error              { return nil }
func (p *heldPort) Release(*dataplane.Burst)  {}
func (p *heldPort) Close() error              { return nil }
func (p *heldPort) wait(t *testing.T, n int64) {
	until(t, "rounds", func() bool { return p.rounds.Load() >= n })
}

// runHeld has a worker spin on ports, pinned, and returns what ends it.
func runHeld(t *testing.T, procs int, ports ...dataplane.Port) (stop func()) {
	t.Helper()
	cpu, err := lab.CPU()
	require.NoError(t, err)
	before := runtime.GOMAXPROCS(procs)
	reader, _ := newReader(t, resolver(), bindings())
	w, err := dataplane.NewWorker(dataplane.WorkerConfig{Ports: ports, Reader: reader, CPU: cpu, Idle: dataplane.Busy})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		select {
		case err := <-done:
			assert.NoError(t, err)
		case <-time.After(10 * time.Second):
			t.Error("the worker does not end")
		}
		runtime.GOMAXPROCS(before)
	}
}

// TestHeldWorkerIsNotPreempted: but for stops of the world its thread never sleeps. Without a
// Hold it does every 10 ms, in every second. On a busy machine the kernel may interrupt it just where it
// lets go, so that it loses its P: one second that is quiet is enough.
func TestHeldWorkerIsNotPreempted(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	p := new(heldPort)
	stop := runHeld(t, 4, p)
	defer stop()
	p.wait(t, 1000)
	require.NotNil(t, p.hold)
	slept := int64(math.MaxInt64)
	for try := 0; try < 10 && slept > 10; try++ {
		sleeps, begin := p.sleeps.Load(), time.Now()
		until(t, "a second is over", func() bool { return time.Since(begin) > time.Second })
		slept = p.sleeps.Load() - sleeps
		t.Logf("%d sleeps", slept)
	}
	assert.LessOrEqual(t, slept, int64(10))
	assert.EqualValues(t, 1, p.given.Load())
}

// TestHeldWorkerLetsTheWorldStop: the collector scans its stack and stops it.
func TestHeldWorkerLetsTheWorldStop(t *testing.T) {
	p := new(heldPort)
	defer runHeld(t, 4, p)()
	p.wait(t, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the world does not stop")
	}
	p.wait(t, p.rounds.Load()+1000)
}

// TestHeldPortMayWait: a port that lets go waits for locks and sleeps, and its errors are noted.
func TestHeldPortMayWait(t *testing.T) {
	p := &heldPort{failing: true}
	stop := runHeld(t, 4, p)
	for range 20 {
		p.mu.Lock()
		time.Sleep(time.Millisecond)
		p.mu.Unlock()
		runtime.Gosched()
	}
	p.wait(t, 2000)
	require.EqualValues(t, 1, p.given.Load())
	stop()
	assert.EqualValues(t, 2, p.given.Load())
	assert.Nil(t, p.hold, "whoever has the port next holds nothing")
}

// TestNoHoldWithoutAnotherP: somebody else has to be able to run.
func TestNoHoldWithoutAnotherP(t *testing.T) {
	p := new(heldPort)
	defer runHeld(t, 1, p)()
	p.wait(t, 1000)
	assert.EqualValues(t, 1, p.given.Load())
	assert.Nil(t, p.hold)
}

// TestNoHoldWithOtherPorts: one that knows no Hold may park anywhere.
func TestNoHoldWithOtherPorts(t *testing.T) {
	p := new(heldPort)
	s := newShop(t, nil)
	defer runHeld(t, 4, p, s.south)()
	p.wait(t, 1000)
	assert.Zero(t, p.given.Load())
}
