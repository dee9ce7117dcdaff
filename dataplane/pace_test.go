package dataplane_test

import (
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// piped is a port in memory with a descriptor that is readable while frames wait.
type piped struct {
	*memport.Port
	r, w *os.File
	fd   int

	mu      sync.Mutex
	waiting bool
}

func newPiped(t *testing.T, c memport.Config) *piped {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return &piped{Port: memport.New(c), r: r, w: w, fd: int(r.Fd())}
}

func (p *piped) FD() int { return p.fd }

func (p *piped) Inject(frames ...[]byte) {
	p.Port.Inject(frames...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.waiting {
		p.waiting = true
		_, _ = p.w.Write([]byte{1})
	}
}

func (p *piped) Rx(b *dataplane.Burst) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting {
		p.waiting = false
		_, _ = p.r.Read(make([]byte, 1))
	}
	return p.Port.Rx(b)
}

// cpuTime is what the process has used.
func cpuTime(t *testing.T) time.Duration {
	var ru syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &ru))
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// stamper notes when frames are sent.
type stamper struct {
	dataplane.Port
	sent chan time.Time
}

func (s *stamper) Tx(frames []*dataplane.Frame) int {
	s.sent <- time.Now()
	return s.Port.Tx(frames)
}

// stampWaiter is a stamper that can wait.
type stampWaiter struct {
	stamper
	dataplane.Waiter
}

// stampDescriptor is a stamper with a descriptor.
type stampDescriptor struct {
	stamper
	dataplane.Descriptor
}

// An idle worker leaves the CPU alone, and is there at once when a frame comes.
func TestIdleWorker(t *testing.T) {
	sent := make(chan time.Time, 10)
	for name, ports := range map[string]func() (send func(...[]byte), ports []dataplane.Port){
		"descriptors": func() (func(...[]byte), []dataplane.Port) {
			n := newPiped(t, memport.Config{ID: north, MAC: macNorth})
			out := newPiped(t, memport.Config{ID: south, Discard: true})
			return n.Inject, []dataplane.Port{n, &stampDescriptor{stamper{out, sent}, out}}
		},
		"one waiter": func() (func(...[]byte), []dataplane.Port) {
			n := memport.New(memport.Config{ID: south, MAC: macNorth, Discard: true})
			return n.Inject, []dataplane.Port{&stampWaiter{stamper{n, sent}, n}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			send, all := ports()
			s := newShop(t, func(c *dataplane.WorkerConfig) { c.Ports = all })
			s.start()
			until(t, "sleep", func() bool { return s.w.Snapshot().Sleeps > 110 })

			const span = 300 * time.Millisecond
			before := cpuTime(t)
			time.Sleep(span)
			used := cpuTime(t) - before
			t.Logf("idle: %.2f %% of a CPU", 100*float64(used)/float64(span))
			assert.Less(t, used, span/2, "a worker that spins uses all of a CPU")

			var took []time.Duration
			for range 20 {
				time.Sleep(20 * time.Millisecond) // long enough to be asleep for good
				start := time.Now()
				send(udp7)
				took = append(took, (<-sent).Sub(start))
			}
			slices.Sort(took)
			t.Logf("from idle to sent: best %v, median %v, worst %v", took[0], took[10], took[19])
			assert.Less(t, took[0], 4*time.Millisecond, "the best of many: a frame ends the sleep, not its end")
			assert.Less(t, time.Since(s.w.LastPoll()), 10*time.Second)
			s.stop()
			closed(t, s.w.Snapshot())
		})
	}
}
