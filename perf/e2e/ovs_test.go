package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// TestOpenVSwitchTakesTheTunnel has Open vSwitch's userspace datapath as virtual
// router: with and without OVN's option the frame comes out at its port.
func TestOpenVSwitchTakesTheTunnel(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		value   uint32
		flow    string
	}{
		"bare":       {"", 0, "tunnel(tun_id=0x1389,src=10.0.1.2,dst=10.0.1.11"},
		"OVN option": {", ovn: {inport: 2, outport: 1}", 2<<16 | 1, "geneve({class=0x102,type=0x80,len=4,0x20001"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Tool("ovs-vswitchd"), lab.Must(lab.LinkKind("tun")))
			ovs, err := peers.StartOVS(w.ctx, w.vr, peers.OVSConfig{Dir: filepath.Join(w.dir, "ovs"), Uplink: "up0", VNI: vni,
				Port: "tap0", PortMAC: vrMAC, Option: c.value})
			require.NoError(t, err)
			w.uplinkBridge()
			require.NoError(t, w.vr.Up("tap0"))
			require.NoError(t, w.vr.Addr("tap0", netip.PrefixFrom(eip, 32)))
			file := filepath.Join(w.dir, "bindings.yaml")
			require.NoError(t, os.WriteFile(file, fmt.Appendf(nil,
				"bindings: [{prefix: %s, tunnels: [{vtep: %s, vni: %d, inner-mac: \"02:00:00:00:01:11\"%s}]}]", eip, vrAddr, vni, c.options), 0o644))
			w.start(config("bindings: {file: " + file + "}"))
			w.routeToGateway()
			w.forwarded(eip)
			w.eventually("the first frame comes out of Open vSwitch", func() (bool, any) {
				out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", eip.String())
				return err == nil, out
			})
			w.ping(eip)
			w.ping(eip, "-s", "1472", "-M", "do") // a full 1500-byte packet
			flows, err := ovs.Appctl(w.ctx, "dpctl/dump-flows")
			require.NoError(t, err)
			assert.Contains(t, flows, c.flow)
			link, err := w.vr.Handle().LinkByName("tap0")
			require.NoError(t, err)
			assert.GreaterOrEqual(t, link.Attrs().Statistics.RxPackets, uint64(10), "frames that came out at the port")
		})
	}
}

// uplinkBridge moves the virtual router's addresses and routes from its uplink to
// the bridge that Open vSwitch made of it.
func (w *world) uplinkBridge() {
	w.Helper()
	for from, to := range map[string]string{"10.0.1.11/24": "10.0.1.1", "fd00:1::11/64": "fd00:1::1"} {
		p := netip.MustParsePrefix(from)
		require.NoError(w, w.vr.RemoveAddr("up0", p))
		require.NoError(w, w.vr.Addr(peers.UplinkBridge, p))
		require.NoError(w, w.vr.Up(peers.UplinkBridge))
		require.NoError(w, w.vr.Route(netip.PrefixFrom(netip.MustParseAddr(to), 0).Masked(), lab.Via(to)))
	}
}
