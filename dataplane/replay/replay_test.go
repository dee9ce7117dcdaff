package replay

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/encap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const full = `
title: every key
rfc: RFC 8926 section 3.4
ports:
  - {name: sw0, id: 7, mac: 02:00:00:00:00:01, mtu: 1600, vlan: 100.200}
  - {name: sw1, mac: "02:00:00:00:00:02"}
bindings:
  - prefix: 203.0.113.7/32
    tunnels:
      - {vtep: 10.0.2.11, vni: 5001, udp-port: 6082, inner-mac: 02:00:00:00:0a:01, inner-src-mac: 02:00:00:00:0a:02, ovn: {inport: 2, outport: 1}}
      - {vtep: "fd00:2::11", vni: 0, options: "0102800100020001"}
      - {vtep: 10.0.2.11, vni: 7, protocol: vxlan}
underlay:
  - vtep: 10.0.2.11
    ways:
      - {port: sw0, dst-mac: 02:00:00:00:00:fe, local: 10.255.0.1}
      - {port: sw1, dst-mac: 02:00:00:00:00:fd, src-mac: 02:00:00:00:00:09, local: 10.255.0.1, vlan: 5, mtu: 1400}
tunnel: {udp6-checksum: zero, ttl: 9}
`

func parse(t *testing.T, text string) Case {
	t.Helper()
	c, err := Parse(strings.NewReader(text))
	require.NoError(t, err)
	return c
}

func TestDefaultsAreFilledIn(t *testing.T) {
	c := parse(t, full)
	assert.Equal(t, []Port{
		{Name: "sw0", ID: 7, MAC: MAC{2, 0, 0, 0, 0, 1}, MTU: 1600, VLAN: VLAN{S: 100, C: 200}},
		{Name: "sw1", ID: 2, MAC: MAC{2, 0, 0, 0, 0, 2}, MTU: 1500},
	}, c.Ports)
	assert.Equal(t, []Way{
		{Port: "sw0", SrcMAC: MAC{2, 0, 0, 0, 0, 1}, DstMAC: MAC{2, 0, 0, 0, 0, 0xfe}, VLAN: VLAN{S: 100, C: 200}, Local: netip.MustParseAddr("10.255.0.1"), MTU: 1600},
		{Port: "sw1", SrcMAC: MAC{2, 0, 0, 0, 0, 9}, DstMAC: MAC{2, 0, 0, 0, 0, 0xfd}, VLAN: VLAN{C: 5}, Local: netip.MustParseAddr("10.255.0.1"), MTU: 1400},
	}, c.Underlay[0].Ways)

	b, err := c.FIB()
	require.NoError(t, err)
	assert.Equal(t, encap.Tunnel{
		VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001, Port: 6082,
		InnerDst: encap.MAC{2, 0, 0, 0, 10, 1}, InnerSrc: encap.MAC{2, 0, 0, 0, 10, 2}, Options: encap.OVNOptions(2, 1),
	}, b[0].Tunnels[0])
	assert.Equal(t, encap.OVNOptions(2, 1), b[0].Tunnels[1].Options)
	assert.Equal(t, encap.Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 7, Protocol: encap.VXLAN}, b[0].Tunnels[2])

	minimal := parse(t, "title: x\nports: [{name: a, mac: 02:00:00:00:00:01}]\n")
	assert.Equal(t, Tunnels{UDP6Checksum: ChecksumCompute, TTL: 64}, minimal.Tunnel)
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	for _, text := range []string{full, small, ruled} {
		c := parse(t, text)
		written, err := yaml.Marshal(c)
		require.NoError(t, err)
		assert.Equal(t, c, parse(t, string(written)))
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"empty", "", "the description is empty"},
		{"unknown key", full + "portz: []\n", `unknown field "portz"`},
		{"no title", "ports: [{name: a, mac: 02:00:00:00:00:01}]", "title: missing"},
		{"no ports", "title: x", "ports: missing: expected at least one"},
		{"port", "title: x\nports: [{name: a/b, mtu: 67}]",
			"ports[0].name: \"a/b\": expected letters, digits, '_', '.' or '-'\n" +
				"ports[0].mac: missing: expected an Ethernet address such as 02:00:00:00:00:01\n" +
				"ports[0].mtu: 67: expected 68 to 65535 bytes"},
		{"VLAN", strings.Replace(full, "100.200", "4095", 1), `"4095" is not a VLAN`},
		{"VLAN of three", strings.Replace(full, "vlan: 100.200", `vlan: "100.200.300"`, 1), `"100.200.300" is not a VLAN`},
		{"VLAN of a way", strings.Replace(full, "vlan: 5,", "vlan: 5.4095,", 1), `"5.4095" is not a VLAN`},
		{"protocol", strings.Replace(full, "protocol: vxlan", "protocol: gre", 1), `"gre" is not a tunnel protocol, want geneve or vxlan`},
		{"options of VXLAN", strings.Replace(full, "protocol: vxlan", `protocol: vxlan, options: "0102800100020001"`, 1), "bindings[0].tunnels[2]: protocol: vxlan: expected geneve, which alone has options"},
		{"ports alike", "title: x\nports: [{name: a, id: 2, mac: 02:00:00:00:00:01}, {name: a, mac: 02:00:00:00:00:01}]",
			"ports[1].name: \"a\" is there twice\nports[1].id: 2 is there twice"},
		{"MAC", "title: x\nports: [{name: a, mac: 02:00:00:00:00}]", `"02:00:00:00:00" is not a 48-bit Ethernet address`},
		{"prefix", strings.Replace(full, "203.0.113.7/32", "203.0.113.7/24", 1), "bindings[0].prefix: 203.0.113.7/24 has host bits set: expected 203.0.113.0/24"},
		{"VTEP", strings.Replace(full, "vtep: 10.0.2.11, vni", "vtep: \"::ffff:10.0.2.11\", vni", 1), "bindings[0].tunnels[0]: "},
		{"VNI", strings.Replace(full, "5001", "16777216", 1), "bindings[0].tunnels[0]: "},
		{"options and ovn", strings.Replace(full, "vni: 0,", "vni: 0, ovn: {inport: 1, outport: 1},", 1), "bindings[0].tunnels[1]: ovn and options: expected one of them"},
		{"options", strings.Replace(full, "0102800100020001", "01028001000200", 1), "bindings[0].tunnels[1]: options: "},
		{"hex", strings.Replace(full, "0102800100020001", "xyz", 1), `bindings[0].tunnels[1]: options: "xyz": expected hexadecimal digits`},
		{"way", strings.Replace(full, "port: sw1,", "port: sw2,", 1), `underlay[0].ways[1].port: "sw2" is none of the ports`},
		{"local", strings.Replace(full, "local: 10.255.0.1, vlan", "local: \"fd00::1\", vlan", 1), "underlay[0].ways[1].local: fd00::1: expected an outer source address of the family of VTEP 10.0.2.11"},
		{"checksum", strings.Replace(full, "zero", "none", 1), `tunnel.udp6-checksum: "none": expected compute or zero`},
	} {
		_, err := Parse(strings.NewReader(row.text))
		assert.ErrorContains(t, err, row.want, row.name)
	}
}

// frame is a UDP packet of no length to 203.0.113.<host>.
func frame(host byte) []byte {
	b := []byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x08, 0x00, // Ethernet
		0x45, 0, 0, 28, 0, 1, 0x40, 0, 64, 17, 0, 0, 198, 51, 100, 2, 203, 0, 113, host, // IPv4
		0x10, 0, 0x20, 0, 0, 8, 0, 0, // UDP
	}
	sum := encap.Checksum(b[14:34], 0)
	b[24], b[25] = byte(sum>>8), byte(sum)
	return b
}

const small = `
title: one binding
ports: [{name: sw0, mac: 02:00:00:00:00:01}]
bindings: [{prefix: 203.0.113.7/32, tunnels: [{vtep: 10.0.2.11, vni: 5001}]}]
underlay: [{vtep: 10.0.2.11, ways: [{port: sw0, dst-mac: 02:00:00:00:00:fe, local: 10.255.0.1}]}]
`

func TestRun(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, CaseFile), []byte(small), 0o600))
	writeFrames(t, filepath.Join(dir, "in.sw0.pcap"), frame(7), frame(8), frame(7))
	for _, path := range []string{dir, filepath.Join(dir, CaseFile)} {
		c, err := Load(path)
		require.NoError(t, err)
		r, err := Run(c)
		require.NoError(t, err)
		require.Len(t, r.Out["sw0"], 2)
		p, err := encap.Parse(r.Out["sw0"][1])
		require.NoError(t, err)
		assert.Equal(t, encap.VNI(5001), p.VNI)
		assert.Equal(t, Counters{
			"port.sw0.rx_packets": 3, "port.sw0.rx_bytes": 3 * 42,
			"port.sw0.tx_packets": 2, "port.sw0.tx_bytes": 2 * (14 + 28 + 50),
			"drop.no_binding.packets": 1, "drop.no_binding.bytes": 42,
		}, r.Counters)

		// The same into a file.
		c.Ports[0].Out = filepath.Join(dir, "out.pcap")
		again, err := Run(c)
		require.NoError(t, err)
		assert.Empty(t, again.Out)
		assert.Equal(t, r.Out["sw0"], readFrames(t, c.Ports[0].Out))
		assert.Equal(t, r.Counters, again.Counters)
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	c := parse(t, small)
	run := func(content []byte) error {
		c.Ports[0].In = filepath.Join(dir, "in.pcap")
		require.NoError(t, os.WriteFile(c.Ports[0].In, content, 0o600))
		_, err := Run(c)
		return err
	}
	assert.ErrorContains(t, run(nil), "in.pcap")
	assert.ErrorContains(t, run([]byte("title: this is no pcap file at all, is it?")), "in.pcap")

	writeFrames(t, filepath.Join(dir, "good.pcap"), frame(7), frame(7))
	good, err := os.ReadFile(filepath.Join(dir, "good.pcap"))
	require.NoError(t, err)
	assert.NoError(t, run(good))
	assert.ErrorContains(t, run(good[:len(good)-1]), "in.pcap", "a file that ends inside a frame")
	good[20] = 101 // LINKTYPE_RAW
	assert.ErrorContains(t, run(good), "in.pcap")

	c.Ports[0].In = filepath.Join(dir, "missing.pcap")
	_, err = Run(c)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(filepath.Join(dir, "missing"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestCountersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), CountersFile)
	want := Counters{"port.sw0.rx_packets": 3, "drop.no_binding.packets": 1}
	require.NoError(t, want.Write(path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "{\n  \"drop.no_binding.packets\": 1,\n  \"port.sw0.rx_packets\": 3\n}\n", string(text))
	got, err := LoadCounters(path)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	require.NoError(t, os.WriteFile(path, []byte("[]"), 0o600))
	_, err = LoadCounters(path)
	assert.ErrorContains(t, err, path)
}

func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add(small)
	f.Add(ruled)
	f.Add("title: x\nports: [{name: a, mac: 02:00:00:00:00:01, mtu: -1}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		_, err = c.FIB()
		require.NoError(t, err, "a complete case has bindings that are none")
		_ = c.resolver()
	})
}
