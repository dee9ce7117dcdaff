package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addr gives a link an address. On a link that is up, an IPv6 address is in use when
// Addr returns (there is no duplicate address detection, see defaultSysctls).
func (ns *NS) Addr(link string, p netip.Prefix) error {
	return ns.onLink(link, "address "+p.String(), func(l netlink.Link) error {
		a := netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD // else it is tentative for a moment, whatever the settings say
		}
		if err := ns.handle.AddrReplace(l, &a); err != nil {
			return err
		}
		if p.Addr().Is4() || l.Attrs().OperState != netlink.OperUp {
			return nil
		}
		return ns.WaitUp(link)
	})
}

// RemoveAddr takes an address from a link.
func (ns *NS) RemoveAddr(link string, p netip.Prefix) error {
	return ns.onLink(link, "removing address "+p.String(), func(l netlink.Link) error {
		return ns.handle.AddrDel(l, &netlink.Addr{IPNet: ipNet(p)})
	})
}

// Hop is one next hop of a route.
type Hop struct {
	Via    netip.Addr // zero: the destination itself is on the link
	Dev    string     // may be empty when Via tells the link
	Weight int        // 0: 1
	Onlink bool       // take Via as on the link although no address of the link covers it
}

// Via is the hop through a router that an address of some link covers.
func Via(router string) Hop { return Hop{Via: netip.MustParseAddr(router)} }

// Dev is the hop straight onto a link.
func Dev(link string) Hop { return Hop{Dev: link} }

// Route sets the route to a prefix, replacing one of the same metric: the kernel's
// main table, several hops are equal-cost multipath.
func (ns *NS) Route(to netip.Prefix, hops ...Hop) error {
	r := &netlink.Route{Dst: ipNet(to.Masked())}
	for _, h := range hops {
		info, err := ns.nexthop(to, h)
		if err != nil {
			return fmt.Errorf("lab: route to %v in %s: %w", to, ns.label, err)
		}
		r.MultiPath = append(r.MultiPath, info)
	}
	if len(r.MultiPath) == 1 {
		one := r.MultiPath[0]
		r.Gw, r.Via, r.LinkIndex, r.Flags, r.MultiPath = one.Gw, one.Via, one.LinkIndex, one.Flags, nil
	}
	if err := ns.handle.RouteReplace(r); err != nil {
		return fmt.Errorf("lab: route to %v in %s: %w", to, ns.label, err)
	}
	return nil
}

func (ns *NS) nexthop(to netip.Prefix, h Hop) (*netlink.NexthopInfo, error) {
	info := &netlink.NexthopInfo{Hops: max(h.Weight-1, 0)}
	switch {
	case !h.Via.IsValid():
	case h.Via.Is4() == to.Addr().Is4():
		info.Gw = h.Via.AsSlice()
	default:
		info.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: h.Via.AsSlice()}
	}
	if h.Onlink {
		info.Flags = int(netlink.FLAG_ONLINK)
	}
	if h.Dev != "" {
		link, err := ns.Link(h.Dev)
		if err != nil {
			return nil, err
		}
		info.LinkIndex = link.Attrs().Index
	}
	return info, nil
}

// RemoveRoute removes the route to a prefix.
func (ns *NS) RemoveRoute(to netip.Prefix) error {
	if err := ns.handle.RouteDel(&netlink.Route{Dst: ipNet(to.Masked())}); err != nil {
		return fmt.Errorf("lab: removing the route to %v in %s: %w", to, ns.label, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
