package afxdp

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Mode is where in the kernel the XDP program runs.
type Mode uint8

// Modes.
const (
	ModeAuto    Mode = iota // native where the driver has it, generic otherwise
	ModeNative              // in the driver, before a packet buffer is made
	ModeGeneric             // in the network stack, with any driver
)

var modeNames = [...]string{"auto", "native", "generic"}

func (m Mode) String() string { return name(modeNames[:], int(m)) }

// MarshalText is String.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads auto, native or generic.
func (m *Mode) UnmarshalText(text []byte) error {
	i, err := index(modeNames[:], string(text), "XDP mode")
	*m = Mode(i)
	return err
}

// ZeroCopy is whether the driver moves frames without copying them.
type ZeroCopy uint8

// Zero-copy settings.
const (
	ZeroCopyAuto    ZeroCopy = iota // where the driver has it
	ZeroCopyRequire                 // opening fails where it has not
	ZeroCopyOff
)

var zeroCopyNames = [...]string{"auto", "require", "off"}

func (z ZeroCopy) String() string { return name(zeroCopyNames[:], int(z)) }

// MarshalText is String.
func (z ZeroCopy) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// UnmarshalText reads auto, require or off.
func (z *ZeroCopy) UnmarshalText(text []byte) error {
	i, err := index(zeroCopyNames[:], string(text), "zero-copy setting")
	*z = ZeroCopy(i)
	return err
}

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown (%d)", i)
}

func index(names []string, s, what string) (int, error) {
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("afxdp: %q is no %s: expected one of %v", s, what, names)
}

// InterfaceConfig says what is wanted of an interface. Status says what was got.
type InterfaceConfig struct {
	ID       fib.PortID
	Name     string
	Mode     Mode
	ZeroCopy ZeroCopy

	// Queues is how many receive queues, from 0 on, get a port; 0 is all of them.
	Queues int

	// Frames is how many frames each queue has, a power of two; 0 is DefaultFrames.
	// Half of them can wait to be received, the other half to be sent.
	Frames int

	// BusyPoll is how many packets the driver handles per call while this process
	// polls it, instead of in interrupts (SO_PREFER_BUSY_POLL); 0 leaves it to
	// interrupts. It wants napi_defer_hard_irqs and gro_flush_timeout set as well.
	BusyPoll int

	// AnyMAC takes frames for a segment whatever their Ethernet destination. Without
	// it, those for another address than the interface's are the kernel's, which
	// drops them: what a switch floods is not forwarded twice.
	AnyMAC bool

	// Lane, if there is one, forwards plain frames of the interface in the kernel.
	Lane *Lane
}

// Bounds of InterfaceConfig.
const (
	DefaultFrames = 4096
	MinFrames     = 256
	MaxFrames     = 1 << 16
	MaxQueues     = 256 // sockets in the XSK map
	maxBusyPoll   = 1024
)

func (c *InterfaceConfig) check() error {
	if c.Frames == 0 {
		c.Frames = DefaultFrames
	}
	switch {
	case c.Name == "" || len(c.Name) >= unix.IFNAMSIZ:
		return fmt.Errorf("afxdp: interface name %q: expected 1 to %d bytes", c.Name, unix.IFNAMSIZ-1)
	case int(c.Mode) >= len(modeNames):
		return fmt.Errorf("afxdp: %s: mode %v", c.Name, c.Mode)
	case int(c.ZeroCopy) >= len(zeroCopyNames):
		return fmt.Errorf("afxdp: %s: zero-copy %v", c.Name, c.ZeroCopy)
	case c.ZeroCopy == ZeroCopyRequire && c.Mode == ModeGeneric:
		return fmt.Errorf("afxdp: %s: zero-copy needs native mode, generic mode always copies", c.Name)
	case c.Queues < 0 || c.Queues > MaxQueues:
		return fmt.Errorf("afxdp: %s: %d queues: expected 0 (all) to %d", c.Name, c.Queues, MaxQueues)
	case c.Frames < MinFrames || c.Frames > MaxFrames || bits.OnesCount(uint(c.Frames)) != 1:
		return fmt.Errorf("afxdp: %s: %d frames: expected a power of two from %d to %d", c.Name, c.Frames, MinFrames, MaxFrames)
	case c.BusyPoll < 0 || c.BusyPoll > maxBusyPoll:
		return fmt.Errorf("afxdp: %s: busy-poll budget %d: expected 0 (off) to %d", c.Name, c.BusyPoll, maxBusyPoll)
	}
	return c.checkLane()
}

// headroom is what the kernel leaves in front of a received frame.
const headroom = unix.XDP_PACKET_HEADROOM

// linkOverhead is Ethernet and two VLAN tags: what a received frame has at most in
// front of an IP packet of the interface's MTU.
const linkOverhead = 14 + 2*4

// frameSize is the smaller of the two chunk sizes that the kernel takes, if frames of
// the MTU fit behind the headroom.
func frameSize(mtu int) int {
	if headroom+linkOverhead+mtu <= 2048 {
		return 2048
	}
	return 4096
}

// chunkMTU is the largest packet of which a received frame fits one chunk.
func chunkMTU(size int) int { return size - headroom - linkOverhead }

// jumboChunks is how many chunks a frame takes at most. Three hold packets of 11498 bytes,
// more than any NIC sends (those with AF_XDP end at 9216 to 9978), and are few enough for
// all drivers that take more than one.
const jumboChunks = 3

// portMTU is the interface's MTU, or less where a frame of it would not fit jumboChunks
// chunks; and whether it takes more than one.
func portMTU(mtu int) (port int, jumbo bool) {
	size := frameSize(mtu)
	return min(mtu, jumboChunks*(size-headroom)-linkOverhead), mtu > chunkMTU(size)
}
