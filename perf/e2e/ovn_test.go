package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
)

// TestOVN has a real OVN gateway router behind the gateway: it takes the frames,
// translates the EIP, and the VM's answers leave by OVN's own way.
func TestOVN(t *testing.T) {
	w := newOVNWorld(t)
	for _, s := range []struct {
		name string
		test func(*ovnWorld)
	}{
		{"keys", ovnKeys}, {"ping", ovnPing}, {"fragments", ovnFragments}, {"small fragments", ovnSmallFragments},
		{"TCP", ovnTCP}, {"tracepath", ovnTracepath}, {"path MTU behind OVN", ovnPathMTU},
		{"the gateway's answers", ovnGatewayAnswers},
	} {
		ok := t.Run(s.name, func(t *testing.T) {
			world := *w.world
			world.T = t
			s.test(&ovnWorld{world: &world, ovn: w.ovn, vm: w.vm, docs: w.docs})
		})
		if !ok {
			return // what follows builds on it
		}
	}
}

// ovnKeys reads from OVN what the profile in the README says.
func ovnKeys(w *ovnWorld) {
	var got []any
	for _, line := range w.docs.read {
		out, err := w.ovn.Run(w.ctx, "sh", "-c", line)
		require.NoError(w, err)
		got = append(got, strings.TrimSpace(out))
	}
	assert.Contains(w, w.docs.neighbors, fmt.Sprintf("vni: %s\n", got[0]))
	assert.Contains(w, w.docs.neighbors, fmt.Sprintf("inner-mac: %q\n", got[1]))
	assert.Contains(w, w.docs.neighbors, fmt.Sprintf("ovn: {inport: %s, outport: %s}", got[2], got[3]))
	assert.Contains(w, w.docs.neighbors, fmt.Sprintf("inner-src-mac: %q", switchMAC))
}

// tunneled is what the gateway puts in front of a packet for OVN: the Geneve header
// (RFC 8926 section 3.4) with OVN's option (section 3.5), and the inner addresses.
var tunneled = []byte{
	0x02, 0x40, 0x65, 0x58, // one option of 4+4 bytes, C, Ethernet inside
	0x00, 0x13, 0x89, 0x00, // VNI 5001
	0x01, 0x02, 0x80, 0x01, // class 0x0102, type 0x80 (critical), 4 bytes
	0x00, 0x02, 0x00, 0x01, // inport 2, outport 1
	0x0a, 0x00, 0x00, 0x00, 0x00, 0x01, // to edge-external
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, // from the switch
	0x08, 0x00,
}

const geneveAt = 14 + 20 + 8 // Ethernet, IPv4, UDP

// watch is what passes on the links of the switch while a test runs.
type watch struct {
	*ovnWorld
	requests, answers, back *lab.Capture
}

// watch captures Geneve towards OVN, what OVN sends with the EIP as source, and
// whatever has that source on the gateway's link, where none may be.
func (w *ovnWorld) watch() *watch {
	w.Helper()
	capture := func(link string, outgoing bool, filter func([]byte) bool) *lab.Capture {
		c, err := w.sw.Capture(link, lab.CaptureOptions{Filter: filter, Outgoing: outgoing})
		require.NoError(w, err)
		w.Cleanup(func() { assert.NoError(w, c.Close()) })
		return c
	}
	return &watch{ovnWorld: w,
		requests: capture("gw", false, func(f []byte) bool {
			return source(f) == gwAddr && f[23] == 17 && be16(f[36:]) == 6081
		}),
		answers: capture("vr", false, func(f []byte) bool { return source(f) == eip }),
		back:    capture("gw", true, func(f []byte) bool { return source(f) == eip }),
	}
}

// source is the source address of an IPv4 frame.
func source(f []byte) netip.Addr {
	if len(f) < geneveAt || f[12] != 0x08 || f[13] != 0x00 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(f[26:30]))
}

func be16(b []byte) int { return int(b[0])<<8 | int(b[1]) }

// passed requires n frames to OVN through the gateway, and n answers around it.
func (w *watch) passed(n int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	require.NoError(w, w.requests.Wait(ctx, n))
	require.NoError(w, w.answers.Wait(ctx, n))
	assert.Equal(w, n, w.requests.Count(), "frames to OVN")
	assert.Equal(w, n, w.answers.Count(), "answers straight to the switch")
	assert.Zero(w, w.back.Count(), "answers through the gateway")
	for _, f := range w.requests.Frames() {
		require.Greater(w, len(f), geneveAt+len(tunneled)+20)
		require.Equal(w, tunneled, f[geneveAt:geneveAt+len(tunneled)])
		inner := f[geneveAt+len(tunneled):]
		assert.EqualValues(w, 62, inner[8], "TTL: the client's 64, less the switch and the gateway")
		assert.Equal(w, clientAddr, netip.AddrFrom4([4]byte(inner[12:16])))
		assert.Equal(w, eip, netip.AddrFrom4([4]byte(inner[16:20])))
	}
	for _, f := range w.answers.Frames() {
		assert.Equal(w, switchMAC, net.HardwareAddr(f[0:6]).String())
		assert.Equal(w, edgeMAC, net.HardwareAddr(f[6:12]).String())
		assert.EqualValues(w, 63, f[22], "TTL: the VM's 64, less the router")
	}
}

func ovnPing(w *ovnWorld) {
	w.eventually("OVN's neighbors are resolved", func() (bool, any) {
		out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", eip.String())
		return err == nil, out
	})
	watch := w.watch()
	w.ping(eip)
	watch.passed(5)
}

// ovnFragments sends datagrams of three fragments each way: the router's connection
// tracking puts them together, and takes them apart again.
func ovnFragments(w *ovnWorld) {
	watch := w.watch()
	w.ping(eip, "-s", "4000")
	watch.passed(5 * 3)
	ports := map[[2]byte]int{} // by datagram
	for _, f := range watch.requests.Frames() {
		id := [2]byte(f[geneveAt+len(tunneled)+4:])
		port := be16(f[34:])
		assert.Contains(w, []int{0, port}, ports[id], "fragments of a datagram have one UDP source port")
		ports[id] = port
	}
	assert.Len(w, ports, 5)
}

// ovnSmallFragments sends fragments that Open vSwitch does not take as it comes.
// They must not go round between router and gateway; with the README's command they
// pass.
func ovnSmallFragments(w *ovnWorld) {
	route := func(op string, more ...string) {
		w.Helper()
		_, err := w.client.Output(w.ctx, "ip", append([]string{"route", op, eip.String(), "via", "198.51.100.1"}, more...)...)
		require.NoError(w, err)
	}
	route("add", "mtu", "lock", "600")
	defer route("del")
	watch := w.watch()
	out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", "-s", "2000", eip.String())
	require.Error(w, err, out)
	assert.Contains(w, out, "1 packets transmitted, 0 received, 100% packet loss")
	assert.NotContains(w, out, "exceeded")
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	require.NoError(w, watch.requests.Wait(ctx, 4))
	assert.Equal(w, 4, watch.requests.Count(), "2008 bytes in fragments of 576, each sent into the tunnel once")
	_, err = w.ovn.Appctl(w.ctx, w.docs.minFrag[1:]...)
	require.NoError(w, err)
	w.ping(eip, "-s", "2000")
}

// ovnTCP moves some megabytes each way.
func ovnTCP(w *ovnWorld) {
	watch := w.watch()
	w.transfer(8 << 20)
	w.eventually("all is captured", func() (bool, any) {
		to, from := watch.requests.Count(), watch.answers.Count()
		return to > 8<<20/1448 && from > 8<<20/1448, fmt.Sprint(to, from)
	})
	assert.Zero(w, watch.back.Count(), "answers through the gateway")
}

// ovnTracepath finds the logical router and the VM behind the gateway.
func ovnTracepath(w *ovnWorld) {
	hops, mtu := w.hops(eip)
	assert.Equal(w, "198.51.100.1", hops["1"])
	assert.Equal(w, edgeAddr.String(), hops["3"], "OVN's own time exceeded")
	assert.Equal(w, eip.String(), hops["4"])
	assert.Equal(w, "1500", mtu)
}

// ovnPathMTU narrows the VM's network: OVN's router says so, straight to the client,
// and TCP goes on.
func ovnPathMTU(w *ovnWorld) {
	w.nbctl("--wait=hv", "set", "Logical_Router_Port", "edge-vms", "options:gateway_mtu=1400")
	defer w.nbctl("--wait=hv", "remove", "Logical_Router_Port", "edge-vms", "options", "gateway_mtu")
	watch := w.watch()
	w.transfer(1 << 20)
	out, err := w.client.Output(w.ctx, "ip", "route", "get", eip.String())
	require.NoError(w, err)
	assert.Contains(w, out, "mtu 1400", "what the client has learned")
	assert.Zero(w, watch.back.Count(), "answers through the gateway")
	_, mtu := w.hops(eip)
	assert.Equal(w, "1400", mtu)
}

// ovnGatewayAnswers has the gateway itself say what is wrong: as a hop, and where
// the underlay has no room for the tunnel.
func ovnGatewayAnswers(w *ovnWorld) {
	_, err := w.client.Output(w.ctx, "ip", "route", "flush", "cache")
	require.NoError(w, err)
	hops, _ := w.hops(eip)
	assert.Equal(w, gwAddr.String(), hops["2"], "the gateway is a hop")
	// An ordinary underlay: 1500 bytes, 58 of them for the tunnel.
	_, err = w.gw.Output(w.ctx, "ip", "route", "add", vrAddr.String(), "dev", "up0", "mtu", "1500")
	require.NoError(w, err)
	w.eventually("too big", func() (bool, any) {
		out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", eip.String())
		return err != nil && strings.Contains(out, "From "+gwAddr.String()+" icmp_seq=1 Frag needed and DF set (mtu = 1442)"), out
	})
	hops, mtu := w.hops(eip)
	assert.Equal(w, eip.String(), hops["4"])
	assert.Equal(w, "1442", mtu)
	w.transfer(4 << 20)
	// The gateway fragments what are fragments already. Open vSwitch's userspace
	// datapath takes none under 400 bytes that is not a datagram's last: the two parts
	// have to be of about the same size.
	w.ping(eip, "-M", "dont", "-s", "4000")
}
