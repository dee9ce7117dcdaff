package main

import (
	"context"
	"net/netip"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/underlay"
)

// parts are the ends of the gateway that touch the world: interfaces and their
// addresses, the kernel's routes, and BGP. Tests put memory in their place; everything between is the same.
type parts struct {
	lane     func() (*afxdp.Lane, error)
	device   func(config.Port, fib.PortID, *afxdp.Lane) (device, error) // the lane may be nil
	underlay func(underlay.Config) (network, error)
	speaker  func(bgpd.Config) (speaker, error)

	addresses func(ports []string) (ownAddresses, error)
}

// device is an interface of the data plane.
type device interface {
	// Port opens a queue. The worker that gets it closes it.
	Port(queue int) (dataplane.Port, error)
	SetSegments(prefixes []netip.Prefix) error
	SetLocal(addrs []netip.Addr) error
	Status() (afxdp.Status, error)
	Close() error
}

// network is what knows the ways to VTEPs.
type network interface {
	fib.Resolver
	Run(ctx context.Context) error
	Status() []underlay.VTEPStatus
	Outcomes() [underlay.NumOutcomes]uint64
	Close() error // where it does not run
}

// speaker is BGP.
type speaker interface {
	rib.Announcer
	Run(ctx context.Context) error
	Neighbors() []bgpd.NeighborStatus
	Reconfigure(bgpd.Config) error
}

// realParts are the kernel's interfaces over AF_XDP, its routes over netlink, and GoBGP.
func realParts() parts {
	return parts{
		lane: afxdp.NewLane,
		device: func(p config.Port, id fib.PortID, lane *afxdp.Lane) (device, error) {
			i, err := afxdp.Open(afxdp.InterfaceConfig{
				ID: id, Name: p.Name, Mode: p.Mode, ZeroCopy: p.ZeroCopy,
				Queues: p.Queues, Frames: p.Frames, BusyPoll: p.BusyPoll,
				Lane: lane,
			})
			if err != nil {
				return nil, err
			}
			return xdpDevice{i}, nil
		},
		underlay: func(c underlay.Config) (network, error) { return underlay.New(c) },
		speaker:  func(c bgpd.Config) (speaker, error) { return bgpd.New(c) },

		addresses: localAddresses,
	}
}

// xdpDevice is an afxdp.Interface whose ports are dataplane.Ports.
type xdpDevice struct{ *afxdp.Interface }

func (d xdpDevice) Port(queue int) (dataplane.Port, error) { return d.Interface.Port(queue) }
