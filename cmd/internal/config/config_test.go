package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/encap"
)

// minimal is the least that can run.
const minimal = `
gateway: {asn: 64512, router-id: 10.255.0.1}
segments: [{prefix: 203.0.113.0/24}]
neighbors:
  - {address: 10.0.1.1, role: switch, asn: 65001}
  - {address: 10.1.0.1, role: virtual-router, asn: 65100, allow: [203.0.113.0/25]}
ports: [{name: eth1}]
`

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(strings.NewReader(text))
	require.NoError(t, err)
	return c
}

func TestExampleIsReadStrictlyAndShowsEveryKey(t *testing.T) {
	r := newReader("")
	root, ok := r.open([]byte(Example()))
	require.True(t, ok)
	c := defaults()
	c.read(root)
	c.validate(r)
	assert.Empty(t, r.problems)
	assert.Empty(t, r.warnings)
	for key := range r.known {
		assert.Contains(t, r.shown, key, "the example does not show the key %s", key)
	}
	assert.Greater(t, len(r.known), 50, "the keys that can be read were not collected")
}

var shownDefault = regexp.MustCompile(`\S.*# default($|[:;])`)

func TestExampleSaysWhatIsDefault(t *testing.T) {
	var kept []string
	dropped := 0
	for line := range strings.Lines(Example()) {
		if shownDefault.MatchString(strings.TrimSuffix(line, "\n")) {
			dropped++
			continue
		}
		kept = append(kept, line)
	}
	require.Greater(t, dropped, 15)
	assert.Equal(t, mustParse(t, Example()), mustParse(t, strings.Join(kept, "")),
		"a value with the comment \"default\" is not the default")
}

func TestDefaults(t *testing.T) {
	c := mustParse(t, minimal)
	assert.Empty(t, c.Warnings)
	want := &Config{
		Gateway: Gateway{
			ASN: 64512, RouterID: netip.MustParseAddr("10.255.0.1"),
			Listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:179"), netip.MustParseAddrPort("[::]:179")},
		},
		Segments: []Segment{{Segment: rib.Segment{Prefix: netip.MustParsePrefix("203.0.113.0/24")}}},
		Announce: Announce{NextHop: bgpd.NextHopSession, Settle: 2 * time.Second, InitialWait: time.Minute, Damping: 5 * time.Second},
		Neighbors: []bgpd.Neighbor{
			{Address: netip.MustParseAddr("10.0.1.1"), Role: bgpd.Switch, ASN: 65001, Port: 179, HoldTime: 9 * time.Second, ConnectRetry: 2 * time.Second},
			{
				Address: netip.MustParseAddr("10.1.0.1"), Role: bgpd.VirtualRouter, ASN: 65100, Port: 179, HoldTime: 9 * time.Second, ConnectRetry: 2 * time.Second,
				Allow:       []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")},
				MaxPrefixes: 100_000, Carriers: []rib.Carrier{rib.CarrierTunnelEncap, rib.CarrierLargeCommunity},
			},
		},
		Ports: []Port{{Name: "eth1", Mode: afxdp.ModeAuto, ZeroCopy: afxdp.ZeroCopyAuto, Queues: 1, Frames: 4096}},
		Tunnel: Tunnel{
			UDP6Checksum: Checksum6Compute, TTL: 64, PathMTU: PathMTUDiscover,
			DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPCopy}, PCP: PCPNone,
		},
		Forwarding: Forwarding{
			Unbound: dataplane.HostUnreachable, Unresolved: dataplane.NetUnreachable, Oversize: dataplane.FragmentInner,
			Martians: dataplane.DropMartians, TinyFragments: dataplane.AllowTinyFragments,
			ICMP:     ICMP{Rate: 1000, Burst: 200, SourceRate: 50, SourceBurst: 50},
			FastLane: FastLaneOff, FastLaneMemory: 128,
		},
		Workers: Workers{Idle: dataplane.Adaptive},
		Admin:   Admin{Socket: "/run/eipgw/eipgw.sock"},
		Log:     Log{Level: slog.LevelInfo, Format: FormatText},
		Stop:    Stop{Linger: 2 * time.Second},
	}
	assert.Equal(t, want, c)
}

func TestEveryValueArrives(t *testing.T) {
	c := mustParse(t, Example())
	med, vni := uint32(10), encap.VNI(5001)
	assert.Equal(t, []Segment{
		{Segment: rib.Segment{
			Prefix:           netip.MustParsePrefix("203.0.113.0/24"),
			Communities:      []uint32{64512<<16 | 100, 0xffffff01},
			LargeCommunities: [][3]uint32{{64512, 1, 2}}, MED: &med,
		}},
		{Segment: rib.Segment{Prefix: netip.MustParsePrefix("2001:db8:e1b::/64")}},
	}, c.Segments)
	assert.Equal(t, bgpd.Neighbor{
		Name: "leaf 1", Address: netip.MustParseAddr("10.0.1.1"), Role: bgpd.Switch, ASN: 65001,
		Password: "s3cret", Port: 179, Local: netip.MustParseAddr("10.0.1.2"), Interface: "eth1", TTLSecurity: 1,
		HoldTime: 9 * time.Second, Keepalive: 3 * time.Second, ConnectRetry: 2 * time.Second,
		Families: []bgpd.Family{bgpd.IPv4, bgpd.IPv6},
	}, c.Neighbors[0])
	assert.Equal(t, bgpd.Neighbor{
		Range: netip.MustParsePrefix("10.1.0.0/24"), Role: bgpd.VirtualRouter, ASN: 65100,
		Passive: true, Hops: 4, Port: 179, HoldTime: 9 * time.Second, ConnectRetry: 2 * time.Second,
		Allow:       []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25"), netip.MustParsePrefix("2001:db8:e1b::/65")},
		MaxPrefixes: 10_000,
		Carriers:    []rib.Carrier{rib.CarrierTunnelEncap, rib.CarrierLargeCommunity, rib.CarrierNextHop, rib.CarrierPeer},
		Profile: bgpd.Profile{
			VNI: &vni, InnerDst: encap.MAC{2, 0, 0, 0, 0x0a, 1}, InnerSrc: encap.MAC{2, 0, 0, 0, 0x0a, 2}, Port: 6081, OVN: &bgpd.OVNPorts{Inport: 2, Outport: 1},
		},
	}, c.Neighbors[1])
	assert.Equal(t, netip.MustParseAddr("fd00:ff::1"), c.Tunnel.Source6)
	assert.Equal(t, PathMTUDiscover, c.Tunnel.PathMTU)
	assert.Equal(t, []dataplane.VLAN{{}, {Outer: 100}, {Outer: 100, Inner: 200}}, c.Ports[0].AcceptVLANs)
	assert.Equal(t, netip.MustParseAddr("10.255.0.1"), c.Forwarding.ICMP.Source4)
	assert.Equal(t, netip.MustParseAddr("fd00:ff::1"), c.Forwarding.ICMP.Source6)
	assert.Equal(t, []int{1}, c.Workers.CPUs)
	assert.Equal(t, "/etc/eipgw/bindings.yaml", c.Bindings.File)
	assert.Equal(t, netip.MustParseAddrPort("127.0.0.1:9179"), c.Metrics.Listen)
}

func TestVXLANAndTwoTags(t *testing.T) {
	c := mustParse(t, strings.Replace(strings.Replace(minimal, "allow: [203.0.113.0/25]", "allow: [203.0.113.0/25], profile: {vni: 7, protocol: vxlan}", 1),
		"{name: eth1}", "{name: eth1, vlan: 100.200}, {name: eth2, vlan: 7}, {name: eth3, vlan: \"30.0\"}, {name: eth4, vlan: 0}", 1))
	assert.Equal(t, encap.VXLAN, c.Neighbors[1].Profile.Protocol)
	var vlans []encap.VLAN
	for _, p := range c.Ports {
		vlans = append(vlans, p.VLAN)
	}
	assert.Equal(t, []encap.VLAN{{S: 100, C: 200}, {C: 7}, {S: 30}, {}}, vlans)
}

func TestAnchorsAreRead(t *testing.T) {
	c := mustParse(t, strings.Replace(minimal, "allow: [203.0.113.0/25]", "allow: &half [203.0.113.0/25]", 1)+
		"tunnel: {ttl: &ttl 7}\nworkers: {cpus: [*ttl]}\n")
	assert.Equal(t, []int{7}, c.Workers.CPUs)
}

func TestLoadNamesFileAndLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eipgw.yaml")
	require.NoError(t, os.WriteFile(path, []byte(minimal+"log: {levl: info}\n"), 0o600))
	_, err := Load(path)
	assert.EqualError(t, err, path+":8: log.levl: unknown key: did you mean level?")

	_, err = Load(path + ".missing")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestPasswordIsNeverShown(t *testing.T) {
	for _, pw := range []string{"[hunter2]", "{hunter2: x}", strings.Repeat("hunter2", 20)} {
		_, err := Parse(strings.NewReader(strings.Replace(minimal, "asn: 65001}", "asn: 65001, password: "+pw+"}", 1)))
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.Contains(t, err.Error(), "neighbors[0].password: expected a text of 1 to 80 bytes")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Example())
	f.Add(minimal)
	f.Add("gateway: {asn: 1, asn: 2}\n")
	f.Add("tunnel: {dscp: {ef: 46, 46: &x af11, *x : ef, ? [a] : 1}}\nports: [{accept-vlans: [untagged, 1.2, 1.2.3, 1., .1]}]\n")
	f.Add("a: &a [*a]\nsegments: *a\n")
	f.Add("segments: &s [*s, {prefix: 0.0.0.0/0}]\n")
	f.Add("neighbors: [{range: 10.0.0.0/8}, {range: 10.1.0.0/16}, [], null, 5, \"\"]\n")
	f.Add("ports: {name: x}\n---\nports: []\n")
	f.Add("? [a]: b\n<<: *x\n!!str 5: |\n  x\n")
	f.Add("\xff\xfe\x00")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text))
		if err != nil {
			var e *Error
			require.True(t, errors.As(err, &e), "an error of another type: %T", err)
			require.NotEmpty(t, e.Problems)
			for _, p := range e.Problems {
				if !strings.Contains(text, "%!") {
					require.NotContains(t, p.Text, "%!", "a message with a broken format")
				}
				require.NotContains(t, p.String(), "\n", "a message of several lines")
			}
			return
		}
		require.NotZero(t, c.Gateway.ASN)
		require.NotEmpty(t, c.Ports)
		for _, s := range c.Segments {
			require.Equal(t, s.Prefix.Masked(), s.Prefix)
		}
		require.True(t, Diff(c, c).Empty())
	})
}
