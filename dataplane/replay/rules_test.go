package replay

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
)

const ruled = `
title: every rule
ports:
  - {name: sw0, mac: 02:00:00:00:00:01, vlans: [0, 100, 100.200, "7.10"], icmp-source: [192.0.2.7]}
  - {name: sw1, mac: 02:00:00:00:00:02, icmp-source: ["2001:db8:7::1", 192.0.2.8]}
rules:
  unbound: host-unreachable
  unresolved: prohibited
  oversize: fragment-outer
  martians: allow
  tiny-fragments: drop
  own: [10.255.0.1, "fd00::1"]
  clamp-mss: {203.0.113.0/24: true, 203.0.113.7/32: false}
  dscp: {map: [{from: 46, to: 34}, {from: 0, to: 8}]}
  pcp: true
  icmp-source: [192.0.2.1, "2001:db8:ffff::1"]
  icmp-limits: {rate: 1000, burst: 200, source-rate: 50, source-burst: 10}
`

func TestRulesAreMapped(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	c := parse(t, ruled)
	rules, err := c.CompileRules()
	require.NoError(t, err)
	assert.Equal(t, dataplane.RulesConfig{
		Unbound: dataplane.HostUnreachable, Unresolved: dataplane.AdminProhibited, Oversize: dataplane.FragmentOuter,
		Martians: dataplane.AllowMartians, TinyFragments: dataplane.DropTinyFragments,
		Own:      []netip.Addr{addr("10.255.0.1"), addr("fd00::1")},
		VLANs:    map[fib.PortID][]dataplane.VLAN{1: {{}, {Outer: 100}, {Outer: 100, Inner: 200}, {Outer: 7, Inner: 10}}},
		ClampMSS: map[netip.Prefix]bool{prefix("203.0.113.0/24"): true, prefix("203.0.113.7/32"): false},
		DSCP:     dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{46: 34, 0: 8}},
		PCP:      true,
		Answers: dataplane.AnswerConfig{
			Sources: map[fib.PortID]dataplane.AnswerSource{
				1: {V4: addr("192.0.2.7")}, 2: {V4: addr("192.0.2.8"), V6: addr("2001:db8:7::1")},
			},
			Default: dataplane.AnswerSource{V4: addr("192.0.2.1"), V6: addr("2001:db8:ffff::1")},
			Rate:    1000, Burst: 200, SourceRate: 50, SourceBurst: 10,
		},
	}, rules.Config())

	c = parse(t, small)
	rules, err = c.CompileRules()
	require.NoError(t, err)
	assert.Equal(t, dataplane.RulesConfig{ClampMSS: map[netip.Prefix]bool{}}, rules.Config(), "no rules are the zero rules")
	assert.Equal(t, Rules{
		Unbound: "drop", Unresolved: "drop", Oversize: "fragment-inner", Martians: "drop", TinyFragments: "allow",
	}, c.Rules, "and say so")

	c = parse(t, small+"rules: {dscp: {fixed: 0}}\n")
	rules, err = c.CompileRules()
	require.NoError(t, err)
	assert.Equal(t, dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed}, rules.Config().DSCP)
}

func TestMistakesInRulesAreNamed(t *testing.T) {
	for _, row := range []struct{ was, is, want string }{
		{"unbound: host-unreachable", "unbound: reject", `rules.unbound: "reject": expected one of drop, net-unreachable, host-unreachable, prohibited`},
		{"unresolved: prohibited", "unresolved: no", `rules.unresolved: "no": expected one of drop`},
		{"fragment-outer", "fragment", `rules.oversize: "fragment": expected one of fragment-inner, fragment-outer, refuse`},
		{"martians: allow", "martians: yes", `rules.martians: "yes": expected one of drop, allow`},
		{"fragments: drop", "fragments: count", `rules.tiny-fragments: "count": expected one of allow, drop`},
		{"203.0.113.0/24: true", "203.0.113.1/24: true", `rules.clamp-mss: "203.0.113.1/24": expected a prefix`},
		{"{map:", "{fixed: 1, map:", "rules.dscp: fixed and map: expected one of them"},
		{"from: 46", "from: 0", "rules.dscp.map: from 0 is there twice"},
		{"from: 46", "from: 64", "rules: dataplane: rules: DSCP map 64 to 34"},
		{"icmp-source: [192.0.2.1,", "icmp-source: [192.0.2.1, 192.0.2.2,", "rules.icmp-source: [192.0.2.1 192.0.2.2 2001:db8:ffff::1]: expected an IPv4 address, an IPv6 address, or one of each"},
		{"icmp-source: [192.0.2.7]", "icmp-source: [192.0.2.7, 192.0.2.9]", "ports[0].icmp-source: [192.0.2.7 192.0.2.9]: expected"},
		{"icmp-source: [192.0.2.7]", "icmp-source: [224.0.0.1]", "224.0.0.1: expected a unicast address"},
		{"burst: 200", "burst: 0", "ICMP burst 0: expected 1"},
		{"100.200", "100.x", `VLAN "100.x": expected 0 for untagged, one identifier, or two such as 100.200`},
		{"100.200", "4095", "VLAN 4095.0: expected identifiers up to 4094"},
	} {
		require.Equal(t, 1, strings.Count(ruled, row.was), row.was)
		_, err := Parse(strings.NewReader(strings.Replace(ruled, row.was, row.is, 1)))
		assert.ErrorContains(t, err, row.want)
	}
}

// A case with rules runs by them: the second frame is answered, the third would be one
// too many.
func TestRunWithRules(t *testing.T) {
	dir := t.TempDir()
	rules := "rules: {unbound: prohibited, icmp-source: [192.0.2.1], icmp-limits: {rate: 1, burst: 1}}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, CaseFile), []byte(small+rules), 0o600))
	writeFrames(t, filepath.Join(dir, "in.sw0.pcap"), frame(7), frame(8), frame(9))
	c, err := Load(dir)
	require.NoError(t, err)
	r, err := Run(c)
	require.NoError(t, err)
	require.Len(t, r.Out["sw0"], 2)
	answer := r.Out["sw0"][1]
	require.Len(t, answer, 14+28+28)
	assert.Equal(t, []byte{192, 0, 2, 1, 198, 51, 100, 2, 3, 13}, answer[14+12:][:10])
	assert.Equal(t, frame(8)[14:], answer[14+28:])
	assert.Equal(t, Counters{
		"port.sw0.rx_packets": 3, "port.sw0.rx_bytes": 3 * 42,
		"port.sw0.tx_packets": 2, "port.sw0.tx_bytes": 14 + 28 + 50 + 14 + 28 + 28,
		"drop.no_binding.packets": 2, "drop.no_binding.bytes": 2 * 42,
		"event.unreachable": 1, "event.answer_limited_global": 1,
	}, r.Counters)
}
