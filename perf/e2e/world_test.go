package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// The network of every test: a client, a switch with the gateway and one virtual
// router on a bridge behind it.
//
//	client 198.51.100.2 --- switch br0 10.0.1.1 --- gateway 10.0.1.2
//	                                            \-- vr 10.0.1.11
const (
	gwASN, swASN, vrASN = 64512, 65001, 65101
	vni                 = 5001
	underlayMTU         = 1600
)

var (
	swAddr       = netip.MustParseAddr("10.0.1.1")
	gwAddr       = netip.MustParseAddr("10.0.1.2")
	vrAddr       = netip.MustParseAddr("10.0.1.11")
	serviceAddr  = netip.MustParseAddr("10.255.0.1")
	serviceAddr6 = netip.MustParseAddr("fd00:ff::1")
	vrMAC        = [6]byte{2, 0, 0, 0, 1, 0x11}
	eip          = netip.MustParseAddr("203.0.113.7")
	eip6         = netip.MustParseAddr("2001:db8:e1b::7")
)

// binary builds eipgw once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "eipgw-e2e-")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "eipgw")
	out, err := exec.Command("go", "build", "-o", exe, "github.com/eipgw/eipgw/cmd/eipgw").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building eipgw: %w: %s", err, out)
	}
	return exe, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Geteuid() == 0 {
		if exe, err := binary(); err == nil {
			_ = os.RemoveAll(filepath.Dir(exe))
		}
	}
	os.Exit(code)
}

// world is one network with at most one gateway in it.
type world struct {
	*testing.T
	ctx                context.Context
	client, sw, gw, vr *lab.NS
	dir, exe           string
	g                  *peers.Gateway
}

func prefixes(ss ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func newWorld(t *testing.T, conds ...lab.Cond) *world {
	t.Parallel() // mostly waiting for sessions to come up
	l := lab.T(t, append([]lab.Cond{lab.Tool("go")}, conds...)...)
	exe, err := binary()
	require.NoError(t, err)
	w := &world{T: t, ctx: t.Context(), exe: exe,
		client: l.NS("client"), sw: l.NS("switch"), gw: l.NS("gateway"), vr: l.NS("vr")}
	w.dir, err = os.MkdirTemp("", "eipgw-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(w.dir, 0o755)) // routing daemons run as users of their own
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(w.dir)) })
	underlay := lab.VethOptions{MTU: underlayMTU}
	l.Veth(lab.End{NS: w.client, Name: "eth0", Addrs: prefixes("198.51.100.2/24", "2001:db8:c::2/64")},
		lab.End{NS: w.sw, Name: "client", Addrs: prefixes("198.51.100.1/24", "2001:db8:c::1/64")}, lab.VethOptions{})
	l.Veth(lab.End{NS: w.gw, Name: "up0", Addrs: prefixes("10.0.1.2/24", "fd00:1::2/64"), Pfifo: 1000},
		lab.End{NS: w.sw, Name: "gw"}, underlay)
	l.Veth(lab.End{NS: w.vr, Name: "up0", Addrs: prefixes("10.0.1.11/24", "fd00:1::11/64")},
		lab.End{NS: w.sw, Name: "vr"}, underlay)
	l.Check(w.sw.Bridge("br0", "gw", "vr"),
		w.sw.Addr("br0", netip.MustParsePrefix("10.0.1.1/24")), w.sw.Addr("br0", netip.MustParsePrefix("fd00:1::1/64")),
		w.sw.Route(netip.PrefixFrom(serviceAddr6, 128), lab.Via("fd00:1::2")),
		w.gw.Addr("lo", netip.PrefixFrom(serviceAddr, 32)), w.gw.Addr("lo", netip.PrefixFrom(serviceAddr6, 128)))
	for ns, via := range map[*lab.NS][2]string{w.client: {"198.51.100.1", "2001:db8:c::1"},
		w.gw: {"10.0.1.1", "fd00:1::1"}, w.vr: {"10.0.1.1", "fd00:1::1"}} {
		l.Check(ns.Route(netip.MustParsePrefix("0.0.0.0/0"), lab.Via(via[0])), ns.Route(netip.MustParsePrefix("::/0"), lab.Via(via[1])))
	}
	return w
}

// config is a gateway with one segment per family, its switch, and the virtual
// router as more says.
func config(more string) string {
	return fmt.Sprintf(`gateway: {asn: %d, router-id: %s, service-addresses: [%[2]s, "%s"]}
segments:
  - {prefix: 203.0.113.0/24, communities: ["64512:100"], large-communities: ["64512:1:2"], med: 10}
  - {prefix: "2001:db8:e1b::/64"}
announce: {settle: 300ms, initial-wait: 3s}
ports: [{name: up0}]
stop: {linger: 200ms}
%s
`, gwASN, serviceAddr, serviceAddr6, more)
}

// profile is the virtual router as a neighbor; its routes need not name the VNI.
var profile = fmt.Sprintf(`neighbors:
  - {address: %s, role: virtual-router, asn: %d, allow: ["203.0.113.0/25", "2001:db8:e1b::/64"], profile: {vni: %d, inner-mac: "02:00:00:00:01:11"}}`,
	vrAddr, vrASN, vni)

// start runs the gateway.
func (w *world) start(yaml string) {
	w.Helper()
	dir := filepath.Join(w.dir, "gateway")
	require.NoError(w, os.MkdirAll(dir, 0o755))
	var err error
	w.g, err = peers.StartGateway(w.ctx, w.gw, peers.GatewayConfig{Exe: w.exe, Dir: dir, YAML: yaml})
	require.NoError(w, err)
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("the gateway's log:\n%s", w.g.Log())
		}
	})
}

// bindings writes the file of static bindings: EIPs of both families behind vr.
func (w *world) bindings() string { return w.bindingsTo(vrAddr) }

// bindingsTo is bindings with another VTEP.
func (w *world) bindingsTo(vtep netip.Addr) string {
	w.Helper()
	file := filepath.Join(w.dir, "bindings.yaml")
	text := "bindings:\n"
	for _, a := range []netip.Addr{eip, eip6} {
		text += fmt.Sprintf("  - {prefix: \"%s\", tunnels: [{vtep: \"%s\", vni: %d, inner-mac: \"02:00:00:00:01:11\"}]}\n", a, vtep, vni)
	}
	require.NoError(w, os.WriteFile(file, []byte(text), 0o644))
	return "bindings: {file: " + file + "}"
}

// echoPort is where the virtual router has a TCP echo service.
const echoPort = 7

// tunnelEnd runs the embedded end of the tunnel in vr, without BGP, and has its
// kernel answer for the EIPs.
func (w *world) tunnelEnd() *peers.Process {
	w.Helper()
	p, err := peers.Start(w.ctx, w.vr, []string{w.exe, "demo-peer"}, peers.KindVRouter, peers.VRouterConfig{
		VNI: vni, MAC: vrMAC, EchoPort: echoPort, Speaker: peers.SpeakerConfig{ASN: vrASN, RouterID: vrAddr, Port: -1}})
	require.NoError(w, err)
	require.NoError(w, p.Own(eip))
	require.NoError(w, p.Own(eip6))
	return p
}

// routeToGateway has the switch send frames for EIPs to the gateway, for tests that
// have no BGP there.
func (w *world) routeToGateway() {
	w.Helper()
	require.NoError(w, w.sw.Route(netip.MustParsePrefix("203.0.113.0/24"), lab.Via("10.0.1.2")))
	require.NoError(w, w.sw.Route(netip.MustParsePrefix("2001:db8:e1b::/64"), lab.Via("fd00:1::2")))
}

const patience = 30 * time.Second

// eventually polls until cond holds; what it returned last stands in the failure.
func (w *world) eventually(what string, cond func() (bool, any)) {
	w.Helper()
	var last any
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		if ok, last = cond(); ok {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(w, what, "not within %v; last: %v", patience, last)
		}
	}
}

// forwarded waits until frames for the address leave in a tunnel, and says why.
func (w *world) forwarded(a netip.Addr) peers.Why {
	w.Helper()
	var why peers.Why
	w.eventually(fmt.Sprintf("%s is forwarded", a), func() (bool, any) {
		var err error
		why, err = w.g.Why(w.ctx, a)
		return err == nil && why.Forwarded(), fmt.Sprint(why.Summary, err)
	})
	return why
}

// notForwarded waits until frames for the address go nowhere.
func (w *world) notForwarded(a netip.Addr) {
	w.Helper()
	w.eventually(fmt.Sprintf("%s is no longer forwarded", a), func() (bool, any) {
		why, err := w.g.Why(w.ctx, a)
		return err == nil && !why.Forwarded(), fmt.Sprint(why.Summary, err)
	})
}

// ping sends echo requests from the client's kernel, all at once, and requires every
// answer. Once one has come, ping waits for the others no longer than the interval between
// requests, which is why that is as long as patience may be.
func (w *world) ping(a netip.Addr, more ...string) {
	w.Helper()
	args := append([]string{"-n", "-c", "5", "-l", "5", "-i", "5", "-W", "5"}, more...)
	out, err := w.client.Output(w.ctx, "ping", append(args, a.String())...)
	require.NoError(w, err, "%s", out)
	assert.Contains(w, out, " 0% packet loss")
}

// routes is what BGP put into the switch's kernel table, whichever program did.
func (w *world) routes() map[string]bool {
	w.Helper()
	out := map[string]bool{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := w.sw.Handle().RouteList(nil, family)
		require.NoError(w, err)
		for _, r := range list {
			if r.Dst != nil && (strings.HasPrefix(r.Dst.String(), "203.0.113.") || strings.HasPrefix(r.Dst.String(), "198.18.") ||
				strings.HasPrefix(r.Dst.String(), "2001:db8:e1b")) {
				out[r.Dst.String()] = true
			}
		}
	}
	return out
}

func (w *world) hasRoutes(want ...string) {
	w.Helper()
	set := map[string]bool{}
	for _, p := range want {
		set[p] = true
	}
	w.eventually(fmt.Sprintf("the switch has exactly %v", want), func() (bool, any) {
		have := w.routes()
		return assert.ObjectsAreEqual(set, have), have
	})
}
