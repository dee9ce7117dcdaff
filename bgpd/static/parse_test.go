package static

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

const good = `# all that a file can say
bindings:
  - prefix: 203.0.113.7/32
    tunnels: &vr1
      - vtep: 10.0.2.11
        vni: 5001
        inner-mac: 02:00:00:00:0a:01
        inner-src-mac: "02:00:00:00:0a:02"
        udp-port: 16081
        ovn: {inport: 2, outport: 1}
      - {vtep: "2001:db8:f::11", vni: 0}
      - {vtep: 10.0.2.11, vni: 5001, protocol: vxlan}
  - {prefix: 203.0.113.8, tunnels: *vr1}
  - prefix: 2001:db8::/64
    tunnels: [{vtep: 10.0.2.12, vni: 16777215, options: "0103010100112233"}]
  - prefix: "2001:db8:1::7"
    tunnels: [{vtep: fd00::1, vni: 1}]
`

func TestParse(t *testing.T) {
	b, err := Parse("f.yaml", []byte(good))
	require.NoError(t, err)
	options, err := encap.ParseOptions([]byte{1, 3, 1, 1, 0, 0x11, 0x22, 0x33})
	require.NoError(t, err)
	vr1 := []encap.Tunnel{
		{
			VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001, Port: 16081,
			InnerDst: encap.MAC{2, 0, 0, 0, 10, 1}, InnerSrc: encap.MAC{2, 0, 0, 0, 10, 2}, Options: encap.OVNOptions(2, 1),
		},
		{VTEP: netip.MustParseAddr("2001:db8:f::11")},
		{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001, Protocol: encap.VXLAN},
	}
	assert.Equal(t, []fib.Binding{
		{Prefix: netip.MustParsePrefix("203.0.113.7/32"), Tunnels: vr1},
		{Prefix: netip.MustParsePrefix("203.0.113.8/32"), Tunnels: vr1},
		{Prefix: netip.MustParsePrefix("2001:db8::/64"), Tunnels: []encap.Tunnel{
			{VTEP: netip.MustParseAddr("10.0.2.12"), VNI: encap.MaxVNI, Options: options},
		}},
		{Prefix: netip.MustParsePrefix("2001:db8:1::7/128"), Tunnels: []encap.Tunnel{{VTEP: netip.MustParseAddr("fd00::1"), VNI: 1}}},
	}, b)
}

func TestParseNothing(t *testing.T) {
	for _, text := range []string{"bindings: []", "---\nbindings: []\n...\n", "# none\nbindings:\n  []\n"} {
		b, err := Parse("f.yaml", []byte(text))
		assert.NoError(t, err, text)
		assert.Equal(t, []fib.Binding{}, b)
	}
}

// entry is a file with one binding whose tunnel has these keys.
func entry(tunnel string) string {
	return "bindings:\n  - prefix: 203.0.113.7/32\n    tunnels:\n      - {" + tunnel + "}\n"
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `f.yaml: the file is empty: expected "bindings:" with a list, [] for none`},
		{"# nothing\n", `f.yaml: the file is empty: expected "bindings:" with a list, [] for none`},
		{"{}", `f.yaml:1: expected the key bindings`},
		{"[]", `f.yaml:1: a list: expected keys bindings`},
		{"7", `f.yaml:1: "7": expected keys bindings`},
		{"a: [", `f.yaml:1: not YAML: sequence end token ']' not found`},
		{"bindings: []\n---\nbindings: []\n", `f.yaml:3: a second YAML document: expected one`},
		{"bindings:\n", `f.yaml:1: bindings: nothing: expected a list`},
		{"binding: []\n", `f.yaml:1: binding: unknown key: expected one of bindings`},
		{"bindings: []\nbindings: []\n", `f.yaml:2: bindings: there twice: first in line 1`},
		{"bindings: 5\n", `f.yaml:1: bindings: "5": expected a list`},
		{"bindings: [5]\n", `f.yaml:1: bindings[0]: "5": expected keys prefix, tunnels`},
		{"bindings:\n  - tunnels: [{vtep: 10.0.0.1, vni: 1}]\n", `f.yaml:2: bindings[0]: prefix is missing: expected an EIP or a prefix of EIPs`},
		{"bindings:\n  - prefix: 203.0.113.7\n", `f.yaml:2: bindings[0]: tunnels are missing: expected a list of at least one`},
		{"bindings:\n  - prefix: 203.0.113.7\n    tunnels: []\n", `f.yaml:3: bindings[0].tunnels: 0 tunnels: expected 1 to 64`},
		{"bindings:\n  - prefix: 203.0.113.7/24\n    tunnels: [{vtep: 10.0.0.1, vni: 1}]\n",
			`f.yaml:2: bindings[0].prefix: "203.0.113.7/24": expected no bits beyond the length: 203.0.113.0/24`},
		{"bindings:\n  - prefix: ::ffff:1.2.3.4/128\n    tunnels: [{vtep: 10.0.0.1, vni: 1}]\n",
			`f.yaml:2: bindings[0].prefix: "::ffff:1.2.3.4/128": expected an EIP or a prefix of EIPs, such as 203.0.113.7/32 or 2001:db8::/64`},
		{"bindings:\n  - prefix: [a]\n    tunnels: [{vtep: 10.0.0.1, vni: 1}]\n",
			`f.yaml:2: bindings[0].prefix: a list: expected an EIP or a prefix of EIPs, such as 203.0.113.7/32 or 2001:db8::/64`},
		{"bindings:\n  - prefix: fe80::1%eth0\n    tunnels: [{vtep: 10.0.0.1, vni: 1}]\n",
			`f.yaml:2: bindings[0].prefix: "fe80::1%eth0": expected an EIP or a prefix of EIPs, such as 203.0.113.7/32 or 2001:db8::/64`},
		{entry("vni: 1"), `f.yaml:4: bindings[0].tunnels[0]: vtep is missing: expected the underlay address of the virtual router`},
		{entry("vtep: 10.0.0.1"), `f.yaml:4: bindings[0].tunnels[0]: vni is missing: expected 0 to 16777215`},
		{entry("vtep: vr1, vni: 1"), `f.yaml:4: bindings[0].tunnels[0].vtep: "vr1": expected the underlay address of the virtual router, such as 10.0.2.11`},
		{entry("vtep: 224.0.0.1, vni: 1"), `f.yaml:4: bindings[0].tunnels[0].vtep: "224.0.0.1": expected a unicast address of one host, without zone, not IPv4-mapped`},
		{entry("vtep: 10.0.0.1, vni: 16777216"), `f.yaml:4: bindings[0].tunnels[0].vni: "16777216": expected a decimal number, 0 to 16777215`},
		{entry("vtep: 10.0.0.1, vni: 0x10"), `f.yaml:4: bindings[0].tunnels[0].vni: "0x10": expected a decimal number, 0 to 16777215`},
		{entry("vtep: 10.0.0.1, vni:"), `f.yaml:4: bindings[0].tunnels[0].vni: nothing: expected a decimal number, 0 to 16777215`},
		{entry("vtep: 10.0.0.1, vni: -1"), `f.yaml:4: bindings[0].tunnels[0].vni: "-1": expected a decimal number, 0 to 16777215`},
		{entry("vtep: 10.0.0.1, vni: 1, vni: 2"), `f.yaml:4: bindings[0].tunnels[0].vni: there twice: first in line 4`},
		{entry("vtep: 10.0.0.1, vni: 1, udp-port: 0"), `f.yaml:4: bindings[0].tunnels[0].udp-port: "0": expected a decimal number, 1 to 65535`},
		{entry("vtep: 10.0.0.1, vni: 1, inner-mac: 01:00:5e:00:00:01"),
			`f.yaml:4: bindings[0].tunnels[0].inner-mac: "01:00:5e:00:00:01": expected the Ethernet address of one interface, such as 02:00:00:00:00:0b`},
		{entry("vtep: 10.0.0.1, vni: 1, inner_mac: 02:00:00:00:00:01"),
			`f.yaml:4: bindings[0].tunnels[0].inner_mac: unknown key: expected one of vtep, vni, protocol, inner-mac, inner-src-mac, udp-port, ovn, options`},
		{entry("vtep: 10.0.0.1, vni: 1, protocol: gre"), `f.yaml:4: bindings[0].tunnels[0].protocol: "gre": expected geneve or vxlan`},
		{entry("vtep: 10.0.0.1, vni: 1, protocol: vxlan, ovn: {outport: 1}"),
			`f.yaml:4: bindings[0].tunnels[0]: protocol vxlan: expected geneve with ovn or options: they are Geneve's`},
		{"bindings:\n  - {prefix: 203.0.113.7, tunnels: [{vtep: 10.0.0.1, vni: 1, protocol: vxlan}, {vtep: 10.0.0.1, vni: 1, protocol: vxlan, udp-port: 4789}]}\n",
			`f.yaml:2: bindings[0].tunnels[1]: there twice: expected each tunnel once`},
		{entry("vtep: 10.0.0.1, vni: 1, ovn: {inport: 32768, outport: 1}"),
			`f.yaml:4: bindings[0].tunnels[0].ovn.inport: "32768": expected a decimal number, 0 to 32767`},
		{entry("vtep: 10.0.0.1, vni: 1, ovn: {inport: 1}"),
			`f.yaml:4: bindings[0].tunnels[0].ovn: outport is missing: expected the tunnel key of the router's port`},
		{entry(`vtep: 10.0.0.1, vni: 1, ovn: {outport: 1}, options: "0103010100112233"`),
			`f.yaml:4: bindings[0].tunnels[0]: ovn and options: expected one of them`},
		{entry(`vtep: 10.0.0.1, vni: 1, options: "0103"`),
			`f.yaml:4: bindings[0].tunnels[0].options: "0103": expected Geneve options as they go on the wire (2 bytes, want a multiple of 4)`},
		{entry(`vtep: 10.0.0.1, vni: 1, options: "xx"`),
			`f.yaml:4: bindings[0].tunnels[0].options: "xx": expected Geneve options in hexadecimal, quoted`},
		{entry(`vtep: 10.0.0.1, vni: 1, options: "0102800100020000"`),
			`f.yaml:4: bindings[0].tunnels[0]: tunnel to 10.0.0.1: options: OVN outport 0, want the tunnel key of the port to deliver to`},
		{"bindings:\n  - prefix: 203.0.113.7\n    tunnels: *vr9\n", `f.yaml:3: bindings[0].tunnels: alias *vr9: expected an anchor &vr9 before it`},
		{"bindings:\n  - <<: {}\n    prefix: 203.0.113.7\n    tunnels: [{vtep: 10.0.0.1, vni: 1}]\n",
			`f.yaml:2: bindings[0].<<: unknown key: expected one of prefix, tunnels`},
		{"bindings:\n  - {prefix: 203.0.113.7, tunnels: [{vtep: 10.0.0.1, vni: 1}, {vtep: 10.0.0.1, vni: 1, udp-port: 6081}]}\n",
			`f.yaml:2: bindings[0].tunnels[1]: there twice: expected each tunnel once`},
		{"bindings:\n  - {prefix: 203.0.113.7, tunnels: [{vtep: 10.0.0.1, vni: 1}]}\n  - {prefix: 203.0.113.7/32, tunnels: [{vtep: 10.0.0.2, vni: 1}]}\n",
			`f.yaml:3: bindings[1]: prefix 203.0.113.7/32 is there twice, first in line 2: expected one entry with all its tunnels`},
	} {
		b, err := Parse("f.yaml", []byte(c.text))
		assert.Nil(t, b, c.text)
		assert.EqualError(t, err, c.want, c.text)
	}
}

func TestParseShowsEveryProblem(t *testing.T) {
	var text strings.Builder
	text.WriteString("bindings:\n")
	for i := range 25 {
		fmt.Fprintf(&text, "  - {prefix: 203.0.113.%d, tunnels: [{vtep: x, vni: 1}]}\n", i)
	}
	_, err := Parse("f.yaml", []byte(text.String()))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, maxProblems+1)
	assert.True(t, strings.HasPrefix(lines[19], "f.yaml:21: bindings[19].tunnels[0].vtep:"), lines[19])
	assert.Equal(t, "and 5 problems more", lines[20])
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(entry("vtep: 10.0.0.1, vni: 1")))
	f.Add([]byte("bindings: &a [*a]"))
	f.Add([]byte("bindings:\n - !!str {prefix: |\n  x}\n"))
	f.Add([]byte("? [a]\n: b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse("f", text)
		if err != nil {
			assert.Nil(t, b)
			return
		}
		seen := map[netip.Prefix]bool{}
		for _, x := range b {
			assert.False(t, seen[x.Prefix])
			seen[x.Prefix] = true
			assert.Equal(t, x.Prefix.Masked(), x.Prefix)
			assert.NotEmpty(t, x.Tunnels)
			for _, tunnel := range x.Tunnels {
				assert.NoError(t, tunnel.Validate())
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString("bindings:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {prefix: 10.0.%d.%d, tunnels: [{vtep: 172.16.0.%d, vni: 5001}]}\n", i/256, i%256, i%200+1)
	}
	for b.Loop() {
		_, err := Parse("f", []byte(text.String()))
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/10_000, "µs/binding")
}
