package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"sync"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Learned is a route as a switch has it.
type Learned struct {
	Prefix           netip.Prefix `json:"prefix"`
	NextHop          netip.Addr   `json:"next_hop"`
	From             netip.Addr   `json:"from"`
	MED              *uint32      `json:"med,omitempty"`
	Communities      []uint32     `json:"communities,omitempty"`
	LargeCommunities [][3]uint32  `json:"large_communities,omitempty"`
	Unexpected       []string     `json:"unexpected,omitempty"` // attributes that a switch should never see
}

// Switch is a physical switch in small: it takes whatever its neighbors announce,
// keeps the best route per prefix, and installs it into the kernel's main table,
// which forwards.
type Switch struct {
	*Speaker
	mu     sync.Mutex
	routes map[netip.Prefix]Learned
	failed error // the first route that the kernel refused
}

// StartSwitch starts a switch in the calling process's network namespace. ctx ends
// its watch of the table.
func StartSwitch(ctx context.Context, c SpeakerConfig) (*Switch, error) {
	sp, err := StartSpeaker(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &Switch{Speaker: sp, routes: map[netip.Prefix]Learned{}}
	err = sp.bgp.WatchEvent(ctx, &api.WatchEventRequest{Table: &api.WatchEventRequest_Table{
		Filters: []*api.WatchEventRequest_Table_Filter{{Type: api.WatchEventRequest_Table_Filter_BEST, Init: true}},
	}}, func(e *api.WatchEventResponse) {
		for _, p := range e.GetTable().GetPaths() {
			s.take(p)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("peers: watch the switch's table: %w", err)
	}
	return s, nil
}

// Routes lists what the switch has learned, in address order.
func (s *Switch) Routes() []Learned {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Learned, 0, len(s.routes))
	for _, l := range s.routes {
		out = append(out, l)
	}
	sort.Slice(out, func(i, j int) bool {
		if c := out[i].Prefix.Addr().Compare(out[j].Prefix.Addr()); c != 0 {
			return c < 0
		}
		return out[i].Prefix.Bits() < out[j].Prefix.Bits()
	})
	return out
}

// Err is the first failure to install a route, nil while all went well.
func (s *Switch) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *Switch) take(p *api.Path) {
	l, err := learned(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if p.IsWithdraw {
			delete(s.routes, l.Prefix)
			err = uninstall(l.Prefix)
		} else {
			s.routes[l.Prefix] = l
			err = install(l)
		}
	}
	if err != nil && s.failed == nil {
		s.failed = err
	}
}

// install puts the route into the kernel with the learned next hop resolved to the
// directly connected one, as a switch's recursive lookup does.
func install(l Learned) error {
	r := &netlink.Route{Dst: ipNet(l.Prefix), Protocol: unix.RTPROT_BGP}
	via, err := netlink.RouteGet(l.NextHop.AsSlice())
	if err != nil || len(via) == 0 {
		return fmt.Errorf("peers: no route to the next hop %s of %s: %w", l.NextHop, l.Prefix, err)
	}
	r.LinkIndex, r.Gw = via[0].LinkIndex, via[0].Gw
	if r.Gw == nil {
		r.Gw = l.NextHop.AsSlice()
	}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("peers: install %s via %s: %w", l.Prefix, l.NextHop, err)
	}
	return nil
}

func uninstall(p netip.Prefix) error {
	err := netlink.RouteDel(&netlink.Route{Dst: ipNet(p), Protocol: unix.RTPROT_BGP})
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("peers: remove %s: %w", p, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func learned(p *api.Path) (Learned, error) {
	l := Learned{}
	m, err := p.Nlri.UnmarshalNew()
	if err != nil {
		return l, err
	}
	nlri, ok := m.(*api.IPAddressPrefix)
	if !ok {
		return l, fmt.Errorf("peers: a switch takes unicast prefixes, not %T", m)
	}
	addr, err := netip.ParseAddr(nlri.Prefix)
	if err != nil {
		return l, err
	}
	l.Prefix = netip.PrefixFrom(addr, int(nlri.PrefixLen))
	l.From, _ = netip.ParseAddr(p.NeighborIp)
	for _, any := range p.Pattrs {
		a, err := any.UnmarshalNew()
		if err != nil {
			return l, err
		}
		switch a := a.(type) {
		case *api.NextHopAttribute:
			l.NextHop, _ = netip.ParseAddr(a.NextHop)
		case *api.MpReachNLRIAttribute:
			if len(a.NextHops) > 0 {
				l.NextHop, _ = netip.ParseAddr(a.NextHops[0])
			}
		case *api.MultiExitDiscAttribute:
			l.MED = &a.Med
		case *api.CommunitiesAttribute:
			l.Communities = a.Communities
		case *api.LargeCommunitiesAttribute:
			for _, c := range a.Communities {
				l.LargeCommunities = append(l.LargeCommunities, [3]uint32{c.GlobalAdmin, c.LocalData1, c.LocalData2})
			}
		case *api.OriginAttribute, *api.AsPathAttribute, *api.LocalPrefAttribute:
		default:
			l.Unexpected = append(l.Unexpected, fmt.Sprintf("%T", a))
		}
	}
	return l, nil
}
