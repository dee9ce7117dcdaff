package porttest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/encap"
)

// Harness says what kind of port is tested and how to open one.
type Harness struct {
	// Open opens a port on a link of its own. It fails the test when it can't.
	// What Port.Close does not release is released by t.Cleanup. The suite closes
	// the port.
	//
	// in is nil unless Preload is set: then it holds every frame that the port is
	// to receive, in order.
	Open func(t testing.TB, in [][]byte) *Link

	// Preload says that the port's input has to be there when it opens (a file).
	// Link.Send is not called.
	Preload bool

	// Buffers is how many frames the port can lend at once, at most: the suite moves
	// several times as many through it to see that they come back. 0 is 256.
	Buffers int

	// NeverFull says that Tx always takes everything (a file).
	NeverFull bool

	// Tagged says that a frame with a VLAN tag crosses the link as it is.
	Tagged bool

	// Allocates says that moving frames allocates: the suite does not count.
	Allocates bool

	// Edges are frame lengths at which the port begins to keep a frame in another way, as
	// in one buffer more: the suite sends frames of lengths around them.
	Edges []int

	// MAC and Dst are the destination addresses of the frames that are sent to the
	// port: such as it does not leave to the kernel. Zero is 02:00:00:00:00:01 and
	// 203.0.113.7.
	MAC encap.MAC
	Dst netip.Addr

	// Timeout is how long a frame may take over the link. 0 is 5 s.
	Timeout time.Duration

	largest int // bytes of the largest frame without a tag, as the port's MTU says
}

// Link is one open port and the far end of its wire. The suite calls everything
// from one goroutine.
type Link struct {
	Port dataplane.Port

	// Send sends frames from the far end to the port, in order. It may return before
	// they have arrived. The suite has at most 32 on the way at a time.
	Send func(frames ...[]byte)

	// Received returns what the far end has got from the port since the last call,
	// in order. It does not wait. Frames of others may be among them.
	Received func() [][]byte

	// End says that nothing more will be sent: once all is read, Rx returns io.EOF.
	// nil: this port never ends. With Preload the end of the input does it.
	End func()

	// Down takes the port out of service under its feet, so that Rx returns an error,
	// and Up brings it back. nil: this port has no such state.
	Down, Up func()
}

// Run runs every rule as a subtest, each with a port of its own.
func Run(t *testing.T, h Harness) {
	h.defaults()
	h.largest = h.mtu(t) + 14
	for _, r := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"info is constant and complete", testInfo},
		{"rx does not block", testRxEmpty},
		{"rx keeps order and bytes", testRxOrder},
		{"rx sets every field of a frame", testRxDirty},
		{"rx takes large frames", testRxLarge},
		{"headroom and tailroom are the frame's own", testRoom},
		{"frames are valid until release", testBorrow},
		{"release gives buffers back", testRelease},
		{"tx copies other ports' frames", testTxForeign},
		{"tx sends its own frames in place", testTxOwn},
		{"tx keeps buffers only until they are sent", testTxReturns},
		{"a burst is part sent, part dropped", testTxMixed},
		{"tx takes large frames", testTxLarge},
		{"short and large frames share a burst", testTxEcho},
		{"tx of nothing", testTxNothing},
		{"tx says how many it took when it is full", testTxFull},
		{"tx says how many large frames it took", testTxFullLarge},
		{"the end is io.EOF and stays", testEOF},
		{"down is an error, up recovers", testDown},
		{"waits end", testWait},
		{"moving frames allocates nothing", testAllocs},
		{"close twice, and use after close", testClose},
		{"close leaves no goroutine", testLeak},
	} {
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}

func (h *Harness) defaults() {
	if h.Buffers == 0 {
		h.Buffers = 256
	}
	if h.MAC.IsZero() {
		h.MAC = encap.MAC{0x02, 0, 0, 0, 0, 1}
	}
	if !h.Dst.IsValid() {
		h.Dst = netip.AddrFrom4([4]byte{203, 0, 113, 7})
	}
	if h.Timeout == 0 {
		h.Timeout = 5 * time.Second
	}
}
