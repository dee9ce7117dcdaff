package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

const (
	gatewayASN = 64512
	routerASN  = 65100
	maxRoutes  = 1 << 24 // of segment
	maxTunnels = 1 << 14 // of vteps, but for its first addresses
	firstVNI   = 5000
	protocol   = "uplink" // BIRD's
)

var (
	segment = netip.MustParsePrefix("100.0.0.0/8")
	vteps   = netip.MustParsePrefix("10.9.0.0/16") // behind the router
	service = netip.MustParseAddr("10.255.0.1")
	gateway = netip.MustParsePrefix("10.1.0.1/24")
	router  = netip.MustParsePrefix("10.1.0.2/24")
)

// after is the address n behind a.
func after(a netip.Addr, n int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, number(a)+uint32(n))))
}

// stand is what all turns share: the router, which keeps its routes.
type stand struct {
	settings
	router, gateway *lab.NS
	routesFile      string
	bird            *peers.BIRD
	birdTime        time.Duration // that bird had used at the end of the last turn
}

func newStand(ctx context.Context, l *lab.Lab, s settings, dir string) (_ *stand, err error) {
	st := &stand{settings: s}
	if st.router, err = l.NS("router"); err != nil {
		return nil, err
	}
	if st.gateway, err = l.NS("gateway"); err != nil {
		return nil, err
	}
	err = lab.Veth(
		lab.End{NS: st.router, Name: "r0", Addrs: []netip.Prefix{router}},
		lab.End{NS: st.gateway, Name: "g0", Addrs: []netip.Prefix{gateway}},
		lab.VethOptions{MTU: 1600})
	if err != nil {
		return nil, err
	}
	if err := st.gateway.Route(vteps, lab.Via(router.Addr().String())); err != nil {
		return nil, err
	}
	st.routesFile = filepath.Join(dir, "routes.conf")
	if err := s.writeRoutes(st.routesFile); err != nil {
		return nil, err
	}
	st.bird, err = peers.StartBIRD(ctx, st.router, peers.BIRDConfig{Dir: filepath.Join(dir, "bird"), Config: birdConfig(st.routesFile, 0, false)})
	if err != nil {
		return nil, err
	}
	return st, st.ready(ctx)
}

// close ends BIRD; the lab ends the namespaces.
func (st *stand) close() { _ = st.bird.Kill() }

// writeRoutes writes what BIRD includes: EIPs in a row, in blocks that share a tunnel.
func (s settings) writeRoutes(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range s.routes {
		tunnel := i * s.tunnels / s.routes
		fmt.Fprintf(w, "route %s/32 blackhole { bgp_large_community.add((%d, %d, %d)); };\n",
			after(segment.Addr(), i), gatewayASN, number(after(vteps.Addr(), 1+tunnel)), firstVNI+tunnel)
	}
	return errors.Join(w.Flush(), f.Close())
}

// birdConfig announces the routes, once the protocol is enabled. In variant 1 all EIPs are
// in one tunnel.
func birdConfig(routes string, variant int, enabled bool) string {
	filter, state := "accept;", "on"
	if variant == 1 {
		filter = fmt.Sprintf("bgp_large_community.empty; bgp_large_community.add((%d, %d, %d)); accept;",
			gatewayASN, number(after(vteps.Addr(), 1)), firstVNI-1)
	}
	if enabled {
		state = "off"
	}
	return fmt.Sprintf(`router id %s;
protocol device {}
protocol static eips {
  ipv4;
  include "%s";
}
protocol bgp %s {
  disabled %s;
  local %[1]s as %[5]d;
  neighbor %[6]s as %[7]d;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import none; export filter { %[8]s }; };
}
`, router.Addr(), routes, protocol, state, routerASN, gateway.Addr(), gatewayASN, filter)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// ready waits until BIRD has read its routes.
func (st *stand) ready(ctx context.Context) error {
	return poll(ctx, 5*time.Minute, "bird has its routes", func() (bool, error) {
		out, err := st.bird.Birdc(ctx, "show", "route", "count")
		return strings.Contains(out, fmt.Sprintf("%d of %[1]d routes", st.routes)), err
	})
}

// enable has BIRD connect; disable ends the session.
func (st *stand) enable(ctx context.Context) error {
	_, err := st.bird.Birdc(ctx, "enable", protocol)
	return err
}

func (st *stand) disable(ctx context.Context) error {
	_, err := st.bird.Birdc(ctx, "disable", protocol)
	return err
}

// poll waits for what is true in the end, for at most limit.
func poll(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		switch ok, err := done(); {
		case err != nil:
			return err
		case ok:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%s: not within %v", what, limit)
		}
	}
}
