package encap

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParse: no input makes Parse panic, write, or hand out bytes that lie outside
// of it; and what a Header could have made, a Header makes again.
func FuzzParse(f *testing.F) {
	v4, v6 := goodFrames(f)
	f.Add(v4)                                                                              // IPv4 with OVN's option
	f.Add(v6)                                                                              // IPv6 with a checksum
	f.Add(append(wire(f, vectors[6].want), wire(f, innerIPv4)...))                         // VLAN tag, IPv6 without a checksum
	f.Add(bytes.Join([][]byte{v4[:12], {0x88, 0xa8, 0, 9, 0x81, 0, 0, 1}, v4[12:]}, nil))  // two tags
	f.Add(v4[:58+14])                                                                      // total length beyond the frame
	f.Add(append(bytes.Clone(v4), 0, 0, 0, 0))                                             // Ethernet padding behind the packet
	f.Add(bytes.Replace(v4, []byte{2, 0x40, 0x65, 0x58}, []byte{63, 0x40, 0x65, 0x58}, 1)) // options beyond the packet
	f.Add(bytes.Replace(v4, []byte{1, 2, 0x80, 1}, []byte{1, 2, 0x80, 31}, 1))             // an option beyond the options
	f.Add(bytes.Replace(v4, []byte{0x45, 0xb9}, []byte{0x4f, 0xb9}, 1))                    // header of 15 words
	for _, v := range vectors {                                                            // VXLAN, one and two tags, the longest options
		f.Add(append(wire(f, v.want), wire(f, innerIPv4)...))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		parse(t, frame, Geneve)
		parse(t, frame, VXLAN)
	})
}

// parse parses frame as a packet of one protocol.
func parse(t *testing.T, frame []byte, as Protocol) {
	before := bytes.Clone(frame)
	p, err := ParseAs(frame, as)
	require.Equal(t, before, frame)
	if err != nil {
		require.Equal(t, Parsed{}, p)
		return
	}
	require.Equal(t, as, p.Protocol)
	require.NoError(t, p.Options.Check())
	require.NotEmpty(t, p.Options.String())
	require.True(t, p.Src.IsValid() && p.Dst.IsValid() && p.Src.BitLen() == p.Dst.BitLen())
	require.LessOrEqual(t, p.VNI, MaxVNI)
	require.Equal(t, string(p.Packet), string(p.Frame[14:]))
	require.True(t, bytes.Contains(frame, p.Frame) && bytes.Contains(frame, p.Options))
	again(t, p)
}

// again compiles and applies what p says and parses the result: all fields that a
// tunnel carries are back.
func again(t *testing.T, p Parsed) {
	var vlan VLAN
	for i := range p.Tags {
		if p.TagType[i] == etherTypeQinQ {
			vlan.S = p.TCI[i]
		} else {
			vlan.C = p.TCI[i]
		}
	}
	options, err := ParseOptions(p.Options)
	if err != nil || p.InnerType != etherTypeIPv4 && p.InnerType != etherTypeIPv6 {
		return
	}
	tunnel := Tunnel{VTEP: p.Dst, VNI: p.VNI, Protocol: p.Protocol, Port: p.DstPort, InnerDst: p.InnerDst, InnerSrc: p.InnerSrc, Options: options}
	o := Outer{Src: p.OuterSrc, Dst: p.OuterDst, VLAN: vlan, Local: p.Src, TTL: p.TTL, ZeroChecksum6: p.UDPChecksum == ChecksumNone}
	h, err := Compile(tunnel, o)
	if err != nil {
		return
	}
	frame := append(make([]byte, h.Len()), p.Packet...)
	h.Apply(frame, Inner{TOS: p.TOS, Hash: p.FlowLabel<<12 | uint32(p.SrcPort)&0xfff, IPv6: p.InnerType == etherTypeIPv6})
	q, err := ParseAs(frame, p.Protocol)
	require.NoError(t, err)
	require.NotEqual(t, ChecksumBad, q.IPChecksum)
	require.NotEqual(t, ChecksumBad, q.UDPChecksum)
	require.Equal(t, tunnel.Canonical(), Tunnel{VTEP: q.Dst, VNI: q.VNI, Protocol: q.Protocol, Port: q.DstPort, InnerDst: q.InnerDst, InnerSrc: q.InnerSrc, Options: options})
	require.Equal(t, string(p.Options), string(q.Options))
	require.Equal(t, p.TOS, q.TOS)
	require.Equal(t, p.InnerType, q.InnerType)
	require.Equal(t, string(p.Packet), string(q.Packet))
}
