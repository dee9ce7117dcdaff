package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/eipgw/eipgw/perf/peers"
)

// eipgw is the daemon.
type eipgw struct {
	label string
	exe   string
	cpus  string // where it may run; "": as this program
}

func (e *eipgw) name() string { return e.label }

// eipgwProcess remembers the command that peers.StartGateway makes.
type eipgwProcess struct {
	*peers.Gateway
	st  *stand
	cmd *exec.Cmd
	dir string

	cpus string
}

// Command implements peers.Namespace.
func (p *eipgwProcess) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if p.cpus != "" && len(args) > 0 && args[0] == "run" {
		name, args = "taskset", append([]string{"-c", p.cpus, name}, args...)
	}
	p.cmd = p.st.gateway.Command(ctx, name, args...)
	return p.cmd
}

func (e *eipgw) start(ctx context.Context, st *stand, dir string) (process, error) {
	return e.run(ctx, st, dir)
}

func (e *eipgw) run(ctx context.Context, st *stand, dir string) (*eipgwProcess, error) {
	exe, err := filepath.Abs(e.exe)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(exe); err != nil {
		return nil, fmt.Errorf("there is no %s: run make build", e.exe)
	}
	p := &eipgwProcess{st: st, dir: dir, cpus: e.cpus}
	p.Gateway, err = peers.StartGateway(ctx, p, peers.GatewayConfig{Exe: exe, Dir: dir, YAML: st.gatewayConfig()})
	return p, err
}

func (st *stand) gatewayConfig() string {
	return fmt.Sprintf(`
gateway: {asn: %d, router-id: %s, service-addresses: [%[2]s]}
segments: [{prefix: %s}]
neighbors:
  - {address: %s, role: virtual-router, asn: %d, families: [ipv4], passive: true, hold-time: 90s, max-prefixes: %d}
ports: [{name: g0}]
workers: %s
metrics: {listen: %s, pprof: true}
stop: {linger: 1ms}
`, gatewayASN, service, segment, router.Addr(), routerASN, maxRoutes, st.workers, webAddr)
}

func (p *eipgwProcess) pid() int { return p.cmd.Process.Pid }

var (
	saysUp     = regexp.MustCompile(`(?m)^time=(\S+) .*msg="bgpd: session up"`)
	saysSynced = regexp.MustCompile(`(?m)^time=(\S+) .*msg="source synced" source=` + regexp.QuoteMeta(router.Addr().String()))
)

func (p *eipgwProcess) times() (up, done time.Time, err error) {
	log, err := os.ReadFile(filepath.Join(p.dir, "eipgw.log"))
	if err != nil {
		return up, done, err
	}
	if up, err = said(log, saysUp); err != nil {
		return up, done, err
	}
	done, err = said(log, saysSynced)
	return up, done, err
}

// said is when a log says something for the first time, zero when it does not.
func said(log []byte, what *regexp.Regexp) (time.Time, error) {
	m := what.FindSubmatch(log)
	if m == nil {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, string(m[1]))
}

// check asks how many bindings forward.
func (p *eipgwProcess) check(ctx context.Context, routes int) error {
	var s struct {
		Table struct{ IPv4, Unresolved int }
	}
	if err := p.Show(ctx, &s, "show", "status"); err != nil {
		return err
	}
	if n := s.Table.IPv4 - s.Table.Unresolved; n != routes {
		return fmt.Errorf("%d of %d bindings forward:\n%s", n, routes, p.Log())
	}
	return nil
}

func (p *eipgwProcess) profile(ctx context.Context, d time.Duration) error {
	return p.st.profileTo(ctx, d, p.dir)
}

func (p *eipgwProcess) stop() error { return p.Stop(time.Minute) }
