package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/encap"
)

var mss1460 = []byte{2, 4, 0x05, 0xb4}

// syn4 is a SYN from 198.51.100.1 to 203.0.113.7 with these TCP options, a multiple of 4
// bytes, and right checksums.
func syn4(options []byte) []byte {
	b := append(append([]byte{}, udp7[:34]...), wire(`9c 40 01 bb  00 00 00 01  00 00 00 00  50 02 ff ff  00 00 00 00`)...)
	b = append(b, options...)
	b[23] = 6
	b[46] = byte(20+len(options)) / 4 << 4
	binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
	return tcpSum(patch4(b, 23, 6))
}

// syn6 is the same over IPv6.
func syn6(options []byte) []byte {
	b := append(append([]byte{}, tcp6to7...), options...)
	b[54+12] = byte(20+len(options)) / 4 << 4
	binary.BigEndian.PutUint16(b[18:], uint16(len(b)-54))
	return tcpSum(b)
}

// tcpSum fills the TCP checksum of a frame whose IP header, without options or extension
// headers, begins at 14.
func tcpSum(b []byte) []byte {
	at, pseudo := 34, b[26:34]
	if b[12] == 0x86 {
		at, pseudo = 54, b[22:54]
	}
	binary.BigEndian.PutUint16(b[at+16:], 0)
	sum := encap.Sum(pseudo, 6+uint32(len(b)-at))
	binary.BigEndian.PutUint16(b[at+16:], encap.Checksum(b[at:], sum))
	return b
}

// The way of these frames takes 1450 bytes over IPv4: 1410 of TCP payload, 1390 in IPv6.
func TestClampMSS(t *testing.T) {
	nop := func(n int, b ...byte) []byte {
		return append(append(make([]byte, 0, 40), []byte{1, 1, 1}[:n]...), b...)
	}
	for _, c := range []struct {
		name    string
		options []byte
		want    []byte // IPv4; nil: as it was
	}{
		{"larger", mss1460, []byte{2, 4, 0x05, 0x82}},
		{"one too large", []byte{2, 4, 0x05, 0x83}, []byte{2, 4, 0x05, 0x82}},
		{"as large", []byte{2, 4, 0x05, 0x82}, nil},
		{"smaller", []byte{2, 4, 0x02, 0x18}, nil},
		{"65535", []byte{2, 4, 0xff, 0xff}, []byte{2, 4, 0x05, 0x82}},
		{"at an odd place", nop(1, 2, 4, 0x05, 0xb4, 1, 1, 1), nop(1, 2, 4, 0x05, 0x82, 1, 1, 1)},
		{"at another odd place", nop(3, 2, 4, 0xff, 0xfe, 0), nop(3, 2, 4, 0x05, 0x82, 0)},
		{"behind others", []byte{3, 3, 7, 1, 4, 2, 8, 2, 2, 4, 0x05, 0xb4}, []byte{3, 3, 7, 1, 4, 2, 8, 2, 2, 4, 0x05, 0x82}},
		{"behind window scale", append([]byte{3, 3, 7, 1}, mss1460...), append([]byte{3, 3, 7, 1}, 2, 4, 0x05, 0x82)},
		{"none", nil, nil},
		{"behind the end", []byte{0, 0, 0, 0, 2, 4, 0x05, 0xb4}, nil},
		{"of length 0", []byte{2, 0, 0x05, 0xb4}, nil},
		{"of length 3", []byte{2, 3, 0x05, 0xb4}, nil},
		{"that is cut", []byte{1, 1, 1, 2}, nil},
		{"unknown that is too long", []byte{254, 9, 1, 1}, nil},
	} {
		r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: map[netip.Prefix]bool{netip.MustParsePrefix("203.0.113.0/24"): true}})
		if c.want == nil {
			c.want = c.options
		}
		want := patch4(syn4(c.want), 22, 63)
		assert.Equal(t, want[14:], r.forward(syn4(c.options))[64:], c.name)
	}
}

func TestClampMSSIPv6(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: map[netip.Prefix]bool{netip.MustParsePrefix("2001:db8:e1b::/64"): true}})
	want := patch(syn6([]byte{2, 4, 0x05, 0x6e}), 21, 63)
	assert.Equal(t, want[14:], r.forward(syn6(mss1460))[64:])
}

// What is no SYN, or no TCP, or the rest of a segment, is left alone.
func TestClampLeavesAlone(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: map[netip.Prefix]bool{
		netip.MustParsePrefix("0.0.0.0/0"): true, netip.MustParsePrefix("::/0"): true,
	}})
	for name, frame := range map[string][]byte{
		"ACK": tcpSum(patch(syn4(mss1460), 47, 0x10)), "UDP": patch4(syn4(mss1460), 23, 17),
		"a later fragment": patch4(syn4(mss1460), 20, 0x00, 0x04), "UDP over IPv6": patch(syn6(mss1460), 20, 17),
		"a header that is cut": patch(syn4(mss1460), 46, 0xf0), "data offset 4": patch(syn4(mss1460), 46, 0x40),
	} {
		want := patch(frame, 22, 63)
		if frame[12] == 0x08 {
			want = patch4(want, 22, 63)
		} else {
			want = patch(frame, 21, 63)
		}
		assert.Equal(t, want[14:], r.forward(frame)[64:], name)
	}
}

// synBehind is a SYN over IPv6 behind these extension headers, see ext6.
func synBehind(headers ...any) []byte {
	b := ext6(headers...)
	b = append(b[:len(b)-20], syn6(mss1460)[54:]...)
	binary.BigEndian.PutUint16(b[18:], uint16(len(b)-54))
	return b
}

// What RFC 4302 authenticates may not be changed: the receiver would drop it. Behind other
// headers the MSS is found.
func TestClampLeavesAuthenticatedAlone(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: everything})
	auth, options := []byte{0, 4, 22: 0, 23: 0}, make([]byte, 8)
	for _, frame := range [][]byte{synBehind(51, auth), synBehind(dstopts, options, 51, auth), synBehind(51, auth, dstopts, options)} {
		out := r.forward(frame)
		assert.Equal(t, mss1460, out[len(out)-4:])
	}
	assert.Zero(t, r.fw.Events()[dataplane.EventClamped])
	out := r.forward(synBehind(dstopts, options))
	assert.Equal(t, []byte{2, 4, 0x05, 0x6e}, out[len(out)-4:])
	assert.EqualValues(t, 1, r.fw.Events()[dataplane.EventClamped])
}

// A SYN/ACK is clamped as a SYN is, and the smaller way of several headers counts.
func TestClampFollowsTheWay(t *testing.T) {
	r := newRig(t, nil).with(dataplane.RulesConfig{ClampMSS: map[netip.Prefix]bool{netip.MustParsePrefix("203.0.113.0/24"): true}})
	out := r.forward(tcpSum(patch(syn4(mss1460), 47, 0x12)))
	assert.Equal(t, []byte{2, 4, 0x05, 0x82}, out[len(out)-4:])
	out = r.forward(tcpSum(patch4(syn4(mss1460), 33, 11))) // 1400 - 50 - 40
	assert.Equal(t, []byte{2, 4, 0x05, 0x1e}, out[len(out)-4:])
	out = r.forward(tcpSum(patch4(syn4(mss1460), 33, 8))) // 1500 - 78 - 40
	assert.Equal(t, []byte{2, 4, 0x05, 0x66}, out[len(out)-4:])
}
