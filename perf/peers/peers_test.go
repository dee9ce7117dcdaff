package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
)

// TestMain lets the test binary be a peer process too.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "peer" {
		if err := Main(context.Background(), os.Args[2], os.Args[3], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func self(t *testing.T) []string {
	exe, err := os.Executable()
	require.NoError(t, err)
	return []string{exe, "peer"}
}

// pair is two namespaces on one link: a 10.9.0.1 and b 10.9.0.2.
func pair(t *testing.T, conds ...lab.Cond) (a, b *lab.NS) {
	l := lab.T(t, conds...)
	a, b = l.NS("a"), l.NS("b")
	l.Veth(lab.End{NS: a, Name: "up0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}},
		lab.End{NS: b, Name: "up0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")}}, lab.VethOptions{MTU: 1600})
	return a, b
}

var (
	addrA = netip.MustParseAddr("10.9.0.1")
	addrB = netip.MustParseAddr("10.9.0.2")
	eip   = netip.MustParseAddr("203.0.113.7")
)

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, 20*time.Millisecond, what)
}

func TestSwitchInstallsAndRemoves(t *testing.T) {
	a, b := pair(t)
	ctx := t.Context()
	sw, err := Start(ctx, a, self(t), KindSwitch, SpeakerConfig{ASN: 65001, RouterID: addrA,
		Peers: []Peer{{Address: addrB, ASN: 65002}}})
	require.NoError(t, err)
	vr, err := Start(ctx, b, self(t), KindVRouter, VRouterConfig{NoTunnel: true, Speaker: SpeakerConfig{
		ASN: 65002, RouterID: addrB, Peers: []Peer{{Address: addrA, ASN: 65001}}}})
	require.NoError(t, err)

	med := uint32(7)
	r := Route{Prefix: netip.PrefixFrom(eip, 32), NextHop: addrB, MED: &med, LargeCommunities: [][3]uint32{{1, 2, 3}},
		TunnelEncap: &TunnelEncap{Endpoint: addrB, VNI: 5001}}
	require.NoError(t, vr.Announce(r))
	eventually(t, "route learned", func() bool { l, err := sw.Routes(); return err == nil && len(l) == 1 })
	routes, err := sw.Routes()
	require.NoError(t, err)
	assert.Equal(t, addrB, routes[0].NextHop)
	assert.Equal(t, uint32(7), *routes[0].MED)
	assert.Equal(t, [][3]uint32{{1, 2, 3}}, routes[0].LargeCommunities)
	assert.NotEmpty(t, routes[0].Unexpected, "attribute 23 is none of a switch's")
	out, err := a.Output(ctx, "ip", "route", "show", "proto", "bgp")
	require.NoError(t, err)
	assert.Contains(t, out, "203.0.113.7 via 10.9.0.2 dev up0")

	require.NoError(t, vr.Withdraw(r))
	eventually(t, "route gone", func() bool {
		out, err := a.Output(ctx, "ip", "route", "show", "proto", "bgp")
		return err == nil && strings.TrimSpace(out) == ""
	})
	require.NoError(t, sw.Kill())
	require.NoError(t, vr.Kill())
}

// geneve is an ICMP echo request from 10.9.0.1 to the EIP inside Geneve, by hand.
func geneve(vni uint32, mac [6]byte) []byte {
	icmp := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	sum(icmp[2:4], icmp)
	ip := make([]byte, 20)
	ip[0], ip[8], ip[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(ip[2:], 28)
	copy(ip[12:], addrA.AsSlice())
	copy(ip[16:], eip.AsSlice())
	sum(ip[10:12], ip)
	b := []byte{0, 0, 0x65, 0x58, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
	b = append(append(b, mac[:]...), 2, 0, 0, 0, 0, 1, 8, 0)
	return append(append(b, ip...), icmp...)
}

func sum(at, b []byte) {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	binary.BigEndian.PutUint16(at, ^uint16(s))
}

func send(t *testing.T, ns *lab.NS, to netip.AddrPort, payload []byte) {
	require.NoError(t, ns.Do(func() error {
		c, err := net.Dial("udp", to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(payload)
		return err
	}))
}

// echoReply waits for the answer of the EIP on the link, outside of any tunnel.
func echoReply(t *testing.T, c *lab.Capture) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, c.Wait(ctx, 1), "no echo reply from the EIP")
}

func isReply(f []byte) bool {
	return len(f) >= 35 && f[12] == 8 && f[13] == 0 && f[23] == 1 && f[34] == 0 && netip.AddrFrom4([4]byte(f[26:30])) == eip
}

func TestVRouterDecapsulates(t *testing.T) {
	a, b := pair(t, lab.Must(lab.LinkKind("tun")))
	mac := [6]byte{2, 0, 0, 0, 0, 0x0b}
	vr, err := Start(t.Context(), b, self(t), KindVRouter, VRouterConfig{VNI: 5001, MAC: mac,
		Speaker: SpeakerConfig{ASN: 65002, RouterID: addrB}})
	require.NoError(t, err)
	require.NoError(t, vr.Own(eip))
	c, err := a.Capture("up0", lab.CaptureOptions{Filter: isReply})
	require.NoError(t, err)
	defer c.Close()

	to := netip.AddrPortFrom(addrB, genevePort)
	send(t, a, to, geneve(5002, mac))
	send(t, a, to, geneve(5001, [6]byte{2, 9}))
	send(t, a, to, []byte("no geneve"))
	critical := geneve(5001, mac)
	critical[1] = 0x40
	send(t, a, to, critical)
	send(t, a, to, geneve(5001, mac))
	echoReply(t, c)
	st, err := vr.Stats()
	require.NoError(t, err)
	assert.Equal(t, VRouterStats{Frames: 1, Bytes: 14 + 28, WrongVNI: 1, WrongMAC: 1, Bad: 2}, st)
	require.NoError(t, vr.Kill())
}

// openDir is a directory that every user can reach; those of testing cannot be.
func openDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "eipgw-peers-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func TestFRRAsSwitch(t *testing.T) {
	a, b := pair(t, lab.Tool("vtysh"))
	ctx := t.Context()
	f, err := StartFRR(ctx, a, FRRConfig{Dir: openDir(t), BGPD: FRRSwitch(SpeakerConfig{ASN: 65001, RouterID: addrA,
		Peers: []Peer{{Address: addrB, ASN: 65002, Local: addrA, Multihop: true}}})})
	require.NoError(t, err)
	vr, err := Start(ctx, b, self(t), KindVRouter, VRouterConfig{NoTunnel: true, Speaker: SpeakerConfig{
		ASN: 65002, RouterID: addrB, Peers: []Peer{{Address: addrA, ASN: 65001, Multihop: true}}}})
	require.NoError(t, err)
	require.NoError(t, vr.Announce(Route{Prefix: netip.PrefixFrom(eip, 32), NextHop: addrB}))
	eventually(t, "route in the kernel", func() bool {
		out, err := a.Output(ctx, "ip", "route", "show", "proto", "bgp")
		return err == nil && strings.Contains(out, "203.0.113.7")
	})
	out, err := f.Vtysh(ctx, "show ip bgp 203.0.113.7/32 json")
	require.NoError(t, err)
	assert.Contains(t, out, `"10.9.0.2"`)
	require.NoError(t, vr.Kill())
	require.NoError(t, f.Kill())
}

func TestOVSDecapsulates(t *testing.T) {
	a, b := pair(t, lab.Tool("ovs-vswitchd"), lab.Must(lab.LinkKind("tun")))
	ctx := t.Context()
	mac := [6]byte{2, 0, 0, 0, 0, 0x0b}
	ovs, err := StartOVS(ctx, b, OVSConfig{Dir: filepath.Join(t.TempDir(), "ovs"), Uplink: "up0", VNI: 5001, Port: "tap0", PortMAC: mac})
	require.NoError(t, err)
	require.NoError(t, b.RemoveAddr("up0", netip.MustParsePrefix("10.9.0.2/24")))
	require.NoError(t, b.Addr(UplinkBridge, netip.MustParsePrefix("10.9.0.2/24")))
	require.NoError(t, b.Up(UplinkBridge))
	require.NoError(t, b.Up("tap0"))
	require.NoError(t, b.Addr("tap0", netip.PrefixFrom(eip, 32)))
	c, err := a.Capture("up0", lab.CaptureOptions{Filter: isReply})
	require.NoError(t, err)
	defer c.Close()
	to := netip.AddrPortFrom(addrB, genevePort)
	eventually(t, "Open vSwitch takes the frame out of the tunnel", func() bool {
		send(t, a, to, geneve(5001, mac))
		time.Sleep(50 * time.Millisecond)
		return c.Count() > 0
	})
	eventually(t, "its flow", func() bool {
		flows, err := ovs.Appctl(ctx, "dpctl/dump-flows")
		return err == nil && strings.Contains(flows, "tunnel(tun_id=0x1389")
	})
	require.NoError(t, ovs.Kill())
}

func TestBIRDAsSwitch(t *testing.T) {
	a, b := pair(t, lab.Tool("bird"))
	ctx := t.Context()
	conf := BIRDSwitch(SpeakerConfig{ASN: 65001, RouterID: addrA, Peers: []Peer{{Address: addrB, ASN: 65002, Local: addrA}}})
	bird, err := StartBIRD(ctx, a, BIRDConfig{Dir: t.TempDir(), Config: conf})
	require.NoError(t, err)
	vr, err := Start(ctx, b, self(t), KindVRouter, VRouterConfig{NoTunnel: true, Speaker: SpeakerConfig{
		ASN: 65002, RouterID: addrB, Peers: []Peer{{Address: addrA, ASN: 65001}}}})
	require.NoError(t, err)
	require.NoError(t, vr.Announce(Route{Prefix: netip.PrefixFrom(eip, 32), NextHop: addrB}))
	eventually(t, "route in the kernel", func() bool {
		out, err := a.Output(ctx, "ip", "route", "show", "proto", "bird")
		return err == nil && strings.Contains(out, "203.0.113.7 via 10.9.0.2")
	})
	require.Error(t, bird.Configure(ctx, "no such keyword;"))
	require.NoError(t, bird.Configure(ctx, conf+"# again\n"))
	require.NoError(t, vr.Kill())
	require.NoError(t, bird.Kill())
}

func TestExaBGPSendsRawAttribute(t *testing.T) {
	a, b := pair(t, lab.Tool("exabgp"))
	ctx := t.Context()
	sw, err := Start(ctx, a, self(t), KindSwitch, SpeakerConfig{ASN: 65001, RouterID: addrA,
		Peers: []Peer{{Address: addrB, ASN: 65002}}})
	require.NoError(t, err)
	exa, err := StartExaBGP(ctx, b, ExaBGPConfig{Dir: t.TempDir(), ASN: 65002, Local: addrB,
		Peer: Peer{Address: addrA, ASN: 65001},
		Routes: []string{"203.0.113.7/32 next-hop 10.9.0.2 attribute [ 0x17 0xc0 " +
			"0x0013001e060a0000000000010a00000b010cc000138902000000000b0000080217c1 ]"}})
	require.NoError(t, err)
	var routes []Learned
	require.Eventually(t, func() bool {
		routes, err = sw.Routes()
		return err == nil && len(routes) == 1
	}, time.Minute, 50*time.Millisecond, "%v: %s", err, exa.Said())
	assert.Equal(t, []string{"*apipb.TunnelEncapAttribute"}, routes[0].Unexpected)
	require.NoError(t, exa.Kill())
	require.NoError(t, sw.Kill())
}
