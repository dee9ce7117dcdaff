package config

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane"
)

func TestForwardingArrives(t *testing.T) {
	c := mustParse(t, minimal+`forwarding:
  unbound: prohibited
  unresolved: drop
  oversize: fragment-outer
  martians: allow
  tiny-fragments: drop
  icmp: {rate: 0, burst: 1, source-rate: 2, source-burst: 3, source-ipv4: 192.0.2.1}
`)
	assert.Equal(t, Forwarding{
		Unbound: dataplane.AdminProhibited, Unresolved: dataplane.Silence, Oversize: dataplane.FragmentOuter,
		Martians: dataplane.AllowMartians, TinyFragments: dataplane.DropTinyFragments,
		ICMP:     ICMP{Source4: netip.MustParseAddr("192.0.2.1"), Rate: 0, Burst: 1, SourceRate: 2, SourceBurst: 3},
		FastLane: FastLaneOff, FastLaneMemory: 128,
	}, c.Forwarding)
	c = mustParse(t, minimal+"forwarding: {fast-lane: on, fast-lane-memory: 16}\n")
	assert.Equal(t, FastLaneOn, c.Forwarding.FastLane)
	assert.Equal(t, 16, c.Forwarding.FastLaneMemory)
}

// Every policy is read as it is meant, and said again as it could be written.
func TestDSCPPolicies(t *testing.T) {
	fixed := func(d uint8) dataplane.DSCPPolicy {
		return dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: d}
	}
	for text, row := range map[string]struct {
		want dataplane.DSCPPolicy
		said string
	}{
		"copy": {dataplane.DSCPPolicy{}, "copy"},
		"0":    {fixed(0), "be"},
		"be":   {fixed(0), "be"},
		"EF":   {fixed(46), "ef"},
		"63":   {fixed(63), "63"},
		"{af11: 34, 46: cs5, df: le, 7: 7}": {
			dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{10: 34, 46: 40, 0: 1, 7: 7}},
			"{be: le, 7: 7, af11: af41, ef: cs5}",
		},
	} {
		got := mustParse(t, minimal+"tunnel: {dscp: "+text+"}\n").Tunnel.DSCP
		assert.Equal(t, row.want, got, text)
		assert.Equal(t, row.said, FormatDSCP(got))
		assert.Equal(t, got, mustParse(t, minimal+"tunnel: {dscp: "+row.said+"}\n").Tunnel.DSCP)
	}
}

// The code points stand here as their RFCs number them: class selectors are the class
// times 8 (RFC 2474), assured forwarding is 8 times the class and 2 times the
// precedence (RFC 2597).
func TestDSCPNames(t *testing.T) {
	for class := range uint8(8) {
		for _, row := range []struct {
			name string
			want uint8
			ok   bool
		}{
			{"cs" + string('0'+class), 8 * class, true},
			{"af" + string('0'+class) + "2", 8*class + 4, class >= 1 && class <= 4},
			{"af" + string('0'+class) + "3", 8*class + 6, class >= 1 && class <= 4},
			{"af" + string('0'+class) + "4", 0, false},
		} {
			got, want := dscp(row.name)
			assert.Equal(t, row.ok, want == "", row.name)
			if row.ok {
				assert.Equal(t, row.want, got, row.name)
			}
		}
	}
}

func TestTagsAndBack(t *testing.T) {
	for text, want := range map[string]dataplane.VLAN{
		"untagged": {}, "1": {Outer: 1}, "4094": {Outer: 4094}, "100.200": {Outer: 100, Inner: 200}, "100.20": {Outer: 100, Inner: 20},
	} {
		got, wrong := tags(text)
		assert.Empty(t, wrong)
		assert.Equal(t, want, got)
		assert.Equal(t, text, FormatTags(got))
	}
}
