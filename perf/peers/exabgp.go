package peers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// ExaBGPConfig is one ExaBGP that announces raw routes to one neighbor.
type ExaBGPConfig struct {
	Dir    string // for its configuration; made if missing
	ASN    uint32
	Local  netip.Addr // session address and router ID
	Peer   Peer
	Routes []string // what stands behind "route " in its configuration: "203.0.113.7/32 next-hop 10.255.0.1 attribute [ 0x17 0xc0 0x... ]"
}

// ExaBGP is a running ExaBGP.
type ExaBGP struct{ daemon *daemon }

// StartExaBGP starts ExaBGP. It is ready when it runs; the session comes up later.
func StartExaBGP(ctx context.Context, ns Namespace, c ExaBGPConfig) (*ExaBGP, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	file := filepath.Join(c.Dir, "exabgp.conf")
	if err := os.WriteFile(file, []byte(c.text()), 0o644); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	cmd := ns.Command(ctx, "exabgp", file)
	if cmd.Err != nil {
		return nil, fmt.Errorf("peers: install Debian's package exabgp: %w", cmd.Err)
	}
	cmd.Env = append(os.Environ(), "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.log.level=WARNING",
		"exabgp.daemon.drop=false", "exabgp.cache.nexthops=false")
	d, err := startDaemon(ctx, cmd, "exabgp", func() bool { return true })
	if err != nil {
		return nil, err
	}
	return &ExaBGP{daemon: d}, nil
}

// Kill ends it at once.
func (e *ExaBGP) Kill() error {
	if e.daemon == nil {
		return errors.New("peers: exabgp was not started")
	}
	return e.daemon.kill()
}

// Said is the end of what it logged.
func (e *ExaBGP) Said() string { return e.daemon.said.String() }

func (c ExaBGPConfig) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "neighbor %s {\n  router-id %s;\n  local-address %s;\n  local-as %d;\n  peer-as %d;\n  hold-time 9;\n",
		c.Peer.Address, c.Local, c.Local, c.ASN, c.Peer.ASN)
	b.WriteString("  family { ipv4 unicast; ipv6 unicast; }\n  static {\n")
	for _, r := range c.Routes {
		fmt.Fprintf(&b, "    route %s;\n", r)
	}
	b.WriteString("  }\n}\n")
	return b.String()
}
