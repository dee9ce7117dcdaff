package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/static"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/admin/admintest"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane/replay"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with: go test ./cmd/eipgw -update")
	assert.Equal(t, string(want), got)
}

// fixedDaemon serves the fixed gateway on a socket and returns how to run commands at it.
func fixedDaemon(t *testing.T) (*admintest.Gateway, func(args ...string) (code int, out, errs string)) {
	t.Helper()
	g := &admintest.Gateway{}
	socket := filepath.Join(t.TempDir(), "s")
	s, err := admin.Listen(admin.ServerConfig{Socket: socket, Gateway: g})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return g, func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		c := &cli{out: &out, err: &errs, now: func() time.Time { return admintest.Now }}
		return c.execute(context.Background(), append(args, "--socket", socket)), out.String(), errs.String()
	}
}

// What every command prints, as a table and as JSON, is a file: a change of it is a
// change that people and their scripts see.
func TestOutputs(t *testing.T) {
	_, run := fixedDaemon(t)
	for name, args := range map[string][]string{
		"show-bindings":       {"show", "bindings"},
		"show-bindings-under": {"show", "bindings", "--under", "203.0.113.0/24", "--limit", "1"},
		"show-segments":       {"show", "segments"},
		"show-neighbors":      {"show", "neighbors"},
		"show-ports":          {"show", "ports"},
		"show-counters":       {"show", "counters"},
		"show-counters-all":   {"show", "counters", "--all"},
		"show-sources":        {"show", "sources"},
		"show-refusals":       {"show", "refusals"},
		"show-underlay":       {"show", "underlay"},
		"show-status":         {"show", "status"},
		"why-forwarded":       {"why", "203.0.113.7"},
		"why-flow":            {"why", "203.0.113.7", "--from", "198.51.100.1:40000", "--port", "443"},
		"why-dropped":         {"why", "203.0.113.200"},
		"segment-split":       {"segment", "split", "203.0.113.0/24", "--into", "25"},
		"segment-split-dry":   {"segment", "split", "203.0.113.0/24", "--into", "25", "--dry-run"},
		"bind":                {"bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001"},
		"unbind":              {"unbind", "203.0.113.7"},
		"reload":              {"reload"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(args...)
			require.Equal(t, exitOK, code, errs)
			golden(t, name+".txt", out)
			code, out, errs = run(append(args, "--json")...)
			require.Equal(t, exitOK, code, errs)
			assert.True(t, json.Valid([]byte(out)), "not JSON")
			golden(t, name+".json", out)
		})
	}
}

func TestHelpTexts(t *testing.T) {
	t.Setenv(socketEnv, "")
	for name, args := range map[string][]string{
		"help":         {"--help"},
		"help-run":     {"run", "--help"},
		"help-replay":  {"replay", "--help"},
		"help-show":    {"show"},
		"help-segment": {"segment"},
		"help-bind":    {"bind", "--help"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, exitOK, execute(context.Background(), args, &out, &errs), errs.String())
		golden(t, name+".txt", out.String())
	}
}

func TestRequestsAreWhatWasTyped(t *testing.T) {
	g, run := fixedDaemon(t)
	ok := func(args ...string) {
		t.Helper()
		code, _, errs := run(args...)
		require.Equal(t, exitOK, code, errs)
	}
	ok("segment", "add", "198.51.100.0/24", "2001:db8::/64", "--community", "64512:1,no-export", "--large-community", "1:2:3", "--med", "5", "--mss-clamp", "--withdraw", "192.0.2.0/24")
	ok("segment", "withdraw", "198.51.100.0/24", "--dry-run")
	ok("segment", "merge", "198.51.100.0/23")
	ok("segment", "merge", "198.51.100.0/23", "--mss-clamp=false")
	ok("bind", "2001:db8::7", "--vtep", "10.0.2.11", "--vtep", "fd00::1", "--vni", "0", "--udp-port", "6082", "--inner-mac", "02:00:00:00:0a:01", "--inner-src-mac", "02:00:00:00:0a:02", "--ovn", "2,1")
	ok("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001", "--protocol", "vxlan")
	ok("unbind", "2001:db8::7/128")

	p := netip.MustParsePrefix
	med, vni, vni5001, yes, no := uint32(5), uint32(0), uint32(5001), true, false
	spec := func(s string) admin.SegmentSpec {
		return admin.SegmentSpec{Prefix: p(s), Communities: []string{"64512:1", "no-export"}, LargeCommunities: []string{"1:2:3"}, MED: &med, MSSClamp: &yes}
	}
	tunnel := func(s string) admin.BindTunnel {
		return admin.BindTunnel{
			VTEP: netip.MustParseAddr(s), VNI: &vni, Protocol: "geneve", UDPPort: 6082,
			InnerMAC: "02:00:00:00:0a:01", InnerSrc: "02:00:00:00:0a:02", OVN: &admin.OVN{Inport: 2, Outport: 1},
		}
	}
	assert.Equal(t, []any{
		admin.SegmentChange{Add: []admin.SegmentSpec{spec("198.51.100.0/24"), spec("2001:db8::/64")}, Withdraw: []netip.Prefix{p("192.0.2.0/24")}},
		admin.SegmentChange{Withdraw: []netip.Prefix{p("198.51.100.0/24")}, DryRun: true},
		admin.SegmentChange{Merge: &admin.SegmentSpec{Prefix: p("198.51.100.0/23")}},
		admin.SegmentChange{Merge: &admin.SegmentSpec{Prefix: p("198.51.100.0/23"), MSSClamp: &no}},
		admin.Bind{Prefix: p("2001:db8::7/128"), Tunnels: []admin.BindTunnel{tunnel("10.0.2.11"), tunnel("fd00::1")}},
		admin.Bind{Prefix: p("203.0.113.7/32"), Tunnels: []admin.BindTunnel{{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: &vni5001, Protocol: "vxlan"}}},
		p("2001:db8::7/128"),
	}, g.Changes())
}

// Mistakes in the command line: exit code 2, one line on stderr that says what to do,
// nothing on stdout, and the daemon is not bothered.
func TestUsageErrors(t *testing.T) {
	g, run := fixedDaemon(t)
	for _, row := range []struct{ args, want string }{
		{"bogus", "unknown command \"bogus\": expected one of those that `eipgw --help` lists"},
		{"show bogus", "show \"bogus\": expected one of those that `eipgw show --help` lists"},
		{"segment bogus", "segment \"bogus\": expected add, withdraw, split or merge"},
		{"show status now", "\"now\": expected `eipgw show status`"},
		{"why", "an argument is missing: expected `eipgw why ADDRESS`"},
		{"why x", "\"x\": expected an IP address such as 203.0.113.7 or 2001:db8::7"},
		{"why 203.0.113.7 --from x", "--from \"x\": expected ADDRESS or ADDRESS:PORT, such as 198.51.100.1:40000 or [2001:db8::1]:40000"},
		{"why 203.0.113.7 --from fd00::1", "--from fd00::1: expected an address of the family of 203.0.113.7"},
		{"why 203.0.113.7 --from 10.0.0.1 --protocol x", "--protocol \"x\": expected tcp, udp, sctp, icmp, icmpv6, or 0 to 255"},
		{"show status --bogus", "unknown flag: --bogus: `eipgw show status --help` has the flags"},
		{"show bindings --under 203.0.113.7/24", "--under \"203.0.113.7/24\" has bits set outside its mask: expected 203.0.113.0/24"},
		{"show bindings --limit -1", "--limit -1: expected 0 for all, or more"},
		{"segment add 203.0.113.0/33", "\"203.0.113.0/33\": expected a prefix such as 203.0.113.7/32 or 2001:db8::/64"},
		{"segment add 203.0.113.0/24 --med x", "--med \"x\": expected 0 to 4294967295"},
		{"segment split 203.0.113.0/24", "--into 0: expected 25 to 32"},
		{"bind 203.0.113.7", "expected --vtep ADDRESS and --vni NUMBER: which tunnel leads to the virtual router"},
		{"bind 203.0.113.7 --vtep x --vni 1", "--vtep \"x\": expected an IP address such as 10.0.2.11"},
		{"bind 203.0.113.7 --vtep 10.0.0.1 --vni 1 --udp-port 65536", "--udp-port 65536: expected 1 to 65535"},
		{"bind 203.0.113.7 --vtep 10.0.0.1 --vni 16777216", "--vni 16777216: expected 0 to 16777215"},
		{"bind 203.0.113.7 --vtep 10.0.0.1 --vni 1 --protocol gre", "--protocol \"gre\": expected geneve or vxlan"},
		{"bind 203.0.113.7 --vtep 10.0.0.1 --vni 1 --ovn 2", "--ovn \"2\": expected INPORT,OUTPORT such as 2,1"},
		{"replay", "expected a case (-c), or at least one --port: `eipgw replay --help` has examples"},
		{"replay --port sw0", "--port \"sw0\": expected PORT=MAC[,MTU[,VLAN]], such as sw0=02:00:00:00:00:01,1500"},
		{"replay --port sw0=02:00:00:00:00:01,1500,4095", "--port \"sw0=02:00:00:00:00:01,1500,4095\": expected PORT=MAC[,MTU[,VLAN]], such as sw0=02:00:00:00:00:01,1500"},
		{"replay --port sw0=02:00:00:00:00:01,x", "--port \"sw0=02:00:00:00:00:01,x\": expected PORT=MAC[,MTU[,VLAN]], such as sw0=02:00:00:00:00:01,1500"},
		{"replay --port sw0=02:00:00:00:00:01 --in sw1=x", "--in sw1=x: \"sw1\" is none of the ports"},
		{"replay --port sw0=02:00:00:00:00:01 --adjacency 10.0.0.1=sw0", "--adjacency \"10.0.0.1=sw0\": expected VTEP=PORT,NEXT-HOP-MAC,SOURCE, such as 10.0.2.11=sw0,02:00:00:00:00:fe,10.255.0.1"},
		{"replay --port sw0=02:00:00:00:00:01 --adjacency 10.0.0.1=sw9,02:00:00:00:00:fe,10.255.0.1", "underlay[0].ways[0].port: \"sw9\" is none of the ports"},
	} {
		code, out, errs := run(strings.Fields(row.args)...)
		assert.Equal(t, exitUsage, code, row.args)
		assert.Equal(t, "eipgw: "+row.want+"\n", errs, row.args)
		assert.Empty(t, out)
	}
	assert.Empty(t, g.Changes())
}

func TestExitCodes(t *testing.T) {
	g, run := fixedDaemon(t)
	g.Err = &admin.Problem{Kind: admin.ErrNotFound, Text: "203.0.113.0/24 is no wanted segment"}
	code, out, errs := run("segment", "withdraw", "203.0.113.0/24")
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, "eipgw: 203.0.113.0/24 is no wanted segment\n", errs)
	assert.Empty(t, out)

	var o, e bytes.Buffer
	socket := filepath.Join(t.TempDir(), "none")
	t.Setenv(socketEnv, socket)
	assert.Equal(t, exitUnreachable, execute(context.Background(), []string{"show", "status"}, &o, &e))
	assert.Contains(t, e.String(), "no eipgw answers at "+socket)
	assert.Equal(t, exitFailed, execute(context.Background(), []string{"run", "-c", socket}, &o, &e))
}

func TestVersion(t *testing.T) {
	var o, e bytes.Buffer
	for _, word := range []string{"version", "--version"} {
		o.Reset()
		require.Equal(t, exitOK, execute(context.Background(), []string{word}, &o, &e))
		assert.Regexp(t, `^eipgw \S+.* go1\.\d+`, o.String(), word)
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	file, bindings := filepath.Join(dir, "eipgw.yaml"), filepath.Join(dir, "bindings.yaml")
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	validate := func() (code int, out, errs string) {
		var o, e bytes.Buffer
		code = execute(context.Background(), []string{"validate", "-c", file}, &o, &e)
		return code, o.String(), e.String()
	}
	write(file, "gateway: {asn: 64512, router-id: 10.255.0.1}\nports: [{name: eth1}]\nbindings: {file: "+bindings+"}\nsegments: [{prefix: 203.0.113.0/24}]\n")
	write(bindings, "bindings: [{prefix: 203.0.113.7/32, tunnels: [{vtep: 10.0.2.11, vni: 1}]}]\n")
	code, out, errs := validate()
	assert.Equal(t, exitOK, code)
	assert.Equal(t, file+" is good: 1 port, 1 segment, 0 neighbors, 1 static binding\n", out)
	assert.Equal(t, "warning: "+file+": neighbors: none has the role switch: segments are announced to nobody\n", errs)

	write(bindings, "bindings: [{prefix: 203.0.113.7/33}]\n")
	code, out, errs = validate()
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, bindings)
	assert.Contains(t, errs, "203.0.113.7/33")

	write(file, "gateway: {asn: 0, router-id: x}\nports: [{name: eth1}]\n")
	code, _, errs = validate()
	assert.Equal(t, exitUsage, code)
	assert.Equal(t, "eipgw: "+file+":1: gateway.asn: \"0\": expected an AS number, 1 to 4294967295\n"+
		file+":1: gateway.router-id: \"x\": expected an IPv4 address such as 10.255.0.1\n", errs)

	var o, e bytes.Buffer
	require.Equal(t, exitOK, execute(context.Background(), []string{"validate", "--example"}, &o, &e))
	assert.Equal(t, config.Example(), o.String())
}

// The configuration that the README explains is one, and what it calls the default is.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	blocks := strings.Split(string(text), "```yaml\n")
	require.Greater(t, len(blocks), 1, "the README has no configuration")
	explained, bound := 0, 0
	for _, b := range blocks[1:] {
		b, _, _ = strings.Cut(b, "```")
		if strings.Contains(b, "gateway:") {
			_, err := config.Parse(strings.NewReader(b))
			assert.NoError(t, err)
		}
		if strings.HasPrefix(b, "bindings:") {
			bindings, err := static.Parse("README.md", []byte(b))
			assert.NoError(t, err)
			bound += len(bindings)
		}
		if strings.HasPrefix(b, "forwarding:") {
			const minimal = "gateway: {asn: 64512, router-id: 10.255.0.1}\nports: [{name: eth1}]\n"
			said, err := config.Parse(strings.NewReader(minimal + b))
			require.NoError(t, err)
			unsaid, err := config.Parse(strings.NewReader(minimal))
			require.NoError(t, err)
			assert.Equal(t, unsaid.Forwarding, said.Forwarding)
			explained++
		}
	}
	assert.Equal(t, 1, explained, "the README does not explain forwarding")
	assert.Equal(t, 2, bound, "the README does not explain the bindings file")
}

func TestReplayCommand(t *testing.T) {
	const one = "../../pcaps/cases/ipv4-over-ipv4"
	c, err := replay.Load(one)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "out.pcap")
	run := func(args ...string) string {
		t.Helper()
		var o, e bytes.Buffer
		require.Equal(t, exitOK, execute(context.Background(), append([]string{"replay"}, args...), &o, &e), e.String())
		return o.String()
	}
	text := run("-c", one, "--out", "sw0="+out)
	assert.Contains(t, text, "what left sw0 is in "+out)
	written, err := os.ReadFile(out)
	require.NoError(t, err)

	// The same without a case, by flags alone.
	require.Len(t, c.Ports, 1)
	tunnel, way := c.Bindings[0].Tunnels[0], c.Underlay[0].Ways[0]
	bindings := filepath.Join(t.TempDir(), "bindings.yaml")
	require.NoError(t, os.WriteFile(bindings, []byte("bindings: [{prefix: "+c.Bindings[0].Prefix.String()+
		", tunnels: [{vtep: "+tunnel.VTEP.String()+", vni: 5001}]}]\n"), 0o600))
	out2 := filepath.Join(t.TempDir(), "out.pcap")
	text = run("--port", "sw0="+c.Ports[0].MAC.String()+",1500", "--bindings", bindings,
		"--adjacency", tunnel.VTEP.String()+"=sw0,"+way.DstMAC.String()+","+way.Local.String(),
		"--in", "sw0="+c.Ports[0].In, "--out", "sw0="+out2, "--json")
	var view struct{ Counters replay.Counters }
	require.NoError(t, json.Unmarshal([]byte(text), &view))
	want, err := replay.LoadCounters(filepath.Join(one, replay.CountersFile))
	require.NoError(t, err)
	assert.Equal(t, want, view.Counters)
	again, err := os.ReadFile(out2)
	require.NoError(t, err)
	assert.Equal(t, written, again)
}

// Every tunnel key of a bindings file means the same in a case.
func TestCasesAndBindingsFilesReadTunnelsAlike(t *testing.T) {
	const tunnels = "bindings: [{prefix: 203.0.113.7/32, tunnels: [" +
		"{vtep: 10.0.2.11, vni: 5001, udp-port: 6082, inner-mac: 02:00:00:00:0a:01, inner-src-mac: 02:00:00:00:0a:02, ovn: {inport: 2, outport: 1}}, " +
		"{vtep: \"fd00:2::11\", vni: 1, options: \"0102800100020001\"}, {vtep: 10.0.2.12, vni: 2, protocol: vxlan}]}]\n"
	path := filepath.Join(t.TempDir(), "bindings.yaml")
	require.NoError(t, os.WriteFile(path, []byte(tunnels), 0o600))
	k, err := replay.Parse(strings.NewReader("title: x\nports: [{name: sw0, mac: 02:00:00:00:00:01}]\n" + tunnels))
	require.NoError(t, err)
	want, err := k.FIB()
	require.NoError(t, err)
	var f replayFlags
	f.bindings = path
	other := replay.Case{Title: "x"}
	require.NoError(t, f.takeBindings(&other))
	got, err := other.FIB()
	require.NoError(t, err)
	for i := range want[0].Tunnels {
		assert.Equal(t, want[0].Tunnels[i].Canonical(), got[0].Tunnels[i].Canonical())
	}
}
