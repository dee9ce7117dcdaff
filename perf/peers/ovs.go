package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// OVSConfig is Open vSwitch with its userspace datapath as the tunnel end of a
// virtual router: no kernel module is needed.
type OVSConfig struct {
	Dir     string  // for databases and sockets; made if missing
	Uplink  string  // interface of the namespace that becomes a port of the switch; its addresses move to UplinkBridge
	VNI     uint32  // what is taken out of the tunnel
	Port    string  // internal interface, made, where the inner frames come out
	PortMAC [6]byte // its address
	Option  uint32  // what OVN's Geneve option (class 0x0102, type 0x80) has to say; 0: a frame that carries it is dropped as critical
}

// OVS is a running Open vSwitch.
type OVS struct {
	ns           Namespace
	dir          string
	ovsdb, vsctl string // sockets: database server, vswitchd's control
	db, switchd  *daemon
}

// UplinkBridge takes the place of OVSConfig.Uplink for the kernel: the bridge's own
// interface, to which the addresses move.
const UplinkBridge = "br-phy"

// schema is where Debian's package openvswitch-switch has the database's.
const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// StartOVS starts the database server and the switch inside the namespace, with two
// bridges: one that holds the uplink and one where Geneve from any source is taken
// out of the tunnel and handed to Port. The caller moves addresses and routes from
// the uplink to UplinkBridge afterwards.
func StartOVS(ctx context.Context, ns Namespace, c OVSConfig) (*OVS, error) {
	o, err := StartBareOVS(ctx, ns, c.Dir)
	if err != nil {
		return nil, err
	}
	if err := o.bridges(ctx, c); err != nil {
		return nil, errors.Join(err, o.Kill())
	}
	return o, nil
}

// StartBareOVS starts the database server and the switch inside the namespace, without
// any bridge: the caller makes what there is to be by Vsctl and AddFlows.
func StartBareOVS(ctx context.Context, ns Namespace, dir string) (*OVS, error) {
	if !exists(schema) {
		return nil, errors.New("peers: no " + schema + ": install Debian's package openvswitch-switch")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	o := &OVS{ns: ns, dir: dir, ovsdb: filepath.Join(dir, "db.sock"), vsctl: filepath.Join(dir, "vswitchd.ctl")}
	var err error
	if o.db, err = o.database(ctx, "conf", schema, o.ovsdb); err != nil {
		return nil, err
	}
	if err := o.Vsctl(ctx, "--no-wait", "init"); err != nil {
		return nil, errors.Join(err, o.db.kill())
	}
	o.switchd, err = startDaemon(ctx, o.command(ctx, "ovs-vswitchd", "unix:"+o.ovsdb, "--disable-system",
		"--unixctl="+o.vsctl, "-vconsole:warn"), "ovs-vswitchd", func() bool { return exists(o.vsctl) })
	if err != nil {
		return nil, errors.Join(err, o.db.kill())
	}
	return o, nil
}

// database makes a database of the schema and starts a server for it.
func (o *OVS) database(ctx context.Context, name, schema, socket string) (*daemon, error) {
	file := filepath.Join(o.dir, name+".db")
	if _, err := output(o.local(ctx, "ovsdb-tool", "create", file, schema)); err != nil {
		return nil, err
	}
	return startDaemon(ctx, o.command(ctx, "ovsdb-server", file, "--remote=punix:"+socket,
		"--unixctl="+filepath.Join(o.dir, name+".ctl"), "-vconsole:warn"), "ovsdb-server",
		func() bool { return exists(socket) })
}

func (o *OVS) bridges(ctx context.Context, c OVSConfig) error {
	if err := o.Vsctl(ctx, "add-br", UplinkBridge, "--", "set", "bridge", UplinkBridge, "datapath_type=netdev",
		"--", "add-port", UplinkBridge, c.Uplink,
		"--", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=secure",
		"--", "add-port", "br-int", "geneve0", "--", "set", "interface", "geneve0", "type=geneve", "ofport_request=1",
		"options:remote_ip=flow", "options:key=flow",
		"--", "add-port", "br-int", c.Port, "--", "set", "interface", c.Port, "type=internal", "ofport_request=2",
		fmt.Sprintf(`mac="%s"`, net.HardwareAddr(c.PortMAC[:]))); err != nil {
		return err
	}
	tunnel := fmt.Sprintf("in_port=1,tun_id=%d", c.VNI)
	if c.Option != 0 {
		if _, err := output(o.command(ctx, "ovs-ofctl", "add-tlv-map", o.brInt(), "{class=0x102,type=0x80,len=4}->tun_metadata0")); err != nil {
			return err
		}
		tunnel += fmt.Sprintf(",tun_metadata0=0x%x", c.Option)
	}
	return errors.Join(o.flow(ctx, tunnel+",actions=output:2"),
		o.flow(ctx, "in_port=2,actions=drop")) // answers leave by the kernel's routes, not by the tunnel
}

func (o *OVS) brInt() string { return "unix:" + filepath.Join(o.dir, "br-int.mgmt") }

func (o *OVS) flow(ctx context.Context, flow string) error {
	_, err := output(o.command(ctx, "ovs-ofctl", "add-flow", o.brInt(), flow))
	return err
}

// AddFlows adds flows to a bridge, one a line as ovs-ofctl(8) takes them.
func (o *OVS) AddFlows(ctx context.Context, bridge string, flows io.Reader) error {
	cmd := o.command(ctx, "ovs-ofctl", "--bundle", "add-flows", "unix:"+filepath.Join(o.dir, bridge+".mgmt"), "-")
	cmd.Stdin = flows
	_, err := output(cmd)
	return err
}

// Vsctl changes the database and waits until the switch has made what it says.
func (o *OVS) Vsctl(ctx context.Context, args ...string) error {
	_, err := output(o.command(ctx, "ovs-vsctl", append([]string{"--timeout=20", "--db=unix:" + o.ovsdb}, args...)...))
	return err
}

// Appctl runs a command of the switch's control socket, such as dpctl/dump-flows.
func (o *OVS) Appctl(ctx context.Context, args ...string) (string, error) {
	return output(o.command(ctx, "ovs-appctl", append([]string{"-t", o.vsctl}, args...)...))
}

// PID is the number of the switch's process.
func (o *OVS) PID() int { return o.switchd.cmd.Process.Pid }

// Kill ends the switch and its database at once.
func (o *OVS) Kill() error { return errors.Join(o.switchd.kill(), o.db.kill()) }

// command prepares a program inside the namespace that keeps its files in o.dir.
func (o *OVS) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return o.files(o.ns.Command(ctx, name, args...))
}

// local prepares a program outside of the namespace.
func (o *OVS) local(ctx context.Context, name string, args ...string) *exec.Cmd {
	return o.files(exec.CommandContext(ctx, name, args...))
}

func (o *OVS) files(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = os.Environ()
	for _, v := range []string{"OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"} {
		cmd.Env = append(cmd.Env, v+"="+o.dir)
	}
	return cmd
}
