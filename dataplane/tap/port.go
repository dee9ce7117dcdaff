package tap

import (
	"errors"
	"time"

	"github.com/eipgw/eipgw/dataplane"
)

// port is the wrapped port.
type port struct {
	dataplane.Port
	tap *Tap
}

// A wrapped port can wait in the ways in which the port itself can.
type (
	waiting struct {
		*port
		dataplane.Waiter
	}
	descriptor struct {
		*port
		dataplane.Descriptor
	}
	both struct {
		*port
		dataplane.Waiter
		dataplane.Descriptor
	}
)

func as(p dataplane.Port, w *port) dataplane.Port {
	wait, canWait := p.(dataplane.Waiter)
	desc, hasDesc := p.(dataplane.Descriptor)
	switch {
	case canWait && hasDesc:
		return both{w, wait, desc}
	case canWait:
		return waiting{w, wait}
	case hasDesc:
		return descriptor{w, desc}
	}
	return w
}

// Rx captures what the port has received.
func (p *port) Rx(b *dataplane.Burst) (int, error) {
	n, err := p.Port.Rx(b)
	if n > 0 {
		now := time.Now()
		for i := range b.F[:n] {
			p.tap.capture(rx, b.F[i].Bytes(), now)
		}
	}
	return n, err
}

// Tx captures what the port has taken. Its bytes are still there: a buffer that the
// port sends in place is not given back before Flush.
func (p *port) Tx(frames []*dataplane.Frame) int {
	n := p.Port.Tx(frames)
	if n > 0 {
		now := time.Now()
		for _, f := range frames[:n] {
			p.tap.capture(tx, f.Bytes(), now)
		}
	}
	return n
}

// Close closes the port, and the capture.
func (p *port) Close() error { return errors.Join(p.Port.Close(), p.tap.close()) }
