package main

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// folder is package pcaps.
const folder = ".."

var cases = sync.OnceValue(allCases)

// What is committed is what gen writes, no file more or less.
func TestCommitted(t *testing.T) {
	fresh := t.TempDir()
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(fresh, "README.md"), readme, 0o644))
	require.NoError(t, generate(fresh, cases()))

	committed, written := tree(t, filepath.Join(folder, "cases")), tree(t, filepath.Join(fresh, "cases"))
	require.NotEmpty(t, written)
	for _, name := range slices.Sorted(maps.Keys(written)) {
		assert.Equal(t, written[name], committed[name], "cases/%s: run go generate ./pcaps", name)
	}
	for name := range committed {
		assert.Contains(t, written, name, "cases/%s belongs to no case: run go generate ./pcaps", name)
	}
	for _, name := range []string{"README.md", complianceFile} {
		want, err := os.ReadFile(filepath.Join(fresh, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), "%s: run go generate ./pcaps", name)
	}
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(b)
		return err
	}))
	return files
}

func TestStories(t *testing.T) {
	names := map[string]bool{}
	for _, c := range cases() {
		assert.Regexp(t, `^[a-z0-9]+(-[a-z0-9]+)*$`, c.Name)
		assert.False(t, names[c.Name], "case %s is there twice", c.Name)
		names[c.Name] = true
		assert.NotEmpty(t, c.Title, c.Name)
		assert.NotEmpty(t, c.RFC, c.Name)
		assert.NotContains(t, c.Title+c.RFC, "|", "%s: the index is a table", c.Name)
		assert.NotEmpty(t, c.in, "%s: nothing arrives", c.Name)
	}
}

// The other writer is never asked.
func TestIndependence(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, "github.com/eipgw/eipgw/pcaps/gen")
	for _, d := range deps {
		assert.False(t, strings.HasPrefix(d, "github.com/eipgw/") && d != "github.com/eipgw/eipgw/pcaps/gen", d)
	}
}

// The example of RFC 1071 section 3, even and odd.
func TestSum(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	assert.EqualValues(t, ^uint16(0xddf2), sum(b))
	assert.EqualValues(t, sum(b), sum(b[:2], b[2:]))
	assert.EqualValues(t, sum(append(slices.Clone(b[:5]), 0)), sum(b[:5]))
}

// The vectors that the documentation of dataplane.FlowHash4 gives.
func TestFlowHash(t *testing.T) {
	a := netip.MustParseAddr
	const ports = 40000<<16 | 443
	assert.EqualValues(t, 0xbf39b835, flow{a("198.51.100.1"), a("203.0.113.7"), 6, ports}.hash())
	assert.EqualValues(t, 0x66c9a230, flow{a("198.51.100.1"), a("203.0.113.7"), 1, 0}.hash())
	assert.EqualValues(t, 0x029d89c5, flow{a("255.255.255.255"), a("255.255.255.255"), 132, 0xffffffff}.hash())
	assert.EqualValues(t, 0x46bbc5e4, flow{a("2001:db8::1"), a("2001:db8:e1b::7"), 6, ports}.hash())
	assert.EqualValues(t, 0x4eae942b, flow{a("2001:db8::1"), a("2001:db8:e1b::7"), 44, 0}.hash())
	assert.EqualValues(t, 0xdb64319b, flow{a("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), a("::"), 136, 0xffffffff}.hash())
}

// One wanted frame in full, by hand: Ethernet, IPv4, UDP, Geneve with OVN's option,
// Ethernet, IPv4, and a datagram without data.
func TestFrame(t *testing.T) {
	var c *Case
	story{"", "", "", func(made *Case) {
		c = made
		ovn := tunnel4
		ovn.OVN = &OVN{Inport: 2, Outport: 1}
		c.bind(eip4, ovn)
		c.forward(udpWith(to4, https, nil).tos(0xb8), ovn)
	}}.run("")
	want := []byte{
		0x02, 0, 0, 0, 0, 0xfe, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00,
		0x45, 0xb8, 0, 86, 0, 0, 0x40, 0, 64, 17, 0x22, 0xd5, 10, 255, 0, 1, 10, 0, 2, 11,
		0, 0, 0x17, 0xc1, 0, 66, 0, 0,
		0x02, 0x40, 0x65, 0x58, 0x00, 0x13, 0x89, 0, 0x01, 0x02, 0x80, 0x01, 0, 2, 0, 1,
		0x02, 'e', 'i', 'p', 'v', 'r', 0x02, 'e', 'i', 'p', 'g', 'w', 0x08, 0x00,
		0x45, 0xb8, 0, 28, 0x1d, 0x01, 0, 0, 63, 17, 0xf7, 0xdb, 198, 51, 100, 1, 203, 0, 113, 7,
		0x9c, 0x40, 0x01, 0xbb, 0, 8, 0xfb, 0xa5,
	}
	got := c.out["sw0"][0]
	require.Len(t, got, len(want))
	copy(want[34:36], got[34:36]) // the source port, by the flow hash
	assert.GreaterOrEqual(t, binary.BigEndian.Uint16(got[34:]), uint16(0xc000))
	assert.Equal(t, want, got)
}

// What the case is for: zero is never sent where there is a checksum.
func TestAllOnes(t *testing.T) {
	frames := find(t, "udp6-checksum-all-ones").out["sw0"]
	assert.EqualValues(t, 0xffff, binary.BigEndian.Uint16(frames[0][60:]))
	assert.NotContains(t, []uint16{0, 0xffff}, binary.BigEndian.Uint16(frames[1][60:]))
}

// Groups share flows fairly, and only those of a VTEP that is gone move.
func TestGroups(t *testing.T) {
	whole, without := vteps(t, "group"), vteps(t, "group-one-unresolved")
	counts := map[string]int{}
	moved := map[string]int{}
	for i, vtep := range whole {
		counts[vtep]++
		if vtep != "10.0.2.12" {
			assert.Equal(t, vtep, without[i])
		} else {
			moved[without[i]]++
		}
	}
	for _, vtep := range []string{"10.0.2.11", "10.0.2.12", "10.0.3.13"} {
		assert.InDelta(t, len(whole)/3, counts[vtep], float64(len(whole))/8, vtep)
	}
	assert.Len(t, moved, 2, "the flows of the lost VTEP go to both others")
	assert.Equal(t, find(t, "group").out, find(t, "group-order").out)
}

// Both next hops are used, also by the flows of one VTEP.
func TestWays(t *testing.T) {
	for _, name := range []string{"ecmp", "ecmp-in-group"} {
		counts, to := map[string]int{}, vteps(t, name)
		for i, f := range find(t, name).out["sw0"] {
			counts[fmt.Sprintf("%s by %x", to[i], f[:6])]++
		}
		assert.Len(t, counts, map[string]int{"ecmp": 2, "ecmp-in-group": 4}[name])
		for way, n := range counts {
			assert.Greater(t, n, 192/len(counts)/2, "%s: %s", name, way)
		}
	}
	assert.Greater(t, len(find(t, "ecmp-ports").out["vr0"]), 16)
	assert.Greater(t, len(find(t, "ecmp-ports").out["vr1"]), 16)
}

func find(t *testing.T, name string) *Case {
	t.Helper()
	for _, c := range cases() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no case %s", name)
	return nil
}

// vteps are the outer destinations of what leaves by sw0, over untagged IPv4.
func vteps(t *testing.T, name string) []string {
	t.Helper()
	var all []string
	for _, f := range find(t, name).out["sw0"] {
		all = append(all, netip.AddrFrom4([4]byte(f[30:34])).String())
	}
	return all
}
