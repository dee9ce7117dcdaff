package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// switchNeighbor is the switch as the gateway's neighbor.
const switchNeighbor = "neighbors:\n  - {address: 10.0.1.1, role: switch, asn: 65001}"

// speaker is the switch's side of the session. It names no EIP and no segment.
func speaker() peers.SpeakerConfig {
	return peers.SpeakerConfig{ASN: swASN, RouterID: swAddr,
		Peers: []peers.Peer{{Address: gwAddr, ASN: gwASN, Local: swAddr, Multihop: true}}}
}

// attributes reads what the switch knows of 203.0.113.0/24: it has to carry what
// the gateway's configuration says, and nothing that says where EIPs are.
type attributes func(w *world) (nextHop string, communities, large string, med int, raw string)

func TestSwitchLearnsSegments(t *testing.T) {
	for name, start := range map[string]func(w *world) attributes{
		"frr": startFRR, "bird": startBIRD, "embedded": startEmbedded,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string][]lab.Cond{"frr": {lab.Tool("vtysh")}, "bird": {lab.Tool("birdc")}}[name]...)
			w.tunnelEnd()
			read := start(w)
			w.start(config(switchNeighbor + "\n" + w.bindings()))
			w.forwarded(eip)
			w.forwarded(eip6)
			w.hasRoutes("203.0.113.0/24", "2001:db8:e1b::/64")
			nextHop, communities, large, med, raw := read(w)
			assert.Equal(t, gwAddr.String(), nextHop, raw)
			assert.Contains(t, communities, "64512", raw)
			assert.Contains(t, large, "64512", raw)
			assert.Equal(t, 10, med, raw)
			assert.NotContains(t, raw, "attr 23", "nothing of a tunnel reaches a switch")
			w.ping(eip)
			w.ping(eip6)
			splitAndMerge(w)
			require.NoError(t, w.g.Stop(20*time.Second))
			w.hasRoutes()
		})
	}
}

// splitAndMerge changes segments at runtime while it watches that the switch never
// is without a route to the EIP.
func splitAndMerge(w *world) {
	w.Helper()
	stop, uncovered := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				uncovered <- n
				return
			case <-time.After(2 * time.Millisecond):
				routes, err := w.sw.Handle().RouteGet(eip.AsSlice())
				if err != nil || len(routes) == 0 || !routes[0].Gw.Equal(gwAddr.AsSlice()) {
					n++
				}
			}
		}
	}()
	run := func(args ...string) {
		_, err := w.g.Run(w.ctx, append([]string{"segment"}, args...)...)
		assert.NoError(w, err)
	}
	run("split", "203.0.113.0/24", "--into", "25")
	w.hasRoutes("203.0.113.0/25", "203.0.113.128/25", "2001:db8:e1b::/64")
	run("merge", "203.0.113.0/24")
	w.hasRoutes("203.0.113.0/24", "2001:db8:e1b::/64")
	run("add", "198.18.0.0/24")
	w.hasRoutes("198.18.0.0/24", "203.0.113.0/24", "2001:db8:e1b::/64")
	run("withdraw", "198.18.0.0/24")
	w.hasRoutes("203.0.113.0/24", "2001:db8:e1b::/64")
	close(stop)
	assert.Zero(w, <-uncovered, "looks at the switch's table that found no route to the EIP")
}

func startFRR(w *world) attributes {
	w.Helper()
	f, err := peers.StartFRR(w.ctx, w.sw, peers.FRRConfig{Dir: filepath.Join(w.dir, "frr"), BGPD: peers.FRRSwitch(speaker())})
	require.NoError(w, err)
	return func(w *world) (string, string, string, int, string) {
		out, err := f.Vtysh(w.ctx, "show bgp ipv4 unicast 203.0.113.0/24 json")
		require.NoError(w, err)
		var v struct {
			Paths []struct {
				Metric         int
				Community      struct{ String string }
				LargeCommunity struct{ String string }
				Nexthops       []struct{ IP string }
			}
		}
		require.NoError(w, json.Unmarshal([]byte(out), &v), out)
		require.Len(w, v.Paths, 1, out)
		require.NotEmpty(w, v.Paths[0].Nexthops, out)
		p := v.Paths[0]
		return p.Nexthops[0].IP, p.Community.String, p.LargeCommunity.String, p.Metric, out
	}
}

func startBIRD(w *world) attributes {
	w.Helper()
	b, err := peers.StartBIRD(w.ctx, w.sw, peers.BIRDConfig{Dir: filepath.Join(w.dir, "bird"), Config: peers.BIRDSwitch(speaker())})
	require.NoError(w, err)
	return func(w *world) (nextHop, communities, large string, med int, raw string) {
		raw, err := b.Birdc(w.ctx, "show", "route", "203.0.113.0/24", "all")
		require.NoError(w, err)
		scan(raw, "BGP.next_hop:", &nextHop)
		scan(raw, "BGP.community:", &communities)
		scan(raw, "BGP.large_community:", &large)
		scan(raw, "BGP.med:", &med)
		return nextHop, communities, large, med, raw
	}
}

func startEmbedded(w *world) attributes {
	w.Helper()
	p, err := peers.Start(w.ctx, w.sw, []string{w.exe, "demo-peer"}, peers.KindSwitch, speaker())
	require.NoError(w, err)
	return func(w *world) (string, string, string, int, string) {
		routes, err := p.Routes()
		require.NoError(w, err)
		for _, r := range routes {
			assert.Empty(w, r.Unexpected, "attributes that are none of a switch's")
			if r.Prefix == netip.MustParsePrefix("203.0.113.0/24") {
				require.NotNil(w, r.MED)
				large := fmt.Sprint(r.LargeCommunities)
				assert.Equal(w, []uint32{64512<<16 | 100}, r.Communities)
				assert.Equal(w, [][3]uint32{{64512, 1, 2}}, r.LargeCommunities)
				return r.NextHop.String(), "64512:100", large, int(*r.MED), fmt.Sprint(routes)
			}
		}
		return "", "", "", 0, fmt.Sprint(routes)
	}
}
