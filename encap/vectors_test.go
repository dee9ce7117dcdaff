package encap

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two inner packets, whole and with right checksums.
const (
	// 198.51.100.5 > 203.0.113.7, ICMP echo request.
	innerIPv4 = `
		45 00 00 1c  00 01 00 00  3f 01 15 a0  c6 33 64 05  cb 00 71 07
		08 00 f7 f7  00 07 00 01`
	// 2001:db8::5 > 2001:db8:1::7, UDP to port 53 with one byte.
	innerIPv6 = `
		6b 80 00 00  00 09 11 3f
		20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 05
		20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 07
		12 34 00 35 00 09 50 f4  41`
)

// vectors are tunnel headers written by hand from RFC 8926 section 3.4, RFC 7348
// section 5, RFC 768, RFC 791, RFC 8200 and 802.1Q. The flow hash is 0xdeadbeef, of which the source
// port takes 0x3eef and the flow label 0xdeadb; the TOS is 0xb9: DSCP EF, ECT(1).
var vectors = []struct {
	name     string
	tunnel   Tunnel
	outer    Outer
	ipv6     bool // inner
	want     string
	overhead int
}{
	{
		name:     "IPv4 bare",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("10.255.0.1")},
		overhead: 50,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  08 00 // Ethernet, IPv4
			45 b9 00 4e // version, IHL, TOS, total length 50 + 28
			00 00 40 00 // ID 0, DF
			40 11 22 dc // TTL 64, UDP, checksum
			0a ff 00 01  0a 00 02 0b // 10.255.0.1 > 10.0.2.11
			fe ef 17 c1 00 3a 00 00 // 65263 > 6081, length 58, no checksum
			00 00 65 58 00 13 89 00 // no options, Ethernet, VNI 5001
			02 65 69 70 76 72  02 65 69 70 67 77  08 00 // default inner Ethernet, IPv4`,
	},
	{
		name:     "IPv4 bare, IPv6 inside",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("10.255.0.1")},
		ipv6:     true,
		overhead: 50,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  08 00
			45 b9 00 63  00 00 40 00  40 11 22 c7  0a ff 00 01  0a 00 02 0b // total length 50 + 49
			fe ef 17 c1 00 4f 00 00 // length 79
			00 00 65 58 00 13 89 00
			02 65 69 70 76 72  02 65 69 70 67 77  86 dd // IPv6`,
	},
	{
		name: "IPv4 with VLAN tag, own port, TTL and inner MACs, largest VNI",
		tunnel: Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: MaxVNI, Port: 4789,
			InnerDst: MAC{0x0a, 1, 2, 3, 4, 5}, InnerSrc: MAC{0x0a, 6, 7, 8, 9, 10}},
		outer: Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, VLAN: VLAN{C: 5<<13 | 100},
			Local: netip.MustParseAddr("10.255.0.1"), TTL: 255},
		overhead: 50,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01
			81 00 a0 64  08 00 // 802.1Q: priority 5, VLAN 100
			45 b9 00 4e  00 00 40 00  ff 11 63 db  0a ff 00 01  0a 00 02 0b // TTL 255: checksum 0x22dc - 0xbf00
			fe ef 12 b5 00 3a 00 00 // to port 4789
			00 00 65 58 ff ff ff 00
			0a 01 02 03 04 05  0a 06 07 08 09 0a  08 00`,
	},
	{
		name:     "IPv4 with OVN's option",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 1, Options: OVNOptions(2, 1)},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("10.255.0.1")},
		overhead: 58,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  08 00
			45 b9 00 56  00 00 40 00  40 11 22 d4  0a ff 00 01  0a 00 02 0b // total length 58 + 28
			fe ef 17 c1 00 42 00 00 // length 66
			02 40 65 58 00 00 01 00 // two words of options, C
			01 02 80 01 00 02 00 01 // class 0x0102, type 0x80, one word: inport 2, outport 1
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
	{
		name:     "IPv6, checksum computed",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("fd00:2::b"), VNI: 5001},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("fd00:ff::1")},
		overhead: 70,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  86 dd // Ethernet, IPv6
			6b 9d ea db // version, traffic class 0xb9, flow label 0xdeadb
			00 3a 11 40 // payload length 58, UDP, hop limit 64
			fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01
			fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 0b
			fe ef 17 c1 00 3a 41 ba // checksum over pseudo header and all that follows
			00 00 65 58 00 13 89 00
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
	{
		name:     "IPv6 with OVN's option, IPv6 inside with an odd length",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("fd00:2::b"), VNI: 5001, Options: OVNOptions(2, 1)},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("fd00:ff::1")},
		ipv6:     true,
		overhead: 78,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  86 dd
			6b 9d ea db  00 57 11 40 // payload length 87
			fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01
			fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 0b
			fe ef 17 c1 00 57 c2 ad
			02 40 65 58 00 13 89 00
			01 02 80 01 00 02 00 01
			02 65 69 70 76 72  02 65 69 70 67 77  86 dd`,
	},
	{
		name:   "IPv6 with VLAN tag, zero checksum",
		tunnel: Tunnel{VTEP: netip.MustParseAddr("fd00:2::b"), VNI: 5001},
		outer: Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, VLAN: VLAN{C: 100}, TTL: 1,
			Local: netip.MustParseAddr("fd00:ff::1"), ZeroChecksum6: true},
		overhead: 70,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01
			81 00 00 64  86 dd // 802.1Q: VLAN 100
			6b 9d ea db  00 3a 11 01 // hop limit 1
			fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01
			fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 0b
			fe ef 17 c1 00 3a 00 00 // no checksum
			00 00 65 58 00 13 89 00
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
	{
		name:     "VXLAN over IPv4",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001, Protocol: VXLAN},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("10.255.0.1")},
		overhead: 50,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  08 00
			45 b9 00 4e  00 00 40 00  40 11 22 dc  0a ff 00 01  0a 00 02 0b // total length 50 + 28
			fe ef 12 b5 00 3a 00 00 // to port 4789, length 58, no checksum
			08 00 00 00 00 13 89 00 // I, VNI 5001
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
	{
		name: "VXLAN over IPv4 with an 802.1ad tag, own port, largest VNI, IPv6 inside",
		tunnel: Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: MaxVNI, Protocol: VXLAN, Port: 8472,
			InnerDst: MAC{0x0a, 1, 2, 3, 4, 5}},
		outer: Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, VLAN: VLAN{S: 7<<13 | 4094},
			Local: netip.MustParseAddr("10.255.0.1")},
		ipv6:     true,
		overhead: 50,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01
			88 a8 ef fe  08 00 // 802.1ad: priority 7, VLAN 4094
			45 b9 00 63  00 00 40 00  40 11 22 c7  0a ff 00 01  0a 00 02 0b // total length 50 + 49
			fe ef 21 18 00 4f 00 00 // to port 8472, length 79
			08 00 00 00 ff ff ff 00
			0a 01 02 03 04 05  02 65 69 70 67 77  86 dd`,
	},
	{
		name:     "VXLAN over IPv6, checksum computed",
		tunnel:   Tunnel{VTEP: netip.MustParseAddr("fd00:2::b"), VNI: 5001, Protocol: VXLAN},
		outer:    Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, Local: netip.MustParseAddr("fd00:ff::1")},
		overhead: 70,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01  86 dd
			6b 9d ea db  00 3a 11 40
			fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01
			fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 0b
			fe ef 12 b5 00 3a a4 1e // Geneve's 0x41ba + 0x17c1 + 0x6558 - 0x12b5 - 0x0800
			08 00 00 00 00 13 89 00
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
	{
		name:   "VXLAN over IPv6 with two tags, zero checksum",
		tunnel: Tunnel{VTEP: netip.MustParseAddr("fd00:2::b"), VNI: 1, Protocol: VXLAN},
		outer: Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, VLAN: VLAN{S: 100, C: 200},
			Local: netip.MustParseAddr("fd00:ff::1"), ZeroChecksum6: true},
		overhead: 70,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01
			88 a8 00 64  81 00 00 c8  86 dd // 802.1ad: VLAN 100; 802.1Q: VLAN 200
			6b 9d ea db  00 3a 11 40
			fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01
			fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 0b
			fe ef 12 b5 00 3a 00 00
			08 00 00 00 00 00 01 00
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
	{
		name:   "the longest: IPv6, two tags, 24 bytes of options",
		tunnel: Tunnel{VTEP: netip.MustParseAddr("fd00:2::b"), VNI: 1, Options: longOptions},
		outer: Outer{Src: MAC{2, 0, 0, 0, 0, 1}, Dst: MAC{2, 0, 0, 0, 0, 2}, VLAN: VLAN{S: 100, C: 3<<13 | 200},
			Local: netip.MustParseAddr("fd00:ff::1"), ZeroChecksum6: true},
		overhead: 94,
		want: `
			02 00 00 00 00 02  02 00 00 00 00 01
			88 a8 00 64  81 00 60 c8  86 dd // the second tag has priority 3
			6b 9d ea db  00 52 11 40 // payload length 82
			fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01
			fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 0b
			fe ef 17 c1 00 52 00 00
			06 00 65 58 00 00 01 00 // six words of options
			ff 01 01 05  a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 b1 b2 b3
			02 65 69 70 76 72  02 65 69 70 67 77  08 00`,
	},
}

// longOptions is one option that fills all of MaxOptions: class 0xff01, type 1, five words.
var longOptions = func() Options {
	o, err := ParseOptions([]byte{0xff, 1, 1, 5,
		0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3})
	if err != nil {
		panic(err)
	}
	return o
}()

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			packet := wire(t, innerIPv4)
			if v.ipv6 {
				packet = wire(t, innerIPv6)
			}
			header := wire(t, v.want)
			h, err := Compile(v.tunnel, v.outer)
			require.NoError(t, err)
			require.Equal(t, len(header), h.Len())
			assert.Equal(t, v.overhead, h.Overhead())

			frame := append(make([]byte, h.Len()), packet...)
			h.Apply(frame, Inner{Hash: 0xdeadbeef, TOS: 0xb9, IPv6: v.ipv6})
			assert.Equal(t, append(header, packet...), frame)

			p, err := ParseAs(frame, v.tunnel.Protocol)
			require.NoError(t, err)
			assert.Equal(t, packet, p.Packet)
			assert.NotEqual(t, ChecksumBad, p.IPChecksum)
			assert.NotEqual(t, ChecksumBad, p.UDPChecksum)
		})
	}
}
