package dataplane

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"
)

// Count counts frames and their bytes, from the Ethernet header to the last byte
// before the FCS.
type Count struct{ Packets, Bytes uint64 }

// PortCounters counts what one worker received from and sent to one port. A frame is
// sent when the port took it: what the device then refuses, the port counts for itself.
type PortCounters struct{ RxPackets, RxBytes, TxPackets, TxBytes uint64 }

// DropCounters counts dropped frames by Reason; bytes are those received, or those of
// an answer that no port took. Of a fragment they are what it carries of the frame that
// was cut, the first one's with the headers: if all are dropped, it is what was received.
type DropCounters [NumReasons]Count

// PortStats is a worker's port as of a snapshot.
type PortStats struct {
	Info PortInfo
	PortCounters
	Failures uint64 // how often the port went from working to failing
	Err      error  // why it fails now; nil: it works
}

// EventCounters counts frames by Event.
type EventCounters [NumEvents]uint64

// WorkerStats is a worker as of a snapshot. All counters are of one moment between
// two bursts: Received plus Made is exactly Sent plus Dropped.
type WorkerStats struct {
	Name     string
	CPU      int  // -1: not pinned
	Outside  bool // it runs outside of Go's runtime, see Outsider
	Ports    []PortStats
	Drops    DropCounters
	Events   EventCounters
	Bursts   uint64    // rounds that moved frames
	Sleeps   uint64    // rounds after which the worker slept
	LastPoll time.Time // see Worker.LastPoll

	Gaps GapCounters // of about the same moment
}

// Received counts the frames of all ports.
func (s WorkerStats) Received() (n uint64) {
	for i := range s.Ports {
		n += s.Ports[i].RxPackets
	}
	return n
}

// Sent counts the frames that ports took, whether or not their devices sent them.
func (s WorkerStats) Sent() (n uint64) {
	for i := range s.Ports {
		n += s.Ports[i].TxPackets
	}
	return n
}

// Dropped counts the frames dropped for any Reason.
func (s WorkerStats) Dropped() (n uint64) {
	for _, c := range s.Drops {
		n += c.Packets
	}
	return n
}

// Made counts the frames that the worker made: answers and fragments.
func (s WorkerStats) Made() (n uint64) {
	for e, c := range s.Events {
		if Event(e).Made() {
			n += c
		}
	}
	return n
}

// tally is what the worker counts on, as it goes. Nobody else sees it.
type tally struct {
	ports  []PortCounters
	drops  DropCounters
	fresh  uint64 // bit per Reason that changed since the last publish
	bursts uint64
	sleeps uint64
}

const _ = uint(64 - NumReasons) // a bit for each

func (t *tally) drop(r Reason, received int) {
	t.drops[r].Packets++
	t.drops[r].Bytes += uint64(received)
	t.fresh |= 1 << r
}

// counters is a worker's tally as others may read it. The worker is the only writer
// and publishes once per round. A sequence number, odd during a publish, tells a
// reader that it has read two publishes' halves, and to read again; so the writer
// never waits. Everything is atomic for the memory model's sake only.
type counters struct {
	_      [64]byte // nobody else's counters share a cache line with these
	seq    atomic.Uint64
	bursts atomic.Uint64
	sleeps atomic.Uint64
	ports  []portCells
	drops  [NumReasons]countCell
	events [NumEvents]atomic.Uint64
	_      [64]byte
}

type countCell struct{ packets, bytes atomic.Uint64 }

type portCells struct {
	rxPackets, rxBytes, txPackets, txBytes atomic.Uint64
	_                                      [32]byte
}

// publish makes the tally visible.
func (c *counters) publish(t *tally, events *[NumEvents]uint64) {
	c.seq.Add(1)
	for i := range t.ports {
		from, to := &t.ports[i], &c.ports[i]
		if from.RxPackets != to.rxPackets.Load() {
			to.rxPackets.Store(from.RxPackets)
			to.rxBytes.Store(from.RxBytes)
		}
		if from.TxPackets != to.txPackets.Load() {
			to.txPackets.Store(from.TxPackets)
			to.txBytes.Store(from.TxBytes)
		}
	}
	for ; t.fresh != 0; t.fresh &= t.fresh - 1 {
		r := bits.TrailingZeros64(t.fresh)
		c.drops[r].packets.Store(t.drops[r].Packets)
		c.drops[r].bytes.Store(t.drops[r].Bytes)
	}
	for e, n := range events {
		if n != c.events[e].Load() {
			c.events[e].Store(n)
		}
	}
	c.bursts.Store(t.bursts)
	c.seq.Add(1)
}

// read copies the counters of one moment into s, whose Ports are there already.
func (c *counters) read(s *WorkerStats) {
	for tries := 1; ; tries++ {
		seq := c.seq.Load()
		if seq&1 == 0 {
			for i := range c.ports {
				p := &c.ports[i]
				s.Ports[i].PortCounters = PortCounters{
					RxPackets: p.rxPackets.Load(), RxBytes: p.rxBytes.Load(),
					TxPackets: p.txPackets.Load(), TxBytes: p.txBytes.Load(),
				}
			}
			for r := range c.drops {
				s.Drops[r] = Count{Packets: c.drops[r].packets.Load(), Bytes: c.drops[r].bytes.Load()}
			}
			for e := range c.events {
				s.Events[e] = c.events[e].Load()
			}
			s.Bursts, s.Sleeps = c.bursts.Load(), c.sleeps.Load()
			if c.seq.Load() == seq {
				return
			}
		}
		if tries%100 == 0 {
			runtime.Gosched() // the worker may share our CPU
		}
	}
}
