package afxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// load makes a copy of the program and its maps for one interface.
func (i *Interface) load() error {
	load := func() error { return loadFilterObjects(&i.objs, nil) }
	if i.cfg.Lane != nil {
		load = i.loadLane
	}
	if err := load(); err != nil {
		return fmt.Errorf("afxdp: %s: loading the XDP program: %w", i.cfg.Name, explainBPF(err))
	}
	return nil
}

// attach puts the program on the device that dev describes, in the mode that the
// configuration allows, by a bpf_link: it ends with this process. It fails if there is
// another program.
func (i *Interface) attach(dev device) error {
	if err := i.setOwnMAC(dev); err != nil {
		return err
	}
	modes := []Mode{i.cfg.Mode}
	if i.cfg.Mode == ModeAuto {
		modes = []Mode{ModeNative, ModeGeneric}
		if i.cfg.ZeroCopy == ZeroCopyRequire {
			modes = modes[:1]
		}
	}
	var errs []error
	for _, m := range modes {
		if err := dev.foreignProgram(); err != nil {
			return fmt.Errorf("afxdp: %s: %w", i.cfg.Name, err)
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: i.programFor(m), Interface: dev.index, Flags: attachFlags(m)})
		if err == nil {
			i.link, i.mode = l, m
			return nil
		}
		errs = append(errs, i.explainAttach(dev, m, err))
	}
	return errors.Join(errs...)
}

func attachFlags(m Mode) link.XDPAttachFlags {
	if m == ModeGeneric {
		return link.XDPGenericMode
	}
	return link.XDPDriverMode
}

func (i *Interface) setOwnMAC(dev device) error {
	var set filterSettings
	if !i.cfg.AnyMAC {
		for n, b := range dev.mac {
			set.OwnMac |= uint64(b) << (8 * n)
		}
	}
	if err := i.objs.FilterSettings.Put(uint32(0), set); err != nil {
		return fmt.Errorf("afxdp: %s: telling the XDP program the interface's address: %w", i.cfg.Name, err)
	}
	return nil
}

// explainAttach says in words why the program could not be attached.
func (i *Interface) explainAttach(dev device, m Mode, err error) error {
	prefix := fmt.Sprintf("afxdp: %s: attaching the XDP program in %v mode", i.cfg.Name, m)
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		// Somebody was faster than this process.
		if now, nowErr := lookup(i.cfg.Name); nowErr == nil {
			if foreign := now.foreignProgram(); foreign != nil {
				return fmt.Errorf("%s: %w", prefix, foreign)
			}
		}
		return fmt.Errorf("%s: another XDP program is attached: %w", prefix, err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("%s: driver %s has no native XDP: %w", prefix, dev.driver, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: %w", prefix, explainPrivilege(err, capNetAdmin, capBPF))
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE):
		return fmt.Errorf("%s: driver %s refuses it, which is often the MTU (%d) or the number of queues: %w", prefix, dev.driver, dev.mtu, err)
	}
	return fmt.Errorf("%s: %w", prefix, err)
}

// foreignProgram is an error that names the XDP program on the device, or nil when
// there is none.
func (d device) foreignProgram() error {
	if d.xdp == nil || !d.xdp.Attached {
		return nil
	}
	return &ForeignProgramError{ID: d.xdp.ProgId, Name: programName(d.xdp.ProgId), mode: d.xdp.AttachMode}
}

// ForeignProgramError says that an interface has an XDP program that is not this
// process's.
type ForeignProgramError struct {
	ID   uint32 // 0 when there are several
	Name string // empty when it can't be read
	mode uint32 // IFLA_XDP_ATTACHED
}

func (e *ForeignProgramError) Error() string {
	modes := map[uint32]string{1: "native", 2: "generic", 3: "offloaded", 4: "several modes"}
	s := fmt.Sprintf("XDP program %q (id %d, %s) is attached already", e.Name, e.ID, modes[e.mode])
	if isOurs(e.Name) {
		return s + ": another eipgw serves this interface, stop it first"
	}
	return s + ": remove it first (ip link set dev … xdp off, or end the process that holds its link; bpftool net shows it)"
}

func programName(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ""
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}

// device is what the kernel says of an interface at one moment.
type device struct {
	name   string
	index  int
	mtu    int
	mac    encap.MAC
	queues int // receive queues in use
	driver string
	xdp    *netlink.LinkXdp
}

// lookup reads an interface in the network namespace of the calling thread.
func lookup(name string) (device, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return device{}, fmt.Errorf("afxdp: interface %s: %w", name, err)
	}
	a := l.Attrs()
	d := device{name: name, index: a.Index, mtu: a.MTU, xdp: a.Xdp, queues: a.NumRxQueues, driver: l.Type()}
	if len(a.HardwareAddr) != len(d.mac) {
		return device{}, fmt.Errorf("afxdp: interface %s is no Ethernet device (%s)", name, a.EncapType)
	}
	copy(d.mac[:], a.HardwareAddr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return device{}, fmt.Errorf("afxdp: interface %s: socket: %w", name, err)
	}
	defer unix.Close(fd)
	if n, err := receiveQueues(fd, name); err == nil {
		d.queues = n
	}
	if info, err := unix.IoctlGetEthtoolDrvinfo(fd, name); err == nil {
		d.driver = unix.ByteSliceToString(info.Driver[:])
	}
	return d, nil
}
