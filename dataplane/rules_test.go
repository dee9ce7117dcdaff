package dataplane_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// RFC 6040 section 4.1: ECN is copied, whatever becomes of DSCP.
func TestDSCPPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		policy dataplane.DSCPPolicy
		want   func(dscp uint8) uint8
	}{
		"copy":  {dataplane.DSCPPolicy{}, func(d uint8) uint8 { return d }},
		"fixed": {dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: 48}, func(uint8) uint8 { return 48 }},
		"map": {dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{46: 34, 0: 8}}, func(d uint8) uint8 {
			return map[uint8]uint8{46: 34, 0: 8, 10: 10}[d]
		}},
	} {
		r := newRig(t, nil).with(dataplane.RulesConfig{DSCP: c.policy})
		for _, dscp := range []uint8{0, 10, 46} {
			for ecn := range uint8(4) {
				in := dscp<<2 | ecn
				want := c.want(dscp)<<2 | ecn
				out := r.forward(patch4(udp7, 15, in))
				assert.Equal(t, want, out[15], "%s, outer IPv4, inner TOS %#x", name, in)
				assert.Equal(t, in, out[64+1], "%s: the inner TOS stays", name)
				out = r.forward(patch(tcp6to8, 14, 0x60|in>>4, in<<4))
				assert.Equal(t, want, out[14]<<4|out[15]>>4, "%s, outer IPv6, inner class %#x", name, in)
			}
		}
	}
}

// The class selector of the outer DSCP is the tag's PCP; a frame without a tag has none.
func TestPCPFromDSCP(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{PCP: true})
	for dscp := range uint8(64) {
		out := r.forward(patch4(patch4(udp7, 33, 11), 15, dscp<<2))
		assert.Equal(t, []byte{0x81, 0x00, dscp >> 3 << 5, 100}, out[12:16])
		out = r.forward(patch4(udp7, 15, dscp<<2))
		assert.Equal(t, []byte{0x08, 0x00, 0x45, dscp << 2}, out[12:16])
	}
	r.with(dataplane.RulesConfig{})
	assert.Equal(t, []byte{0x81, 0x00, 0, 100}, r.forward(patch4(udp7, 33, 11))[12:16])
}

func TestVLANsOfAPort(t *testing.T) {
	frames := map[string][]byte{
		"untagged": udp7, "priority": tags(udp7, 0x8100_e000), "100": tags(udp7, 0x8100_e064), "101": tags(udp7, 0x8100_0065),
		"100.200": tags(udp7, 0x88a8_0064, 0x8100_00c8), "100.201": tags(udp7, 0x88a8_0064, 0x8100_00c9),
		"200": tags(udp7, 0x8100_00c8), "0.200": tags(udp7, 0x88a8_0000, 0x8100_00c8),
	}
	for _, c := range []struct {
		takes []dataplane.VLAN
		pass  []string
	}{
		{nil, []string{"untagged", "priority", "100", "101", "100.200", "100.201", "200", "0.200"}},
		{[]dataplane.VLAN{{}}, []string{"untagged", "priority"}},
		{[]dataplane.VLAN{{Outer: 100}}, []string{"100"}},
		{[]dataplane.VLAN{{Outer: 100, Inner: 200}, {}}, []string{"100.200", "untagged", "priority"}},
		{[]dataplane.VLAN{{Outer: 200}}, []string{"200", "0.200"}},
	} {
		r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth}).with(dataplane.RulesConfig{VLANs: map[fib.PortID][]dataplane.VLAN{north: c.takes}})
		var pass []string
		for name, frame := range frames {
			if f := r.process(frame)[0]; f.Verdict == dataplane.Forward {
				pass = append(pass, name)
			} else {
				assert.Equal(t, dataplane.ReasonVLAN, f.Reason)
			}
			r.release()
		}
		assert.ElementsMatch(t, c.pass, pass, "%v", c.takes)
	}
}

// A bad set of rules leaves those in force that were.
func TestBadRulesAreRefused(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: 8}})
	for name, c := range map[string]dataplane.RulesConfig{
		"refusal":       {Unbound: 200},
		"oversize":      {Oversize: 3},
		"DSCP":          {DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: 64}},
		"DSCP map":      {DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{1: 64}}},
		"DSCP mode":     {DSCP: dataplane.DSCPPolicy{Mode: 9}},
		"VLAN 4095":     {VLANs: map[fib.PortID][]dataplane.VLAN{1: {{Outer: 4095}}}},
		"VLAN 0.5":      {VLANs: map[fib.PortID][]dataplane.VLAN{1: {{Inner: 5}}}},
		"tiny fragment": {TinyFragments: 7},
	} {
		assert.Error(t, r.rules.Set(c), name)
		assert.EqualValues(t, 8<<2|1, r.forward(udp7)[15], name)
	}
	assert.EqualValues(t, 8, r.rules.Config().DSCP.Fixed)
}

// One answer for each address: what the longest prefix says. Compared with a search
// through all prefixes.
func TestClampedPrefixes(t *testing.T) {
	rules := map[netip.Prefix]bool{}
	for text, yes := range map[string]bool{
		"203.0.113.0/24": true, "203.0.113.0/28": false, "203.0.113.7/32": true, "203.0.113.8/31": true,
		"2001:db8:e1b::/64": true, "2001:db8:e1b::8/128": false, "2001:db8:e1b::b/128": true, "255.255.255.0/24": true,
	} {
		rules[netip.MustParsePrefix(text)] = yes
	}
	r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: rules})
	for last, yes := range map[byte]bool{7: true, 8: true, 11: false} {
		out := r.forward(patch4(syn4(mss1460), 33, last))
		clamped := fmt.Sprintf("%x", out[len(out)-4:]) != fmt.Sprintf("%x", mss1460)
		assert.Equal(t, yes, clamped, "203.0.113.%d", last)
	}
	for last, yes := range map[byte]bool{7: true, 8: false, 11: true} {
		out := r.forward(patch(syn6(mss1460), 53, last))
		clamped := fmt.Sprintf("%x", out[len(out)-4:]) != fmt.Sprintf("%x", mss1460)
		assert.Equal(t, yes, clamped, "2001:db8:e1b::%d", last)
	}
	require.True(t, rules[netip.MustParsePrefix("203.0.113.0/24")])
}

// A prefix is the network that it lies in, whatever its other bits.
func TestClampedPrefixesAreNetworks(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: map[netip.Prefix]bool{
		netip.MustParsePrefix("203.0.113.7/24"): true, netip.MustParsePrefix("203.0.113.9/31"): false, netip.MustParsePrefix("2001:db8:e1b::7/64"): true,
	}})
	for _, c := range []struct {
		frame []byte
		want  []byte
	}{
		{patch4(syn4(mss1460), 33, 7), []byte{2, 4, 0x05, 0x82}}, {patch4(syn4(mss1460), 33, 8), mss1460}, {patch(syn6(mss1460), 53, 11), []byte{2, 4, 0x05, 0x0a}},
	} {
		out := r.forward(c.frame)
		assert.Equal(t, c.want, out[len(out)-4:], "%x", out)
	}
}

// everything has the MSS of all SYNs clamped.
var everything = map[netip.Prefix]bool{netip.MustParsePrefix("0.0.0.0/0"): true, netip.MustParsePrefix("::/0"): true}
