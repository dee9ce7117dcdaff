package afxdp

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Status is what was got of what InterfaceConfig asked for, and what the kernel says.
type Status struct {
	ID     fib.PortID `json:"id"`
	Name   string     `json:"name"`
	Driver string     `json:"driver"`
	Index  int        `json:"index"`
	MAC    encap.MAC  `json:"mac"`
	MTU    int        `json:"mtu"` // largest IP packet in bytes that a port sends

	Wanted        Mode     `json:"mode-wanted"`
	Mode          Mode     `json:"mode"`
	ZeroCopy      ZeroCopy `json:"zero-copy-wanted"`
	ReceiveQueues int      `json:"receive-queues"` // that the interface has in use

	Segments []netip.Prefix `json:"segments"`
	Filter   FilterCounters `json:"filter"`
	Queues   []QueueStatus  `json:"queues"`

	Lane *LaneStatus `json:"lane,omitempty"` // nil where there is none

	// Notes are sentences for the operator about what does not look right.
	Notes []string `json:"notes,omitempty"`
}

// FilterCounters is how many frames took which way in the XDP program, since Open.
type FilterCounters struct {
	Redirected uint64 `json:"redirected"` // to a port
	Passed     uint64 `json:"passed"`     // to the kernel: not for a segment
	Unserved   uint64 `json:"unserved"`   // to the kernel: for a segment, on a queue without a port
	Foreign    uint64 `json:"foreign"`    // to the kernel: for a segment, but another Ethernet address
}

// QueueStatus is one port. The counters are since the port was opened, the kernel's since
// its socket was.
type QueueStatus struct {
	Queue int    `json:"queue"`
	Error string `json:"error,omitempty"` // why it does not work; empty while it does

	ZeroCopy   bool `json:"zero-copy"`
	NeedWakeup bool `json:"need-wakeup"` // the kernel asks to be called to send, now
	Frames     int  `json:"frames"`
	FrameSize  int  `json:"frame-size"` // bytes, headroom included
	Ring       int  `json:"ring"`       // slots of the FILL, RX and TX rings
	TxBudget   int  `json:"tx-budget"`  // frames that one call moves in copy mode
	SendBuffer int  `json:"send-buffer"`
	BusyPoll   int  `json:"busy-poll"` // 0: off

	Jumbo     bool   `json:"jumbo"`       // frames may be larger than FrameSize
	Chains    uint64 `json:"chains"`      // frames received in several pieces, copied together
	RxTooLong uint64 `json:"rx-too-long"` // such that are larger than the MTU allows: lost

	Copied  uint64 `json:"copied"`   // frames from elsewhere, copied to be sent here
	TooLong uint64 `json:"too-long"` // frames not sent because they are longer than MaxFrame
	Kicks   uint64 `json:"kicks"`    // calls to make the kernel send
	Again   uint64 `json:"again"`    // of them, ended before all was sent
	Refused uint64 `json:"refused"`  // frames that the device did not take, or that it was deleted before: lost
	Failed  uint64 `json:"failed"`   // calls that failed for other reasons

	Kernel KernelCounters `json:"kernel"`
}

// RxMissed counts the frames for this port that no Rx has returned. In copy mode one that
// finds the FILL ring empty counts as dropped as well, if it needs one chunk; in zero-copy
// mode it does not.
func (q *QueueStatus) RxMissed() uint64 {
	return q.RxTooLong + max(q.Kernel.RxDropped, q.Kernel.RxFillRingEmpty) + q.Kernel.RxRingFull
}

// TxLost counts the frames that Tx took and that were never sent.
func (q *QueueStatus) TxLost() uint64 { return q.Refused + q.TooLong + q.Kernel.TxInvalid }

// KernelCounters is the socket's XDP_STATISTICS.
type KernelCounters struct {
	RxDropped         uint64 `json:"rx-dropped"`           // in copy mode: too large, or too little in the FILL ring
	RxInvalid         uint64 `json:"rx-invalid"`           // bad addresses in the FILL ring
	TxInvalid         uint64 `json:"tx-invalid"`           // bad descriptors in the TX ring
	RxRingFull        uint64 `json:"rx-ring-full"`         // lost
	RxFillRingEmpty   uint64 `json:"rx-fill-ring-empty"`   // lost: the worker does not keep up. Frames of one chunk
	TxRingEmptyCycles uint64 `json:"tx-ring-empty-cycles"` // the driver looked for more to send
}

// Status reads the interface's state. It asks the kernel, so it may take a while; the
// workers do not wait for it.
func (i *Interface) Status() (Status, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return Status{}, fmt.Errorf("afxdp: %s: %w", i.cfg.Name, ErrClosed)
	}
	st := Status{
		ID: i.cfg.ID, Name: i.cfg.Name, Driver: i.dev.driver, Index: i.dev.index, MAC: i.dev.mac, MTU: i.mtu,
		Wanted: i.cfg.Mode, Mode: i.mode, ZeroCopy: i.cfg.ZeroCopy, ReceiveQueues: i.dev.queues,
		Segments: i.segments.redirected(),
	}
	var err error
	if st.Filter, err = i.filterCounters(); err != nil {
		return Status{}, fmt.Errorf("afxdp: %s: reading the filter's counters: %w", i.cfg.Name, err)
	}
	if st.Lane, err = i.laneStatus(); err != nil {
		return Status{}, err
	}
	for q := range i.queues {
		if p := i.ports[q]; p != nil {
			st.Queues = append(st.Queues, p.status())
		}
	}
	st.Notes = i.notes(&st)
	return st, nil
}

func (i *Interface) filterCounters() (FilterCounters, error) {
	var cpus []filterCounters
	if err := i.objs.FilterCounters.Lookup(uint32(0), &cpus); err != nil {
		return FilterCounters{}, err
	}
	var sum FilterCounters
	for _, c := range cpus {
		sum.Redirected += c.Redirected
		sum.Passed += c.Passed
		sum.Unserved += c.Unserved
		sum.Foreign += c.Foreign
	}
	return sum, nil
}

// notes compares the interface as it is now with what this port was opened on.
func (i *Interface) notes(st *Status) []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if n := len(st.Queues); n < st.ReceiveQueues {
		note("%d of %d receive queues have a port; frames on the others are not forwarded (ethtool -L %s combined %d)",
			n, st.ReceiveQueues, st.Name, max(n, 1))
	}
	if st.Filter.Unserved > 0 {
		note("%d frames for a segment came on queues without a port", st.Filter.Unserved)
	}
	if !i.attachedTo(i.dev.index) {
		note("the XDP program is not on the interface any more: nothing is received")
	}
	i.laneNotes(note)
	if i.checkNetns() != nil {
		return notes // the interface can't be looked at from here
	}
	now, err := lookup(i.cfg.Name)
	if err != nil {
		return notes
	}
	if now.mac != i.dev.mac && !i.cfg.AnyMAC {
		note("the Ethernet address was %v when the port was opened and is %v now: frames for it are not forwarded", i.dev.mac, now.mac)
	}
	switch largest := i.largest(); {
	case now.mtu > largest && i.noJumbo != 0:
		note("the MTU is %d; packets of more than %d bytes are neither received nor sent: driver %s or the kernel has no AF_XDP frames in several buffers (Linux 6.6 or later has them): %v",
			now.mtu, largest, i.dev.driver, i.noJumbo)
	case now.mtu > largest:
		note("the MTU is %d; packets of more than %d bytes don't fit a frame and are not received", now.mtu, largest)
	case now.mtu < i.mtu:
		note("the MTU was %d when the port was opened and is %d now", i.mtu, now.mtu)
	}
	return notes
}

// largest is the largest packet that is received.
func (i *Interface) largest() int {
	if i.jumbo {
		return i.mtu
	}
	return chunkMTU(i.size)
}

func (p *Port) status() QueueStatus {
	st := QueueStatus{
		Queue:     p.queue,
		Jumbo:     p.jumbo != nil,
		Chains:    p.counters.jumbo.Load(),
		RxTooLong: p.counters.rxTooLong.Load(),
		Copied:    p.counters.copied.Load(),
		TooLong:   p.counters.tooLong.Load(),
		Kicks:     p.counters.kicks.Load(),
		Again:     p.counters.again.Load(),
		Refused:   p.counters.refused.Load(),
		Failed:    p.counters.failed.Load(),
	}
	if err := p.shownErr.Load(); err != nil && *err != nil {
		st.Error = (*err).Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.s
	if s == nil {
		return st
	}
	st.ZeroCopy, st.NeedWakeup = s.zeroCopy, s.tx.needsWakeup()
	st.Frames, st.FrameSize, st.Ring = s.frames, s.size, s.ring()
	st.TxBudget, st.SendBuffer, st.BusyPoll = s.txBudget, s.sendBuffer, s.busyPoll
	var k unix.XDPStatistics
	if getsockopt(s.fd, unix.XDP_STATISTICS, &k) == nil {
		st.Kernel = KernelCounters{
			RxDropped: k.Rx_dropped, RxInvalid: k.Rx_invalid_descs, TxInvalid: k.Tx_invalid_descs,
			RxRingFull: k.Rx_ring_full, RxFillRingEmpty: k.Rx_fill_ring_empty_descs, TxRingEmptyCycles: k.Tx_ring_empty_descs,
		}
	}
	return st
}
