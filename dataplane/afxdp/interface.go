package afxdp

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Interface is one network device with the XDP program on it. Its ports are its receive
// queues. Methods may be called from any goroutine; the packet path does not take its lock.
type Interface struct {
	cfg   InterfaceConfig
	netns uint64 // inode of the network namespace in which all of this happens
	ctl   int    // datagram socket in that namespace, for questions about the link

	geometry
	queues int
	open   func(options) (*socket, error) // openSocket

	mu       sync.Mutex // guards what follows
	dev      device
	objs     filterObjects
	register xdp.Program // the XSK map, as asavie/xdp sees it; owns nothing
	link     link.Link
	mode     Mode // got
	segments segments
	lane     onLane
	ports    map[int]*Port
	closed   bool
	mtu      int        // of PortInfo
	jumbo    bool       // a packet of it does not fit a chunk: ports are opened with XDP_USE_SG
	noJumbo  unix.Errno // why they can't be although the MTU asks for it, or 0
}

// Open puts the XDP program on an interface. It redirects nothing before SetSegments,
// and frames go to the kernel where a queue has no port. Open, Port and a port's recovery
// work in the network namespace of the calling thread. The caller closes the Interface
// when the workers of its ports have ended.
func Open(cfg InterfaceConfig) (_ *Interface, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	dev, err := lookup(cfg.Name)
	if err != nil {
		return nil, err
	}
	i := &Interface{cfg: cfg, dev: dev, ctl: -1, ports: make(map[int]*Port), open: openSocket}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if i.queues = cfg.Queues; i.queues == 0 {
		i.queues = min(dev.queues, MaxQueues)
	}
	if i.queues > dev.queues {
		return nil, fmt.Errorf("afxdp: %s: %d queues wanted, it has %d in use", cfg.Name, i.queues, dev.queues)
	}
	i.geometry = geometry{frames: cfg.Frames, size: frameSize(dev.mtu)}
	i.mtu, i.jumbo = portMTU(dev.mtu)
	if i.netns, err = currentNetns(); err != nil {
		return nil, fmt.Errorf("afxdp: %s: %w", cfg.Name, err)
	}
	if i.ctl, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("afxdp: %s: socket: %w", cfg.Name, err)
	}
	if err := dev.foreignProgram(); err != nil {
		return nil, fmt.Errorf("afxdp: %s: %w", cfg.Name, err)
	}
	if err := i.load(); err != nil {
		return nil, err
	}
	i.register = xdp.Program{Program: i.objs.EipgwFilter, Queues: i.objs.Queues, Sockets: i.objs.Sockets}
	i.segments = i.newSegments()
	if err := i.attach(dev); err != nil {
		return nil, err
	}
	return i, i.joinLane()
}

// currentNetns identifies the network namespace of the calling thread.
func currentNetns() (uint64, error) {
	info, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("looking at the network namespace: %w", err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// Name is the interface's name.
func (i *Interface) Name() string { return i.cfg.Name }

// Queues is how many ports there are to open.
func (i *Interface) Queues() int { return i.queues }

// Port opens the port of a receive queue, from 0 on. The caller closes it, or Close does;
// then it can be opened again.
func (i *Interface) Port(queue int) (*Port, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed:
		return nil, fmt.Errorf("afxdp: %s queue %d: %w", i.cfg.Name, queue, ErrClosed)
	case queue < 0 || queue >= i.queues:
		return nil, fmt.Errorf("afxdp: %s queue %d: expected 0 to %d", i.cfg.Name, queue, i.queues-1)
	case i.ports[queue] != nil:
		return nil, fmt.Errorf("afxdp: %s queue %d: this port is open already", i.cfg.Name, queue)
	}
	p := newPort(i, queue)
	s, err := i.openQueue(queue, bindPatience, i.jumbo)
	if why := chainsRefused(err); i.jumbo && why != 0 {
		s, err = i.openPlain(queue, why)
	}
	if err != nil {
		return nil, err
	}
	p.fit(i.mtu, i.jumbo)
	p.adopt(s, i.dev.index)
	i.ports[queue] = p
	if err := i.joinLane(); err != nil { // the MTU may be another one now
		return nil, err
	}
	return p, nil
}

// bindPatience is how long Port tries a queue that has a socket already: it may be one
// just closed, which the kernel takes off the device in the background.
const bindPatience = time.Second

// openPlain opens a queue without the frames in several chunks that the MTU asks for and
// that were refused, for the reason why. What fits one chunk works; Status tells of the rest.
func (i *Interface) openPlain(queue int, why unix.Errno) (*socket, error) {
	s, err := i.openQueue(queue, bindPatience, false)
	if err == nil {
		i.mtu, i.jumbo, i.noJumbo = chunkMTU(i.size), false, why
	}
	return s, err
}

// openQueue opens and registers the socket of a queue. The caller holds mu.
func (i *Interface) openQueue(queue int, patience time.Duration, jumbo bool) (*socket, error) {
	if err := i.checkNetns(); err != nil {
		return nil, fmt.Errorf("afxdp: %s queue %d: %w", i.cfg.Name, queue, err)
	}
	o := options{ifindex: i.dev.index, queue: queue, flags: i.bindFlags(jumbo), busyPoll: i.cfg.BusyPoll, geometry: i.geometry}
	s, err := i.open(o)
	for pause, end := time.Millisecond, time.Now().Add(patience); errors.Is(err, ErrQueueBusy) && time.Now().Before(end); pause += time.Millisecond {
		time.Sleep(pause)
		s, err = i.open(o)
	}
	if err != nil {
		return nil, fmt.Errorf("afxdp: %s queue %d: %w", i.cfg.Name, queue, err)
	}
	if err := i.register.Register(queue, s.fd); err != nil {
		return nil, errors.Join(fmt.Errorf("afxdp: %s queue %d: registering the socket: %w", i.cfg.Name, queue, err), s.close())
	}
	return s, nil
}

// bindFlags asks for need_wakeup always: in copy mode the kernel then says that it
// has to be called to send, in zero-copy mode it often has not.
func (i *Interface) bindFlags(jumbo bool) uint16 {
	flags := uint16(unix.XDP_USE_NEED_WAKEUP)
	if jumbo {
		flags |= unix.XDP_USE_SG
	}
	switch {
	case i.mode == ModeGeneric || i.cfg.ZeroCopy == ZeroCopyOff:
		flags |= unix.XDP_COPY
	case i.cfg.ZeroCopy == ZeroCopyRequire:
		flags |= unix.XDP_ZEROCOPY
	}
	return flags
}

func (i *Interface) checkNetns() error {
	ns, err := currentNetns()
	if err == nil && ns != i.netns {
		err = fmt.Errorf("called in another network namespace than Open")
	}
	return err
}

// reopen opens the socket of a queue again after its interface was deleted. The first
// queue that comes puts the program on the new device too. Frames may or must not be in several
// chunks as before: the port's MTU does not change.
func (i *Interface) reopen(queue int, jumbo bool) (*socket, int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, 0, ErrClosed
	}
	if err := i.checkNetns(); err != nil {
		return nil, 0, err
	}
	dev, err := lookup(i.cfg.Name)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	case dev.mac != i.dev.mac && !i.cfg.AnyMAC:
		return nil, 0, fmt.Errorf("it was deleted and made again with Ethernet address %v, expected %v: give it that address, or restart", dev.mac, i.dev.mac)
	}
	if !i.attachedTo(dev.index) {
		if err := i.reattach(dev); err != nil {
			return nil, 0, err
		}
	}
	s, err := i.openQueue(queue, 0, jumbo)
	return s, i.dev.index, err
}

// attachedTo says whether the program is on the device of that index.
func (i *Interface) attachedTo(index int) bool {
	if i.link == nil {
		return false
	}
	info, err := i.link.Info()
	return err == nil && info.XDP() != nil && int(info.XDP().Ifindex) == index
}

func (i *Interface) reattach(dev device) error {
	if i.link != nil {
		if err := i.link.Close(); err != nil {
			return fmt.Errorf("detaching from the deleted interface: %w", err)
		}
		i.link = nil
	}
	if err := i.attach(dev); err != nil {
		return err
	}
	i.dev = dev
	if i.lane.program == nil {
		return nil
	}
	if err := i.cfg.Lane.forget(i); err != nil { // the kernel has, of a device that was deleted
		return err
	}
	return i.joinLane()
}

// Close detaches the program, closes the ports that are still open and releases
// everything. The ports' workers must have ended. Twice is harmless.
func (i *Interface) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	var errs []error
	if i.link != nil {
		errs = append(errs, i.link.Close())
	}
	errs = append(errs, i.leaveLane())
	for _, p := range i.ports {
		errs = append(errs, p.shut())
	}
	clear(i.ports)
	if i.objs.EipgwFilter != nil {
		errs = append(errs, i.objs.Close())
	}
	if i.ctl >= 0 {
		errs = append(errs, unix.Close(i.ctl))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("afxdp: %s: closing: %w", i.cfg.Name, err)
	}
	return nil
}

// forget closes one port.
func (i *Interface) forget(p *Port) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ports[p.queue] != p {
		return nil
	}
	delete(i.ports, p.queue)
	if err := i.register.Unregister(p.queue); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return errors.Join(fmt.Errorf("afxdp: %s queue %d: unregistering: %w", i.cfg.Name, p.queue, err), p.shut())
	}
	return p.shut()
}
