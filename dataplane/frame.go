package dataplane

import (
	"unsafe"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Frame is one Ethernet frame in a port's buffer. It borrows the buffer from the
// Rx that filled it until that port's Release.
//
//	buf: |<- headroom ->|<- off                frame            end ->|<- tailroom ->|
type Frame struct {
	buf []byte // the whole buffer; headroom lies in front of off

	Cookie uint64 // the port's own: where the buffer came from

	off, end uint32 // the frame is buf[off:end]

	hash  uint32    // flow hash of the inner packet
	value fib.Value // what the lookup found

	In, Out fib.PortID

	Verdict Verdict
	Reason  Reason

	l3    uint8 // offset of the IP header from off
	flags uint8

	// Taken is set by Port.Tx when the port keeps the buffer: Release must not
	// give it back.
	Taken bool

	_ [7]byte
}

// A frame is one cache line: both constants overflow when the size moves.
const (
	_ = uint(unsafe.Sizeof(Frame{}) - 64)
	_ = uint(64 - unsafe.Sizeof(Frame{}))
)

// BurstSize is the most frames that move through the pipeline at once.
const BurstSize = 64

// Burst is a burst of frames; F[:N] hold frames. A worker owns one per port and
// reuses it, nothing is allocated after start.
type Burst struct {
	N int
	F [BurstSize]Frame
}
