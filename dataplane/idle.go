package dataplane

import "time"

// IdleMode is what a worker does when no port has frames.
type IdleMode uint8

// Idle modes.
const (
	// Adaptive polls on for a moment, then sleeps: in the ports, where they can wait
	// for frames, else for pauses that grow from 1 to 100 µs.
	Adaptive IdleMode = iota

	// Busy polls without end: the lowest latency, for one CPU per worker.
	Busy
)

// String is the mode's name in the configuration.
func (m IdleMode) String() string {
	if m == Busy {
		return "busy"
	}
	return "adaptive"
}

const (
	spinRounds = 64 // empty rounds before the first pause

	pauseStep = time.Microsecond
	pauseMax  = 100 * time.Microsecond

	// waitMax bounds a sleep that frames end, and so how late the worker sees that
	// it is to stop and how old its heartbeat gets.
	waitMax = 10 * time.Millisecond

	// vainWakes is how many times in a row waiting may end early with no frame to show
	// before it is not believed any more: a descriptor in an error state is ready for
	// ever.
	vainWakes = 8
)

// pacer decides how a worker sleeps. It belongs to the worker.
//
// Pauses grow by a microsecond from one empty round to the next, so that a port that
// has still frames to push out, which only Flush does, is flushed often for the first
// milliseconds. Only a worker whose ports all wake it sleeps longer than 100 µs, as
// soon as its pauses have reached that.
type pacer struct {
	mode    IdleMode
	waiters []Waiter     // set when every port is one
	descs   []Descriptor // set when every port is one
	fds     []pollFD
	out     bool // the worker is outside of the runtime; all ports are a Descriptor

	from, due int64 // when the last sleep began, and was to end, by ticks

	empty int // empty rounds since frames moved
	vain  int // waits since then that ended early
}

func newPacer(mode IdleMode, ports []Port) *pacer {
	p := &pacer{mode: mode}
	p.use(ports)
	return p
}

// use has the pacer wait for these ports: the ones that may still receive.
func (p *pacer) use(ports []Port) {
	p.waiters, p.descs = nil, nil
	for _, port := range ports {
		if w, ok := port.(Waiter); ok {
			p.waiters = append(p.waiters, w)
		}
		if d, ok := port.(Descriptor); ok {
			p.descs = append(p.descs, d)
		}
	}
	if len(p.waiters) < len(ports) {
		p.waiters = nil
	}
	if len(p.descs) < len(ports) {
		p.descs = nil
	}
	p.fds = make([]pollFD, len(p.descs))
}

// worked notes that frames moved.
func (p *pacer) worked() { p.empty, p.vain = 0, 0 }

// idle is called after an empty round. It returns whether it slept.
func (p *pacer) idle() bool {
	if p.mode == Busy {
		return false
	}
	if p.empty++; p.empty <= spinRounds {
		return false
	}
	pause := min(time.Duration(p.empty-spinRounds)*pauseStep, pauseMax)
	blind := p.vain >= vainWakes || p.waiters == nil && p.descs == nil
	if !blind && pause == pauseMax && (len(p.waiters) == 1 || p.descs != nil) {
		pause = waitMax
	}
	p.from = ticks()
	p.due = p.from + int64(pause)
	if blind {
		if p.out {
			sleepOutside(pause)
		} else {
			sleep(pause)
		}
		return true
	}
	p.wait(pause)
	if ticks() < p.due {
		p.vain++ // for a frame, or for nothing: the next round will tell
	}
	return true
}

// wait sleeps in the ports until a frame comes, or for d. Where several ports can
// only wait one after the other, each gets a share of it.
func (p *pacer) wait(d time.Duration) {
	if !p.out && len(p.waiters) == 1 || p.descs == nil {
		for _, w := range p.waiters {
			w.Wait(d / time.Duration(len(p.waiters)))
		}
		return
	}
	for i, desc := range p.descs {
		p.fds[i] = pollFD{fd: int32(desc.FD()), events: pollIn}
	}
	if p.out {
		pollOutside(p.fds, d)
	} else {
		pollAny(p.fds, d)
	}
}

// clockBase is what ticks counts from: a step of the wall clock neither looks like a stall
// nor hides one.
var clockBase = time.Now() //nolint:forbidigo // once

// ticks reads the clock, in ns: once a round or less, and when the worker sleeps.
func ticks() int64 { return int64(time.Since(clockBase)) }
