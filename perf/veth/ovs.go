package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// ovs is Open vSwitch with its userspace datapath: a flow for each EIP, which takes one from
// the TTL and sends the frame into a Geneve tunnel. Tunnels are routed by the bridge's own
// interface, whose neighbor is given, and leave by p0 or p1.
//
// At its best here: ports of type afxdp, whose poll-mode thread (PMD) is pinned to the
// worker's CPU (type afxdp-nonpmd, polled by the main thread, forwarded less); no exact-match
// cache, since it holds 8192 flows and the generator sends EIPs times 4096; and flows that do
// not age between two turns. The other threads of the switch are where the kernel puts them.
type ovs struct {
	settings
	label string
}

const (
	ovsBridge  = "br0"
	ovsTunnels = 100 // port number; p0 is 1 and p1 is 2
)

func (o *ovs) name() string     { return o.label }
func (o *ovs) tunnels() bool    { return true }
func (o *ovs) reference() bool  { return true }
func (o *ovs) hugePages() int   { return 0 }
func (o *ovs) traffic() traffic { return o.settings.traffic() }

func (o *ovs) what() string {
	return fmt.Sprintf("Open vSwitch, userspace datapath, ports of type afxdp, PMD on CPU %d, no exact-match cache: a flow for each EIP, which encapsulates in Geneve and sends to one of %d VTEPs", workerCPU, tunnelsInUse)
}

func (o *ovs) missing() error {
	for _, program := range []string{"ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovs-ofctl"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed (Debian: openvswitch-switch)", program)
		}
	}
	return nil
}

type ovsProcess struct {
	*peers.OVS
	dir string
}

func (o *ovs) start(ctx context.Context, t *topology) (_ process, err error) {
	p := &ovsProcess{}
	if p.dir, err = os.MkdirTemp("", "eipgw-bench-ovs-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	if p.OVS, err = peers.StartBareOVS(ctx, t.gateway, p.dir); err != nil {
		return nil, err
	}
	if err := p.ports(ctx, t, o.EIPs); err != nil {
		return nil, err
	}
	return p, p.AddFlows(ctx, ovsBridge, o.flows(t))
}

// ports makes the bridge with its ports, and the way to the VTEPs, which is the bridge's own
// interface: the kernel's routes through it are what the switch goes by.
func (p *ovsProcess) ports(ctx context.Context, t *topology, eips int) error {
	const hour = 3_600_000 // ms
	args := []string{
		"set", "Open_vSwitch", ".", fmt.Sprintf("other_config:pmd-cpu-mask=%#x", 1<<workerCPU), "other_config:emc-insert-inv-prob=0",
		fmt.Sprintf("other_config:max-idle=%d", hour), fmt.Sprintf("other_config:flow-limit=%d", max(200_000, 2*eips)),
		"--", "add-br", ovsBridge, "--", "set", "bridge", ovsBridge, "datapath_type=netdev", "fail-mode=secure",
		"other-config:hwaddr=" + portMACs[t.out()].String(),
		"--", "add-port", ovsBridge, "geneve0", "--", "set", "interface", "geneve0", "type=geneve",
		fmt.Sprintf("ofport_request=%d", ovsTunnels), "options:remote_ip=flow", "options:key=flow",
	}
	for i := range t.arms {
		args = append(args, "--", "add-port", ovsBridge, portNames[i],
			"--", "set", "interface", portNames[i], "type=afxdp", fmt.Sprintf("ofport_request=%d", i+1))
		if err := t.gateway.RemoveAddr(portNames[i], link(i, 1)); err != nil {
			return err
		}
	}
	if err := p.Vsctl(ctx, args...); err != nil {
		return err
	}
	near, far := link(t.out(), 1), link(t.out(), 2).Addr()
	err := errors.Join(t.gateway.Up(ovsBridge), t.gateway.Addr(ovsBridge, near), t.gateway.Route(vteps, lab.Via(far.String())))
	if err != nil {
		return err
	}
	_, err = p.Appctl(ctx, "tnl/neigh/set", ovsBridge, far.String(), wireMACs[t.out()].String())
	return err
}

// flows are those of the EIPs, and two for what leaves by the bridge's own interface, the
// tunnels too, and what comes for it.
func (o *ovs) flows(t *topology) io.Reader {
	var b bytes.Buffer
	for i := range o.EIPs {
		fmt.Fprintf(&b, "priority=2,in_port=1,dl_dst=%s,ip,nw_dst=%s,actions=dec_ttl,set_field:%s->tun_dst,set_field:%d->tun_id,mod_dl_dst:%s,mod_dl_src:%s,output:%d\n",
			portMACs[0], lastEIP(i+1), vtep(i%tunnelsInUse), vni(i%tunnelsInUse), encap.DefaultInnerDst, encap.DefaultInnerSrc, ovsTunnels)
	}
	fmt.Fprintf(&b, "priority=1,in_port=LOCAL,actions=output:%d\n", t.out()+1)
	fmt.Fprintf(&b, "priority=1,in_port=%d,actions=LOCAL\n", t.out()+1)
	return &b
}

func (p *ovsProcess) pid() int { return p.PID() }

func (p *ovsProcess) notes() []string { return nil }

func (p *ovsProcess) stop() error {
	var err error
	if p.OVS != nil {
		err = p.Kill()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
