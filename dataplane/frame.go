package dataplane

import (
	"unsafe"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Frame is one Ethernet frame in a port's buffer. It borrows the buffer from the
// Rx that filled it until that port's Release.
//
//	buf: |<- headroom ->|<- off                frame            end ->|<- tailroom ->|
//
// A port makes a frame with Attach, the forwarder moves its two ends, and the port
// that sends reads Bytes. Headers are put on and taken off by moving the front: the
// payload stays where the NIC wrote it.
type Frame struct {
	buf []byte // the whole buffer; headroom lies in front of off

	// Cookie belongs to the port that received the frame: where the buffer came
	// from. Attach clears it, so set it afterwards.
	Cookie uint64

	off, end uint32 // the frame is buf[off:end]
	received uint32 // bytes as they came in, whatever was put on or taken off since

	hash uint32 // FlowHash4 or FlowHash6 of the IP packet

	// In is the port that received the frame, set by that port's Rx; Out the one
	// that sends it, set by the forwarder.
	In, Out fib.PortID

	mtu uint16 // for ReasonPacketTooBig: the largest IP packet that would have passed; for Split: to what it is cut

	Verdict Verdict
	Reason  Reason

	l3    uint8 // bytes from off to the IP header, while l3 is valid; for Split: to the one that is cut
	flags frameFlags

	// Taken is set by Port.Tx when the port keeps the buffer: Release must not
	// give it back.
	Taken bool

	_ [5]byte
}

// frameFlags is what classify found out about a frame.
type frameFlags uint8

const (
	flagIP      frameFlags = 1 << iota // an IP packet: l3 says where it starts, end where it ends
	flagIPv6                           // ... of version 6
	flagLastHop                        // ... with no hop left
)

// A frame is one cache line: one of the constants overflows when the size moves.
const (
	_ = uint(unsafe.Sizeof(Frame{}) - 64)
	_ = uint(64 - unsafe.Sizeof(Frame{}))
)

// BurstSize is the most frames that move through the pipeline at once.
const BurstSize = 64

// Burst is a burst of frames; F[:N] hold frames. A worker owns one per port and
// reuses it, nothing is allocated after start.
type Burst struct {
	F [BurstSize]Frame
	N int
	_ [56]byte // a burst is whole cache lines, so that in an array each is aligned as the first
}

// newBursts makes n bursts on cache lines. So large a piece of memory, at least 32 KiB,
// starts a page; in front of a smaller one the allocator puts 8 bytes of its own.
func newBursts(n int) []Burst { return make([]Burst, max(n, 8))[:n] }

// Attach makes f the frame of n bytes that starts off bytes into buf, received by
// no port yet and decided by nobody. It sets every field: nothing of the frame
// that f was before is left. It panics unless 0 <= off <= off+n <= len(buf).
//
// Fields are stored one by one, which compiles to a few wide stores: a composite
// literal is built elsewhere first and copied, at several times the cost.
func (f *Frame) Attach(buf []byte, off, n int) {
	_ = buf[off : off+n : len(buf)]
	f.buf = buf
	f.begin(uint32(off), uint32(n))
}

// AttachKept is Attach for a buffer that the port itself keeps as long as it lends frames, or
// that is none of Go's memory. The garbage collector is not told that f refers to it, which
// is what makes it possible outside of the runtime.
func (f *Frame) AttachKept(buf []byte, off, n int) {
	_ = buf[off : off+n : len(buf)]
	setKept(&f.buf, buf)
	f.begin(uint32(off), uint32(n))
}

// begin sets every field but the buffer.
func (f *Frame) begin(off, n uint32) {
	f.Cookie, f.off, f.end, f.received, f.hash = 0, off, off+n, n, 0
	f.In, f.Out, f.mtu, f.Verdict, f.Reason, f.l3, f.flags, f.Taken = 0, 0, 0, Drop, ReasonNone, 0, 0, false
}

// Bytes is the frame, from its Ethernet header on. It is valid until the Release
// of the port that received it.
func (f *Frame) Bytes() []byte { return f.buf[f.off:f.end] }

// Len is the frame's length in bytes.
func (f *Frame) Len() int { return int(f.end - f.off) }

// Received is the length in bytes that the frame had when it came in: what drop
// counters count.
func (f *Frame) Received() int { return int(f.received) }

// Buffer is the whole buffer that the frame lies in, with headroom and tailroom;
// the port that it belongs to knows it by its address or by Cookie.
func (f *Frame) Buffer() []byte { return f.buf }

// Offset is how many bytes into Buffer the frame starts.
func (f *Frame) Offset() int { return int(f.off) }

// Headroom is how many bytes Prepend can put in front.
func (f *Frame) Headroom() int { return int(f.off) }

// Tailroom is how many bytes Extend can put behind.
func (f *Frame) Tailroom() int { return len(f.buf) - int(f.end) }

// Prepend puts n bytes in front of the frame and returns them, to be written: they
// hold what was in the headroom. It returns false, and leaves the frame alone, when
// the headroom is smaller than n.
func (f *Frame) Prepend(n int) ([]byte, bool) {
	if uint(n) > uint(f.off) {
		return nil, false
	}
	f.off -= uint32(n)
	return f.buf[f.off : int(f.off)+n], true
}

// Extend puts n bytes behind the frame and returns them, to be written: they hold
// what was in the tailroom. It returns false, and leaves the frame alone, when the
// tailroom is smaller than n.
func (f *Frame) Extend(n int) ([]byte, bool) {
	if uint(n) > uint(f.Tailroom()) {
		return nil, false
	}
	at := int(f.end)
	f.end += uint32(n)
	return f.buf[at : at+n], true
}

// TrimFront takes n bytes off the front; they become headroom. A frame shorter
// than that becomes empty.
func (f *Frame) TrimFront(n int) { f.off += uint32(min(max(n, 0), f.Len())) }

// TrimTo cuts the frame to its first n bytes; the rest becomes tailroom. A frame
// that is not longer than that stays as it is.
func (f *Frame) TrimTo(n int) {
	if uint(n) < uint(f.Len()) {
		f.end = f.off + uint32(n)
	}
}

// Packet is the IP packet within the frame, link-layer padding excluded, or nil when
// the forwarder found none. Once the frame is encapsulated it is nil too.
func (f *Frame) Packet() []byte {
	if f.flags&flagIP == 0 {
		return nil
	}
	return f.buf[f.off+uint32(f.l3) : f.end]
}

// IPv6 says whether Packet is one of IPv6.
func (f *Frame) IPv6() bool { return f.flags&flagIPv6 != 0 }

// Hash is the flow hash of Packet, see FlowHash4 and FlowHash6.
func (f *Frame) Hash() uint32 { return f.hash }
