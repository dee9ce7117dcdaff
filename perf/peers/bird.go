package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// BIRDConfig is one BIRD 2 in a namespace.
type BIRDConfig struct {
	Dir    string // for configuration and control socket; made if missing
	Config string // bird.conf; BIRDSwitch writes one
}

// BIRD is a running bird.
type BIRD struct {
	ns      Namespace
	dir     string
	control string
	daemon  *daemon
}

// StartBIRD starts bird.
func StartBIRD(ctx context.Context, ns Namespace, c BIRDConfig) (*BIRD, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	b := &BIRD{ns: ns, dir: c.Dir, control: filepath.Join(c.Dir, "bird.ctl")}
	if err := b.write(c.Config); err != nil {
		return nil, err
	}
	cmd := ns.Command(ctx, "bird", "-f", "-c", b.file(), "-s", b.control, "-P", filepath.Join(c.Dir, "bird.pid"))
	if cmd.Err != nil {
		return nil, fmt.Errorf("peers: install Debian's package bird2: %w", cmd.Err)
	}
	var err error
	b.daemon, err = startDaemon(ctx, cmd, "bird", func() bool { return exists(b.control) })
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Configure replaces the configuration while bird runs.
func (b *BIRD) Configure(ctx context.Context, config string) error {
	if err := b.write(config); err != nil {
		return err
	}
	out, err := b.Birdc(ctx, "configure")
	if err == nil && !strings.Contains(out, "Reconfigur") {
		err = errors.New("peers: bird refused its configuration: " + out)
	}
	return err
}

// Birdc runs one command of bird's control shell and returns what it printed.
func (b *BIRD) Birdc(ctx context.Context, command ...string) (string, error) {
	return output(b.ns.Command(ctx, "birdc", append([]string{"-s", b.control}, command...)...))
}

// PID is bird's process.
func (b *BIRD) PID() int { return b.daemon.cmd.Process.Pid }

// Kill ends bird at once.
func (b *BIRD) Kill() error { return b.daemon.kill() }

func (b *BIRD) file() string { return filepath.Join(b.dir, "bird.conf") }

func (b *BIRD) write(config string) error {
	if err := os.WriteFile(b.file(), []byte(config), 0o644); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

// BIRDSwitch is the bird.conf of a switch that takes whatever its neighbors announce
// for both families and installs it into the kernel.
func BIRDSwitch(c SpeakerConfig) string {
	var b strings.Builder
	fmt.Fprintf(&b, "router id %s;\nprotocol device { scan time 1; }\nprotocol direct { ipv4; ipv6; }\n", c.RouterID)
	for _, family := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, "protocol kernel { learn; scan time 1; %s { import all; export where source = RTS_BGP; }; }\n", family)
	}
	const take = "import all; export none;"
	for i, p := range c.Peers {
		b.WriteString(BIRDNeighbor(fmt.Sprintf("n%d", i), c.ASN, p, BIRDChannels{take, take}))
	}
	return b.String()
}

// BIRDChannels is what stands inside the channels of a bgp protocol.
type BIRDChannels struct{ IPv4, IPv6 string }

// BIRDNeighbor is a bgp protocol of bird.conf.
func BIRDNeighbor(name string, asn uint32, p Peer, c BIRDChannels) string {
	var b strings.Builder
	fmt.Fprintf(&b, "protocol bgp %s {\n  local", name)
	if p.Local.IsValid() {
		fmt.Fprintf(&b, " %s", p.Local)
	}
	fmt.Fprintf(&b, " as %d;\n  neighbor %s as %d;\n  hold time 9; connect delay time 1; connect retry time 1; error wait time 1,2;\n", asn, p.Address, p.ASN)
	if p.Multihop {
		b.WriteString("  multihop 16;\n")
	}
	if p.Password != "" {
		fmt.Fprintf(&b, "  password %q;\n", p.Password)
	}
	if p.Passive {
		b.WriteString("  passive on;\n")
	}
	fmt.Fprintf(&b, "  ipv4 { %s };\n  ipv6 { %s };\n}\n", c.IPv4, c.IPv6)
	return b.String()
}
