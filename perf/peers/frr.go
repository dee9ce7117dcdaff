package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// FRRConfig is FRR's zebra and bgpd in one namespace.
type FRRConfig struct {
	Dir  string // for configuration and sockets; made if missing, FRR's user has to be able to reach it
	BGPD string // bgpd.conf; FRRSwitch writes one
}

// FRR is a running pair of zebra and bgpd.
type FRR struct {
	ns          Namespace
	dir         string
	zebra, bgpd *daemon
}

// frrDaemons is where Debian's package has them.
const frrDaemons = "/usr/lib/frr"

// StartFRR starts zebra, which installs what bgpd learns into the namespace's kernel
// routes, and bgpd.
func StartFRR(ctx context.Context, ns Namespace, c FRRConfig) (*FRR, error) {
	if !exists(filepath.Join(frrDaemons, "bgpd")) {
		return nil, errors.New("peers: no " + frrDaemons + "/bgpd: install Debian's package frr")
	}
	if err := frrDir(c.Dir); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	f := &FRR{ns: ns, dir: c.Dir}
	var err error
	if f.zebra, err = f.start(ctx, "zebra", "hostname zebra\n"); err != nil {
		return nil, err
	}
	if f.bgpd, err = f.start(ctx, "bgpd", c.BGPD); err != nil {
		return nil, errors.Join(err, f.zebra.kill())
	}
	return f, nil
}

// frrDir makes a directory that FRR's own user may write to: that is whom the
// daemons turn into.
func frrDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	u, err := user.Lookup("frr")
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

func (f *FRR) start(ctx context.Context, name, config string) (*daemon, error) {
	file := filepath.Join(f.dir, name+".conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	cmd := f.ns.Command(ctx, filepath.Join(frrDaemons, name), "-f", file,
		"-i", filepath.Join(f.dir, name+".pid"), "-z", filepath.Join(f.dir, "zserv.api"),
		"--vty_socket", f.dir, "-P", "0", "--log", "stdout", "--log-level", "warnings")
	return startDaemon(ctx, cmd, name, func() bool { return exists(filepath.Join(f.dir, name+".vty")) })
}

// Vtysh runs commands in FRR's shell and returns what it printed.
func (f *FRR) Vtysh(ctx context.Context, commands ...string) (string, error) {
	args := []string{"--vty_socket", f.dir}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return output(f.ns.Command(ctx, "vtysh", args...))
}

// Kill ends both daemons at once, as a power cut would.
func (f *FRR) Kill() error { return errors.Join(f.bgpd.kill(), f.zebra.kill()) }

// FRRSwitch is the bgpd.conf of a switch that takes whatever its neighbors announce
// for both families. Nothing in it names an EIP or a segment.
func FRRSwitch(c SpeakerConfig) string {
	var b strings.Builder
	fmt.Fprintf(&b, "router bgp %d\n bgp router-id %s\n no bgp ebgp-requires-policy\n no bgp network import-check\n", c.ASN, c.RouterID)
	fmt.Fprintf(&b, " bgp bestpath as-path multipath-relax\n")
	for _, p := range c.Peers {
		fmt.Fprintf(&b, " neighbor %s remote-as %d\n neighbor %[1]s timers 3 9\n neighbor %[1]s timers connect 1\n", p.Address, p.ASN)
		if p.Local.IsValid() {
			fmt.Fprintf(&b, " neighbor %s update-source %s\n", p.Address, p.Local)
		}
		if p.Multihop {
			fmt.Fprintf(&b, " neighbor %s ebgp-multihop 16\n", p.Address)
		}
		if p.Password != "" {
			fmt.Fprintf(&b, " neighbor %s password %s\n", p.Address, p.Password)
		}
		if p.Passive {
			fmt.Fprintf(&b, " neighbor %s passive\n", p.Address)
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, " address-family %s unicast\n", family)
		for _, p := range c.Peers {
			fmt.Fprintf(&b, "  neighbor %s activate\n", p.Address)
		}
		fmt.Fprintf(&b, " exit-address-family\n")
	}
	return b.String()
}
