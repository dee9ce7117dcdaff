package underlay

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Way is one usable way to a VTEP.
type Way struct {
	fib.Adjacency
	Interface string     // the kernel's name of the interface that the route leads over
	NextHop   netip.Addr // the neighbor; the VTEP itself when it is on the link
}

// view is what is known of the kernel without asking it.
type view struct {
	cfg       Config
	links     map[int]link
	ports     map[int]Port // those of cfg that exist, by interface index
	neighbors map[neighborKey]neighbor
}

// path is one next hop of the route to a VTEP, complete but for the neighbor's address.
type path struct {
	hop   neighborKey
	iface string
	port  fib.PortID
	mtu   uint16
	mac   encap.MAC // of the interface
	vlan  encap.VLAN
	local netip.Addr
	err   error // why the path is of no use; the other fields are void then
}

// routeError says why a route leads nowhere; nil when it does lead somewhere.
func (r route) routeError() error {
	switch r.kind {
	case unix.RTN_UNICAST:
		return nil
	case unix.RTN_LOCAL:
		return errors.New("it is an address of this machine")
	case unix.RTN_BROADCAST, unix.RTN_MULTICAST, unix.RTN_ANYCAST:
		return errors.New("its route is not unicast")
	case unix.RTN_BLACKHOLE:
		return refusal(unix.EINVAL)
	case unix.RTN_UNREACHABLE:
		return refusal(unix.EHOSTUNREACH)
	case unix.RTN_PROHIBIT:
		return refusal(unix.EACCES)
	}
	return fmt.Errorf("its route is of the unknown type %d", r.kind)
}

// refusal puts the kernel's refusal of a destination into words.
func refusal(err error) error {
	for errno, text := range map[unix.Errno]string{
		unix.ENETUNREACH:  "no route",
		unix.EHOSTUNREACH: "its route is of type unreachable",
		unix.EINVAL:       "its route is a blackhole",
		unix.EACCES:       "its route is of type prohibit",
	} {
		if errors.Is(err, errno) {
			return errors.New(text)
		}
	}
	return fmt.Errorf("the kernel has no route: %w", err)
}

// path works out one next hop of a route to dst. Its local address may still be missing.
func (v *view) path(dst netip.Addr, r route, h nexthop) path {
	out, port, vlan, err := v.outlet(h)
	if err != nil {
		return path{err: err}
	}
	stack := v.stack(out)
	mtu := min(math.MaxUint16, stack[len(stack)-1].mtu-secondTag(vlan))
	for _, l := range stack {
		mtu = min(mtu, l.mtu)
	}
	if r.mtu > 0 {
		mtu = min(mtu, r.mtu)
	}
	p := path{
		hop:   neighborKey{out.index, h.gateway},
		iface: out.name,
		port:  port.ID,
		mtu:   uint16(mtu),
		mac:   out.mac,
		vlan:  vlan,
		local: v.cfg.source(dst),
	}
	if !h.gateway.IsValid() || h.gateway.IsUnspecified() {
		p.hop.addr = dst
	}
	if !p.local.IsValid() {
		p.local = r.src
	}
	return p
}

// stack is an interface and, below a VLAN sub-interface, those that it sits on, down to
// a port, but no further than two tags reach.
func (v *view) stack(l link) []link {
	all := []link{l}
	for len(all) <= 2 && l.parent != 0 {
		if _, isPort := v.ports[l.index]; isPort {
			break
		}
		l = v.links[l.parent]
		all = append(all, l)
	}
	return all
}

// tags are those of a stack of VLAN sub-interfaces, the topmost first, over a port.
func tags(stack []link) (vlan encap.VLAN, err error) {
	for i, l := range stack[:len(stack)-1] {
		switch {
		case l.vlanType == unix.ETH_P_8021Q && i == 0:
			vlan.C = l.vlan
		case l.vlanType == unix.ETH_P_8021AD && i == len(stack)-2:
			vlan.S = l.vlan
		case len(stack) == 2:
			return vlan, fmt.Errorf("the tag of %s is of EtherType %#04x; only 802.1Q (0x8100) and 802.1ad (0x88a8) are supported", l.name, l.vlanType)
		default:
			return vlan, fmt.Errorf("the tags of %s are not 802.1Q (0x8100) on 802.1ad (0x88a8); only those are supported", stack[0].name)
		}
	}
	return vlan, nil
}

// secondTag is what a second tag takes of the MTU of an interface: beyond an IP packet of
// its MTU and an Ethernet header, every interface takes one tag, not every one takes two.
func secondTag(vlan encap.VLAN) int {
	if vlan.S != 0 && vlan.C != 0 {
		return 4
	}
	return 0
}

// outlet finds the port and the VLAN through which a next hop is reached.
func (v *view) outlet(h nexthop) (out link, port Port, vlan encap.VLAN, err error) {
	out, ok := v.links[h.index]
	if !ok {
		return out, port, vlan, fmt.Errorf("the interface with index %d is gone", h.index)
	}
	stack := v.stack(out)
	parent := stack[len(stack)-1]
	port, isPort := v.ports[parent.index]
	var tagErr error
	if len(stack) == 1 {
		vlan = port.VLAN
	} else {
		vlan, tagErr = tags(stack)
	}
	switch {
	case !isPort:
		err = fmt.Errorf("its route leads over %s, which is not a port (%s)", out.name, v.portNames())
	case tagErr != nil:
		err = tagErr
	case h.encap:
		err = fmt.Errorf("its route over %s has an encapsulation of its own, which is not supported", out.name)
	case h.dead:
		err = fmt.Errorf("its next hop over %s is dead", out.name)
	case !parent.up:
		err = fmt.Errorf("port %s is down", parent.name)
	case slices.ContainsFunc(stack, func(l link) bool { return !l.up }):
		i := slices.IndexFunc(stack, func(l link) bool { return !l.up })
		err = fmt.Errorf("interface %s is down", stack[i].name)
	case out.mac.IsZero():
		err = fmt.Errorf("interface %s has no Ethernet address", out.name)
	}
	return out, port, vlan, err
}

// portNames lists the configured ports, for messages.
func (v *view) portNames() string {
	names := make([]string, 0, len(v.cfg.Ports))
	for _, p := range v.cfg.Ports {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// ways completes paths with the addresses of their neighbors. Without any way, the error
// has the reason of each path.
func (v *view) ways(paths []path, hops map[neighborKey]*hop) ([]Way, error) {
	var ways []Way
	var reasons []string
	for _, p := range paths {
		err := p.err
		if err == nil {
			err = v.neighborError(p, hops[p.hop])
		}
		if err != nil {
			if !slices.Contains(reasons, err.Error()) {
				reasons = append(reasons, err.Error())
			}
			continue
		}
		ways = append(ways, v.way(p))
	}
	switch {
	case len(paths) == 0:
		return nil, errors.New("its route has no next hop")
	case len(ways) == 0:
		return nil, errors.New(strings.Join(reasons, "; "))
	}
	slices.SortFunc(ways, compareWays)
	return slices.Compact(ways), nil
}

func (v *view) way(p path) Way {
	return Way{
		Adjacency: fib.Adjacency{
			Port: p.port,
			MTU:  p.mtu,
			Outer: encap.Outer{
				Src:           p.mac,
				Dst:           v.neighbors[p.hop].mac,
				VLAN:          p.vlan,
				Local:         p.local,
				TTL:           v.cfg.TTL,
				ZeroChecksum6: v.cfg.ZeroChecksum6,
			},
		},
		Interface: p.iface,
		NextHop:   p.hop.addr,
	}
}

// compareWays is an order that does not depend on the kernel's, which for IPv6 depends
// on the member that the kernel's own hash chose.
func compareWays(a, b Way) int {
	return cmp.Or(
		cmp.Compare(a.Port, b.Port),
		cmp.Compare(a.Outer.VLAN.S, b.Outer.VLAN.S),
		cmp.Compare(a.Outer.VLAN.C, b.Outer.VLAN.C),
		a.NextHop.Compare(b.NextHop),
		cmp.Compare(a.Interface, b.Interface),
	)
}

// neighborError says why a path's neighbor cannot be sent to.
func (v *view) neighborError(p path, h *hop) error {
	n, known := v.neighbors[p.hop]
	switch {
	case known && n.usable():
		return nil
	case h != nil && h.err != nil:
		return fmt.Errorf("neighbor %v on %s cannot be solicited: %w", p.hop.addr, p.iface, h.err)
	case known && n.state&unix.NUD_FAILED != 0:
		return fmt.Errorf("neighbor %v on %s does not answer", p.hop.addr, p.iface)
	}
	return fmt.Errorf("neighbor %v on %s is being resolved", p.hop.addr, p.iface)
}
