package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// Config says what a generator sends: UDP, from one address to many.
type Config struct {
	Interface string
	CPU       int // that Run is pinned to
	Size      int // bytes of a frame without its FCS: from MinSize to MaxSize

	SrcMAC, DstMAC encap.MAC
	Source         netip.Addr

	// FirstDst is the first destination; there are Dsts of them in a row. In IPv6 the
	// last 32 bits count.
	FirstDst netip.Addr
	Dsts     int

	// SrcPorts is how many UDP source ports there are, from FirstSrcPort on; Port is
	// the destination port.
	SrcPorts int
	Port     uint16

	Mix Mix
}

// Bounds of Config.
const (
	MinSize      = 62 // the headers of IPv6; with IPv4 60 do, Ethernet's least
	MinSizeIPv4  = 60
	MaxSize      = 1514
	FirstSrcPort = 1024
	maxSrcPorts  = 1<<16 - FirstSrcPort
)

// How many frames the kernel makes before it hands them over, all at once, and looks at its
// own affairs. Frames that are not due yet count too. With a rate given the batch is small:
// what the first of it waits for the last is part of a frame's way, for every contender alike.
const (
	batch      = 64
	pacedBatch = 8
)

// DefaultBurst is Load.Burst unless said otherwise.
const DefaultBurst = 256

func (c Config) ipv6() bool { return c.FirstDst.Is6() }

func (c Config) check() error {
	least := MinSize
	if !c.ipv6() {
		least = MinSizeIPv4
	}
	switch {
	case !c.FirstDst.IsValid() || c.Source.BitLen() != c.FirstDst.BitLen():
		return fmt.Errorf("loadgen: source %v, first destination %v: expected two addresses of one family", c.Source, c.FirstDst)
	case c.Size < least || c.Size > MaxSize:
		return fmt.Errorf("loadgen: frames of %d bytes: expected %d to %d", c.Size, least, MaxSize)
	case c.Dsts < 1 || uint64(low32(c.FirstDst))+uint64(c.Dsts) > 1<<32:
		return fmt.Errorf("loadgen: %d destinations from %v on: expected at least one and none beyond the last address", c.Dsts, c.FirstDst)
	case c.SrcPorts < 1 || c.SrcPorts > maxSrcPorts:
		return fmt.Errorf("loadgen: %d source ports: expected 1 to %d", c.SrcPorts, maxSrcPorts)
	}
	return c.Mix.check(c.FirstDst)
}

// low32 is the last four bytes of an address as a number; 0 of none.
func low32(a netip.Addr) uint32 {
	if !a.IsValid() {
		return 0
	}
	b := a.As16()
	return uint32(b[12])<<24 | uint32(b[13])<<16 | uint32(b[14])<<8 | uint32(b[15])
}

// Generator sends frames. One goroutine calls Run; Sent, Hostile and Skipped may be called
// beside it.
type Generator struct {
	cfg   Config
	frame []byte
	objs  generatorObjects
}

// generatorObjects is the part of the BPF object that a generator loads.
type generatorObjects struct {
	Generate *ebpf.Program  `ebpf:"generate"`
	Limit    *ebpf.Variable `ebpf:"limit"`
	Interval *ebpf.Variable `ebpf:"interval"`
	Due      *ebpf.Variable `ebpf:"due"`
	Sent     *ebpf.Variable `ebpf:"sent"`
	Hostile  *ebpf.Variable `ebpf:"hostile"`
	Skipped  *ebpf.Variable `ebpf:"skipped"`
	CatchUp  *ebpf.Variable `ebpf:"catch_up"`
	Stamping *ebpf.Variable `ebpf:"stamping"`
}

// New loads a generator for an interface of the calling thread's network namespace. The
// caller closes it.
func New(c Config) (*Generator, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	ifi, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return nil, fmt.Errorf("loadgen: interface %s: %w", c.Interface, err)
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("loadgen: %w", err)
	}
	t := newTemplate(c)
	var isV6 uint8
	if c.ipv6() {
		isV6 = 1
	}
	for name, value := range map[string]any{
		"out_ifindex": uint32(ifi.Index), "ipv6": isV6, "headers": t.words(), "sum": t.sum,
		"first_dst": low32(c.FirstDst), "dsts": uint32(c.Dsts),
		"first_sport": uint32(FirstSrcPort), "sports": uint32(c.SrcPorts), "source": varyingSource(c.Source),
		"bounds": c.Mix.bounds(), "first_unbound": low32(c.Mix.FirstUnbound), "unbounds": uint32(c.Mix.Unbounds),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("loadgen: %w", err)
		}
	}
	g := &Generator{cfg: c, frame: t.frame}
	if err := spec.LoadAndAssign(&g.objs, nil); err != nil {
		return nil, fmt.Errorf("loadgen: loading the generator: %w", err)
	}
	return g, nil
}

// Close releases the program. Run must have returned.
func (g *Generator) Close() error { return g.objs.Generate.Close() }

// Load is one run of a generator.
type Load struct {
	Rate   float64 // frames a second; 0: as many as possible
	Frames uint64  // 0: until the context ends

	// Burst is how many frames a generator that was held up sends at once when it goes on;
	// what it could not make up for by then is skipped. 0: DefaultBurst.
	Burst int
	// Stamped has each frame carry the time when it was sent: see Sink.Time.
	Stamped bool
}

// set writes the load where the program reads it.
func (g *Generator) set(l Load, limit uint64) error {
	interval, burst, stamping := uint64(0), uint64(DefaultBurst), uint64(0)
	if l.Rate > 0 {
		interval = uint64(1024 * 1e9 / l.Rate)
	}
	if l.Burst > 0 {
		burst = uint64(l.Burst)
	}
	if l.Stamped {
		stamping = 1
		if least := g.cfg.leastStamped(); g.cfg.Size < least {
			return fmt.Errorf("loadgen: frames of %d bytes have no room for a time: expected at least %d", g.cfg.Size, least)
		}
	}
	err := errors.Join(g.objs.Limit.Set(limit), g.objs.Interval.Set(interval), g.objs.Due.Set(uint64(0)),
		g.objs.CatchUp.Set(burst), g.objs.Stamping.Set(stamping))
	if err != nil {
		return fmt.Errorf("loadgen: %w", err)
	}
	return nil
}

// leastStamped is the size of the shortest frame that holds a time.
func (c Config) leastStamped() int {
	if c.ipv6() {
		return ethLen + ipv6Len + udpLen + stampLen
	}
	return ethLen + ipv4Len + udpLen + stampLen
}

// Run sends until the load's frames are sent or ctx ends, and returns nil then. It must be
// called in the network namespace of the interface. Its thread is pinned to the CPU and
// never sleeps.
func (g *Generator) Run(ctx context.Context, l Load) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unpin, err := pin(g.cfg.CPU)
	if err != nil {
		return err
	}
	defer unpin()
	limit := uint64(math.MaxUint64)
	if l.Frames > 0 {
		limit = g.Sent() + l.Frames
	}
	if err := g.set(l, limit); err != nil {
		return err
	}
	size := batch
	if l.Rate > 0 {
		size = pacedBatch
	}

	over := func() bool { return ctx.Err() != nil || g.Sent() >= limit }
	ended := make(chan struct{})
	interrupted := interrupt(ctx, ended, l.Frames > 0, over)
	defer func() {
		close(ended)
		<-interrupted
	}()
	for !over() {
		if errno := runLive(g.objs.Generate.FD(), g.frame, math.MaxUint32, size); errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("loadgen: running the generator: %w", errno)
		}
	}
	return nil
}

// lookEvery is how often a run with an end is asked whether it has come to it.
const lookEvery = time.Millisecond

// interrupt sends the calling thread signals, once over says yes and until ended is
// closed: one may come too early, before the thread is in the kernel. The signal is one
// that the Go runtime uses for its own purposes and takes at any time. Without frames to
// be counted only the end of ctx is waited for, so that nothing else wakes up.
func interrupt(ctx context.Context, ended <-chan struct{}, counted bool, over func() bool) (done <-chan struct{}) {
	closed := make(chan struct{})
	pid, tid := unix.Getpid(), unix.Gettid()
	go func() {
		defer close(closed)
		if !counted {
			select {
			case <-ctx.Done():
			case <-ended:
			}
		}
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if over() {
					_ = unix.Tgkill(pid, tid, unix.SIGURG)
				}
			}
		}
	}()
	return closed
}

// pin binds the calling thread to a CPU, until undo is called.
func pin(cpu int) (undo func(), err error) {
	var old, want unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return nil, fmt.Errorf("loadgen: reading the CPU affinity: %w", err)
	}
	want.Set(cpu)
	if err := unix.SchedSetaffinity(0, &want); err != nil {
		return nil, fmt.Errorf("loadgen: pinning to CPU %d: %w", cpu, err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &old) }, nil
}

// Sent is how many frames were given to the interface since New. The interface may have
// dropped some: its own counters tell.
func (g *Generator) Sent() uint64 { return read(g.objs.Sent) }

// Hostile is how many of the frames sent were hostile.
func (g *Generator) Hostile() uint64 { return read(g.objs.Hostile) }

// Skipped is how many frames were not sent because the generator was held up.
func (g *Generator) Skipped() uint64 { return read(g.objs.Skipped) }

// read reads a variable that is mapped into memory, which cannot fail.
func read(v *ebpf.Variable) (n uint64) {
	_ = v.Get(&n)
	return n
}
