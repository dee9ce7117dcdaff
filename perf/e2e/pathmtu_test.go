package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

// VTEPs of the virtual router behind another hop, the switch, over a link of its own.
var (
	farAddr  = netip.MustParseAddr("10.0.2.11")
	farAddr6 = netip.MustParseAddr("fd00:2::11")
)

// far gives the virtual router its place behind a link of that MTU, of which the gateway
// only learns from what the switch reports.
func (w *world) far(mtu int) {
	w.Helper()
	require.NoError(w, lab.Veth(lab.End{NS: w.vr, Name: "far0", Addrs: prefixes("10.0.2.11/24", "fd00:2::11/64")},
		lab.End{NS: w.sw, Name: "far", Addrs: prefixes("10.0.2.1/24", "fd00:2::1/64")}, lab.VethOptions{MTU: mtu}))
	require.NoError(w, w.vr.Down("up0"))
	require.NoError(w, w.vr.Route(netip.MustParsePrefix("0.0.0.0/0"), lab.Via("10.0.2.1")))
	require.NoError(w, w.vr.Route(netip.MustParsePrefix("::/0"), lab.Via("fd00:2::1")))
}

// clientMTU is that of the client's link.
func (w *world) clientMTU(mtu int) {
	w.Helper()
	for ns, name := range map[*lab.NS]string{w.client: "eth0", w.sw: "client"} {
		link, err := ns.Link(name)
		require.NoError(w, err)
		require.NoError(w, ns.Handle().LinkSetMTU(link, mtu))
	}
}

// TestPathMTUDiscovery has a client's kernel find out what fits the tunnel, for underlays
// from the least that IPv6 allows to jumbo frames, and move data both ways.
func TestPathMTUDiscovery(t *testing.T) {
	for _, c := range []struct {
		near, far int // MTU of the gateway's link, and of a later one; 0: there is none
		over6     bool
		mtu, mtu6 int // of the path, IPv4 and IPv6
	}{
		{near: 1280, mtu: 1230, mtu6: 1280}, // IPv6 asks for 1280, whatever that takes (RFC 8200 section 5)
		{near: 1400, mtu: 1350, mtu6: 1350},
		{near: 1500, over6: true, mtu: 1430, mtu6: 1430},
		{near: 9000, mtu: 8950, mtu6: 8950},
		{near: 1500, far: 1280, mtu: 1230, mtu6: 1280},
		{near: 1500, far: 1280, over6: true, mtu: 1210, mtu6: 1280},
		{near: 1500, far: 1400, mtu: 1350, mtu6: 1350},
		{near: 9000, far: 1500, over6: true, mtu: 1430, mtu6: 1430},
	} {
		t.Run(fmt.Sprintf("%d, then %d, IPv6 %v", c.near, c.far, c.over6), func(t *testing.T) {
			w := newWorld(t)
			w.unlimited()
			w.underlay(c.near)
			client := 1500
			if c.near > client {
				client = c.near
				w.clientMTU(client)
			}
			vtep := vrAddr
			switch {
			case c.far != 0 && c.over6:
				vtep = farAddr6
			case c.far != 0:
				vtep = farAddr
			case c.over6:
				vtep = vrAddr6
			}
			if c.far != 0 {
				w.far(c.far)
			}
			w.tunnelEnd()
			w.start(config(w.bindingsTo(vtep)))
			w.routeToGateway()
			w.forwarded(eip)
			w.forwarded(eip6)
			w.pathMTU(eip, client, c.mtu)
			w.pathMTU(eip6, client, c.mtu6)
			w.addUp()
		})
	}
}

// pathMTU has the client's kernel discover the path to an address, and uses it: full
// packets, packets that do not fit, and TCP.
func (w *world) pathMTU(a netip.Addr, client, want int) {
	w.Helper()
	headers := 28 // IP and ICMP
	if a.Is6() {
		headers = 48
	}
	full := func(mtu int) string { return fmt.Sprint(mtu - headers) }
	w.ping(a)
	known := client // each packet as large as the last error said
	w.eventually(fmt.Sprintf("the path to %s is %d", a, want), func() (bool, any) {
		ping, _ := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "0.2", "-M", "do", "-s", full(known), a.String())
		route, err := w.client.Output(w.ctx, "ip", "route", "get", a.String())
		scan(route, " mtu ", &known)
		return err == nil && known == want, route + ping
	})
	w.ping(a, "-M", "do", "-s", full(want))
	out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", full(want+1), a.String())
	require.Error(w, err, out)
	w.transfer(netip.AddrPortFrom(a, echoPort), 2<<20)
	w.ping(a, "-M", "dont", "-s", "4000")
}

// A VM that knows the MTU of its own network tells it in its SYN, and sends what the
// client's SYN says it may: lowered to what fits the tunnel, that also fits a way back
// which is no wider. No ICMP error of gateway or switch reaches anybody.
func TestClampedTransfer(t *testing.T) {
	w := newWorld(t)
	w.underlay(1400)
	w.tunnelEnd()
	for from, to := range map[string]string{gwAddr.String(): "198.51.100.0/24", gwAddr6.String(): "2001:db8:c::/64", "10.0.1.1": eip.String(), "fd00:1::1": eip6.String()} {
		_, err := w.sw.Output(w.ctx, "ip", family(from), "rule", "add", "from", from, "to", to, "blackhole")
		require.NoError(t, err)
	}
	// The virtual router believes in 1500 bytes, but for what it tells others.
	link, err := w.vr.Link("up0")
	require.NoError(t, err)
	require.NoError(t, w.vr.Handle().LinkSetMTU(link, 1500))
	for via, mss := range map[string]string{"10.0.1.1": "1310", "fd00:1::1": "1290"} {
		_, err := w.vr.Output(w.ctx, "ip", family(via), "route", "replace", "default", "via", via, "dev", "up0", "advmss", mss)
		require.NoError(t, err)
	}
	for to, via := range map[string][2]string{"198.51.100.0/24": {"client", "1380"}, "2001:db8:c::/64": {"client", "1380"}} {
		_, err := w.sw.Output(w.ctx, "ip", family(to), "route", "replace", to, "dev", via[0], "mtu", "lock", via[1])
		require.NoError(t, err)
	}
	yaml := config(w.bindings())
	w.start(yaml)
	w.routeToGateway()
	for _, a := range []netip.Addr{eip, eip6} {
		w.forwarded(a)
		w.ping(a)
		assert.Error(t, w.tryTransfer(netip.AddrPortFrom(a, echoPort), 100_000, stall), "a black hole without clamping")
	}
	yaml = strings.Replace(yaml, "med: 10}", "med: 10, mss-clamp: true}", 1)
	yaml = strings.Replace(yaml, `"2001:db8:e1b::/64"}`, `"2001:db8:e1b::/64", mss-clamp: true}`, 1)
	require.NoError(t, w.g.Write(yaml))
	require.NoError(t, w.g.Signal(unix.SIGHUP))
	for _, a := range []netip.Addr{eip, eip6} {
		w.eventually("a transfer gets through", func() (bool, any) {
			err := w.tryTransfer(netip.AddrPortFrom(a, echoPort), 100_000, stall)
			return err == nil, err
		})
		w.transfer(netip.AddrPortFrom(a, echoPort), 2<<20)
	}
	c, err := w.g.Counters(w.ctx)
	require.NoError(t, err)
	assert.NotZero(t, c.Event("mss_clamped"))
	assert.Zero(t, c.Event("too_big"), "no packet needed an answer")
	w.addUp()
}

// family is the option of the ip command for an address's or prefix's family.
func family(a string) string {
	if strings.Contains(a, ":") {
		return "-6"
	}
	return "-4"
}
