package main

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

func addrs(words ...string) (out []netip.Addr) {
	for _, w := range words {
		out = append(out, netip.MustParseAddr(w))
	}
	return out
}

func rulesOf(t *testing.T, text string, own ownAddresses, workers int) dataplane.RulesConfig {
	t.Helper()
	cfg, err := config.Parse(strings.NewReader(text))
	require.NoError(t, err)
	b, err := newRulebook(cfg, newSegmentSet(cfg.Segments).clamps(), workers)
	require.NoError(t, err)
	require.NoError(t, b.change(func(p *ruleParts) { p.own = own }))
	return b.rules.Config()
}

// Every key of the configuration arrives at the workers.
func TestRulesAreTheConfigurations(t *testing.T) {
	const text = `
gateway: {asn: 1, router-id: 10.0.0.1, service-addresses: [10.255.0.1, "fd00:ff::1"]}
segments: [{prefix: 203.0.113.0/24, mss-clamp: true}, {prefix: 203.0.113.0/25}, {prefix: "2001:db8::/64", mss-clamp: true}]
ports: [{name: a, queues: 3, accept-vlans: [untagged, 100.200]}, {name: b, queues: 3}]
tunnel: {source-ipv4: 10.254.0.1, dscp: {ef: cs5}, pcp: from-dscp}
forwarding:
  unbound: prohibited
  unresolved: drop
  oversize: refuse
  martians: allow
  tiny-fragments: drop
  icmp: {rate: 10, burst: 1, source-rate: 9, source-burst: 7}
`
	own := ownAddresses{
		all: addrs("10.0.1.2", "10.255.0.1", "fe80::1"),
		ports: map[string][]netip.Addr{
			"a": addrs("169.254.0.1", "240.0.0.1", "10.0.1.2", "10.0.1.3", "fe80::1", "2001:db8:1::2"),
			"c": addrs("10.0.9.9"),
		},
	}
	p := netip.MustParsePrefix
	assert.Equal(t, dataplane.RulesConfig{
		Unbound: dataplane.AdminProhibited, Unresolved: dataplane.Silence, Oversize: dataplane.RefuseOversize,
		Martians: dataplane.AllowMartians, TinyFragments: dataplane.DropTinyFragments,
		Own:      addrs("10.0.1.2", "10.254.0.1", "10.255.0.1", "fd00:ff::1", "fe80::1"),
		VLANs:    map[fib.PortID][]dataplane.VLAN{1: {{}, {Outer: 100, Inner: 200}}},
		ClampMSS: map[netip.Prefix]bool{p("203.0.113.0/24"): true, p("203.0.113.0/25"): false, p("2001:db8::/64"): true},
		DSCP:     dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{46: 40}},
		PCP:      true,
		Answers: dataplane.AnswerConfig{
			Sources: map[fib.PortID]dataplane.AnswerSource{
				1: {V4: netip.MustParseAddr("10.0.1.2"), V6: netip.MustParseAddr("2001:db8:1::2")}, 2: {},
			},
			Default: dataplane.AnswerSource{V4: netip.MustParseAddr("10.255.0.1"), V6: netip.MustParseAddr("fd00:ff::1")},
			Rate:    4, Burst: 1, SourceRate: 3, SourceBurst: 3, // of each of three workers, rounded up
		},
	}, rulesOf(t, text, own, 3))
}

// An address that the configuration names for answers is that of every port, and no
// limit is none for any worker.
func TestAnswersBySetting(t *testing.T) {
	const text = `
gateway: {asn: 1, router-id: 10.0.0.1}
ports: [{name: a}]
tunnel: {source-ipv6: "fd00::1"}
forwarding: {icmp: {source-ipv4: 192.0.2.1, rate: 0}}
`
	own := ownAddresses{ports: map[string][]netip.Addr{"a": addrs("10.0.1.2")}}
	got := rulesOf(t, text, own, 2)
	assert.Equal(t, dataplane.AnswerConfig{
		Sources:    map[fib.PortID]dataplane.AnswerSource{1: {}},
		Default:    dataplane.AnswerSource{V4: netip.MustParseAddr("192.0.2.1"), V6: netip.MustParseAddr("fd00::1")},
		SourceRate: 25, SourceBurst: 25,
	}, got.Answers)
	assert.Equal(t, dataplane.HostUnreachable, got.Unbound)
	assert.Equal(t, dataplane.NetUnreachable, got.Unresolved)
	assert.Nil(t, got.ClampMSS)
	assert.Equal(t, addrs("192.0.2.1", "fd00::1"), got.Own, "nobody else sends from what answers come from")
}

func (w *world) rules() dataplane.RulesConfig { return w.g.rules.rules.Config() }

// What segments say of the MSS follows them: added, split, merged, withdrawn.
func TestClampingFollowsSegments(t *testing.T) {
	w := newWorld(t, strings.Replace(worldConfig, "203.0.113.0/24}", "203.0.113.0/24, mss-clamp: true}", 1))
	clamps := func(words ...string) {
		t.Helper()
		var want map[netip.Prefix]bool
		for _, word := range words {
			if want == nil {
				want = map[netip.Prefix]bool{}
			}
			p, no := strings.CutPrefix(word, "not ")
			want[netip.MustParsePrefix(p)] = !no
		}
		assert.Equal(t, want, w.rules().ClampMSS)
	}
	ok := func(args ...string) string {
		t.Helper()
		code, out, errs := w.cli(append([]string{"segment"}, args...)...)
		require.Equal(t, exitOK, code, errs)
		return out
	}
	clamps("203.0.113.0/24")
	assert.Regexp(t, `1 +0s +unclamp +203\.0\.113\.0/24 `, ok("add", "203.0.113.0/24", "--dry-run"), "what BGP has nothing to do with is shown as well")
	clamps("203.0.113.0/24")
	assert.NotContains(t, ok("add", "203.0.113.0/24", "--mss-clamp", "--dry-run"), " clamp ", "it is already")
	ok("split", "203.0.113.0/24", "--into", "25", "--dry-run")
	clamps("203.0.113.0/24")
	ok("split", "203.0.113.0/24", "--into", "25")
	clamps("203.0.113.0/25", "203.0.113.128/25")
	ok("merge", "203.0.113.0/24")
	clamps("203.0.113.0/24")
	ok("add", "203.0.113.0/26")
	clamps("203.0.113.0/24", "not 203.0.113.0/26")
	ok("add", "203.0.113.64/26", "--mss-clamp")

	code, _, errs := w.cli("segment", "merge", "203.0.113.0/25")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "of 203.0.113.0/26 and 203.0.113.64/26 one has its MSS clamped and one has not: expected --mss-clamp or --mss-clamp=false")
	clamps("203.0.113.0/24", "not 203.0.113.0/26", "203.0.113.64/26")
	ok("merge", "203.0.113.0/25", "--mss-clamp=false", "--med", "5")
	clamps("203.0.113.0/24", "not 203.0.113.0/25")
	_, out, _ := w.cli("show", "segments")
	assert.Regexp(t, `203\.0\.113\.0/24 .* admin +- +clamped`, out)
	assert.Regexp(t, `203\.0\.113\.0/25 .* admin +5 +-`, out)
	ok("withdraw", "203.0.113.0/24")
	clamps()
	_, origin, wanted := w.g.segments.get(netip.MustParsePrefix("203.0.113.0/24"))
	assert.False(t, wanted)
	assert.Empty(t, origin, "nobody wants it, the file no more than the API")

	// What is added says all for itself, as it does of communities.
	ok("add", "203.0.113.0/24")
	clamps()
	assert.Regexp(t, ` clamp +203\.0\.113\.0/24 `, ok("add", "203.0.113.0/24", "--mss-clamp"))
	clamps("203.0.113.0/24", "not 203.0.113.0/25")
}

// A SYN to a clamped segment leaves with the MSS that `why` names.
func TestClampedSYN(t *testing.T) {
	w := newWorld(t, strings.Replace(worldConfig, "203.0.113.0/24}", "203.0.113.0/24, mss-clamp: true}", 1))
	code, _, errs := w.cli("bind", "203.0.113.7", "--vtep", "10.0.2.11", "--vni", "5001")
	require.Equal(t, exitOK, code, errs)
	w.network.way(vtep, fibtest.Adjacency(portID(1), local, 9))
	w.eventually("the binding forwards", func() bool { return w.g.binding(netip.PrefixFrom(eip, 32)).State == stateForwarding })
	w.devices[0].port(0).Inject(syn(eip, 1460))
	var sent [][]byte
	w.eventually("the frame leaves", func() bool { sent = append(sent, w.devices[1].port(0).Collect()...); return len(sent) == 1 })
	p, err := encap.Parse(sent[0])
	require.NoError(t, err)
	assert.Equal(t, []byte{2, 4, 1410 >> 8, 1410 & 0xff}, p.Packet[40:44])
	w.announced("203.0.113.0/24")
	w.eventually("that is known here", func() bool { return w.g.Segments()[0].State == "announced" })
	code, out, _ := w.cli("why", "203.0.113.7")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "inner packets up to 1450 bytes, TCP MSS clamped to 1410")
	assert.Regexp(t, `segment +203\.0\.113\.0/24, announced for \S+, MSS clamped`, out)
	assert.Contains(t, eventsOf(w), "mss_clamped 1")
}

func eventsOf(w *world) []string {
	_, out, _ := w.cli("show", "counters")
	var words []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "event" {
			words = append(words, f[1]+" "+f[2])
		}
	}
	return words
}

// syn is a TCP SYN with an MSS option.
func syn(dst netip.Addr, mss uint16) []byte {
	d := dst.As4()
	b := []byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x08, 0x00, // Ethernet
		0x45, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 198, 51, 100, 2, d[0], d[1], d[2], d[3], // IPv4
		0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 6 << 4, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, byte(mss >> 8), byte(mss), // TCP
	}
	sum := encap.Checksum(b[14:34], 0)
	b[24], b[25] = byte(sum>>8), byte(sum)
	return b
}

// Addresses that come and go change whom no frame can be from, and what answers come
// from.
func TestRulesFollowAddresses(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")
	source := func(port int) netip.Addr { return w.rules().Answers.Sources[portID(port)].V4 }
	assert.Equal(t, addrs("10.255.0.1"), w.rules().Own, "the service address is every gateway's own")
	assert.False(t, source(0).IsValid())
	assert.Equal(t, "10.255.0.1", w.rules().Answers.Default.V4.String())

	w.devices[0].port(0).Inject(frame(eip))
	w.eventually("the frame is dropped", func() bool { return w.drops("no_binding") == 1 })
	mine := netip.MustParseAddr("198.51.100.2") // that frame comes from
	w.own.Store(&ownAddresses{all: []netip.Addr{mine}, ports: map[string][]netip.Addr{"mem1": {mine}}})
	w.eventually("the rules follow", func() bool { return source(0) == mine })
	assert.Equal(t, addrs("10.255.0.1", "198.51.100.2"), w.rules().Own)
	assert.False(t, source(1).IsValid())
	w.devices[0].port(0).Inject(frame(eip))
	w.eventually("the frame is dropped", func() bool { return w.drops("own_source") == 1 })
	_, out, _ := w.cli("show", "status")
	assert.Contains(t, out, "mem1: answers from 198.51.100.2; takes any VLAN")
	assert.Contains(t, out, "mem2: answers from 10.255.0.1; takes any VLAN")

	// The same addresses of the machine, but another one first at the port.
	second := netip.MustParseAddr("198.51.100.3")
	w.own.Store(&ownAddresses{all: []netip.Addr{mine, second}, ports: map[string][]netip.Addr{"mem1": {mine, second}}})
	w.eventually("the rules follow", func() bool { return len(w.rules().Own) == 3 })
	assert.Equal(t, mine, source(0))
	w.own.Store(&ownAddresses{all: []netip.Addr{mine, second}, ports: map[string][]netip.Addr{"mem1": {second, mine}}})
	w.eventually("the rules follow", func() bool { return source(0) == second })
	w.own.Store(&ownAddresses{})
	w.eventually("the rules follow", func() bool { return !source(0).IsValid() })
	assert.Equal(t, addrs("10.255.0.1"), w.rules().Own)
}

// A reload changes the rules; one that is refused does not.
func TestReloadChangesRules(t *testing.T) {
	w := newWorld(t, worldConfig)
	mine := netip.MustParseAddr("10.0.1.2")
	w.own.Store(&ownAddresses{all: []netip.Addr{mine}, ports: map[string][]netip.Addr{"mem1": {mine}}})
	w.eventually("the address is known", func() bool { return len(w.rules().Own) == 2 })
	code, _, errs := w.cli("segment", "add", "198.51.100.0/24", "--mss-clamp")
	require.Equal(t, exitOK, code, errs)
	_, out, _ := w.cli("why", "203.0.113.9")
	assert.Regexp(t, `answer +ICMP host unreachable \(3/1\) from 10\.0\.1\.2 on mem1, 10\.255\.0\.1 on mem2`, out)

	next := strings.Replace(worldConfig, "{name: mem1}", "{name: mem1, accept-vlans: [7]}", 1) +
		"forwarding: {unbound: drop, unresolved: prohibited, icmp: {rate: 5}}\ntunnel: {dscp: af11}\n"
	w.configure(next)
	w.signals <- unix.SIGHUP
	w.logged("configuration reloaded")
	assert.Contains(t, w.log.String(), `changed="ports.accept-vlans, tunnel.dscp, forwarding"`)
	have := w.rules()
	assert.Equal(t, dataplane.Silence, have.Unbound)
	assert.Equal(t, dataplane.AdminProhibited, have.Unresolved)
	assert.Equal(t, 5, have.Answers.Rate)
	assert.Equal(t, dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: 10}, have.DSCP)
	assert.Equal(t, map[fib.PortID][]dataplane.VLAN{1: {{Outer: 7}}}, have.VLANs)
	assert.Equal(t, mine, have.Answers.Sources[1].V4, "addresses stay")
	assert.Equal(t, map[netip.Prefix]bool{netip.MustParsePrefix("198.51.100.0/24"): true, netip.MustParsePrefix("203.0.113.0/24"): false}, have.ClampMSS)
	w.devices[0].port(0).Inject(frame(eip))
	w.eventually("untagged frames are not taken any more", func() bool { return w.drops("vlan") == 1 })
	_, out, _ = w.cli("why", "203.0.113.9")
	assert.Regexp(t, `answer +none: dropped in silence`, out)
	code, _, errs = w.cli("bind", "203.0.113.8", "--vtep", "10.0.2.11", "--vni", "5001")
	require.Equal(t, exitOK, code, errs)
	_, out, _ = w.cli("why", "203.0.113.8")
	assert.Regexp(t, `answer +ICMP administratively prohibited \(3/13\) from 10\.0\.1\.2 on mem1`, out)
	_, out, _ = w.cli("show", "status")
	for _, want := range []string{
		"unbound drop, unresolved prohibited", "DSCP af11, PCP none, MSS clamped in 1 segment",
		"ICMP errors at most 5/s, 200 at once, to one source prefix at most 50/s, 50 at once", "mem1: answers from 10.0.1.2; takes VLAN 7",
	} {
		assert.Contains(t, out, want)
	}

	for text, want := range map[string]string{
		strings.Replace(next, "unbound: drop", "unbound: reject", 1): `forwarding.unbound: "reject": expected drop`,
		strings.Replace(next, "dscp: af11", "dscp: ef, ttl: 9", 1):   "tunnel.ttl: changed, but fixed while the daemon runs",
		strings.Replace(next, "rate: 5", "rate: many", 1):            `forwarding.icmp.rate: "many"`,
	} {
		w.configure(text)
		code, _, errs = w.cli("reload")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, want)
		assert.Equal(t, have, w.rules())
	}
	w.speaker.mu.Lock()
	w.speaker.refuse = context.Canceled
	w.speaker.mu.Unlock()
	w.configure(strings.Replace(next, "unbound: drop", "unbound: prohibited", 1))
	code, _, _ = w.cli("reload")
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, have, w.rules(), "BGP has refused the reload")
}

// Rules that cannot be are refused before anything changes.
func TestRulebookKeepsWhatWorks(t *testing.T) {
	cfg, err := config.Parse(strings.NewReader("gateway: {asn: 1, router-id: 10.0.0.1}\nports: [{name: a}]\n"))
	require.NoError(t, err)
	b, err := newRulebook(cfg, nil, 1)
	require.NoError(t, err)
	before := b.rules.Config()
	bad := *cfg
	bad.Tunnel.DSCP = dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: 64}
	use := func(p *ruleParts) { p.cfg = &bad }
	require.ErrorContains(t, b.try(use), "fixed 64")
	require.ErrorContains(t, b.change(use), "fixed 64")
	assert.Equal(t, before, b.rules.Config())
	require.NoError(t, b.change(func(p *ruleParts) { p.own.all = addrs("10.0.1.2") }), "the bad part has not stayed")

	good := *cfg
	good.Forwarding.Unbound = dataplane.Silence
	require.NoError(t, b.try(func(p *ruleParts) { p.cfg = &good }))
	assert.Equal(t, dataplane.HostUnreachable, b.rules.Config().Unbound, "trying changes nothing")
}

func TestAnswerSaysWhenThereIsNoAddress(t *testing.T) {
	p := ruleParts{cfg: &config.Config{Ports: []config.Port{{Name: "a"}}}}
	assert.Equal(t, "none: it would be ICMPv6 no route to destination (1/0), but the gateway has no IPv6 address to answer from",
		p.answer(dataplane.NetUnreachable, false))
	assert.EqualValues(t, 1390, clampedMSS(netip.MustParseAddr("2001:db8::1"), 1450))
	assert.Zero(t, clampedMSS(netip.MustParseAddr("2001:db8::1"), 60))
}
