package dataplane

import (
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// PortInfo says what a port is. It is constant for the port's life.
//
// It has no VLAN: a port receives frames of any VLAN, tagged or not, and gives them on with
// their tags. Which of them are taken, RulesConfig.VLANs says; which VLAN a frame is sent in
// is part of the tunnel header.
type PortInfo struct {
	ID    fib.PortID
	Name  string    // interface name, or file name for a pcap port
	Queue int       // which queue of the interface
	MAC   encap.MAC // frames for another unicast address are not for us; zero takes all

	MTU      int // largest IP packet in bytes that the port sends
	Headroom int // bytes in front of every received frame, at least
	Tailroom int // bytes behind every received frame, at least
}

// maxLink is how long a link header may be in front of a packet of the port's MTU: Ethernet
// with one VLAN tag. Not every device takes two beyond its MTU, so a second tag takes its 4
// bytes from the packet.
const maxLink = etherLen + vlanLen

// MaxFrame is the length in bytes of the largest frame that may be given to Tx: an
// IP packet of MTU bytes behind Ethernet and one VLAN tag.
func (i PortInfo) MaxFrame() int { return i.MTU + maxLink }

// Port moves bursts of frames: one queue of an interface, a pair of pcap files,
// or memory. One goroutine, the worker, owns it and makes all calls but Info.
//
// The life of a burst: Rx fills it, the forwarder decides, Tx of one or several
// ports takes the frames that leave, Flush of every port pushes them out, Release
// of the port that received gives every buffer back that no Tx has taken. Release
// comes before the next Rx. Package porttest holds the rules as tests.
type Port interface {
	Info() PortInfo

	// Rx fills b with the frames that wait, at most BurstSize, sets b.N and returns
	// it; 0 when none waits. It never blocks. Frames are made with Frame.Attach,
	// and Frame.In is the port's ID. io.EOF says that no frame will ever
	// come again (pcap). Any other error is the port's state (link down, interface
	// gone): the caller goes on polling, the port recovers by itself when it can.
	// With an error, b is empty.
	Rx(b *Burst) (int, error)

	// Tx queues frames to be sent, in order, and returns how many it took: the rest
	// found no room. Took is not sent: what the device refuses later is lost, and
	// counted by the port. A frame whose buffer is this port's own is sent in place and
	// marked Taken; the bytes of any other are copied before Tx returns. No frame is
	// longer than PortInfo.MaxFrame.
	Tx(frames []*Frame) int

	// Flush pushes queued frames out and collects completions. The worker calls it
	// once per round, also when nothing was sent.
	Flush() error

	// Release gives the buffers of b's frames back that are not Taken, and empties b.
	Release(b *Burst)

	// Close releases everything that the port holds. Twice is harmless; afterwards
	// Rx returns an error and Tx takes nothing.
	Close() error
}

// Waiter is a port that can sleep until a frame arrives. A worker with one port
// sleeps in it; one with several prefers Descriptor.
type Waiter interface {
	// Wait returns when a frame may be waiting, or after d. It may return early for
	// no reason.
	Wait(d time.Duration)
}

// Descriptor is a port whose file descriptor polls readable while a frame waits. A
// worker whose ports all have one sleeps on all of them at once.
type Descriptor interface {
	// FD is the descriptor, or -1 while there is none (port down). The worker asks
	// before every sleep.
	FD() int
}
