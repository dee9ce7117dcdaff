package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a veth pair.
type End struct {
	NS    *NS
	Name  string
	MAC   string         // empty: the kernel's choice
	Addrs []netip.Prefix // address with prefix length
	Pfifo int            // packets that a pfifo root qdisc holds; 0: none, so a full ring drops
}

// VethOptions holds for both ends.
type VethOptions struct {
	MTU      int  // 0: 1500
	Queues   int  // receive and transmit queues; 0: 1
	Offloads bool // keep checksum and segmentation offloads, which leave checksums unfilled
}

// Veth makes a veth pair with both ends up and addressed, and waits for the carrier.
// Offloads are off on both ends unless kept, so that frames are on the link as they
// would be on a wire.
func Veth(a, b End, o VethOptions) error {
	if err := addVeth(a, b, o); err != nil {
		return fmt.Errorf("lab: veth %s:%s - %s:%s: %w", a.NS.label, a.Name, b.NS.label, b.Name, err)
	}
	for _, e := range []End{a, b} {
		if err := e.finish(o); err != nil {
			return fmt.Errorf("lab: veth end %s:%s: %w", e.NS.label, e.Name, err)
		}
	}
	return errors.Join(a.NS.WaitUp(a.Name), b.NS.WaitUp(b.Name))
}

func addVeth(a, b End, o VethOptions) error {
	macA, errA := parseMAC(a.MAC)
	macB, errB := parseMAC(b.MAC)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a.Name
	attrs.MTU = o.MTU
	attrs.HardwareAddr = macA
	attrs.NumRxQueues = max(o.Queues, 1)
	attrs.NumTxQueues = max(o.Queues, 1)
	v := netlink.NewVeth(attrs)
	v.PeerName = b.Name
	v.PeerHardwareAddr = macB
	v.PeerMTU = uint32(o.MTU)
	v.PeerNamespace = netlink.NsFd(b.NS.FD())
	return a.NS.handle.LinkAdd(v)
}

func (e End) finish(o VethOptions) error {
	if !o.Offloads {
		if err := e.NS.OffloadsOff(e.Name); err != nil {
			return err
		}
	}
	if e.Pfifo > 0 {
		if err := e.NS.Pfifo(e.Name, e.Pfifo); err != nil {
			return err
		}
	}
	for _, p := range e.Addrs {
		if err := e.NS.Addr(e.Name, p); err != nil {
			return err
		}
	}
	return e.NS.Up(e.Name)
}

func parseMAC(s string) (net.HardwareAddr, error) {
	if s == "" {
		return nil, nil
	}
	return net.ParseMAC(s)
}

// Bridge makes a bridge, up, with the named links as its ports.
func (ns *NS) Bridge(name string, ports ...string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	br := &netlink.Bridge{LinkAttrs: attrs}
	if err := ns.handle.LinkAdd(br); err != nil {
		return fmt.Errorf("lab: bridge %s:%s: %w", ns.label, name, err)
	}
	for _, p := range ports {
		link, err := ns.Link(p)
		if err != nil {
			return err
		}
		if err := ns.handle.LinkSetMaster(link, br); err != nil {
			return fmt.Errorf("lab: bridge %s:%s: adding %s: %w", ns.label, name, p, err)
		}
	}
	return ns.Up(name)
}

// VLAN makes a VLAN sub-interface, up. Not every kernel has them: see LinkKind("vlan").
func (ns *NS) VLAN(parent, name string, id uint16) error {
	return ns.vlan(parent, name, id, netlink.VLAN_PROTOCOL_8021Q)
}

// ServiceVLAN is VLAN with an 802.1ad tag.
func (ns *NS) ServiceVLAN(parent, name string, id uint16) error {
	return ns.vlan(parent, name, id, netlink.VLAN_PROTOCOL_8021AD)
}

func (ns *NS) vlan(parent, name string, id uint16, protocol netlink.VlanProtocol) error {
	link, err := ns.Link(parent)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.ParentIndex = link.Attrs().Index
	if err := ns.handle.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(id), VlanProtocol: protocol}); err != nil {
		return fmt.Errorf("lab: VLAN %d on %s:%s: %w", id, ns.label, parent, err)
	}
	return ns.Up(name)
}

// VXLANOptions describe a VXLAN device, which takes tunnel packets from anybody.
type VXLANOptions struct {
	VNI   uint32
	Local netip.Addr // its VTEP
	Port  uint16     // UDP port that it listens on; 0: 4789
	MAC   string     // of the inner end; empty: the kernel's choice

	ZeroChecksum6 bool // take packets over IPv6 without a UDP checksum (RFC 6935)
}

// VXLAN makes the kernel's own VXLAN device, up, without offloads: what comes out of it
// is what was in the tunnel, packet by packet. Not every kernel has it: see
// LinkKind("vxlan").
func (ns *NS) VXLAN(name string, o VXLANOptions) error {
	mac, err := parseMAC(o.MAC)
	if err != nil {
		return fmt.Errorf("lab: VXLAN %s:%s: %w", ns.label, name, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.HardwareAddr = mac
	if o.Port == 0 {
		o.Port = 4789
	}
	v := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: int(o.VNI), SrcAddr: o.Local.AsSlice(), Port: int(o.Port), UDP6ZeroCSumRx: o.ZeroChecksum6}
	if err := ns.handle.LinkAdd(v); err != nil {
		return fmt.Errorf("lab: VXLAN %s:%s: %w", ns.label, name, err)
	}
	return errors.Join(ns.OffloadsOff(name), ns.Up(name))
}

// Link finds a link by name.
func (ns *NS) Link(name string) (netlink.Link, error) {
	link, err := ns.handle.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("lab: link %s:%s: %w", ns.label, name, err)
	}
	return link, nil
}

func (ns *NS) onLink(name, what string, f func(netlink.Link) error) error {
	link, err := ns.Link(name)
	if err != nil {
		return err
	}
	if err := f(link); err != nil {
		return fmt.Errorf("lab: link %s:%s: %s: %w", ns.label, name, what, err)
	}
	return nil
}

// Up sets a link administratively up.
func (ns *NS) Up(name string) error { return ns.onLink(name, "up", ns.handle.LinkSetUp) }

// Down sets a link administratively down.
func (ns *NS) Down(name string) error { return ns.onLink(name, "down", ns.handle.LinkSetDown) }

// DeleteLink removes a link; of a veth pair both ends go.
func (ns *NS) DeleteLink(name string) error { return ns.onLink(name, "delete", ns.handle.LinkDel) }

// SetMAC changes the address of a link.
func (ns *NS) SetMAC(name, mac string) error {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return ns.onLink(name, "address "+mac, func(l netlink.Link) error { return ns.handle.LinkSetHardwareAddr(l, hw) })
}

// WaitUp waits, at most two seconds, until a link is operational and its IPv6 addresses
// answer neighbor solicitations, which the kernel arranges a little later.
func (ns *NS) WaitUp(name string) error {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		link, err := ns.Link(name)
		if err != nil {
			return err
		}
		state := link.Attrs().OperState
		tentative, err := ns.tentative(link)
		switch {
		case err != nil:
			return fmt.Errorf("lab: link %s:%s: %w", ns.label, name, err)
		case !tentative && (state == netlink.OperUp || state == netlink.OperUnknown):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("lab: link %s:%s is %v, want up; tentative addresses: %v", ns.label, name, state, tentative)
		}
	}
}

// tentative says whether a link has an IPv6 address that is not in use yet, or may have
// one because the list changed while it was read.
func (ns *NS) tentative(link netlink.Link) (bool, error) {
	addrs, err := ns.handle.AddrList(link, unix.AF_INET6)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return true, nil
	}
	return slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 }), err
}

// probeLinkKind makes and removes a link of the kind in a namespace of its own.
func probeLinkKind(kind string) (err error) {
	if err := Root.check(); err != nil {
		return err
	}
	ns, err := New("probe")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe0"
	switch kind {
	case "vlan":
		if err := Veth(End{NS: ns, Name: "a"}, End{NS: ns, Name: "b"}, VethOptions{}); err != nil {
			return err
		}
		return ns.VLAN("a", "probe0", 2)
	case "tun": // made by /dev/net/tun; rtnetlink makes none on any kernel
		err = ns.Do(func() error {
			return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP})
		})
	case "vxlan":
		err = ns.VXLAN("probe0", VXLANOptions{VNI: 1, Local: netip.AddrFrom4([4]byte{127, 0, 0, 1})})
	default:
		err = ns.handle.LinkAdd(&netlink.GenericLink{LinkAttrs: attrs, LinkType: kind})
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("needs a kernel with %s links", kind)
	}
	return err
}
