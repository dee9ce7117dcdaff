package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// Kinds of parts.
const (
	Embedded   = "embedded" // this program's own
	RealSwitch = "frr"      // FRR, from Debian's package
	RealRouter = "ovs"      // Open vSwitch's userspace datapath, from Debian's package
)

// Options say what the demo runs.
type Options struct {
	Switch string    // Embedded or RealSwitch: both switches
	Router string    // Embedded or RealRouter: both virtual routers
	Exe    string    // the eipgw binary
	Peer   []string  // command that runs peers.Main with two more arguments
	Out    io.Writer // takes what is shown
}

// demo is one run.
type demo struct {
	Options
	*report
	net      *network
	gw       *peers.Gateway
	vr1, vr2 *router
	pingID   uint16
}

// Run builds the network, goes through the steps and removes everything. It returns
// nil only if every check held.
func Run(ctx context.Context, o Options) error {
	if o.Switch != Embedded && o.Switch != RealSwitch {
		return fmt.Errorf("demo: no switch %q; there are %s and %s", o.Switch, Embedded, RealSwitch)
	}
	if o.Router != Embedded && o.Router != RealRouter {
		return fmt.Errorf("demo: no router %q; there are %s and %s", o.Router, Embedded, RealRouter)
	}
	if os.Geteuid() != 0 {
		return errors.New("demo: needs root: it makes network namespaces and opens AF_XDP sockets in them; nothing outside of them is touched")
	}
	return lab.Run(ctx, func(ctx context.Context, l *lab.Lab) error {
		dir, err := os.MkdirTemp("", "eipgw-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if err := os.Chmod(dir, 0o711); err != nil { // FRR's own user has to get to its part
			return errors.Join(fmt.Errorf("demo: %w", err), os.RemoveAll(dir))
		}
		d := &demo{Options: o, report: &report{w: o.Out}}
		err = d.run(ctx, l, dir)
		if ctx.Err() != nil {
			return errors.Join(errors.New("demo: interrupted"), l.Close(), os.RemoveAll(dir))
		}
		if err != nil {
			d.say("\nThe gateway's log ends with:\n%s", d.lastWords())
		}
		return errors.Join(err, l.Close(), os.RemoveAll(dir))
	})
}

func (d *demo) run(ctx context.Context, l *lab.Lab, dir string) error {
	start := time.Now()
	d.say("An EIP gateway between two %s switches and two %s virtual routers.\n%s", d.Switch, d.Router, drawing)
	var err error
	if d.net, err = makeNetwork(l); err != nil {
		return err
	}
	if err := d.start(ctx, dir); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.segmentsArrive, d.trafficFlows, d.eipMoves, d.segmentsChange,
		d.unboundGoesNowhere, d.routerDies, d.everyFrameAccounted, d.gatewayStops,
	} {
		if err := step(ctx); err != nil {
			return errors.Join(err, d.result())
		}
	}
	if err := d.result(); err != nil {
		return err
	}
	d.say("\nAll %d checks held, in %v.", d.checks, time.Since(start).Round(time.Second))
	return nil
}

// start brings every part up. The switches know the gateway as a neighbor and
// nothing else of it: no EIP, no segment.
func (d *demo) start(ctx context.Context, dir string) error {
	d.vr1 = &router{name: "vr1", ns: d.net.vr1, addr: vr1Addr, vni: 5001, mac: vr1MAC}
	d.vr2 = &router{name: "vr2", ns: d.net.vr2, addr: vr2Addr, vni: 5002, mac: vr2MAC, encap: true}
	if err := d.startSwitch(ctx, d.net.switchA, 65001, switchAAddr, switchAAddr, dir); err != nil {
		return err
	}
	if err := d.startSwitch(ctx, d.net.switchB, 65002, switchBAddr, switchBAddr, dir); err != nil {
		return err
	}
	var err error
	if d.gw, err = startGateway(ctx, d.net.gateway, d.Exe, dir); err != nil {
		return err
	}
	if err := d.startRouter(ctx, d.vr1, 65101, dir); err != nil {
		return err
	}
	return d.startRouter(ctx, d.vr2, 65102, dir)
}

func (d *demo) lastWords() string {
	if d.gw == nil {
		return "nothing, it was not started"
	}
	return d.gw.Log()
}

// until polls a condition until it holds; false when it does not within limit.
func until(ctx context.Context, limit time.Duration, cond func() (bool, error)) (time.Duration, bool, error) {
	start := time.Now()
	for {
		ok, err := cond()
		took := time.Since(start)
		if err != nil || ok || took > limit || ctx.Err() != nil {
			return took, ok, errors.Join(err, ctx.Err())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// ping sends echo requests from the client for a while.
func (d *demo) ping(ctx context.Context, to netip.Addr, every, dur time.Duration) (pings, error) {
	d.pingID++
	return pingFor(ctx, d.net.client, to, d.pingID, every, dur)
}

// pingAlong starts echo requests from the client that go on until finish.
func (d *demo) pingAlong(to netip.Addr) (*pinger, error) {
	d.pingID++
	return startPing(d.net.client, to, d.pingID, time.Millisecond)
}
