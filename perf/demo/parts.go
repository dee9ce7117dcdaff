package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// router is a virtual router of the demo: BGP in front, a tunnel end and a kernel
// that answers for EIPs behind.
type router struct {
	*peers.Process
	ns     *lab.NS
	name   string
	addr   netip.Addr // VTEP and BGP session address
	vni    uint32
	mac    [6]byte    // of its tap0
	encap  bool       // says its tunnel by attribute 23; else by large community
	tunnel *peers.OVS // nil: the embedded process takes the tunnel itself
}

// carrier says how this router's routes name its tunnel.
func (r *router) carrier() string {
	if r.encap {
		return "RFC 9012 tunnel encapsulation attribute"
	}
	return fmt.Sprintf("large community %d:%s:%d", gatewayASN, r.addr, r.vni)
}

// route is the announcement of an EIP: the next hop is the gateway's service
// address, so the rest of the route has to say which tunnel.
func (r *router) route(eip netip.Addr, med uint32) peers.Route {
	a := peers.Route{Prefix: netip.PrefixFrom(eip, eip.BitLen()), NextHop: serviceAddr, MED: &med}
	if eip.Is6() {
		a.NextHop = serviceAddr6
	}
	if r.encap {
		a.TunnelEncap = &peers.TunnelEncap{Endpoint: r.addr, VNI: r.vni, MAC: r.mac, UDPPort: 6081}
		return a
	}
	v := r.addr.As4()
	vtep := uint32(v[0])<<24 | uint32(v[1])<<16 | uint32(v[2])<<8 | uint32(v[3])
	a.LargeCommunities = [][3]uint32{{gatewayASN, vtep, r.vni}}
	return a
}

// take has the router's kernel answer for an EIP and announces it.
func (r *router) take(eip netip.Addr, med uint32) error {
	if err := r.Own(eip); err != nil {
		return err
	}
	return r.Announce(r.route(eip, med))
}

// delivered is how many frames came out of the tunnel, as the kernel counts them.
func (r *router) delivered() (uint64, error) {
	link, err := r.ns.Handle().LinkByName(tap)
	if err != nil {
		return 0, fmt.Errorf("demo: %s of %s: %w", tap, r.name, err)
	}
	return link.Attrs().Statistics.RxPackets, nil
}

// moveToBridge moves the router's addresses and default routes from the uplink,
// which is a port of Open vSwitch now, to the switch's own interface.
func (r *router) moveToBridge() error {
	h := r.ns.Handle()
	up, err := h.LinkByName(uplink)
	if err != nil {
		return fmt.Errorf("demo: %s: %w", r.name, err)
	}
	br, err := h.LinkByName(peers.UplinkBridge)
	if err != nil {
		return fmt.Errorf("demo: %s: %w", r.name, err)
	}
	mtu := h.LinkSetMTU(br, underlayMTU)
	if err := errors.Join(mtu, r.ns.Up(peers.UplinkBridge), r.ns.Up(tap)); err != nil {
		return err
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		if err := move(h, up, br, family); err != nil {
			return fmt.Errorf("demo: %s: move addresses to %s: %w", r.name, peers.UplinkBridge, err)
		}
	}
	return nil
}

func move(h *netlink.Handle, from, to netlink.Link, family int) error {
	routes, err := h.RouteList(from, family)
	if err != nil {
		return err
	}
	addrs, err := h.AddrList(from, family)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a.IP.IsLinkLocalUnicast() {
			continue
		}
		if err := h.AddrDel(from, &a); err != nil {
			return err
		}
		moved := &netlink.Addr{IPNet: a.IPNet, Flags: unix.IFA_F_NODAD}
		if err := h.AddrReplace(to, moved); err != nil {
			return err
		}
	}
	for _, r := range routes {
		if r.Gw == nil {
			continue
		}
		if err := h.RouteReplace(&netlink.Route{Dst: r.Dst, Gw: r.Gw, LinkIndex: to.Attrs().Index}); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) startRouter(ctx context.Context, r *router, asn uint32, dir string) error {
	c := peers.VRouterConfig{VNI: r.vni, MAC: r.mac, EchoPort: echoPort, Speaker: peers.SpeakerConfig{
		ASN: asn, RouterID: r.addr,
		Peers: []peers.Peer{{Address: gatewayAddr, ASN: gatewayASN, Local: r.addr, Multihop: true}},
	}}
	if o.Router == RealRouter {
		var err error
		r.tunnel, err = peers.StartOVS(ctx, r.ns, peers.OVSConfig{
			Dir: filepath.Join(dir, r.name), Uplink: uplink, VNI: r.vni, Port: tap, PortMAC: r.mac,
		})
		if err != nil {
			return err
		}
		if err := r.moveToBridge(); err != nil {
			return err
		}
		c.NoTunnel = true
	}
	var err error
	r.Process, err = peers.Start(ctx, r.ns, o.Peer, peers.KindVRouter, c)
	return err
}

func (o Options) startSwitch(ctx context.Context, ns *lab.NS, asn uint32, id, local netip.Addr, dir string) error {
	peer := peers.Peer{Address: gatewayAddr, ASN: gatewayASN, Local: local, Multihop: true}
	c := peers.SpeakerConfig{ASN: asn, RouterID: id, Peers: []peers.Peer{peer}}
	if o.Switch == RealSwitch {
		_, err := peers.StartFRR(ctx, ns, peers.FRRConfig{Dir: filepath.Join(dir, ns.Label()), BGPD: peers.FRRSwitch(c)})
		return err
	}
	_, err := peers.Start(ctx, ns, o.Peer, peers.KindSwitch, c)
	return err
}
