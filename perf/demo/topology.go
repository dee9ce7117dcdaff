package demo

import (
	"errors"
	"net/netip"

	"github.com/eipgw/eipgw/perf/lab"
)

// The network. Links between the switches, the gateway and the virtual routers
// carry 1600-byte packets, so that a full 1500-byte packet fits with its tunnel
// header.
const drawing = `
   client ------- switch A ------------------ switch B
   198.51.100.2     |  |  10.0.1.1   10.0.0.0/30    |  10.0.2.1
                    |  |                            |
              gateway  vr1                         vr2
             10.0.1.2  10.0.1.11                   10.0.2.12
`

const (
	underlayMTU = 1600
	uplink      = "up0"  // of the gateway and of each virtual router
	gatewaySide = "gw"   // switch A's end of the gateway's link
	tap         = "tap0" // where a virtual router's kernel takes what came out of the tunnel

	gatewayASN = 64512
	echoPort   = 7
)

var (
	gatewayAddr  = netip.MustParseAddr("10.0.1.2")
	gatewayAddr6 = netip.MustParseAddr("fd00:1::2")
	serviceAddr  = netip.MustParseAddr("10.255.0.1")
	serviceAddr6 = netip.MustParseAddr("fd00:ff::1")
	switchAAddr  = netip.MustParseAddr("10.0.1.1")
	switchBAddr  = netip.MustParseAddr("10.0.0.2")
	vr1Addr      = netip.MustParseAddr("10.0.1.11")
	vr2Addr      = netip.MustParseAddr("10.0.2.12")
)

// network is the namespaces of the demo.
type network struct {
	client, switchA, switchB, gateway, vr1, vr2 *lab.NS
}

func prefixes(ss ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func makeNetwork(l *lab.Lab) (*network, error) {
	n := &network{}
	for label, ns := range map[string]**lab.NS{"client": &n.client, "switch-a": &n.switchA, "switch-b": &n.switchB,
		"gateway": &n.gateway, "vr1": &n.vr1, "vr2": &n.vr2} {
		var err error
		if *ns, err = l.NS(label); err != nil {
			return nil, err
		}
	}
	if err := n.links(); err != nil {
		return nil, err
	}
	return n, n.routes()
}

func (n *network) links() error {
	inet, underlay := lab.VethOptions{MTU: 1500}, lab.VethOptions{MTU: underlayMTU}
	return errors.Join(
		lab.Veth(lab.End{NS: n.client, Name: "eth0", Addrs: prefixes("198.51.100.2/24", "2001:db8:c::2/64")},
			lab.End{NS: n.switchA, Name: "client", Addrs: prefixes("198.51.100.1/24", "2001:db8:c::1/64")}, inet),
		lab.Veth(lab.End{NS: n.gateway, Name: uplink, Addrs: prefixes("10.0.1.2/24", "fd00:1::2/64"), Pfifo: 1000},
			lab.End{NS: n.switchA, Name: gatewaySide}, underlay),
		lab.Veth(lab.End{NS: n.vr1, Name: uplink, Addrs: prefixes("10.0.1.11/24", "fd00:1::11/64")},
			lab.End{NS: n.switchA, Name: "vr1"}, underlay),
		n.switchA.Bridge("br0", gatewaySide, "vr1"),
		n.switchA.Addr("br0", netip.MustParsePrefix("10.0.1.1/24")),
		n.switchA.Addr("br0", netip.MustParsePrefix("fd00:1::1/64")),
		lab.Veth(lab.End{NS: n.switchA, Name: "switch-b", Addrs: prefixes("10.0.0.1/30", "fd00::1/64")},
			lab.End{NS: n.switchB, Name: "switch-a", Addrs: prefixes("10.0.0.2/30", "fd00::2/64")}, underlay),
		lab.Veth(lab.End{NS: n.vr2, Name: uplink, Addrs: prefixes("10.0.2.12/24", "fd00:2::12/64")},
			lab.End{NS: n.switchB, Name: "vr2", Addrs: prefixes("10.0.2.1/24", "fd00:2::1/64")}, underlay),
		n.gateway.Addr("lo", netip.PrefixFrom(serviceAddr, 32)),
		n.gateway.Addr("lo", netip.PrefixFrom(serviceAddr6, 128)),
	)
}

// routes sets up the underlay: what a data center has before any gateway. None of
// it names an EIP.
func (n *network) routes() error {
	all4, all6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	return errors.Join(
		n.client.Route(all4, lab.Via("198.51.100.1")), n.client.Route(all6, lab.Via("2001:db8:c::1")),
		n.gateway.Route(all4, lab.Via("10.0.1.1")), n.gateway.Route(all6, lab.Via("fd00:1::1")),
		n.vr1.Route(all4, lab.Via("10.0.1.1")), n.vr1.Route(all6, lab.Via("fd00:1::1")),
		n.vr2.Route(all4, lab.Via("10.0.2.1")), n.vr2.Route(all6, lab.Via("fd00:2::1")),
		n.switchB.Route(all4, lab.Via("10.0.0.1")), n.switchB.Route(all6, lab.Via("fd00::1")),
		n.switchA.Route(netip.MustParsePrefix("10.0.2.0/24"), lab.Via("10.0.0.2")),
		n.switchA.Route(netip.MustParsePrefix("fd00:2::/64"), lab.Via("fd00::2")),
		n.switchB.Route(netip.MustParsePrefix("10.0.1.0/24"), lab.Via("10.0.0.1")),
		// The gateway's service address is the next hop of IPv6 segments.
		n.switchA.Route(netip.PrefixFrom(serviceAddr6, 128), lab.Via("fd00:1::2")),
		n.switchB.Route(netip.PrefixFrom(serviceAddr6, 128), lab.Via("fd00::1")),
	)
}
