package e2e

import (
	"net/netip"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
)

// vrAddr6 is the virtual router's other VTEP, gwAddr6 the gateway's address on its port.
var (
	vrAddr6 = netip.MustParseAddr("fd00:1::11")
	gwAddr6 = netip.MustParseAddr("fd00:1::2")
)

// hopLine is a line of what tracepath or traceroute print: distance and who answered.
var hopLine = regexp.MustCompile(`(?m)^ *(\d+): {1,2}([\d.]+|[\da-f]*:[\da-f:]*) |^ *(\d+)  ([\d.]+|[\da-f]*:[\da-f:]*) `)

func hopsIn(text string) map[string]string {
	hops := map[string]string{}
	for _, m := range hopLine.FindAllStringSubmatch(text, -1) {
		hops[m[1]+m[3]] = m[2] + m[4]
	}
	return hops
}

// hops runs tracepath from the client to an address, and returns who answered, by
// distance, and the path MTU that it found.
func (w *world) hops(a netip.Addr) (map[string]string, string) {
	w.Helper()
	out, err := w.client.Output(w.ctx, "tracepath", "-n", a.String())
	require.NoError(w, err, out)
	assert.Contains(w, out, "reached", out)
	w.Log(out)
	mtu := regexp.MustCompile(`Resume: pmtu (\d+)`).FindStringSubmatch(out)
	require.Len(w, mtu, 2, out)
	return hopsIn(out), mtu[1]
}

// TestTheGatewayIsAHop has traceroute and tracepath look for the EIPs over an ordinary
// underlay of 1500 bytes: the gateway is a hop, by its port's address, the virtual router
// is the next one, and the path takes what the tunnel leaves.
func TestTheGatewayIsAHop(t *testing.T) {
	for name, c := range map[string]struct {
		vtep netip.Addr
		mtu  int
	}{
		"IPv4 underlay": {vrAddr, 1450},
		"IPv6 underlay": {vrAddr6, 1430},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Tool("traceroute"), lab.Tool("tracepath"))
			w.unlimited()
			w.underlay(1500)
			w.tunnelEnd()
			w.start(config(w.bindingsTo(c.vtep)))
			w.routeToGateway()
			for a, gateway := range map[netip.Addr]string{eip: gwAddr.String(), eip6: gwAddr6.String()} {
				w.forwarded(a)
				w.ping(a)
				want := map[string]string{"1": "198.51.100.1", "2": gateway, "3": a.String()}
				if a.Is6() {
					want["1"] = "2001:db8:c::1"
				}
				hops, mtu := w.hops(a)
				assert.Equal(t, want, hops, "tracepath")
				assert.Equal(t, strconv.Itoa(c.mtu), mtu, "tracepath")
				for _, probe := range []string{"-U", "-I", "-T"} { // UDP, echo requests, TCP SYNs
					out, err := w.client.Output(w.ctx, "traceroute", "-n", "-q", "2", "-w", "20", probe, a.String())
					require.NoError(t, err, out)
					assert.Equal(t, want, hopsIn(out), "traceroute %s: %s", probe, out)
				}
			}
			w.addUp()
		})
	}
}

// unlimited has the switch answer every packet that needs it, as kernels do not.
func (w *world) unlimited() {
	w.Helper()
	require.NoError(w, w.sw.Sysctl("net.ipv4.icmp_ratelimit", "0"))
	require.NoError(w, w.sw.Sysctl("net.ipv6.icmp.ratelimit", "0"))
}

// addUp waits until the gateway's counters agree: every frame that came in or was made
// went out or was dropped.
func (w *world) addUp() {
	w.Helper()
	w.eventually("counters add up", func() (bool, any) {
		c, err := w.g.Counters(w.ctx)
		return err == nil && c.AddUp() && c.Received.Packets > 0, c
	})
}
