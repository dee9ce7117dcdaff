package dataplane

import (
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// PortInfo says what a port is. It is constant for the port's life.
type PortInfo struct {
	ID       fib.PortID
	Name     string // interface name, or file name for a pcap port
	Queue    int    // which queue of the interface
	MAC      encap.MAC
	MTU      int // largest IP packet in bytes that the port sends
	Headroom int // bytes in front of every received frame
	Tailroom int // bytes behind every received frame, at least
}

// Port moves bursts of frames: one queue of an interface, a pair of pcap files,
// or memory. One goroutine, the worker, owns it and makes all calls but Info.
//
// The life of a burst: Rx fills it, the forwarder decides, Tx of one or several
// ports takes the frames that leave, Release of the port that received gives every
// buffer back that no Tx has taken. Release comes before the next Rx.
type Port interface {
	Info() PortInfo

	// Rx fills b with the frames that wait, at most BurstSize, sets b.N and returns
	// it; 0 when none waits. It never blocks. io.EOF says that no frame will ever
	// come again (pcap). Any other error is the port's state (link down, interface
	// gone): the caller goes on polling, the port recovers by itself when it can.
	Rx(b *Burst) (int, error)

	// Tx queues frames to be sent, in order, and returns how many it took: the rest
	// found no room. A frame whose buffer is this port's own is sent in place and
	// marked Taken; the bytes of any other are copied before Tx returns.
	Tx(frames []*Frame) int

	// Flush pushes queued frames out and collects completions. The worker calls it
	// once per round, also when nothing was sent.
	Flush() error

	// Release gives the buffers of b's frames back that are not Taken, and empties b.
	Release(b *Burst)

	// Close releases everything that the port holds. Twice is harmless.
	Close() error
}

// Waiter is a port that can sleep until a frame arrives. The worker's idle pacing
// uses it where every one of its ports has it.
type Waiter interface {
	// Wait returns when a frame may be waiting, or after d.
	Wait(d time.Duration)
}
