package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

// kernel is Linux routing each EIP into a tunnel of a VXLAN device, by a route of its own.
// A kernel may be built without Geneve, and the cost is the same: the headers are of one
// length. The UDP port is Geneve's, by which the sink tells what is tunneled.
//
// A veth end receives in the softirq of whoever sends to it, which would have the generator's
// CPU route as well. There are two ways to have the worker's CPU do it:
//
//   - a thread of the kernel receives for p0 on that CPU, see threadNAPI: all work is its own;
//   - receive packet steering (RPS) hands what was received to that CPU. The generator's CPU
//     makes the packet buffer, as it copies the frame for a contender with an AF_XDP
//     socket; but one CPU frees then what another has allocated.
//
// On a busy machine the second took half as much time again of the worker's CPU for a frame.
// Which is faster on a quiet one, a run says: the first is kernel, the second kernel-rps.
//
// p0 takes frames from XDP because of a program that passes them; GRO instead of it, which
// has the same effect, made no difference.
type kernel struct {
	settings
	label string
	rps   bool
}

const vxlanName = "vx0"

// innerHop is the one neighbor behind all tunnels. It is permanent, so that size and aging
// of the neighbor table play no part.
var innerHop = netip.MustParseAddr("169.254.0.1")

func (k *kernel) name() string     { return k.label }
func (k *kernel) tunnels() bool    { return true }
func (k *kernel) reference() bool  { return true }
func (k *kernel) hugePages() int   { return 0 }
func (k *kernel) traffic() traffic { return k.settings.traffic() }

func (k *kernel) what() string {
	how := "threaded NAPI on"
	if k.rps {
		how = "RPS to"
	}
	return fmt.Sprintf("the kernel, %s CPU %d: %d routes, each into a VXLAN tunnel (ip route ... encap ip id VNI dst VTEP), to one of %d VTEPs",
		how, workerCPU, k.EIPs, tunnelsInUse)
}

func (k *kernel) missing() (err error) {
	ns, err := lab.New("probe")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	_, err = addTunnels(ns)
	return err
}

// kernelProcess is the thread of the kernel that receives from p0 and does all the rest, or
// with RPS the one that does the softirqs of the worker's CPU when there is much to do. It
// cannot be stopped: without frames it sleeps.
type kernelProcess struct {
	thread  int
	routes  int
	loading time.Duration
	pass    io.Closer
}

func (k *kernel) start(_ context.Context, t *topology) (_ process, err error) {
	p := &kernelProcess{routes: k.EIPs}
	device, err := addTunnels(t.gateway)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := t.gateway.Do(func() error { return addRoutes(k.EIPs, routesInto(device)) }); err != nil {
		return nil, fmt.Errorf("adding routes: %w", err)
	}
	p.loading = time.Since(began)
	if err := t.gateway.Do(func() error { p.pass, err = loadgen.Pass(portNames[0]); return err }); err != nil {
		return nil, err
	}
	if k.rps {
		p.thread, err = steer(t.gateway, portNames[0], workerCPU)
	} else {
		p.thread, err = threadNAPI(t.gateway, portNames[0], workerCPU)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// addTunnels makes the VXLAN device, which takes each frame's tunnel from its route, and
// returns its index.
func addTunnels(ns *lab.NS) (int, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = vxlanName
	err := ns.Handle().LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, FlowBased: true, Port: encap.GenevePort})
	if err != nil {
		return 0, fmt.Errorf("making the VXLAN device %s: %w", vxlanName, err)
	}
	if err := errors.Join(ns.OffloadsOff(vxlanName), ns.Up(vxlanName)); err != nil {
		return 0, err
	}
	link, err := ns.Link(vxlanName)
	if err != nil {
		return 0, err
	}
	err = ns.Handle().NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_INET, State: unix.NUD_PERMANENT,
		IP: innerHop.AsSlice(), HardwareAddr: encap.DefaultInnerDst[:],
	})
	if err != nil {
		return 0, fmt.Errorf("neighbor %v on %s: %w", innerHop, vxlanName, err)
	}
	return link.Attrs().Index, nil
}

// routesInto is the route of each EIP. Those of one tunnel share a next hop in the kernel,
// which finds by itself that they are equal.
func routesInto(device int) func(i int) tunnelRoute {
	return func(i int) tunnelRoute {
		return tunnelRoute{dst: lastEIP(i + 1), vtep: vtep(i % tunnelsInUse), vni: vni(i % tunnelsInUse), gateway: innerHop, device: device}
	}
}

func (p *kernelProcess) pid() int { return p.thread }

func (p *kernelProcess) notes() []string {
	return []string{fmt.Sprintf("%d routes loaded in %.2f s", p.routes, p.loading.Seconds())}
}

func (p *kernelProcess) stop() error { return p.pass.Close() }
