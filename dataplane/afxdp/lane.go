package afxdp

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
)

// Lane is what the fast lanes of all interfaces share: the table's memory, the rules,
// and the interfaces that they send by. An Interface that is opened with it gets the
// program that forwards plain frames in the kernel and leaves all others to the ports.
//
//	NewLane → Memory: the table is made of it → Open with it → SetRules
//
// It forwards nothing before SetRules. Methods may be called from any goroutine.
type Lane struct {
	mu      sync.Mutex // guards what follows
	closed  bool
	maps    map[string]*ebpf.Map // those that the program's copies share, by their names in it
	inner   *ebpf.MapSpec        // of what rules points to
	active  *ebpf.Map            // what it points to
	now     laneRules            // its content
	plain   dataplane.Plain
	open    bool // SetRules has been called
	members map[fib.PortID]*member
}

// member is an interface of the lane.
type member struct {
	iface *Interface
	laneDevice
}

// laneDevice is what the lane knows of a device. The zero value sends nothing.
type laneDevice struct {
	index, mtu   int
	redirect, tx bool // it sends what is redirected to it; what came in by itself, by XDP_TX
}

// maxLanePorts is how many port IDs the lane has room for, from 0 on.
const maxLanePorts = len(laneRules{}.Ports)

// Names in the program.
const (
	laneMapRules   = "lane_rules"
	laneMapDevices = "lane_devices"
)

// NewLane makes the lane's maps. Close releases them, after the interfaces and the table
// have been closed.
func NewLane() (_ *Lane, err error) {
	l := &Lane{maps: map[string]*ebpf.Map{}, members: map[fib.PortID]*member{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("afxdp: fast lane: %w", explainBPF(err)), l.Close())
		}
	}()
	spec, err := loadLane()
	if err != nil {
		return nil, err
	}
	l.inner = spec.Maps[laneMapRules].InnerMap
	for _, name := range []string{laneMapRules, laneMapDevices} {
		if l.maps[name], err = ebpf.NewMap(spec.Maps[name]); err != nil {
			return nil, err
		}
	}
	return l, l.publish()
}

// Close releases the lane's maps. Twice is harmless.
func (l *Lane) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for _, m := range l.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, l.active.Close())...)
}

// SetRules puts rules into force for plain frames. It returns when no frame is judged by
// the old ones any more. On an error these stay.
func (l *Lane) SetRules(p dataplane.Plain) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, was := l.plain, l.open
	l.plain, l.open = p, true
	if err := l.publish(); err != nil {
		l.plain, l.open = before, was
		return err
	}
	return nil
}

// Synchronize waits until every run of a program has ended that was under way when it
// was called: for a grace period of RCU, some milliseconds. The kernel does so by itself
// when what a map of maps points to is replaced, here by the same (maybe_wait_bpf_programs
// in its kernel/bpf/syscall.c). membarrier(2) would do it as well, but not where a CPU
// runs without ticks (nohz_full).
func (l *Lane) Synchronize() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("afxdp: fast lane: waiting for running programs: %w", ErrClosed)
	}
	if err := l.maps[laneMapRules].Put(uint32(0), l.active); err != nil {
		return fmt.Errorf("afxdp: fast lane: waiting for running programs: %w", err)
	}
	return nil
}

// set changes what the lane knows of an interface. A new device can be sent to before the
// rules say so, and as long as they do. The caller is in the interface's network namespace
// when the device is another one.
func (l *Lane) set(i *Interface, id fib.PortID, d laneDevice) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[id]
	if m == nil {
		m = &member{iface: i}
	}
	if m.iface != i {
		return fmt.Errorf("afxdp: fast lane: port ID %d is that of %s already", id, m.iface.cfg.Name)
	}
	if m.index != d.index {
		if err := l.maps[laneMapDevices].Put(uint32(id), uint32(d.index)); err != nil {
			return fmt.Errorf("afxdp: fast lane: %s: %w", i.cfg.Name, err)
		}
	}
	m.laneDevice = d
	l.members[id] = m
	return l.publish()
}

// forget takes an interface out.
func (l *Lane) forget(i *Interface) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := i.cfg.ID
	if l.closed || l.members[id] == nil || l.members[id].iface != i {
		return nil
	}
	delete(l.members, id)
	if err := l.publish(); err != nil {
		return err
	}
	if err := l.maps[laneMapDevices].Delete(uint32(id)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("afxdp: fast lane: %s: %w", i.cfg.Name, err)
	}
	return nil
}

// Refresh looks again at what the devices can do: that of a veth pair depends on its far
// end.
func (l *Lane) Refresh() error {
	l.mu.Lock()
	var all []*Interface
	for _, m := range l.members {
		all = append(all, m.iface)
	}
	l.mu.Unlock() // an interface's lock comes before
	var errs []error
	for _, i := range all {
		errs = append(errs, i.refreshLane())
	}
	return errors.Join(errs...)
}

// rules is what the programs are to go by.
func (l *Lane) rules() (r laneRules) {
	if !l.open {
		return r
	}
	p := &l.plain
	r.First4, r.Own4, r.Tos = p.First4, p.Own4, p.TOS
	r.Clamp, r.Pcp = number(p.Clamp), number(p.PCP)
	for id, m := range l.members {
		port := &r.Ports[id]
		port.Mtu = uint32(m.mtu)
		if p.Untagged(id) {
			port.Flags |= lanePortFlagPORT_UNTAGGED
		}
		if m.redirect {
			port.Flags |= lanePortFlagPORT_REDIRECT
		}
		if m.tx {
			port.Flags |= lanePortFlagPORT_TX
		}
	}
	return r
}

// publish puts the rules into force if they have changed: as a map of their own, which
// takes the place of the old one at once.
func (l *Lane) publish() error {
	if l.closed {
		return fmt.Errorf("afxdp: fast lane: %w", ErrClosed)
	}
	r := l.rules()
	if l.active != nil && r == l.now {
		return nil
	}
	m, err := ebpf.NewMap(l.inner)
	if err == nil {
		err = m.Put(uint32(0), r)
	}
	if err == nil {
		err = l.maps[laneMapRules].Put(uint32(0), m)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("afxdp: fast lane: rules: %w", err), m.Close())
	}
	old := l.active
	l.active, l.now = m, r
	return old.Close()
}

func number(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
