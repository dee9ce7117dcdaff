package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/encap"
)

var (
	eip   = netip.MustParseAddr("203.0.113.7")
	vtep  = netip.MustParseAddr("10.0.2.11")
	vtep2 = netip.MustParseAddr("10.0.2.12")
	local = netip.MustParseAddr("10.0.1.2")
)

// frame is a UDP packet of no length to dst, Ethernet and all.
func frame(dst netip.Addr) []byte {
	d := dst.As4()
	b := []byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x08, 0x00, // Ethernet
		0x45, 0, 0, 28, 0, 1, 0x40, 0, 64, 17, 0, 0, 198, 51, 100, 2, d[0], d[1], d[2], d[3], // IPv4
		0x10, 0, 0x20, 0, 0, 8, 0, 0, // UDP
	}
	sum := encap.Checksum(b[14:34], 0)
	b[24], b[25] = byte(sum>>8), byte(sum)
	return b
}

// One frame's and one binding's life through the whole gateway.
func TestBindForwardExplainUnbind(t *testing.T) {
	w := newWorld(t, worldConfig+"forwarding: {unbound: drop, unresolved: drop}\n")
	w.announced("203.0.113.0/24")
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, w.devices[0].redirected())

	// Bound, but without a way: shown so, dropped so.
	code, out, errs := w.cli("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "unresolved")
	assert.Contains(t, errs, "the underlay knows no way to the virtual router yet")
	w.devices[0].port(0).Inject(frame(eip))
	w.eventually("the frame is dropped", func() bool { return w.drops("unresolved_vtep") == 1 })

	// With a way out of the second port: forwarded there.
	w.network.way(vtep, fibtest.Adjacency(portID(1), local, 9))
	w.eventually("the binding forwards", func() bool {
		b := w.g.binding(netip.PrefixFrom(eip, 32))
		return b != nil && b.State == stateForwarding
	})
	w.devices[0].port(0).Inject(frame(eip))
	var sent [][]byte
	w.eventually("the frame leaves", func() bool { sent = append(sent, w.devices[1].port(0).Collect()...); return len(sent) == 1 })
	p, err := encap.Parse(sent[0])
	require.NoError(t, err)
	assert.Equal(t, encap.VNI(5001), p.VNI)
	assert.Equal(t, vtep, p.Dst)
	assert.Equal(t, byte(63), p.Packet[8], "TTL")

	code, out, _ = w.cli("why", "203.0.113.7")
	require.Equal(t, exitOK, code)
	for _, want := range []string{
		"forwarded: 203.0.113.7/32 is bound, 1 of 1 tunnel resolved", "* admin by static: VTEP 10.0.2.11 VNI 5001 by geneve",
		"out of mem2 to next hop", "inner packets up to 1450 bytes",
	} {
		assert.Contains(t, out, want)
	}

	code, out, _ = w.cli("unbind", "203.0.113.7")
	require.Equal(t, exitOK, code)
	assert.Equal(t, "203.0.113.7/32 is bound to nothing\n", out)
	w.devices[0].port(0).Inject(frame(eip))
	w.eventually("the frame is dropped", func() bool { return w.drops("no_binding") == 1 })
	code, _, errs = w.cli("unbind", "203.0.113.7")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "expected a prefix that was bound at runtime")

	c, err := w.client.Counters(context.Background())
	require.NoError(t, err)
	assert.EqualValues(t, 3, c.Received.Packets)
	assert.EqualValues(t, 1, c.Sent.Packets)
	code, out, _ = w.cli("show", "counters")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "received 3 + made 0 = sent 1 + dropped 2: adds up")
}

// What routers have reported of a VTEP's path is in every view of it.
func TestPathMTUIsShown(t *testing.T) {
	w := newWorld(t, worldConfig)
	assert.False(t, w.network.cfg.NoPathMTU)
	w.network.path = underlay.PathMTU{MTU: 1400, Reporter: netip.MustParseAddr("10.9.9.1"), Reported: time.Now()}
	code, _, errs := w.cli("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001")
	require.Equal(t, exitOK, code, errs)
	code, out, _ := w.cli("why", "203.0.113.7")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "path MTU 1400, reported by 10.9.9.1 ")
	want := &admin.PathMTU{MTU: 1400, Reporter: w.network.path.Reporter, Reported: w.network.path.Reported}
	assert.Equal(t, want, w.g.Underlay()[0].PathMTU)
	m := w.g.Metrics()
	assert.Equal(t, 1, m.PathMTUs)
	assert.Equal(t, uint64(1), m.TooBig["lowered"])
	assert.Len(t, m.TooBig, int(underlay.NumOutcomes))
}

func TestPathMTUDiscoveryOff(t *testing.T) {
	w := newWorld(t, worldConfig+"tunnel: {path-mtu: off}\n")
	assert.True(t, w.network.cfg.NoPathMTU)
}

// A VTEP to which the switches would send packets back here is refused, and so is the
// gateway itself.
func TestBindRefusesALoop(t *testing.T) {
	w := newWorld(t, worldConfig)
	for vtep, want := range map[string]string{
		"203.0.113.21": "VTEP 203.0.113.21 lies inside the segments: switches would send its tunnel packets back here",
		"10.255.0.1":   "VTEP 10.255.0.1 is the gateway's own address: expected a virtual router's",
	} {
		code, _, errs := w.cli("bind", "203.0.113.20", "--vtep", vtep, "--vni", "5001")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, want)
		assert.Nil(t, w.g.binding(netip.PrefixFrom(netip.MustParseAddr("203.0.113.20"), 32)))
	}
}

// What `why` says of a flow is what workers do with it, for many flows of a group.
func TestWhyKnowsTheWayOfAFlow(t *testing.T) {
	w := newWorld(t, worldConfig)
	code, _, errs := w.cli("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vtep", "10.0.2.12", "--vni", "5001")
	require.Equal(t, exitOK, code, errs)
	w.network.way(vtep, fibtest.Adjacency(portID(0), local, 1), fibtest.Adjacency(portID(1), local, 2))
	w.network.way(vtep2, fibtest.Adjacency(portID(1), local, 3))
	w.eventually("all tunnels have a way", func() bool { return w.g.binding(netip.PrefixFrom(eip, 32)).State == stateForwarding })
	taken := map[string]int{}
	for port := range uint16(64) {
		f := frame(eip)
		f[34], f[35] = byte(port>>8), byte(port)
		w.devices[0].port(0).Inject(f)
		var sent [][]byte
		w.eventually("the frame leaves", func() bool {
			sent = append(sent, append(w.devices[0].port(0).Collect(), w.devices[1].port(0).Collect()...)...)
			return len(sent) == 1
		})
		p, err := encap.Parse(sent[0])
		require.NoError(t, err)
		why := w.g.Why(eip, &admin.Flow{From: netip.MustParseAddr("198.51.100.2"), FromPort: port, ToPort: 0x2000, Protocol: 17})
		require.NotNil(t, why.Choice)
		tunnel := why.Tunnels[why.Choice.Tunnel]
		assert.Equal(t, p.Dst, tunnel.Tunnel.VTEP)
		assert.Equal(t, p.OuterDst.String(), tunnel.Ways[why.Choice.Way].DstMAC)
		assert.Equal(t, p.SrcPort, why.Choice.SourcePort)
		taken[p.Dst.String()+" "+p.OuterDst.String()]++
	}
	assert.Len(t, taken, 3, "some way was never taken: %v", taken)
}

// Many EIPs are bound at once, and programmed when the answer comes; a bad one of them
// leaves all as they were.
func TestBindMany(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.network.way(vtep, fibtest.Adjacency(portID(1), local, 9))
	vni := uint32(5001)
	b := admin.BindMany{
		Prefixes: []netip.Prefix{netip.PrefixFrom(eip, 32), netip.PrefixFrom(eip.Next(), 32)},
		Tunnels:  []admin.BindTunnel{{VTEP: vtep, VNI: &vni}},
	}
	bound, err := w.client.BindMany(context.Background(), b)
	require.NoError(t, err)
	assert.Equal(t, 2, bound.Bound)
	assert.Len(t, w.g.Bindings(admin.BindingQuery{Limit: 10}).Bindings, 2)
	b.Prefixes = append(b.Prefixes, netip.PrefixFrom(eip, 24))
	vni++
	_, err = w.client.BindMany(context.Background(), b)
	assert.ErrorContains(t, err, "bits beyond the length")
	for _, p := range w.g.Bindings(admin.BindingQuery{Limit: 10}).Bindings {
		assert.EqualValues(t, 5001, p.Tunnels[0].VNI)
	}
	b.Tunnels[0].VTEP = netip.Addr{}
	_, err = w.client.BindMany(context.Background(), b)
	assert.ErrorContains(t, err, "tunnel 1")
}

// A binding in VXLAN, from the command line to the frame; what VXLAN has no room for is
// refused.
func TestBindVXLAN(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.network.way(vtep, fibtest.Adjacency(portID(1), local, 9))
	code, out, errs := w.cli("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001", "--protocol", "vxlan")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "vxlan")
	w.devices[0].port(0).Inject(frame(eip))
	var sent [][]byte
	w.eventually("the frame leaves", func() bool { sent = append(sent, w.devices[1].port(0).Collect()...); return len(sent) == 1 })
	p, err := encap.ParseAs(sent[0], encap.VXLAN)
	require.NoError(t, err)
	assert.Equal(t, []any{vtep, uint16(4789), encap.VNI(5001)}, []any{p.Dst, p.DstPort, p.VNI})
	code, out, _ = w.cli("why", "203.0.113.7")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "VTEP 10.0.2.11 VNI 5001 by vxlan")

	code, _, errs = w.cli("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001", "--protocol", "vxlan", "--ovn", "2,1")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "options ovn(inport 2, outport 1), want none: vxlan has no room for options")
	vni := uint32(1)
	_, err = w.client.Bind(context.Background(), admin.Bind{
		Prefix: netip.PrefixFrom(eip, 32), Tunnels: []admin.BindTunnel{{VTEP: vtep, VNI: &vni, Protocol: "gre"}},
	})
	assert.ErrorContains(t, err, "\"gre\" is not a tunnel protocol, want geneve or vxlan")
}

// Pages of all sizes list every binding once, in order, with its own state, whatever
// covers what.
func TestPagesOfBindings(t *testing.T) {
	w := newWorld(t, strings.Replace(worldConfig, "203.0.113.0/24}", "203.0.113.0/24}, {prefix: \"2001:db8::/32\"}", 1))
	w.network.way(vtep, fibtest.Adjacency(portID(0), local, 1))
	want := []string{"203.0.113.0/25", "203.0.113.0/28", "203.0.113.0/32", "203.0.113.1/32", "203.0.113.9/32", "2001:db8::/64", "2001:db8::/128", "2001:db8::1/128"}
	for i, p := range want {
		vni, to := uint32(i), vtep
		if i%3 == 1 {
			to = vtep2 // has no way
		}
		b := admin.Bind{Prefix: netip.MustParsePrefix(p), Tunnels: []admin.BindTunnel{{VTEP: to, VNI: &vni}}}
		_, err := w.client.Bind(context.Background(), b)
		require.NoError(t, err)
	}
	list := func(q admin.BindingQuery) (got []string) {
		for {
			page := w.g.Bindings(q)
			for _, b := range page.Bindings {
				got = append(got, b.Prefix.String())
				state := stateForwarding
				if b.Tunnels[0].VTEP == vtep2 {
					state = stateUnresolved
				}
				assert.Equal(t, state, b.State, "%s", b.Prefix)
			}
			if page.Next == nil {
				return got
			}
			assert.Len(t, page.Bindings, q.Limit)
			q.From = *page.Next
		}
	}
	w.eventually("everything is programmed", func() bool { return len(w.g.Bindings(admin.BindingQuery{Limit: 100}).Bindings) == len(want) })
	for limit := 1; limit <= len(want)+1; limit++ {
		assert.Equal(t, want, list(admin.BindingQuery{Limit: limit}), "pages of %d", limit)
		assert.Equal(t, want[2:4], list(admin.BindingQuery{Limit: limit, Under: netip.MustParsePrefix("203.0.113.0/29")}))
		assert.Equal(t, want[5:], list(admin.BindingQuery{Limit: limit, Under: netip.MustParsePrefix("2001:db8::/48")}))
	}
}

func (w *world) drops(reason string) uint64 {
	for _, d := range w.g.Counters().Drops {
		if d.Reason == reason {
			return d.Packets
		}
	}
	return 0
}

// What a virtual router says becomes a binding within its allow-list only, and goes
// with the source.
func TestSourcesComeAndGo(t *testing.T) {
	w := newWorld(t, worldConfig)
	say := w.speaker.cfg.Updates
	claim := func(p string, v netip.Addr) rib.Path {
		return rib.Path{Prefix: netip.MustParsePrefix(p), Tunnel: encap.Tunnel{VTEP: v, VNI: 7}, Carrier: rib.CarrierPeer, Router: v, Learned: time.Now()}
	}
	say(rib.Update{Source: "10.1.0.1", Set: []rib.Path{claim("203.0.113.7/32", vtep), claim("203.0.113.200/32", vtep)}, Synced: true})
	w.eventually("the EIP is bound", func() bool { return w.g.binding(netip.MustParsePrefix("203.0.113.7/32")) != nil })
	w.eventually("the other is refused", func() bool { r := w.g.Refusals(); return len(r) == 1 && r[0].Reason == "not_allowed" })
	code, out, _ := w.cli("why", "203.0.113.200")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "not_allowed")

	dynamic := bgpd.Source{ID: "10.9.0.1", Name: "10.9.0.0/24", Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	w.speaker.cfg.OnSource(dynamic)
	say(rib.Update{Source: dynamic.ID, Set: []rib.Path{claim("203.0.113.201/32", vtep2)}})
	w.eventually("the dynamic one's EIP is bound", func() bool { return w.g.binding(netip.MustParsePrefix("203.0.113.201/32")) != nil })
	var names []string
	for _, s := range w.g.Sources() {
		names = append(names, s.ID+"="+s.Name)
	}
	assert.Contains(t, names, "10.9.0.1=10.9.0.0/24")
	w.speaker.cfg.OnSource(bgpd.Source{ID: dynamic.ID, Gone: true})
	w.eventually("its EIP is gone", func() bool { return w.g.binding(netip.MustParsePrefix("203.0.113.201/32")) == nil })
}

func TestSegmentsAtRuntime(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")

	code, out, _ := w.cli("segment", "split", "203.0.113.0/24", "--into", "25", "--dry-run")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "plan, nothing is changed")
	w.announced("203.0.113.0/24")

	code, out, errs := w.cli("segment", "split", "203.0.113.0/24", "--into", "25")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "plan, under way")
	w.announced("203.0.113.0/25", "203.0.113.128/25")
	code, _, errs = w.cli("segment", "merge", "203.0.113.0/24")
	require.Equal(t, exitOK, code, errs)
	w.announced("203.0.113.0/24")

	code, _, errs = w.cli("segment", "add", "198.51.100.0/24", "--community", "64512:7", "--med", "3")
	require.Equal(t, exitOK, code, errs)
	w.announced("198.51.100.0/24", "203.0.113.0/24")
	w.eventually("it is shown as announced", func() bool {
		_, out, _ = w.cli("show", "segments")
		return strings.Count(out, " announced ") == 2
	})
	assert.Regexp(t, `198\.51\.100\.0/24\s+announced\s+\S+\s+admin\s+3\s+-\s+64512:7`, out)

	for _, bad := range [][]string{
		{"segment", "add", "10.0.0.0/16"},       // a neighbor lies inside
		{"segment", "add", "10.255.0.0/24"},     // the service address lies inside
		{"segment", "add", "0.0.0.0/0"},         // a default route
		{"segment", "withdraw", "192.0.2.0/24"}, // nobody wants it
		{"segment", "merge", "192.0.2.0/23"},    // nothing inside
		{"segment", "split", "192.0.2.0/24", "--into", "25"},
		{"segment", "split", "203.0.113.0/24", "--into", "24"},
		{"segment", "add", "192.0.2.0/24", "--community", "x"},
	} {
		code, out, errs := w.cli(bad...)
		assert.NotEqual(t, exitOK, code, "%v: %s", bad, out)
		assert.NotEmpty(t, errs)
	}
	w.announced("198.51.100.0/24", "203.0.113.0/24")

	code, _, errs = w.cli("segment", "withdraw", "203.0.113.0/24", "198.51.100.0/24")
	require.Equal(t, exitOK, code, errs)
	w.announced()
	if strings.Contains(w.log.String(), "has not polled its ports") {
		return // a busy machine kept the worker from it for a second, and so everything was withdrawn
	}
	for _, h := range w.speaker.history[1 : len(w.speaker.history)-1] {
		assert.Contains(t, h, "203.0.113.", "the covered addresses were without a route meanwhile")
	}
}

func TestReload(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")
	code, _, errs := w.cli("segment", "add", "198.51.100.0/24")
	require.Equal(t, exitOK, code, errs)

	// Taken over: segments, neighbors, the level of the log. What was added at runtime stays.
	next := strings.NewReplacer("203.0.113.0/24}", "203.0.113.0/24}, {prefix: 192.0.2.0/24}", "allow: [203.0.113.0/25]", "allow: [203.0.113.0/24]").
		Replace(worldConfig) + "log: {level: debug}\n"
	w.configure(next)
	w.signals <- unix.SIGHUP
	w.announced("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
	w.logged("configuration reloaded")
	assert.Contains(t, w.log.String(), `changed="segments, neighbors, log.level"`)
	assert.Equal(t, "203.0.113.0/24", w.g.speakerConfig(w.g.cfg).Neighbors[1].Allow[0].String())
	for _, s := range w.g.Sources() {
		if s.ID == "10.1.0.1" {
			assert.Equal(t, "203.0.113.0/24", s.Allow[0].String())
		}
	}

	// Refused as a whole: mistakes, and what needs a restart.
	refused := func(text, want string) {
		t.Helper()
		w.configure(text)
		code, out, errs := w.cli("reload")
		assert.Equal(t, exitFailed, code, out)
		assert.Contains(t, errs, want)
		assert.Contains(t, errs, "the running configuration stays in force")
		_, out, _ = w.cli("show", "status")
		assert.Contains(t, out, "is NOT in force")
		assert.Contains(t, out, want)
		w.announced("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
	}
	refused(strings.Replace(worldConfig, "203.0.113.0/24", "203.0.113.1/24", 1), `segments[0].prefix: "203.0.113.1/24": expected 203.0.113.0/24`)
	refused(strings.NewReplacer("64512", "64513", "mem2", "mem3", "203.0.113.0/24}]", "203.0.113.0/25}]").Replace(next),
		"gateway.asn, ports: changed, but fixed while the daemon runs")
	refused(strings.Replace(next, "10.0.1.1", "198.51.100.9", 1), "segment 198.51.100.0/24 covers 198.51.100.9, a neighbor")
	w.speaker.mu.Lock()
	w.speaker.refuse = errors.New("bgpd: no")
	w.speaker.mu.Unlock()
	refused(strings.Replace(next, "65001", "65002", 1), "bgpd: no")
	w.speaker.mu.Lock()
	w.speaker.refuse = nil
	w.speaker.mu.Unlock()

	// And good again.
	w.configure(next)
	code, out, errs := w.cli("reload")
	require.Equal(t, exitOK, code, errs)
	assert.Equal(t, "reloaded: nothing differs from what is in force\n", out)
	_, out, _ = w.cli("show", "status")
	assert.NotContains(t, out, "NOT in force")
}

// A segment withdrawn at runtime stays withdrawn over a reload, and the reload says so.
func TestReloadKeepsWithdrawn(t *testing.T) {
	w := newWorld(t, worldConfig)
	code, _, errs := w.cli("segment", "withdraw", "203.0.113.0/24")
	require.Equal(t, exitOK, code, errs)
	code, _, errs = w.cli("reload")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, errs, "segment 203.0.113.0/24 is in the file but stays withdrawn")
	w.announced()
}

func TestBindingsFileIsExchangedByReload(t *testing.T) {
	w := newWorld(t, worldConfig)
	file := filepath.Join(filepath.Dir(w.file), "bindings.yaml")
	write := func(name, eip string) {
		text := "bindings: [{prefix: " + eip + ", tunnels: [{vtep: 10.0.2.11, vni: 5}]}]\n"
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	bound := func(p string) func() bool {
		return func() bool { return w.g.binding(netip.MustParsePrefix(p)) != nil }
	}
	write(file, "203.0.113.50/32")
	write(file+"2", "203.0.113.51/32")
	use := func(name string) {
		w.configure(worldConfig + "bindings: {file: " + name + "}\n")
		code, _, errs := w.cli("reload")
		require.Equal(t, exitOK, code, errs)
	}
	use(file)
	w.eventually("the file is in force", bound("203.0.113.50/32"))
	use(file + "2")
	w.eventually("the second file is in force", bound("203.0.113.51/32"))
	w.eventually("the first one is not", func() bool { return !bound("203.0.113.50/32")() })
	w.configure(worldConfig + "bindings: {file: " + file + ".missing}\n")
	code, _, errs := w.cli("reload")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "bindings.yaml.missing")
	assert.True(t, bound("203.0.113.51/32")(), "a file that is not there has taken the other one's place")
	w.configure(worldConfig)
	code, _, errs = w.cli("reload")
	require.Equal(t, exitOK, code, errs)
	w.eventually("no file is in force", func() bool { return !bound("203.0.113.51/32")() })
}

func TestAnnouncementIsTiedToForwarding(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")
	pulled := errors.New("pulled")
	w.devices[0].port(0).SetDown(pulled)
	w.eventually("the port is shown as down", func() bool {
		p, err := w.client.Ports(context.Background())
		return err == nil && p[0].State == "pulled" && p[1].State == admin.StateUp
	})
	w.announced("203.0.113.0/24") // one of two ports is down: the other one's switch goes on
	w.devices[1].port(0).SetDown(pulled)
	w.announced()
	s, err := w.client.Status(context.Background())
	require.NoError(t, err)
	assert.False(t, s.Ready)
	assert.Contains(t, strings.Join(s.Reasons, "; "), "none works: pulled")
	w.devices[0].port(0).SetDown(nil)
	w.devices[1].port(0).SetDown(nil)
	w.announced("203.0.113.0/24")
}

func TestOneBrokenQueueIsBad(t *testing.T) {
	judge := func(p ...*portHealth) map[string]string {
		m := map[fib.PortID]*portHealth{}
		for i, h := range p {
			m[portID(i)] = h
		}
		return judgePorts(m)
	}
	down := errors.New("down")
	assert.Equal(t, map[string]string{"port a": "1 of 2 queues do not work: down", "ports": ""},
		judge(&portHealth{name: "a", working: 1, failed: 1, err: down}))
	assert.Equal(t, map[string]string{"port a": "", "port b": "", "ports": ""},
		judge(&portHealth{name: "a", working: 2}, &portHealth{name: "b", failed: 2, err: down}))
	assert.Equal(t, map[string]string{"port a": "", "ports": "none works: down"}, judge(&portHealth{name: "a", failed: 2, err: down}))
}

func TestAStalledWorkerWithdraws(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")
	hang := &w.devices[0].hang
	hang.Lock()
	free := sync.OnceFunc(hang.Unlock)
	t.Cleanup(free)
	w.logged(`condition="worker 0" reason="has not polled its ports for `)
	w.announced()
	free()
	w.logged(`msg="healthy again" condition="worker 0"`)
	w.announced("203.0.113.0/24")
}

func TestGracefulStop(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")
	w.signals <- unix.SIGTERM
	w.join(patience)
	assert.Empty(t, w.speaker.have(), "it ended without a withdrawal")
	assert.Contains(t, w.log.String(), "eipgw has stopped")
	_, err := w.client.Status(context.Background())
	assert.ErrorIs(t, err, admin.ErrUnreachable)
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	w := newWorld(t, strings.Replace(worldConfig, "linger: 50ms", "linger: 10m", 1))
	w.announced("203.0.113.0/24")
	w.signals <- unix.SIGTERM
	w.announced()
	w.signals <- unix.SIGINT
	w.join(patience)
	assert.Contains(t, w.log.String(), "a second signal")
}

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	read := func() string {
		b := make([]byte, 256)
		require.NoError(t, l.SetReadDeadline(time.Now().Add(patience)))
		n, err := l.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
	w := newWorld(t, worldConfig)
	assert.Equal(t, "READY=1", read())
	w.signals <- unix.SIGHUP
	assert.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=\d+$`, read())
	assert.Equal(t, "READY=1", read())
	w.signals <- unix.SIGTERM
	assert.Equal(t, "STOPPING=1", read())
}

// Whatever fails to open, everything that was opened before is closed again.
func TestNothingStaysOpenWhenStartFails(t *testing.T) {
	broken := errors.New("no privilege")
	for _, what := range []string{"second device", "underlay", "speaker"} {
		w := &world{t: t}
		p := w.parts()
		switch what {
		case "second device":
			open, n := p.device, 0
			p.device = func(c config.Port, id fib.PortID, _ *afxdp.Lane) (device, error) {
				if n++; n == 2 {
					return nil, broken
				}
				return open(c, id, nil)
			}
		case "underlay":
			p.underlay = nil
		case "speaker":
			p.speaker = nil
		}
		if p.underlay == nil {
			p.underlay = failing[underlayConfig, network](broken)
		}
		if p.speaker == nil {
			p.speaker = failing[bgpd.Config, speaker](broken)
		}
		socket := filepath.Join(t.TempDir(), "s")
		cfg, err := config.Parse(strings.NewReader(strings.ReplaceAll(worldConfig, "SOCKET", socket)))
		require.NoError(t, err)
		_, err = newGateway(cfg, gatewayOptions{Parts: p, Log: discard, Level: &discardLevel})
		require.ErrorIs(t, err, broken, what)
		for _, d := range w.devices {
			assert.True(t, d.closed, "%s fails, and %s stays open", what, d.name)
		}
		_, err = os.Stat(socket)
		assert.ErrorIs(t, err, os.ErrNotExist, "%s fails, and the socket stays", what)
	}
}
