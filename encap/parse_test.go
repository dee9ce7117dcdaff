package encap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// good frames to break: one per outer family.
func goodFrames(t testing.TB) (v4, v6 []byte) {
	packet := wire(t, innerIPv4)
	v4 = append(wire(t, vectors[3].want), packet...)
	v6 = append(wire(t, vectors[4].want), packet...)
	return v4, v6
}

// A frame that no Compile would make: two tags, IPv4 options, control packet,
// reserved bits set, an unknown critical option but no C bit, no UDP checksum,
// ARP inside, padding behind.
func TestParseForeign(t *testing.T) {
	frame := wire(t, `
		02 00 00 00 00 02  02 00 00 00 00 01
		88 a8 20 0a  81 00 00 14  08 00 // 802.1ad, 802.1Q
		46 00 00 44  12 34 00 00  01 11 00 00  0a 00 00 01  0a 00 00 02  01 01 01 00 // six words; not DF
		00 01 17 c1 00 2c 00 00
		02 bf 65 58 00 00 07 ff // two words of options, O, reserved bits
		12 34 ff e1 00 00 00 09 // class 0x1234, critical, reserved bits, one word
		ff ff ff ff ff ff  0a 00 00 00 00 01  08 06
		00 01 08 00 06 04
		aa aa aa aa // padding`)
	binary.BigEndian.PutUint16(frame[22+10:], naiveChecksum(frame[22:46]))
	p, err := Parse(frame)
	require.NoError(t, err)
	assert.Equal(t, Parsed{
		OuterDst: MAC{2, 0, 0, 0, 0, 2}, OuterSrc: MAC{2, 0, 0, 0, 0, 1},
		Tags: 2, TagType: [2]uint16{0x88a8, 0x8100}, TCI: [2]uint16{0x200a, 0x0014},
		Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), TTL: 1,
		SrcPort: 1, DstPort: 6081, IPChecksum: ChecksumGood, UDPChecksum: ChecksumNone,
		VNI: 7, Control: true, Options: RawOptions{0x12, 0x34, 0xff, 0xe1, 0, 0, 0, 9},
		Frame:    frame[70 : len(frame)-4],
		InnerDst: MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, InnerSrc: MAC{0x0a, 0, 0, 0, 0, 1},
		InnerType: 0x0806, Packet: []byte{0, 1, 8, 0, 6, 4},
	}, p)
	o, ok := p.Options.UnknownCritical()
	assert.True(t, ok)
	assert.Equal(t, "0x1234/0xff(00000009)", o.String())
}

// An IPv4 UDP checksum is judged where there is one.
func TestParseIPv4UDPChecksum(t *testing.T) {
	frame, _ := goodFrames(t)
	udp := frame[34:]
	pseudo := append(bytes.Clone(frame[26:34]), 0, 17, udp[4], udp[5])
	sum := naiveChecksum(append(pseudo, udp...))
	binary.BigEndian.PutUint16(udp[6:], sum)
	p, err := Parse(frame)
	require.NoError(t, err)
	assert.Equal(t, ChecksumGood, p.UDPChecksum)

	frame[len(frame)-1] ^= 1
	p, err = Parse(frame)
	require.NoError(t, err)
	assert.Equal(t, ChecksumBad, p.UDPChecksum)
	assert.Equal(t, ChecksumGood, p.IPChecksum)
}

// Each bit of an IPv4 header, each bit of all that UDP over IPv6 covers: flipped,
// it is either refused or shows as a wrong checksum.
func TestParseFlippedBits(t *testing.T) {
	v4, v6 := goodFrames(t)
	flip := func(frame []byte, from, to int, sum func(Parsed) ChecksumState) {
		for bit := 8 * from; bit < 8*to; bit++ {
			frame[bit/8] ^= 0x80 >> (bit % 8)
			if p, err := Parse(frame); err == nil {
				assert.Equal(t, ChecksumBad, sum(p), "byte %d, bit %d", bit/8, bit%8)
			}
			frame[bit/8] ^= 0x80 >> (bit % 8)
		}
	}
	flip(v4, 14, 34, func(p Parsed) ChecksumState { return p.IPChecksum })
	flip(v6, 22, len(v6), func(p Parsed) ChecksumState { return p.UDPChecksum })
}

func TestParseErrors(t *testing.T) {
	set := func(at int, b ...byte) func([]byte) []byte {
		return func(f []byte) []byte { copy(f[at:], b); return f }
	}
	cut := func(n int) func([]byte) []byte { return func(f []byte) []byte { return f[:n] } }
	tag := func(n int) func([]byte) []byte {
		return func(f []byte) []byte {
			tags := bytes.Repeat([]byte{0x81, 0, 0, 1}, n)
			return bytes.Join([][]byte{f[:12], tags, f[12:]}, nil)
		}
	}
	// Offsets: IPv4 14, UDP 34, Geneve 42, option 50, inner 58; IPv6 14, UDP 54.
	cases := []struct {
		name   string
		v6     bool
		change func([]byte) []byte
		want   string
	}{
		{"empty", false, cut(0), "encap: outer Ethernet: 0 bytes, want a header of 14"},
		{"short Ethernet", false, cut(13), "encap: outer Ethernet: 13 bytes, want a header of 14"},
		{"three tags", false, tag(3), "encap: outer Ethernet: more than 2 VLAN tags"},
		{"short tag", false, func(f []byte) []byte { return tag(2)(f)[:20] }, "encap: outer Ethernet: 2 bytes behind EtherType 0x8100, want a VLAN tag of 4"},
		{"ARP", false, set(12, 0x08, 0x06), "encap: outer EtherType 0x0806, want IPv4 or IPv6: no UDP over IP"},
		{"short IPv4", false, cut(33), "encap: outer IPv4: 19 bytes, want a header of 20"},
		{"IPv4 version", false, set(14, 0x65), "encap: outer IPv4: version 6"},
		{"IPv4 header length", false, set(14, 0x44), "encap: outer IPv4: header length 16, want at least 20"},
		{"IPv4 total length short", false, set(14, 0x46, 0, 0, 23), "encap: outer IPv4: total length 23, shorter than the header of 24"},
		{"IPv4 truncated", false, cut(99), "encap: outer IPv4: total length 86, the frame holds 85"},
		{"TCP", false, set(23, 6), "encap: outer IPv4: protocol 6, want 17: no UDP over IP"},
		{"first fragment", false, set(20, 0x20), "encap: outer IPv4: a fragment (flags and offset 0x2000)"},
		{"last fragment", false, set(20, 0x00, 0x01), "encap: outer IPv4: a fragment (flags and offset 0x0001)"},
		{"short IPv6", true, cut(53), "encap: outer IPv6: 39 bytes, want a header of 40"},
		{"IPv6 version", true, set(14, 0x40), "encap: outer IPv6: version 4"},
		{"IPv6 truncated", true, cut(111), "encap: outer IPv6: payload length 58, the frame holds 57"},
		{"IPv6 fragment", true, set(20, 44), "encap: outer IPv6: next header 44, want 17: no UDP over IP"},
		{"short UDP", false, set(16, 0, 27), "encap: outer UDP: 7 bytes, want a header of 8"},
		{"UDP length below its header", false, set(38, 0, 7), "encap: outer UDP: length 7, want 8 to 66"},
		{"UDP length beyond IP's", false, set(38, 0, 67), "encap: outer UDP: length 67, want 8 to 66"},
		{"short Geneve", false, set(38, 0, 15), "encap: Geneve: 7 bytes, want a header of 8"},
		{"Geneve version", false, set(42, 0x42), "encap: Geneve: version 1, want 0"},
		{"Geneve options beyond the packet", false, set(42, 0x0d), "encap: Geneve: 52 bytes of options, 50 are left"},
		{"Geneve protocol", false, set(44, 0x08, 0x00), "encap: Geneve: protocol type 0x0800, want 0x6558 (Ethernet)"},
		{"Geneve option beyond the others", false, set(53, 0x02), "encap: options: option 0x0102/0x80 at byte 0 is 12 bytes long, 8 are left"},
		{"short inner Ethernet", false, set(38, 0, 8+8+8+13), "encap: inner Ethernet: 13 bytes, want a header of 14"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			frame, v6 := goodFrames(t)
			if c.v6 {
				frame = v6
			}
			p, err := Parse(c.change(frame))
			require.EqualError(t, err, c.want)
			assert.Equal(t, Parsed{}, p)
			assert.Equal(t, bytes.HasSuffix([]byte(c.want), []byte("no UDP over IP")), errors.Is(err, ErrNotUDP))
		})
	}
}

// Every prefix of a good frame is refused: each length is checked before its use.
func TestParsePrefixes(t *testing.T) {
	v4, v6 := goodFrames(t)
	for _, frame := range [][]byte{v4, v6} {
		for n := range frame {
			_, err := Parse(frame[:n:n])
			assert.Error(t, err, "%d bytes", n)
		}
	}
	for n := range 8 + 8 + 14 {
		_, err := ParseGeneve(v4[42 : 42+n : 42+n])
		assert.Error(t, err, "%d bytes", n)
	}
}

// A VXLAN packet that no Compile would make: reserved bits set, which a receiver
// ignores, and a checksum over IPv4.
func TestParseVXLANForeign(t *testing.T) {
	inner := wire(t, "ff ff ff ff ff ff  0a 00 00 00 00 01  08 06  00 01")
	payload := append(wire(t, "ff ff ff ff 00 13 89 ff"), inner...)
	p, err := ParseVXLAN(payload)
	require.NoError(t, err)
	assert.Equal(t, Parsed{
		Protocol: VXLAN, VNI: 5001, Frame: payload[8:],
		InnerDst: MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, InnerSrc: MAC{0x0a, 0, 0, 0, 0, 1},
		InnerType: 0x0806, Packet: []byte{0, 1},
	}, p)

	for name, c := range map[string]struct {
		payload []byte
		want    string
	}{
		"short":                {payload[:7], "encap: VXLAN: 7 bytes, want a header of 8"},
		"I clear":              {append([]byte{0xf7}, payload[1:]...), "encap: VXLAN: flags 0xf7 without I (0x08), so no VNI"},
		"Geneve":               {wire(t, "00 00 65 58 00 13 89 00 02 65 69 70 76 72  02 65 69 70 67 77  08 00"), "encap: VXLAN: flags 0x00 without I (0x08), so no VNI"},
		"short inner Ethernet": {payload[:8+13], "encap: inner Ethernet: 13 bytes, want a header of 14"},
	} {
		p, err := ParseVXLAN(c.payload)
		require.EqualError(t, err, c.want, name)
		assert.Equal(t, Parsed{}, p, name)
	}
	for n := range 8 + 14 {
		_, err := ParseVXLAN(payload[:n:n])
		assert.Error(t, err, "%d bytes", n)
	}
}

func TestChecksumStateString(t *testing.T) {
	assert.Equal(t, "none good bad bad", ChecksumNone.String()+" "+ChecksumGood.String()+" "+ChecksumBad.String()+" "+ChecksumState(9).String())
}
