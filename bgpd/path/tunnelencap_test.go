package path

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// Parts of attribute 23, by hand after RFC 9012 sections 2, 3.1, 3.2.1, 3.3.2.
const (
	geneveHead = "0013 001e"                    // type 19, 30 octets
	endpoint4  = "06 0a 00000000 0001 0a00000b" // 10.0.0.11
	endpoint6  = "06 16 00000000 0002 fd00000000000000000000000000000b"
	endpointNH = "06 06 00000000 0000"                         // the next hop
	encapVXLAN = "01 0c c0 001389 02000000000b 0000"           // VNI 5001, 02:..:0b
	udpPort    = "08 02 17c1"                                  // 6081
	vxlanHead  = "0008 001a"                                   // type 8, 26 octets
	vxlan      = vxlanHead + endpoint4 + encapVXLAN            // 30 octets
	vxlanV0    = "0008 0016" + endpointNH + encapNoVNI         // V clear
	encapNoVNI = "01 0c 40 000000 02000000000b 0000"           // 02:..:0b
	example    = geneveHead + endpoint4 + encapVXLAN + udpPort // 34 octets
)

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestParseTunnelEncap(t *testing.T) {
	require.Len(t, octets(t, example), 34)
	full := TunnelEncap{
		Endpoint: netip.MustParseAddr("10.0.0.11"), HasVNI: true, VNI: 5001,
		InnerDst: encap.MAC{2, 0, 0, 0, 0, 0x0b}, Port: 6081,
	}
	fullVXLAN := full
	fullVXLAN.Protocol, fullVXLAN.Port = encap.VXLAN, 0
	for name, c := range map[string]struct {
		hex  string
		want TunnelEncap
	}{
		"VXLAN":                         {vxlan, fullVXLAN},
		"VXLAN with a port":             {"0008 001e" + endpoint4 + encapVXLAN + "08 02 12b5", TunnelEncap{encap.VXLAN, full.Endpoint, true, 5001, full.InnerDst, 4789}},
		"VXLAN without encapsulation":   {"0008 0008" + endpointNH, TunnelEncap{Protocol: encap.VXLAN}},
		"VXLAN of VNI 0":                {"0008 0016" + endpointNH + "01 0c 80 000000 000000000000 0000", TunnelEncap{Protocol: encap.VXLAN, HasVNI: true}},
		"VXLAN without V before VXLAN":  {vxlanV0 + vxlan, fullVXLAN},
		"VXLAN without V before Geneve": {vxlanV0 + example, full},
		"first of two VXLAN":            {vxlan + "0008 000c 06 0a 00000000 0001 0a00000c", fullVXLAN},
		"GRE before VXLAN":              {"0002 0000" + vxlan, fullVXLAN},
		"example":                       {example, full},
		"IPv6 endpoint":                 {"0013 0018" + endpoint6, TunnelEncap{Endpoint: netip.MustParseAddr("fd00::b")}},
		"next hop is endpoint":          {"0013 0008" + endpointNH, TunnelEncap{}},
		"IPv4-mapped endpoint":          {"0013 0018 06 16 00000000 0002 00000000000000000000ffff0a00000b", TunnelEncap{Endpoint: full.Endpoint}},
		"reserved octets set":           {"0013 000c 06 0a ffffffff 0001 0a00000b", TunnelEncap{Endpoint: full.Endpoint}},
		"flags clear":                   {"0013 0016" + endpointNH + "01 0c 00 001389 02000000000b ffff", TunnelEncap{}},
		"VNI alone, other flags set":    {"0013 0016" + endpointNH + "01 0c bf 001389 000000000000 0000", TunnelEncap{HasVNI: true, VNI: 5001}},
		"MAC alone":                     {"0013 0016" + endpointNH + "01 0c 40 001389 02000000000b 0000", TunnelEncap{InnerDst: full.InnerDst}},
		"largest VNI":                   {"0013 0016" + endpointNH + "01 0c 80 ffffff 000000000000 0000", TunnelEncap{HasVNI: true, VNI: encap.MaxVNI}},
		"protocol Ethernet":             {"0013 000c" + endpointNH + "02 02 6558", TunnelEncap{}},
		"unknown sub-TLVs":              {"0013 0013" + "40 03 010203" + "c8 0003 010203" + endpointNH, TunnelEncap{}},
		"VXLAN before Geneve":           {vxlan + example, full},
		"VXLAN after Geneve":            {example + vxlan, full},
		"first of two Geneve":           {example + "0013 000c 06 0a 00000000 0001 0a00000c", full},
		"first of two ports":            {"0013 0010" + endpointNH + udpPort + "08 02 0001", TunnelEncap{Port: 6081}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTunnelEncap(octets(t, c.hex), encap.Geneve)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	for _, s := range []string{vxlan + example, example + vxlan, example + vxlanV0 + vxlan} {
		got, err := ParseTunnelEncap(octets(t, s), encap.VXLAN)
		require.NoError(t, err)
		assert.Equal(t, fullVXLAN, got, "who prefers VXLAN gets it")
	}
	got, err := ParseTunnelEncap(octets(t, vxlanV0+example), encap.VXLAN)
	require.NoError(t, err)
	assert.Equal(t, full, got, "a preferred tunnel that cannot be used leaves the other")
}

func TestParseTunnelEncapRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		hex    string
		reason rib.RefuseReason
		says   string
	}{
		"empty":                    {"", rib.RefuseBadAttribute, "empty"},
		"half a TLV header":        {"0013 00", rib.RefuseBadAttribute, "3 octets at the end"},
		"octet after the last TLV": {example + "00", rib.RefuseBadAttribute, "1 octets at the end"},
		"TLV longer than all":      {"0013 0009" + endpointNH, rib.RefuseBadAttribute, "9 octets, 8 are left"},
		"no sub-TLV":               {"0013 0000", rib.RefuseBadAttribute, "no tunnel egress endpoint"},
		"no endpoint":              {"0013 0004" + udpPort, rib.RefuseBadAttribute, "no tunnel egress endpoint"},
		"two endpoints":            {"0013 0010" + endpointNH + endpointNH, rib.RefuseBadAttribute, "two tunnel egress endpoints"},
		"sub-TLV without length":   {"0013 0009" + endpointNH + "08", rib.RefuseBadAttribute, "sub-TLV 8 has no length"},
		"long sub-TLV, short head": {"0013 000a" + endpointNH + "80 00", rib.RefuseBadAttribute, "sub-TLV 128 has no length"},
		"sub-TLV longer than TLV":  {"0013 000a" + endpointNH + "08 02", rib.RefuseBadAttribute, "sub-TLV 8 of 2 octets, 0"},
		"long sub-TLV too long":    {"0013 000b" + endpointNH + "80 0001", rib.RefuseBadAttribute, "sub-TLV 128 of 1 octets, 0"},
		"endpoint of 5 octets":     {"0013 0007 06 05 0000000000", rib.RefuseBadAttribute, "endpoint of 5 octets"},
		"endpoint AFI 3":           {"0013 000c 06 0a 00000000 0003 0a00000b", rib.RefuseBadAttribute, "family 3"},
		"endpoint AFI 0, address":  {"0013 000c 06 0a 00000000 0000 0a00000b", rib.RefuseBadAttribute, "family 0 with an address of 4"},
		"endpoint AFI 1, IPv6":     {"0013 0018 06 16 00000000 0001 fd00000000000000000000000000000b", rib.RefuseBadAttribute, "family 1 with an address of 16"},
		"encapsulation of 4":       {"0013 000e" + endpointNH + "01 04 80001389", rib.RefuseBadAttribute, "encapsulation of 4 octets"},
		"MAC of zeros":             {"0013 0016" + endpointNH + "01 0c 40 000000 000000000000 0000", rib.RefuseBadAttribute, "00:00:00:00:00:00"},
		"MAC of a group":           {"0013 0016" + endpointNH + "01 0c 40 000000 01005e000001 0000", rib.RefuseBadAttribute, "01:00:5e"},
		"port 0":                   {"0013 000c" + endpointNH + "08 02 0000", rib.RefuseBadAttribute, "port 0"},
		"port of 1 octet":          {"0013 000b" + endpointNH + "08 01 17", rib.RefuseBadAttribute, "port of 1 octets"},
		"protocol of 1 octet":      {"0013 000b" + endpointNH + "02 01 65", rib.RefuseBadAttribute, "protocol of 1 octets"},
		"protocol IPv4":            {"0013 000c" + endpointNH + "02 02 0800", rib.RefuseUnsupportedTunnel, "0x0800"},
		"VXLAN without V":          {vxlanV0, rib.RefuseNoVNI, "attribute 23: VXLAN (8) with the V bit clear, which no unicast route can use (RFC 9012 section 3.2.1)"},
		"VXLAN malformed":          {example + "0008 0000", rib.RefuseBadAttribute, "no tunnel egress endpoint"},
		"VXLAN, encapsulation cut": {"0008 000e" + endpointNH + "01 04 80001389", rib.RefuseBadAttribute, "encapsulation of 4 octets, expected 12"},
		"VXLAN, MAC of a group":    {"0008 0016" + endpointNH + "01 0c c0 001389 01005e000001 0000", rib.RefuseBadAttribute, "01:00:5e"},
		"GRE only":                 {"0002 0008" + endpointNH, rib.RefuseUnsupportedTunnel, "attribute 23: tunnel of GRE (2), only Geneve (19) and VXLAN (8) are built"},
		"GRE, and VXLAN without V": {"0002 0000" + vxlanV0, rib.RefuseUnsupportedTunnel, "GRE (2)"},
		"type nobody knows":        {"1234 0000", rib.RefuseUnsupportedTunnel, "type 4660"},
		"second Geneve malformed":  {example + "0013 0000", rib.RefuseBadAttribute, "no tunnel egress endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTunnelEncap(octets(t, c.hex), encap.Geneve)
			var r *refused
			require.True(t, errors.As(err, &r), "%v", err)
			assert.Equal(t, c.reason, r.reason)
			assert.Contains(t, r.detail, c.says)
			assert.Zero(t, got)
		})
	}
}

// FuzzTunnelEncap: whatever comes, the parser ends, accepts only what can be sent,
// and agrees with itself after a trip through GoBGP's own structures.
func FuzzTunnelEncap(f *testing.F) {
	for _, s := range []string{
		example, "", "0013 0000", "0013 0018" + endpoint6, "0008 0008" + endpointNH + example, example + "00", vxlan, vxlanV0, vxlan + example, vxlanV0 + vxlan,
		"0013 0016" + endpointNH + "01 0c ff ffffff 02ffffffffff ffff", "0013 0013 40 03 010203 c8 0003 010203" + endpointNH,
		"0013 000a" + endpointNH + "80 00", "000f 0006 80 0003 000000",
	} {
		f.Add(octets(f, s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		got, err := ParseTunnelEncap(value, encap.VXLAN)
		if err != nil {
			assert.Zero(t, got)
			return
		}
		assert.LessOrEqual(t, got.VNI, encap.MaxVNI)
		assert.Zero(t, got.InnerDst[0]&1)
		assert.False(t, got.Endpoint.Is4In6())
		if len(value) > 1000 {
			return
		}
		var native bgp.PathAttributeTunnelEncap
		head := []byte{0xd0, 23, byte(len(value) >> 8), byte(len(value))}
		if native.DecodeFromBytes(append(head, value...)) != nil {
			return // GoBGP is stricter with other tunnel types
		}
		raw, err := native.Serialize()
		require.NoError(t, err)
		skip := 3
		if raw[0]&0x10 != 0 {
			skip = 4
		}
		again, err := ParseTunnelEncap(raw[skip:], encap.VXLAN)
		require.NoError(t, err)
		assert.Equal(t, got, again)
	})
}
