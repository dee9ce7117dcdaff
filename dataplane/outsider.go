package dataplane

import (
	"errors"

	"github.com/eipgw/eipgw/dataplane/outside"
)

// Outsider is a port that can work outside of Go's runtime. A pinned worker all of whose ports are
// runs there, so that neither a garbage collection nor anything else that stops the world stops it.
//
// Rx, Tx, Flush, Release and FD are called there, and keep to what package outside asks of
// code: no allocation, so no new error, no lock, no system call that the runtime knows of.
// Frames are made by Frame.AttachKept. What a port has to do that needs the runtime it leaves, and
// has Rx or Flush return ErrInside, Rx without a frame; the next calls come from inside, and
// it does it then. An error that it returned inside it may return again outside, as it is.
type Outsider interface {
	Descriptor

	// Outside says that the calls that follow come from outside, or from inside again. It is
	// called inside itself.
	Outside(on bool)
}

// ErrInside is what an Outsider has to do inside. It is no state of the port.
var ErrInside = errors.New("dataplane: to be done inside of Go's runtime")

// outsiders says whether all ports are an Outsider.
func (w *Worker) outsiders() bool {
	for _, p := range w.ports {
		if p.goes == nil {
			return false
		}
	}
	return true
}

// runOutside polls outside of the runtime, if that can be now, until something is to be done
// inside.
//
// What the worker uses there has to be kept by others than its own stack. Its ports, bursts and
// scratch are the worker's, which Run keeps; tables are none of Go's memory; and rules, which
// anybody may replace, are kept by the forwarder until takeRules.
func (w *Worker) runOutside() {
	if !w.goes || w.stop.Load() {
		return
	}
	w.back = false
	w.setOut(true)
	w.went.Store(true)
	w.goes = outside.Call(w.polls)
	w.setOut(false)
	if !w.goes {
		w.went.Store(false) // it is not built here
	}
}

// Visit has a worker that is outside come inside for a moment, within some tens of milliseconds, and give
// its P away once. That is where the runtime tells a thread what it has to know: that a CPU profile
// has begun or ended, without which none of its time is in the profile. Any goroutine may call it.
func (w *Worker) Visit() { w.called.Store(true) }

func (w *Worker) setOut(on bool) {
	w.out, w.pacer.out = on, on
	for _, p := range w.ports {
		p.goes.Outside(on)
	}
}

// later says that what a port returned is not for now, as we are outside. What is not as it was
// before is for inside, next.
func (w *Worker) later(err error, failing bool) bool {
	w.back = w.back || err == ErrInside || (err != nil) != failing //nolint:errorlint // it is returned as it is
	return w.out
}
