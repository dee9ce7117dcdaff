package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// A router that announces both EIPs by one carrier. kill ends it as a crash would.
type announcer func(w *world, carrier string) (kill func() error)

// vtepNumber is 10.0.1.11 as the second part of a large community.
const vtepNumber = 10<<24 | 0<<16 | 1<<8 | 11

// toGateway is the virtual router's end of the session.
func toGateway() peers.Peer { return peers.Peer{Address: gwAddr, ASN: gwASN, Local: vrAddr} }

// TestVirtualRouters has every program announce by every carrier that it can send,
// sends frames through, and kills it.
func TestVirtualRouters(t *testing.T) {
	for _, c := range []struct {
		program  string
		start    announcer
		carriers []string
		need     []lab.Cond
	}{
		{"frr", announceFRR, []string{"peer", "next-hop", "large-community"}, []lab.Cond{lab.Tool("vtysh")}},
		{"bird", announceBIRD, []string{"peer", "next-hop", "large-community"}, []lab.Cond{lab.Tool("birdc")}},
		{"exabgp", announceExaBGP, []string{"peer", "next-hop", "large-community", "tunnel-encap"}, []lab.Cond{lab.Tool("exabgp")}},
		{"embedded", announceEmbedded, []string{"peer", "next-hop", "large-community", "tunnel-encap"}, nil},
	} {
		for _, carrier := range c.carriers {
			t.Run(c.program+"/"+carrier, func(t *testing.T) {
				w := newWorld(t, c.need...)
				w.tunnelEnd()
				w.start(config(profile))
				w.routeToGateway()
				kill := c.start(w, carrier)
				for _, a := range []netip.Addr{eip, eip6} {
					why := w.forwarded(a)
					require.NotEmpty(w, why.Prefixes)
					require.NotEmpty(w, why.Prefixes[0].Candidates)
					got := why.Prefixes[0].Candidates[0]
					assert.Equal(w, carrier, got.Carrier)
					wantVTEP := vrAddr
					if carrier == "next-hop" && a.Is6() {
						wantVTEP = netip.MustParseAddr("fd00:1::11")
					}
					assert.Equal(w, wantVTEP, got.Tunnel.VTEP)
					assert.EqualValues(w, vni, got.Tunnel.VNI)
					assert.Equal(w, "02:00:00:00:01:11", got.Tunnel.InnerMAC)
					w.ping(a)
				}
				require.NoError(t, kill())
				w.notForwarded(eip)
				w.notForwarded(eip6)
			})
		}
	}
}

func announceFRR(w *world, carrier string) func() error {
	w.Helper()
	set4, set6 := "", ""
	if carrier != "next-hop" {
		set4, set6 = " set ip next-hop 10.255.0.1\n", " set ipv6 next-hop global fd00:ff::1\n"
	} else {
		set6 = " set ipv6 next-hop global fd00:1::11\n"
	}
	if carrier == "large-community" {
		lc := fmt.Sprintf(" set large-community %d:%d:%d additive\n", gwASN, uint32(vtepNumber), vni)
		set4, set6 = set4+lc, set6+lc
	}
	conf := fmt.Sprintf(`router bgp %d
 bgp router-id %s
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor %s remote-as %d
 neighbor %[3]s timers 3 9
 neighbor %[3]s timers connect 1
 address-family ipv4 unicast
  network %[5]s/32
  neighbor %[3]s route-map GW4 out
 exit-address-family
 address-family ipv6 unicast
  network %[6]s/128
  neighbor %[3]s activate
  neighbor %[3]s route-map GW6 out
 exit-address-family
route-map GW4 permit 10
%[7]sroute-map GW6 permit 10
%[8]s`, vrASN, vrAddr, gwAddr, gwASN, eip, eip6, set4, set6)
	f, err := peers.StartFRR(w.ctx, w.vr, peers.FRRConfig{Dir: filepath.Join(w.dir, "frr"), BGPD: conf})
	require.NoError(w, err)
	return f.Kill
}

func announceBIRD(w *world, carrier string) func() error {
	w.Helper()
	filter := func(service, own netip.Addr) string {
		hop := service
		if carrier == "next-hop" {
			hop = own
		}
		f := fmt.Sprintf("import none; export filter { if source != RTS_STATIC then reject; bgp_next_hop = %s; ", hop)
		if carrier == "large-community" {
			f += fmt.Sprintf("bgp_large_community.add((%d, %d, %d)); ", gwASN, uint32(vtepNumber), vni)
		}
		return f + "accept; };"
	}
	conf := fmt.Sprintf(`router id %s;
protocol device { scan time 1; }
protocol static { ipv4; route %s/32 unreachable; }
protocol static { ipv6; route %s/128 unreachable; }
`, vrAddr, eip, eip6)
	conf += peers.BIRDNeighbor("eipgw", vrASN, toGateway(), peers.BIRDChannels{
		IPv4: filter(serviceAddr, vrAddr), IPv6: filter(serviceAddr6, netip.MustParseAddr("fd00:1::11"))})
	b, err := peers.StartBIRD(w.ctx, w.vr, peers.BIRDConfig{Dir: filepath.Join(w.dir, "bird"), Config: conf})
	require.NoError(w, err)
	return b.Kill
}

func announceExaBGP(w *world, carrier string) func() error {
	w.Helper()
	hop4, hop6, rest := serviceAddr.String(), serviceAddr6.String(), ""
	switch carrier {
	case "next-hop":
		hop4, hop6 = vrAddr.String(), "fd00:1::11"
	case "large-community":
		rest = fmt.Sprintf(" large-community [ %d:%d:%d ]", gwASN, uint32(vtepNumber), vni)
	case "tunnel-encap":
		rest = " attribute [ 0x17 0xc0 " + tunnelEncap + " ]"
	}
	return w.exabgp(
		fmt.Sprintf("%s/32 next-hop %s%s", eip, hop4, rest), fmt.Sprintf("%s/128 next-hop %s%s", eip6, hop6, rest)).Kill
}

// tunnelEncap is the value of attribute 23 for VTEP 10.0.1.11, VNI 5001, inner MAC
// 02:00:00:00:01:11 and UDP port 6081, laid out by hand.
const tunnelEncap = "0x" +
	"0013" + "001e" + // tunnel type 19, Geneve; length 30
	"06" + "0a" + "00000000" + "0001" + "0a00010b" + // egress endpoint: reserved, AFI 1, address
	"01" + "0c" + "c0" + "001389" + "020000000111" + "0000" + // encapsulation: V and M set, VNI, MAC
	"08" + "02" + "17c1" // UDP destination port 6081

func (w *world) exabgp(routes ...string) *peers.ExaBGP {
	w.Helper()
	e, err := peers.StartExaBGP(w.ctx, w.vr, peers.ExaBGPConfig{Dir: filepath.Join(w.dir, "exabgp"), ASN: vrASN, Local: vrAddr,
		Peer: toGateway(), Routes: routes})
	require.NoError(w, err)
	return e
}

func announceEmbedded(w *world, carrier string) func() error {
	w.Helper()
	p, err := peers.Start(w.ctx, w.vr, []string{w.exe, "demo-peer"}, peers.KindVRouter, peers.VRouterConfig{NoTunnel: true,
		Speaker: peers.SpeakerConfig{ASN: vrASN, RouterID: vrAddr, Port: -1, Peers: []peers.Peer{toGateway()}}})
	require.NoError(w, err)
	for _, a := range []netip.Addr{eip, eip6} {
		r := peers.Route{Prefix: netip.PrefixFrom(a, a.BitLen()), NextHop: serviceAddr}
		own := vrAddr
		if a.Is6() {
			r.NextHop, own = serviceAddr6, netip.MustParseAddr("fd00:1::11")
		}
		switch carrier {
		case "next-hop":
			r.NextHop = own
		case "large-community":
			r.LargeCommunities = [][3]uint32{{gwASN, vtepNumber, vni}}
		case "tunnel-encap":
			r.TunnelEncap = &peers.TunnelEncap{Endpoint: vrAddr, VNI: vni, MAC: vrMAC, UDPPort: 6081}
		}
		require.NoError(w, p.Announce(r))
	}
	return p.Kill
}

// TestRefusedRoutes sends what must not be believed, beside one good route.
func TestRefusedRoutes(t *testing.T) {
	w := newWorld(t, lab.Tool("exabgp"))
	w.start(config(profile))
	good := fmt.Sprintf("%s/32 next-hop 10.255.0.1 attribute [ 0x17 0xc0 %s ]", eip, tunnelEncap)
	bad := map[string]string{
		"203.0.113.8":   "conflict",        // two carriers, two VTEPs
		"203.0.113.200": "not_allowed",     // inside the segment, outside what the neighbor may claim
		"192.0.2.1":     "outside_segment", // no segment covers it
	}
	w.exabgp(good,
		fmt.Sprintf("203.0.113.8/32 next-hop 10.255.0.1 large-community [ %d:%d:%d ] attribute [ 0x17 0xc0 %s ]", gwASN, uint32(vtepNumber+1), vni, tunnelEncap),
		"203.0.113.200/32 next-hop 10.255.0.1", "192.0.2.1/32 next-hop 10.255.0.1")
	w.forwarded(eip)
	w.eventually("all refusals are listed", func() (bool, any) {
		var list []struct{ Prefix, Reason string }
		if err := w.g.Show(w.ctx, &list, "show", "refusals"); err != nil {
			return false, err
		}
		have := map[string]string{}
		for _, r := range list {
			have[netip.MustParsePrefix(r.Prefix).Addr().String()] = r.Reason
		}
		return assert.ObjectsAreEqual(bad, have), have
	})
	for a := range bad {
		why, err := w.g.Why(w.ctx, netip.MustParseAddr(a))
		require.NoError(t, err)
		assert.False(t, why.Forwarded(), "%s: %s", a, why.Summary)
	}
}
