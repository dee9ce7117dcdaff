package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// WorkerConfig is what a worker works with. Ports and Reader stay the caller's to
// close, once Run has returned.
type WorkerConfig struct {
	Name   string      // in errors and statistics; "" is "worker"
	Ports  []Port      // one queue of every port; frames leave by these only
	Reader *fib.Reader // this worker's alone
	CPU    int         // to pin to; -1: none. Mind the zero value
	Idle   IdleMode
	Rules  *Rules // shared by all workers; nil: those of the zero RulesConfig

	Identification uint32 // see ForwarderConfig
}

// Worker moves frames from ports to ports, on one goroutine: Run. Snapshot and
// LastPoll may be called from any other.
type Worker struct {
	name  string
	cpu   int
	fw    *Forwarder
	pacer *pacer
	ports []*workerPort
	byID  []*workerPort // by PortID
	tally tally

	scratch *scratch // for fragments

	gaps gapMeter
	beat int // rounds until the next heartbeat

	goes  bool   // outside whenever it can
	out   bool   // it is outside now
	back  bool   // it is outside and has come to something that is done inside
	polls func() // poll, made once

	stop   atomic.Bool  // Run is to end
	called atomic.Bool  // by Visit
	polled atomic.Int64 // when Run was last seen polling, by ticks
	went   atomic.Bool  // it goes outside
	ran    atomic.Bool
	shared counters
}

// workerPort is a port and what the worker keeps beside it.
type workerPort struct {
	Port
	id    fib.PortID
	burst *Burst
	out   frameList     // frames of one burst that are to leave by this port
	ended bool          // Rx has said io.EOF
	rxErr error         // what Rx said last
	goes  Outsider      // the port, if it is one
	count *PortCounters // in the tally

	// Shared with Snapshot. The worker alone writes.
	info     PortInfo
	failures atomic.Uint64
	err      atomic.Pointer[error]
}

// beatRounds is how many rounds go by between two heartbeats, or a few more.
const beatRounds = 64

// NewWorker makes a worker. It fails when the ports do not fit together.
func NewWorker(c WorkerConfig) (*Worker, error) {
	if c.Name == "" {
		c.Name = "worker"
	}
	fail := func(format string, args ...any) (*Worker, error) {
		return nil, fmt.Errorf("dataplane: %s: "+format, append([]any{c.Name}, args...)...)
	}
	if c.Reader == nil || len(c.Ports) == 0 {
		return fail("expected a table reader and at least one port")
	}
	w := &Worker{name: c.Name, cpu: c.CPU, pacer: newPacer(c.Idle, c.Ports)}
	w.polls = func() { w.poll() }
	w.tally.ports = make([]PortCounters, len(c.Ports))
	w.shared.ports = make([]portCells, len(c.Ports))
	bursts := newBursts(len(c.Ports))
	var infos []PortInfo
	mtu := 0
	for i, port := range c.Ports {
		info := port.Info()
		for len(w.byID) <= int(info.ID) {
			w.byID = append(w.byID, nil)
		}
		switch other := w.byID[info.ID]; {
		case other != nil:
			return fail("ports %s and %s have the same ID %d", other.info.Name, info.Name, info.ID)
		case info.MTU <= 0:
			return fail("port %s: MTU %d: expected a positive number of bytes", info.Name, info.MTU)
		}
		p := &workerPort{Port: port, id: info.ID, info: info, burst: &bursts[i], count: &w.tally.ports[i]}
		p.goes, _ = port.(Outsider)
		w.ports, w.byID[info.ID] = append(w.ports, p), p
		infos = append(infos, info)
		mtu = max(mtu, info.MTU)
	}
	w.scratch = newScratch(mtu)
	w.fw = NewForwarder(ForwarderConfig{Reader: c.Reader, Ports: infos, Rules: c.Rules, Identification: c.Identification})
	return w, nil
}

// Run polls the ports until ctx is done or every port has come to its end (io.EOF);
// either way it sends what it has taken and returns nil. A port that fails is polled
// on and does not end Run; Snapshot shows it. Run blocks its goroutine and, with a CPU
// given, its thread: it then runs outside of Go's runtime if all ports can, see Outsider. It can be
// called once.
func (w *Worker) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return fmt.Errorf("dataplane: %s: a worker runs once", w.name)
	}
	if w.cpu >= 0 {
		undo, err := pinThread(w.cpu)
		if err != nil {
			return fmt.Errorf("dataplane: %s: %w", w.name, err)
		}
		defer undo()
		w.goes = w.outsiders()
	}
	if ctx.Err() != nil {
		return nil
	}
	defer context.AfterFunc(ctx, func() { w.stop.Store(true) })()
	defer w.went.Store(false)
	defer w.gaps.publish()
	w.gaps.due, w.gaps.left = ticks(), 1
	for ended := false; !ended; {
		w.runOutside()
		if w.called.Swap(false) {
			runtime.Gosched()
		}
		ended = w.poll()
	}
	return nil
}

// poll makes rounds until the worker is to stop or no port will receive again, which it
// says. Outside it returns when there is something to do inside; inside, as soon as that is
// done and it may be gone out again.
func (w *Worker) poll() (ended bool) {
	for !w.stop.Load() {
		if outdated := w.fw.outdated(); w.out && (outdated || w.called.Load()) {
			return false
		} else if outdated {
			w.fw.takeRules()
		}
		if w.gaps.left--; w.gaps.left <= 0 {
			now := ticks()
			w.gaps.polled(now)
			if w.beat <= 0 {
				w.beat = beatRounds
				w.polled.Store(now)
				w.gaps.publish()
			}
		}
		w.beat--
		switch moved, ended := w.round(); {
		case ended:
			return true
		case w.out && w.back:
			return false
		case w.goes && !w.out:
			return false
		case moved:
			w.pacer.worked()
		case w.pacer.idle():
			w.tally.sleeps++
			w.shared.sleeps.Store(w.tally.sleeps)
			w.gaps.slept(w.pacer.from, w.pacer.due)
			w.beat = 0
		}
	}
	return true
}

// round polls every port once and leaves no frame behind. It says whether any frame
// moved, and whether no port will ever receive again.
func (w *Worker) round() (moved, ended bool) {
	ended = true
	for _, p := range w.ports {
		if p.ended {
			continue
		}
		n, err := p.Rx(p.burst)
		if (err != nil || p.rxErr != nil) && !w.later(err, p.rxErr != nil) && w.received(p, err) {
			continue
		}
		ended = false
		if n > 0 {
			moved = true
			w.forward(p)
		}
	}
	for _, p := range w.ports {
		err := p.Flush()
		if p.rxErr != nil && err != ErrInside { //nolint:errorlint // as it is
			err = p.rxErr
		}
		if failing := p.err.Load() != nil; (err != nil || failing) && !w.later(err, failing) {
			w.note(p, err)
		}
	}
	for _, p := range w.ports {
		if p.burst.N > 0 {
			p.Release(p.burst)
		}
	}
	if moved {
		w.tally.bursts++
		w.shared.publish(&w.tally, &w.fw.events)
	}
	return moved, ended
}

// received notes what Rx said. It says whether the port has nothing more to receive; it may still
// send then. It is for inside, as note is.
//
//go:noinline
func (w *Worker) received(p *workerPort, err error) (ended bool) {
	if p.rxErr = err; err == nil || !errors.Is(err, io.EOF) {
		return false
	}
	p.ended, p.rxErr = true, nil
	var left []Port
	for _, q := range w.ports {
		if !q.ended {
			left = append(left, q.Port)
		}
	}
	w.pacer.use(left)
	return true
}

// note keeps why the port fails now, nil when it does not. From one reason to another
// is no new failure.
//
//go:noinline
func (w *Worker) note(p *workerPort, err error) {
	last := p.err.Load()
	if err == nil {
		if last != nil {
			p.err.Store(nil)
		}
		return
	}
	switch {
	case last == nil:
		p.failures.Add(1)
	case (*last).Error() == err.Error(): // by text: ports may make the error anew each time
		return
	}
	kept := err // so that only this way allocates
	p.err.Store(&kept)
}

// forward decides about the burst that the port has received, and sends what is to
// be sent, in the order in which it came.
func (w *Worker) forward(p *workerPort) {
	b := p.burst
	w.fw.process(b)
	p.count.RxPackets += uint64(b.N)
	for i := range b.F[:b.N] {
		f := &b.F[i]
		p.count.RxBytes += uint64(f.received)
		if f.Verdict == Drop || f.Verdict == Reply {
			w.tally.drop(f.Reason, f.Received())
		}
		switch f.Verdict {
		case Split:
			w.split(f)
		case Forward, Reply:
			w.queue(w.byID[f.Out], f)
		}
	}
	w.sendAll()
}

// Snapshot is what the worker has done so far.
func (w *Worker) Snapshot() WorkerStats {
	s := WorkerStats{Name: w.name, CPU: w.cpu, Outside: w.went.Load(), Ports: make([]PortStats, len(w.ports)), LastPoll: w.LastPoll()}
	for i, p := range w.ports {
		s.Ports[i] = PortStats{Info: p.info, Failures: p.failures.Load()}
		if err := p.err.Load(); err != nil {
			s.Ports[i].Err = *err
		}
	}
	w.shared.read(&s)
	w.gaps.shared.read(&s.Gaps)
	return s
}

// LastPoll is when Run was last seen polling; zero before it runs. While it runs it is
// at most some tens of milliseconds ago: a worker that is later hangs, in a port or
// for want of a CPU.
func (w *Worker) LastPoll() time.Time {
	if d := w.polled.Load(); d != 0 {
		return clockBase.Add(time.Duration(d)) // with the monotonic clock's reading
	}
	return time.Time{}
}
