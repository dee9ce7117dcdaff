//go:build linux && amd64 && !race

package dataplane_test

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// abroad is an Outsider in memory. It receives a list of frames again and again, and keeps a sum
// of what it sends.
type abroad struct {
	info   dataplane.PortInfo
	frames [][]byte
	want   int64 // how many frames there are before io.EOF; 0: no end
	seed   maphash.Seed
	buffer [dataplane.BurstSize][]byte

	failing  atomic.Bool // Rx returns errDown, once that was possible inside
	askRound int         // every so many rounds something is to be done inside
	mu       sync.Mutex  // which it needs for that

	err      error
	out      bool
	asked    bool
	next     int
	sum      uint64
	sent     uint64
	calls    atomic.Int64
	outs     atomic.Int64 // calls of Rx from outside
	ins      atomic.Int64 // ... from inside
	inside   atomic.Int64 // how often something was done inside
	received atomic.Int64
	sleeps   atomic.Int64 // of its thread, of its own will
	wrong    atomic.Int64
}

var errDown = errors.New("down")

func newAbroad(id dataplane.PortInfo, frames ...[]byte) *abroad {
	p := &abroad{info: id, frames: frames, seed: maphash.MakeSeed()}
	for i := range p.buffer {
		p.buffer[i] = make([]byte, 256+9100)
	}
	p.info.Headroom = 256
	return p
}

func (p *abroad) Outside(on bool)            { p.out = on }
func (p *abroad) FD() int                    { return -1 }
func (p *abroad) Info() dataplane.PortInfo   { return p.info }
func (p *abroad) Flush() error               { return p.err }
func (p *abroad) Release(b *dataplane.Burst) { b.N = 0 }
func (p *abroad) Close() error               { return nil }

func (p *abroad) Rx(b *dataplane.Burst) (int, error) {
	b.N = 0
	if p.out {
		p.outs.Add(1)
	} else {
		p.ins.Add(1)
	}
	if p.asked && p.out {
		p.wrong.Add(1) // it was to come from inside
	}
	n := p.calls.Add(1)
	if n%64 == 0 {
		var u syscall.Rusage
		_, _, _ = syscall.RawSyscall(syscall.SYS_GETRUSAGE, 1, uintptr(unsafe.Pointer(&u)), 0)
		p.sleeps.Store(u.Nvcsw)
	}
	over := p.want > 0 && p.received.Load() >= p.want
	change := p.failing.Load() != (p.err != nil)
	if over || change || p.asked || p.askRound > 0 && n%int64(p.askRound) == 0 {
		if p.asked = p.out; p.out {
			return 0, dataplane.ErrInside
		}
		p.inside.Add(1)
		p.mu.Lock()
		p.mu.Unlock() //nolint:staticcheck // waiting for it is all
		time.Sleep(time.Microsecond)
		if p.err = nil; p.failing.Load() {
			p.err = errDown
		}
		if over {
			return 0, io.EOF
		}
	}
	if p.err != nil || len(p.frames) == 0 {
		return 0, p.err
	}
	for b.N < dataplane.BurstSize && (p.want == 0 || p.received.Load() < p.want) {
		frame := p.frames[p.next]
		p.next = (p.next + 1) % len(p.frames)
		f := &b.F[b.N]
		f.AttachKept(p.buffer[b.N], 256, copy(p.buffer[b.N][256:], frame))
		f.In = p.info.ID
		b.N++
		p.received.Add(1)
	}
	return b.N, nil
}

func (p *abroad) Tx(frames []*dataplane.Frame) int {
	for _, f := range frames {
		p.sum = p.sum*31 + maphash.Bytes(p.seed, f.Bytes())
		p.sent++
	}
	return len(frames)
}

// wait waits for rounds.
func (p *abroad) wait(t *testing.T, n int64) {
	from := p.calls.Load()
	until(t, "rounds", func() bool { return p.calls.Load() >= from+n })
}

func northPort(frames ...[]byte) *abroad {
	return newAbroad(dataplane.PortInfo{ID: north, Name: "north", MAC: macNorth, MTU: 9000}, frames...)
}

func southPort() *abroad {
	return newAbroad(dataplane.PortInfo{ID: south, Name: "south", MAC: macSouth, MTU: 1500})
}

// runPinned has a worker spin on ports, pinned, and returns it and what ends it.
func runPinned(t *testing.T, rules *dataplane.Rules, ports ...dataplane.Port) (w *dataplane.Worker, stop func()) {
	t.Helper()
	cpu, err := lab.CPU()
	require.NoError(t, err)
	return runOn(t, cpu, rules, ports...)
}

// runOn is runPinned on that CPU, or without, -1.
func runOn(t *testing.T, cpu int, rules *dataplane.Rules, ports ...dataplane.Port) (_ *dataplane.Worker, stop func()) {
	t.Helper()
	return runWith(t, dataplane.WorkerConfig{CPU: cpu, Idle: dataplane.Busy, Rules: rules, Identification: 1}, ports...)
}

func runWith(t *testing.T, c dataplane.WorkerConfig, ports ...dataplane.Port) (_ *dataplane.Worker, stop func()) {
	t.Helper()
	c.Reader, _ = newReader(t, resolver(), bindings())
	c.Ports = ports
	w, err := dataplane.NewWorker(c)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			assert.NoError(t, err)
		case <-time.After(30 * time.Second):
			t.Error("the worker does not end")
		}
	})
}

// TestTheWorldStopsWithoutWorkers: collections go by, and the thread of the worker, which is
// outside all the time, never sleeps.
func TestTheWorldStopsWithoutWorkers(t *testing.T) {
	p := northPort(udp7)
	w, stop := runPinned(t, nil, p, southPort())
	defer stop()
	p.wait(t, 1000)
	before, ins := p.sleeps.Load(), p.ins.Load()
	for range 20 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.wait(t, 1000)
	}
	assert.Equal(t, before, p.sleeps.Load())
	assert.Equal(t, ins, p.ins.Load())
	assert.True(t, w.Snapshot().Outside)
}

// TestAnIdleWorkerSleepsOutside: without frames it takes no P either, asleep or awake.
func TestAnIdleWorkerSleepsOutside(t *testing.T) {
	p := northPort()
	cpu, err := lab.CPU()
	require.NoError(t, err)
	w, stop := runWith(t, dataplane.WorkerConfig{CPU: cpu, Idle: dataplane.Adaptive}, p, southPort())
	defer stop()
	slept := func() uint64 { return w.Snapshot().Sleeps }
	until(t, "it sleeps", func() bool { return slept() > 100 })
	ins := p.ins.Load()
	for range 20 {
		runtime.GC()
		before := slept()
		until(t, "it sleeps on", func() bool { return slept() > before })
	}
	assert.Equal(t, ins, p.ins.Load())
	assert.Positive(t, p.outs.Load())
}

// TestAProfileSeesWorkers: a CPU profile that begins while a worker is outside has its time in it,
// once that has been called.
func TestAProfileSeesWorkers(t *testing.T) {
	p := northPort(udp7)
	w, stop := runPinned(t, nil, p, southPort())
	defer stop()
	p.wait(t, 1000)
	seen := func() bool {
		var profile bytes.Buffer
		require.NoError(t, pprof.StartCPUProfile(&profile))
		w.Visit()
		time.Sleep(300 * time.Millisecond)
		pprof.StopCPUProfile()
		w.Visit()
		file := t.TempDir() + "/cpu"
		require.NoError(t, os.WriteFile(file, profile.Bytes(), 0o600))
		out, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.Contains(string(out), "dataplane.(*Worker).round")
	}
	for tries := 0; !seen(); tries++ {
		require.Less(t, tries, 20, "none of its time is in the profile")
	}
	before := p.outs.Load()
	until(t, "it is outside again", func() bool { return p.outs.Load() > before+1000 })
}

// TestOutsiderIsHelpedInside: what a port cannot do outside it does, as soon as it has said so.
func TestOutsiderIsHelpedInside(t *testing.T) {
	p := northPort(udp7)
	p.askRound = 100
	w, stop := runPinned(t, nil, p, southPort())
	defer stop()
	for range 20 {
		p.mu.Lock()
		time.Sleep(time.Millisecond)
		p.mu.Unlock()
		runtime.Gosched()
	}
	until(t, "work inside", func() bool { return p.inside.Load() > 100 })
	assert.Greater(t, p.outs.Load(), 10*p.ins.Load(), "it goes out again")
	assert.Zero(t, p.wrong.Load())
	stop()
	assert.False(t, p.out, "whoever has the port next is inside")
	assert.Zero(t, w.Snapshot().Ports[0].Failures)
	closed(t, w.Snapshot())
}

// TestOutsiderFails: errors are noted, once each, and the worker is outside while they last.
func TestOutsiderFails(t *testing.T) {
	p, q := northPort(udp7), southPort()
	w, stop := runPinned(t, nil, p, q)
	defer stop()
	failures := func(i int) uint64 { return w.Snapshot().Ports[i].Failures }
	shown := func(i int) error { return w.Snapshot().Ports[i].Err }
	for n := range uint64(3) {
		q.failing.Store(true)
		until(t, "south is shown to be down", func() bool { return shown(1) != nil })
		assert.ErrorIs(t, shown(1), errDown)
		assert.Equal(t, n+1, failures(1))
		ins := q.ins.Load()
		got := p.received.Load()
		q.wait(t, 1000)
		assert.Greater(t, p.received.Load(), got, "north goes on")
		assert.Equal(t, ins, q.ins.Load(), "outside")
		q.failing.Store(false)
		until(t, "south works again", func() bool { return shown(1) == nil })
	}
	assert.NoError(t, shown(0))
	assert.Zero(t, failures(0))
	assert.Zero(t, p.wrong.Load()+q.wrong.Load())
	stop()
	closed(t, w.Snapshot())
}

// TestNoOutsideWithOtherPorts: one that is no Outsider may need the runtime anywhere.
func TestNoOutsideWithOtherPorts(t *testing.T) {
	p := northPort(udp7)
	s := newShop(t, nil)
	w, stop := runPinned(t, nil, p, s.south)
	defer stop()
	p.wait(t, 1000)
	assert.False(t, w.Snapshot().Outside)
	assert.Zero(t, p.outs.Load())
}

// TestRulesChangeOutside: also for a worker outside of the runtime, and soon.
func TestRulesChangeOutside(t *testing.T) {
	p := northPort(patch4(udp7, 33, 200)) // unbound
	var rules dataplane.Rules
	w, stop := runPinned(t, &rules, p, southPort())
	defer stop()
	answered := func() uint64 { return w.Snapshot().Events[dataplane.EventUnreachable] }
	p.wait(t, 1000)
	for range 20 {
		before := answered()
		require.NoError(t, rules.Set(dataplane.RulesConfig{Unbound: dataplane.HostUnreachable, Answers: unlimited()}))
		runtime.GC() // the old ones may go as soon as nobody has them
		until(t, "answers", func() bool { return answered() > before+100 })
		require.NoError(t, rules.Set(dataplane.RulesConfig{}))
		runtime.GC()
		until(t, "no answers", func() bool {
			n := answered()
			p.wait(t, 10)
			return answered() == n
		})
	}
	stop()
	closed(t, w.Snapshot())
}

// unlimited is answers to everybody, always.
func unlimited() dataplane.AnswerConfig {
	return dataplane.AnswerConfig{Default: dataplane.AnswerSource{V4: local4, V6: local6}}
}

// everyKind is frames of every kind: all that are forwarded, cut, answered or dropped.
func everyKind() [][]byte {
	frames := [][]byte{
		udp7, udp8, tcp6to7, tcp6to8, tags(udp7, 0x8100_0001), tags(tcp6to7, 0x88a8_0001, 0x8100_0001),
		patch4(udp7, 33, 11), patch4(udp7, 33, 13), patch4(udp7, 20, 0x20, 0), options4(1, 1, 1, 1), syn4(mss1460),
		ext6(hopopts, make([]byte, 8), routing, make([]byte, 8)),
		patch4(udp7, 22, 1), patch(tcp6to7, 21, 1), patch4(udp7, 33, 200), patch(tcp6to7, 53, 200), patch4(udp7, 33, 9),
	}
	for _, n := range []int{1400, 1450, 1451, 1500, 2000, 4000, 8000} {
		for _, x := range []byte{7, 8, 11, 13} {
			frames = append(frames, patch4(sized4(x, n), 20, 0, 0)) // without DF
		}
		frames = append(frames, sized4(7, n), sized6(7, n), sized6(8, n))
	}
	for _, size := range []int{1240, 1280} {
		frames = append(frames, sized6(7, size), sized6(8, size))
	}
	for _, m := range []map[dataplane.Reason][]byte{drops(), strictDrops()} {
		for r := range dataplane.NumReasons {
			if f := m[r]; f != nil {
				frames = append(frames, f)
			}
		}
	}
	return frames
}

// TestOutsideIsTheSame: under collections that follow one another without a pause, frames of
// every kind come out byte for byte as from a worker that is an ordinary goroutine. A store of a pointer
// that the collector wants to know of would end the process.
func TestOutsideIsTheSame(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	collect(t)
	rules := guardedRules()
	for i := range rules {
		if rules[i].Answers.Default != (dataplane.AnswerSource{}) {
			rules[i].Answers = unlimited()
		}
	}
	frames := everyKind()
	pinned, err := lab.CPU()
	require.NoError(t, err)
	cpus := [2]int{-1, pinned}
	const want = 200_000
	for i, c := range rules {
		var sums, sents [2]uint64
		var stats [2]dataplane.WorkerStats
		seed := maphash.MakeSeed()
		for k := range 2 {
			var set dataplane.Rules
			require.NoError(t, set.Set(c))
			p, q := northPort(frames...), southPort()
			p.seed, q.seed, p.want = seed, seed, want
			q.want = 1 // has come to its end when north has
			q.received.Store(1)
			w, stop := runOn(t, cpus[k], &set, p, q)
			require.Eventually(t, func() bool { return p.received.Load() == want }, time.Minute, time.Millisecond)
			stop()
			assert.Equal(t, k == 0, p.outs.Load() == 0)
			sums[k], sents[k], stats[k] = p.sum+q.sum, p.sent+q.sent, w.Snapshot()
			closed(t, stats[k])
		}
		assert.Equal(t, sents[0], sents[1], "rules %d", i)
		assert.Equal(t, sums[0], sums[1], "rules %d", i)
		assert.Equal(t, stats[0].Drops, stats[1].Drops)
		assert.Equal(t, stats[0].Events, stats[1].Events)
	}
}

// collect makes the collector run all the time until the test ends, most of it marking.
func collect(t *testing.T) {
	type node struct{ next *node }
	var live *node
	for range 500_000 {
		live = &node{live}
	}
	var over atomic.Bool
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for !over.Load() {
				runtime.GC()
			}
		})
	}
	t.Cleanup(func() {
		over.Store(true)
		all.Wait()
		runtime.KeepAlive(live)
	})
}
