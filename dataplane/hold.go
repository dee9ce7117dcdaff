package dataplane

import (
	"runtime"
	"sync/atomic"
	"syscall"
	_ "unsafe" // for go:linkname
)

// Hold keeps Go's runtime from taking the CPU away from a worker, but for stopping the world.
//
// The runtime preempts every goroutine that has run for 10 ms. One that is locked to its
// thread, as that of a pinned worker is, then waits in the queue of all goroutines until
// another thread of the process finds it there and wakes its own: two wake-ups at the least,
// a hundred times a second, and while a garbage collection or anything else keeps the other
// threads busy it takes as long as these take to get a CPU. No priority helps a thread that
// sleeps.
//
// So a worker holds on: as in sync.Pool, it is tied to its P, where the runtime neither
// preempts nor parks it. From time to time it lets go for the length of an empty system
// call, which is where the runtime scans its stack or stops it with all others. That is all
// that collections still cost it: two stops each.
//
// What runs while a worker holds on must not park its goroutine: it waits for no lock and
// no channel, opens no file, formats no error. The runtime ends the process otherwise. So
// only ports that are a Holder get a Hold, and let go where they do any of that; a worker that has
// another port does not hold on at all. A nil Hold does nothing.
type Hold struct {
	due int64 // when to let go again, by ticks
}

// Holder is a port that lets go of h before it does what may park the goroutine, and takes
// it again. The worker calls UseHold before all else, and at its end with nil.
type Holder interface {
	UseHold(h *Hold)
}

// holdSpan is how long the runtime may have to wait for a worker, in ns. Letting go takes a
// fifth of a microsecond.
const holdSpan = 50_000

// holders is how many workers hold on. Each has a P to itself, and somebody has to have
// another.
var holders atomic.Int32

// newHold is one that is not taken yet.
func newHold() *Hold {
	if int(holders.Add(1)) >= runtime.GOMAXPROCS(0) {
		holders.Add(-1)
		return nil
	}
	return new(Hold)
}

// end is for a hold that is not taken.
func (h *Hold) end() {
	if h != nil {
		holders.Add(-1)
	}
}

// Take holds on. It is for the goroutine of the worker, as all that follows is.
func (h *Hold) Take() {
	if h != nil {
		procPin()
	}
}

// Let lets go, until Take.
func (h *Hold) Let() {
	if h != nil {
		procUnpin()
	}
}

// pause lets go for a moment when it is time. That moment has to be a system call that the
// runtime knows of: without one, it would have to meet us between two instructions.
func (h *Hold) pause(now int64) {
	if h == nil || now < h.due {
		return
	}
	h.due = now + holdSpan
	procUnpin()
	_, _, _ = syscall.Syscall(syscall.SYS_GETTID, 0, 0, 0)
	procPin()
}

// These two are what sync.Pool uses, and what the runtime's authors promise to keep for
// others (go.dev/issue/67401).

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
