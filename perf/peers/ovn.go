package peers

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
)

// OVNConfig is an OVN of one chassis, with Open vSwitch's userspace datapath under
// it. What logical switches and routers there are is the caller's to say, with
// OVN's own commands.
type OVNConfig struct {
	Dir     string            // for databases and sockets; made if missing
	Chassis string            // its name, for gateway routers that are pinned to it
	Uplink  string            // interface of the namespace that becomes a port of UplinkBridge
	Encap   netip.Addr        // where its tunnels end; the caller gives it to UplinkBridge
	Physnet string            // what localnet ports call the network behind the uplink
	VIFs    map[string]string // interfaces of the namespace that are logical ports, by logical port
}

// OVN is a running OVN: northbound and southbound database, northd, ovn-controller
// and the switch below. Everything runs inside one namespace and keeps its files in
// one directory.
//
//	ovn-nbctl → northbound DB → ovn-northd → southbound DB → ovn-controller → br-int
//	                                                                             │ patch ports of localnet
//	                                                       Geneve ── br-phy ─────┴── Uplink
type OVN struct {
	*OVS
	nb, sb  string    // sockets of the databases
	daemons []*daemon // in the order of their start
}

// ovnSchemas is where Debian's package ovn-common has those of OVN's databases.
const ovnSchemas = "/usr/share/ovn"

// StartOVN starts everything and waits until ovn-controller has registered the
// chassis. As with StartOVS the caller moves addresses and routes from the uplink
// to UplinkBridge afterwards.
func StartOVN(ctx context.Context, ns Namespace, c OVNConfig) (*OVN, error) {
	if !exists(filepath.Join(ovnSchemas, "ovn-nb.ovsschema")) {
		return nil, errors.New("peers: no " + ovnSchemas + "/ovn-nb.ovsschema: install Debian's packages ovn-central and ovn-host")
	}
	ovs, err := StartBareOVS(ctx, ns, c.Dir)
	if err != nil {
		return nil, err
	}
	o := &OVN{OVS: ovs, nb: filepath.Join(c.Dir, "nb.sock"), sb: filepath.Join(c.Dir, "sb.sock")}
	if err := o.start(ctx, c); err != nil {
		return nil, errors.Join(err, o.Kill())
	}
	return o, nil
}

func (o *OVN) start(ctx context.Context, c OVNConfig) error {
	for _, db := range []struct{ name, socket string }{{"nb", o.nb}, {"sb", o.sb}} {
		d, err := o.database(ctx, db.name, filepath.Join(ovnSchemas, "ovn-"+db.name+".ovsschema"), db.socket)
		if err != nil {
			return err
		}
		o.daemons = append(o.daemons, d)
		if _, err := o.Run(ctx, "ovn-"+db.name+"ctl", "--timeout=20", "init"); err != nil {
			return err
		}
	}
	if err := o.chassis(ctx, c); err != nil {
		return err
	}
	northd := filepath.Join(c.Dir, "northd.ctl")
	if err := o.run(ctx, "ovn-northd", func() bool { return exists(northd) },
		"--ovnnb-db=unix:"+o.nb, "--ovnsb-db=unix:"+o.sb, "--unixctl="+northd, "-vconsole:warn"); err != nil {
		return err
	}
	return o.run(ctx, "ovn-controller", func() bool {
		out, err := o.Sbctl(ctx, "--bare", "--columns=name", "find", "Chassis", "name="+c.Chassis)
		return err == nil && strings.TrimSpace(out) == c.Chassis
	}, "unix:"+o.ovsdb, "-vconsole:warn")
}

// chassis says in the chassis's own database what ovn-controller reads there.
func (o *OVN) chassis(ctx context.Context, c OVNConfig) error {
	args := []string{"set", "open", ".", "external-ids:system-id=" + c.Chassis, "external-ids:ovn-remote=unix:" + o.sb,
		"external-ids:ovn-encap-type=geneve", "external-ids:ovn-encap-ip=" + c.Encap.String(),
		"external-ids:ovn-bridge-datapath-type=netdev", "external-ids:ovn-bridge-mappings=" + c.Physnet + ":" + UplinkBridge,
		"--", "add-br", UplinkBridge, "--", "set", "bridge", UplinkBridge, "datapath_type=netdev", "--", "add-port", UplinkBridge, c.Uplink,
		"--", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=secure"}
	for port, dev := range c.VIFs {
		args = append(args, "--", "add-port", "br-int", dev, "--", "set", "interface", dev, "external-ids:iface-id="+port)
	}
	return o.Vsctl(ctx, args...)
}

func (o *OVN) run(ctx context.Context, name string, ready func() bool, args ...string) error {
	d, err := startDaemon(ctx, o.Command(ctx, name, args...), name, ready)
	if err == nil {
		o.daemons = append(o.daemons, d)
	}
	return err
}

// Command prepares a program inside the namespace that finds the databases as an
// operator's shell does: ovn-nbctl, ovn-sbctl, or a shell that runs them.
func (o *OVN) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := o.command(ctx, name, args...)
	for _, v := range []string{"OVN_RUNDIR", "OVN_LOGDIR", "OVN_DBDIR", "OVN_SYSCONFDIR"} {
		cmd.Env = append(cmd.Env, v+"="+o.dir)
	}
	cmd.Env = append(cmd.Env, "OVN_NB_DB=unix:"+o.nb, "OVN_SB_DB=unix:"+o.sb)
	return cmd
}

// Run runs a program prepared by Command and returns what it printed.
func (o *OVN) Run(ctx context.Context, name string, args ...string) (string, error) {
	return output(o.Command(ctx, name, args...))
}

// Nbctl changes or reads the northbound database.
func (o *OVN) Nbctl(ctx context.Context, args ...string) (string, error) {
	return o.Run(ctx, "ovn-nbctl", append([]string{"--timeout=20"}, args...)...)
}

// Sbctl changes or reads the southbound database.
func (o *OVN) Sbctl(ctx context.Context, args ...string) (string, error) {
	return o.Run(ctx, "ovn-sbctl", append([]string{"--timeout=20"}, args...)...)
}

// Sync waits until what Nbctl changed is in the chassis's flows.
func (o *OVN) Sync(ctx context.Context) error {
	_, err := o.Nbctl(ctx, "--wait=hv", "sync")
	return err
}

// Kill ends everything at once.
func (o *OVN) Kill() error {
	var errs []error
	for i := len(o.daemons) - 1; i >= 0; i-- {
		errs = append(errs, o.daemons[i].kill())
	}
	return errors.Join(append(errs, o.OVS.Kill())...)
}
