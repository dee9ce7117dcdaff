package underlay

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Port is an interface through which VTEPs may be reached.
type Port struct {
	ID   fib.PortID
	Name string // of the kernel's interface; it may appear and vanish while Run runs

	// VLAN is the tags of frames whose route leads over the interface itself. A route
	// over a VLAN sub-interface of the port has the sub-interface's: one 802.1Q or
	// 802.1ad tag, or both where an 802.1Q sub-interface sits on an 802.1ad one. With
	// both, the path MTU is at most the port's MTU less 4, for not every interface takes
	// frames with two tags beyond its MTU.
	VLAN encap.VLAN
}

// Config is what New needs. The zero value of a field with a default means the default.
type Config struct {
	Ports []Port

	// Source4 and Source6 are the outer source addresses. Zero means that the kernel
	// chooses, as it would for a packet of its own on that route. A policy rule on the
	// source ("ip rule from") is honored with a source that the machine has.
	Source4, Source6 netip.Addr

	// OnChange is given the VTEPs whose answer of Resolve changed, each once. Run calls
	// it from its one goroutine and holds no lock, so it may call Resolve, Track and
	// Untrack. The slice is the callee's.
	OnChange func(vteps []netip.Addr)

	ZeroChecksum6 bool
	TTL           uint8 // of the outer header; 0: 64

	// Reprobe is how long after a neighbor was last confirmed it is asked again. The
	// kernel does not see the traffic that goes through AF_XDP, so it would not ask of its
	// own accord. 0: 10 s.
	Reprobe time.Duration

	// ReceiveBuffer is the size in bytes of the socket for the kernel's messages; when it
	// overflows, all is read anew. 0: 8 MiB.
	ReceiveBuffer int

	// NoPathMTU turns path MTU discovery off: no ICMP socket is opened, and what routers say
	// about the size of tunnel packets is not heeded.
	NoPathMTU bool

	// PathMTUAge is for how long after the last report a path MTU is believed. 0: 10 minutes.
	PathMTUAge time.Duration

	// MinMTU4 is the least path MTU in bytes that is believed of an IPv4 underlay; reports of
	// less count as it. It has to leave room for the headers of a tunnel. 0: 552.
	MinMTU4 uint16

	Log *slog.Logger // nil: none
}

const (
	defaultTTL           = 64
	defaultReprobe       = 10 * time.Second
	defaultReceiveBuffer = 8 << 20
	maxVID               = 4094

	// leastMinMTU4 lets the inner packet be as large as every link carries, whatever the
	// tunnel: with less no entry would be made, and the VTEP be lost.
	leastMinMTU4 = encap.MaxLen + linkMin4
)

// withDefaults checks c and fills in the defaults.
func (c Config) withDefaults() (Config, error) {
	if err := c.checkPorts(); err != nil {
		return c, err
	}
	if c.Source4.IsValid() && !c.Source4.Is4() {
		return c, fmt.Errorf("underlay: source address %v is not IPv4", c.Source4)
	}
	if c.Source6.IsValid() && (!c.Source6.Is6() || c.Source6.Is4In6() || c.Source6.Zone() != "") {
		return c, fmt.Errorf("underlay: source address %v is not IPv6 without a zone", c.Source6)
	}
	if c.Reprobe < 0 || c.ReceiveBuffer < 0 {
		return c, errors.New("underlay: the reprobe time and the receive buffer cannot be negative")
	}
	if c.PathMTUAge < 0 {
		return c, errors.New("underlay: the age of path MTUs cannot be negative")
	}
	if c.MinMTU4 != 0 && c.MinMTU4 < leastMinMTU4 {
		return c, fmt.Errorf("underlay: least path MTU of IPv4 %d, want at least %d: tunnel headers take up to %d bytes", c.MinMTU4, leastMinMTU4, encap.MaxLen)
	}
	if c.OnChange == nil {
		c.OnChange = func([]netip.Addr) {}
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.Reprobe == 0 {
		c.Reprobe = defaultReprobe
	}
	if c.ReceiveBuffer == 0 {
		c.ReceiveBuffer = defaultReceiveBuffer
	}
	if c.PathMTUAge == 0 {
		c.PathMTUAge = defaultPathMTUAge
	}
	if c.MinMTU4 == 0 {
		c.MinMTU4 = defaultMinMTU4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c Config) checkPorts() error {
	if len(c.Ports) == 0 {
		return errors.New("underlay: no ports; at least one interface has to lead to the VTEPs")
	}
	ids, names := map[fib.PortID]bool{}, map[string]bool{}
	for _, p := range c.Ports {
		switch {
		case p.Name == "":
			return fmt.Errorf("underlay: port %d has no interface name", p.ID)
		case ids[p.ID]:
			return fmt.Errorf("underlay: port ID %d is there twice, the second time for %s", p.ID, p.Name)
		case names[p.Name]:
			return fmt.Errorf("underlay: interface %s is two ports", p.Name)
		case max(p.VLAN.S, p.VLAN.C) > maxVID:
			return fmt.Errorf("underlay: port %s: VLAN %d, want 0 to %d", p.Name, max(p.VLAN.S, p.VLAN.C), maxVID)
		}
		ids[p.ID], names[p.Name] = true, true
	}
	return nil
}

// source is the configured outer source address for dst, or zero.
func (c *Config) source(dst netip.Addr) netip.Addr {
	if dst.Is6() {
		return c.Source6
	}
	return c.Source4
}
