package underlay_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

func join(list []string) string           { return strings.Join(list, ", ") }
func contains(s, part string) bool        { return strings.Contains(s, part) }
func must(a encap.MAC, _ error) encap.MAC { return a }

func TestSameSubnet(t *testing.T) {
	n := newFabric(t)
	r := run(t, n.gw, underlay.Config{TTL: 33}, "10.0.1.254")
	soon(t, r.to("10.0.1.254", r1MAC))
	adjs, err := r.Resolve(ip("10.0.1.254"))
	require.NoError(t, err)
	assert.Equal(t, []fib.Adjacency{{
		Port: 7,
		MTU:  1500,
		Outer: encap.Outer{
			Src:   must(encap.ParseMAC(gwMAC0)),
			Dst:   must(encap.ParseMAC(r1MAC)),
			Local: ip("10.0.1.1"),
			TTL:   33,
		},
	}}, adjs)
	r.changed("10.0.1.254", 0)
}

func TestGatewayBothFamilies(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")), n.gw.Route(pfx("2001:db8::/32"), lab.Via("fd02::fe")))
	r := run(t, n.gw, underlay.Config{ZeroChecksum6: true}, "192.0.2.9", "2001:db8::9", "fd01::fe")
	r.to("192.0.2.9", r1MAC)
	r.to("2001:db8::9", r2MAC)
	r.to("fd01::fe", r1MAC)
	w := r.status("2001:db8::9").Ways[0]
	assert.Equal(t, fib.PortID(8), w.Port)
	assert.Equal(t, ip("fd02::1"), w.Outer.Local)
	assert.Equal(t, ip("fd02::fe"), w.NextHop)
	assert.Equal(t, "sw1", w.Interface)
	assert.True(t, w.Outer.ZeroChecksum6)
	assert.Equal(t, uint8(64), w.Outer.TTL)
	assert.Equal(t, ip("10.0.1.1"), r.status("192.0.2.9").Ways[0].Outer.Local)
}

func TestIPv4OverIPv6NextHopAndOnlink(t *testing.T) {
	n := newFabric(t)
	n.Check(
		n.gw.Route(pfx("192.0.2.0/24"), lab.Hop{Via: ip("fd01::fe"), Dev: "sw0"}),
		n.r1.Addr("gw", pfx("198.51.100.1/32")),
		n.gw.Route(pfx("203.0.113.0/24"), lab.Hop{Via: ip("198.51.100.1"), Dev: "sw0", Onlink: true}),
	)
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "203.0.113.9")
	r.via("192.0.2.9", "fd01::fe")
	r.via("203.0.113.9", "198.51.100.1")
	assert.Equal(t, ip("10.0.1.1"), r.status("192.0.2.9").Ways[0].Outer.Local, "the outer packet is IPv4 all the same")
}

func TestMultipath(t *testing.T) {
	n := newFabric(t)
	n.Check(
		n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.2.254"), lab.Via("10.0.1.254")),
		n.gw.Route(pfx("2001:db8::/32"), lab.Via("fd02::fe"), lab.Via("fd01::fe")),
	)
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "2001:db8::9")
	r.via("192.0.2.9", "10.0.1.254", "10.0.2.254")
	r.via("2001:db8::9", "fd01::fe", "fd02::fe")
	for _, v := range []string{"192.0.2.9", "2001:db8::9"} {
		ways := r.status(v).Ways
		assert.Equal(t, []string{"sw0", "sw1"}, []string{ways[0].Interface, ways[1].Interface}, "the order is stable")
	}

	t.Run("a member's link goes down and up", func(t *testing.T) {
		n.Check(n.r1.Down("gw")) // the kernel may take up to a second to tell
		r.via("192.0.2.9", "10.0.2.254")
		r.via("2001:db8::9", "fd02::fe")
		n.Check(n.r1.Up("gw"), n.r1.Addr("gw", pfx("fd01::fe/64")))
		r.via("192.0.2.9", "10.0.1.254", "10.0.2.254")
		r.via("2001:db8::9", "fd01::fe", "fd02::fe")
	})
	t.Run("a member leaves the route", func(t *testing.T) {
		n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.2.254")))
		soon(t, r.via("192.0.2.9", "10.0.2.254"))
	})
}

func TestNextHopObjects(t *testing.T) {
	n := newFabric(t, lab.Tool("ip"))
	for _, args := range [][]string{
		{"nexthop", "add", "id", "1", "via", "10.0.1.254", "dev", "sw0"},
		{"nexthop", "add", "id", "2", "via", "10.0.2.254", "dev", "sw1"},
		{"nexthop", "add", "id", "3", "blackhole"},
		{"nexthop", "add", "id", "10", "group", "1/2"},
		{"route", "add", "192.0.2.0/24", "nhid", "10"},
		{"route", "add", "198.51.100.0/24", "nhid", "2"},
		{"route", "add", "203.0.113.0/24", "nhid", "3"},
	} {
		_, err := n.gw.Output(t.Context(), "ip", args...)
		require.NoError(t, err)
	}
	for _, compat := range []string{"1", "0"} {
		t.Run("compat mode "+compat, func(t *testing.T) {
			n.Check(n.gw.Sysctl("net.ipv4.nexthop_compat_mode", compat))
			r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "198.51.100.9", "203.0.113.9")
			r.via("192.0.2.9", "10.0.1.254", "10.0.2.254")
			r.via("198.51.100.9", "10.0.2.254")
			r.refused("203.0.113.9", "blackhole")
			_, err := n.gw.Output(t.Context(), "ip", "nexthop", "replace", "id", "10", "group", "2")
			require.NoError(t, err)
			soon(t, r.via("192.0.2.9", "10.0.2.254"))
			_, err = n.gw.Output(t.Context(), "ip", "nexthop", "replace", "id", "10", "group", "1/2")
			require.NoError(t, err)
			soon(t, r.via("192.0.2.9", "10.0.1.254", "10.0.2.254"))
		})
	}
}

func TestRouteChangesArriveInTime(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "10.0.2.254")
	r.to("192.0.2.9", r1MAC)
	r.to("10.0.2.254", r2MAC) // so that its address is known

	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.2.254")))
	soon(t, r.to("192.0.2.9", r2MAC))
	n.Check(n.gw.Route(pfx("192.0.2.8/29"), lab.Via("10.0.1.254")))
	soon(t, r.to("192.0.2.9", r1MAC))
	n.Check(n.gw.RemoveRoute(pfx("192.0.2.8/29")))
	soon(t, r.to("192.0.2.9", r2MAC))
	n.Check(n.gw.RemoveRoute(pfx("192.0.2.0/24")))
	soon(t, r.refused("192.0.2.9", "no route"))
	n.Check(n.gw.Route(pfx("0.0.0.0/0"), lab.Via("10.0.1.254")))
	soon(t, r.to("192.0.2.9", r1MAC))
}

func TestMetricAndRouteMTU(t *testing.T) {
	n := newFabric(t)
	route := func(metric, mtu int, via string) *netlink.Route {
		return &netlink.Route{Dst: prefixNet("192.0.2.0/24"), Gw: ip(via).AsSlice(), Priority: metric, MTU: mtu}
	}
	n.Check(n.gw.Handle().RouteAdd(route(200, 0, "10.0.1.254")), n.gw.Handle().RouteAdd(route(100, 1400, "10.0.2.254")))
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9")
	r.to("192.0.2.9", r2MAC)
	assert.Equal(t, uint16(1400), r.status("192.0.2.9").Ways[0].MTU)
	n.Check(n.gw.Handle().RouteDel(route(100, 1400, "10.0.2.254")))
	r.to("192.0.2.9", r1MAC)
	assert.Equal(t, uint16(1500), r.status("192.0.2.9").Ways[0].MTU)

	link, err := n.gw.Link("sw0")
	require.NoError(t, err)
	n.Check(n.gw.Handle().LinkSetMTU(link, 1450))
	soon(t, r.eventually("192.0.2.9", "MTU 1450", func(s underlay.VTEPStatus) bool {
		return len(s.Ways) == 1 && s.Ways[0].MTU == 1450
	}))
}

func TestRefusals(t *testing.T) {
	n := newFabric(t)
	other := n.NS("other")
	n.Veth(lab.End{NS: n.gw, Name: "mgmt", Addrs: pfxs("10.9.0.1/24")}, lab.End{NS: other, Name: "gw", Addrs: pfxs("10.9.0.2/24")}, lab.VethOptions{})
	for dst, kind := range map[string]int{
		"192.0.2.0/24": unix.RTN_BLACKHOLE, "198.51.100.0/24": unix.RTN_UNREACHABLE, "203.0.113.0/24": unix.RTN_PROHIBIT,
		"2001:db8:1::/48": unix.RTN_BLACKHOLE, "2001:db8:2::/48": unix.RTN_UNREACHABLE, "2001:db8:3::/48": unix.RTN_PROHIBIT,
	} {
		n.Check(n.gw.Handle().RouteAdd(&netlink.Route{Dst: prefixNet(dst), Type: kind}))
	}
	want := map[string]string{
		"192.0.2.9":      "blackhole",
		"198.51.100.9":   "unreachable",
		"203.0.113.9":    "prohibit",
		"2001:db8:1::9":  "blackhole",
		"2001:db8:2::9":  "unreachable",
		"2001:db8:3::9":  "prohibit",
		"8.8.8.8":        "no route",
		"2002::1":        "no route",
		"10.9.0.2":       "leads over mgmt, which is not a port (sw0, sw1)",
		"10.0.1.1":       "an address of this machine",
		"fd01::1":        "an address of this machine",
		"10.0.1.255":     "not unicast",
		"224.0.0.5":      "not a unicast address",
		"127.0.0.2":      "loopback",
		"fe80::1":        "link-local",
		"::ffff:1.2.3.4": "not an address that can be sent to",
	}
	r := run(t, n.gw, underlay.Config{Source4: ip("10.0.1.1"), Source6: ip("fd01::1")})
	for v := range want {
		r.Track(ip(v))
	}
	for v, text := range want {
		r.refused(v, text)
		_, err := r.Resolve(ip(v))
		assert.ErrorContains(t, err, "underlay: VTEP "+v+": ")
	}
}

func TestSourceAddress(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Addr("lo", pfx("10.255.0.1/32")))
	n.Check(n.gw.Handle().RouteAdd(&netlink.Route{Dst: prefixNet("192.0.2.0/24"), Gw: ip("10.0.1.254").AsSlice(), Src: ip("10.255.0.1").AsSlice()}))
	local := func(r *runner, vtep string) netip.Addr {
		r.to(vtep, r1MAC)
		return r.status(vtep).Ways[0].Outer.Local
	}
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "10.0.1.254")
	assert.Equal(t, ip("10.255.0.1"), local(r, "192.0.2.9"), "the route's preferred source")
	assert.Equal(t, ip("10.0.1.1"), local(r, "10.0.1.254"), "the interface's address")

	// A configured source need not be an address of the machine: it may be an anycast
	// address that only the tunnels use.
	r = run(t, n.gw, underlay.Config{Source4: ip("10.254.0.1"), Source6: ip("fdff::1")}, "192.0.2.9", "fd01::fe")
	assert.Equal(t, ip("10.254.0.1"), local(r, "192.0.2.9"))
	assert.Equal(t, ip("fdff::1"), local(r, "fd01::fe"))
}

func TestPolicyRules(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
	n.Check(n.gw.Addr("lo", pfx("10.255.0.1/32")))
	n.Check(n.gw.Handle().RouteAdd(&netlink.Route{Dst: prefixNet("192.0.2.0/24"), Gw: ip("10.0.2.254").AsSlice(), Table: 100}))
	r := run(t, n.gw, underlay.Config{Source4: ip("10.255.0.1")}, "192.0.2.9")
	r.to("192.0.2.9", r1MAC)
	rule := netlink.NewRule()
	rule.Src, rule.Table, rule.Priority = prefixNet("10.255.0.1/32"), 100, 1000
	n.Check(n.gw.Handle().RuleAdd(rule))
	r.to("192.0.2.9", r2MAC)
	n.Check(n.gw.Handle().RuleDel(rule))
	soon(t, r.to("192.0.2.9", r1MAC))
}

func TestAddressGoesAndTakesItsRoutesAlong(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
	n.Check(n.gw.Handle().RouteAdd(&netlink.Route{Dst: prefixNet("192.0.2.0/24"), Gw: ip("10.0.2.254").AsSlice(), Priority: 500}))
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9")
	r.to("192.0.2.9", r1MAC)
	n.Check(n.gw.RemoveAddr("sw0", pfx("10.0.1.1/24"))) // the kernel does not tell of every route that goes with it
	soon(t, r.to("192.0.2.9", r2MAC))
}

func TestPortDownFallsBackToTheOtherRoute(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
	n.Check(n.gw.Handle().RouteAdd(&netlink.Route{Dst: prefixNet("192.0.2.0/24"), Gw: ip("10.0.2.254").AsSlice(), Priority: 500}))
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "10.0.2.254", "10.0.1.254")
	r.to("192.0.2.9", r1MAC)
	r.to("10.0.2.254", r2MAC)
	n.Check(n.gw.Down("sw0"))
	soon(t, r.to("192.0.2.9", r2MAC))
	r.refused("10.0.1.254", "")
	n.Check(n.gw.Up("sw0"), n.gw.WaitUp("sw0"))
	r.to("10.0.1.254", r1MAC)
}

func TestInterfaceDeletedAndMadeAgain(t *testing.T) {
	n := newFabric(t)
	r := run(t, n.gw, underlay.Config{}, "10.0.1.254", "10.0.2.254")
	r.to("10.0.1.254", r1MAC)
	for range 3 {
		n.Check(n.gw.DeleteLink("sw0"))
		soon(t, r.refused("10.0.1.254", "no route"))
		n.link0()
		r.to("10.0.1.254", r1MAC)
	}
	assert.Len(t, r.status("10.0.2.254").Ways, 1)
}

func TestPortThatDoesNotExistYet(t *testing.T) {
	l := lab.T(t)
	gw, peer := l.NS("gw"), l.NS("peer")
	r := run(t, gw, underlay.Config{}, "10.0.1.254")
	r.refused("10.0.1.254", "no route")
	(&fabric{TestLab: l, gw: gw, r1: peer}).link0()
	r.to("10.0.1.254", r1MAC)
}

func TestVLANSubInterface(t *testing.T) {
	n := newFabric(t, lab.LinkKind("vlan"))
	n.Check(n.gw.VLAN("sw0", "sw0.5", 5), n.r1.VLAN("gw", "gw.5", 5))
	n.Check(n.gw.Addr("sw0.5", pfx("10.0.5.1/24")), n.r1.Addr("gw.5", pfx("10.0.5.254/24")))
	r := run(t, n.gw, underlay.Config{}, "10.0.5.254")
	r.to("10.0.5.254", r1MAC)
	w := r.status("10.0.5.254").Ways[0]
	assert.Equal(t, encap.VLAN{C: 5}, w.Outer.VLAN)
	assert.Equal(t, fib.PortID(7), w.Port)
	assert.Equal(t, "sw0.5", w.Interface)
}

func TestTwoTags(t *testing.T) {
	n := newFabric(t, lab.LinkKind("vlan"))
	n.Check(n.gw.ServiceVLAN("sw0", "s5", 5), n.gw.VLAN("s5", "s5.6", 6), n.r1.ServiceVLAN("gw", "s5", 5), n.r1.VLAN("s5", "s5.6", 6))
	n.Check(n.gw.Addr("s5", pfx("10.0.5.1/24")), n.r1.Addr("s5", pfx("10.0.5.254/24")))
	n.Check(n.gw.Addr("s5.6", pfx("10.0.6.1/24")), n.r1.Addr("s5.6", pfx("10.0.6.254/24")))
	r := run(t, n.gw, underlay.Config{}, "10.0.5.254", "10.0.6.254")
	r.to("10.0.5.254", r1MAC)
	r.to("10.0.6.254", r1MAC)
	assert.Equal(t, encap.VLAN{S: 5}, r.status("10.0.5.254").Ways[0].Outer.VLAN)
	assert.Equal(t, encap.VLAN{S: 5, C: 6}, r.status("10.0.6.254").Ways[0].Outer.VLAN)
}

func TestPortWithVLAN(t *testing.T) {
	n := newFabric(t)
	r := run(t, n.gw, underlay.Config{Ports: []underlay.Port{{ID: 1, Name: "sw0", VLAN: encap.VLAN{S: 11, C: 12}}}}, "10.0.1.254", "10.0.2.254")
	r.to("10.0.1.254", r1MAC)
	assert.Equal(t, encap.VLAN{S: 11, C: 12}, r.status("10.0.1.254").Ways[0].Outer.VLAN)
	r.refused("10.0.2.254", "sw1, which is not a port (sw0)")
}

func TestTrackAndUntrack(t *testing.T) {
	n := newFabric(t)
	r := run(t, n.gw, underlay.Config{})
	_, err := r.Resolve(ip("10.0.1.254"))
	assert.ErrorContains(t, err, "not tracked")
	r.Track(ip("10.0.1.254"))
	r.Track(ip("10.0.1.254"))
	if _, err := r.Resolve(ip("10.0.1.254")); err != nil {
		assert.ErrorContains(t, err, "underlay: VTEP 10.0.1.254: ")
	}
	r.to("10.0.1.254", r1MAC)
	r.changed("10.0.1.254", 0)
	r.Untrack(ip("10.0.1.254"))
	r.Untrack(ip("10.0.1.254"))
	_, err = r.Resolve(ip("10.0.1.254"))
	assert.ErrorContains(t, err, "not tracked")
	assert.Empty(t, r.Status())
	before := r.changesOf("10.0.1.254")
	r.Track(ip("10.0.1.254"))
	r.to("10.0.1.254", r1MAC)
	r.changed("10.0.1.254", before) // a fresh track is told when it is resolved
}

func TestCloseWithoutRun(t *testing.T) {
	lab.Need(t, lab.Root)
	u, err := underlay.New(underlay.Config{Ports: ports})
	require.NoError(t, err)
	u.Track(ip("10.0.0.1"))
	_, err = u.Resolve(ip("10.0.0.1"))
	assert.ErrorIs(t, err, underlay.ErrResolving)
	require.NoError(t, u.Close())
	require.NoError(t, u.Close())
	assert.Error(t, u.Run(t.Context()))
}

func TestConfigErrors(t *testing.T) {
	for text, cfg := range map[string]underlay.Config{
		"no ports":                 {},
		"no interface name":        {Ports: []underlay.Port{{ID: 1}}},
		"port ID 1 is there twice": {Ports: []underlay.Port{{ID: 1, Name: "a"}, {ID: 1, Name: "b"}}},
		"a is two ports":           {Ports: []underlay.Port{{ID: 1, Name: "a"}, {ID: 2, Name: "a"}}},
		"VLAN 4095":                {Ports: []underlay.Port{{ID: 1, Name: "a", VLAN: encap.VLAN{C: 4095}}}},
		"a: VLAN 4095":             {Ports: []underlay.Port{{ID: 1, Name: "a", VLAN: encap.VLAN{S: 4095, C: 1}}}},
		"fd00::1 is not IPv4":      {Ports: ports, Source4: ip("fd00::1")},
		"10.0.0.1 is not IPv6":     {Ports: ports, Source6: ip("10.0.0.1")},
		"negative":                 {Ports: ports, Reprobe: -time.Second},
	} {
		_, err := underlay.New(cfg)
		assert.ErrorContains(t, err, text)
	}
}

// prefixNet is a prefix as the netlink library takes it.
func prefixNet(s string) *net.IPNet {
	p := pfx(s)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
