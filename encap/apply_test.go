package encap

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mustCompile compiles what a test knows to be valid.
func mustCompile(t testing.TB, tunnel Tunnel, o Outer) *Header {
	t.Helper()
	h, err := Compile(tunnel, o)
	require.NoError(t, err)
	return &h
}

// Whatever the room held, Apply gives the bytes of the naive writer, and touches
// nothing in front of pkt, in the packet or behind it.
func TestApplyAgainstNaive(t *testing.T) {
	r := newRandom(1)
	lengths := map[int]int{}
	for range 20_000 {
		v6 := r.chance(2)
		tunnel, outer, in := r.tunnel(v6), r.outer(v6), r.inner()
		h := mustCompile(t, tunnel, outer)
		lengths[h.Len()]++

		const guard = 64
		packet := r.bytes(r.IntN(200))
		if r.chance(100) {
			packet = r.bytes(9000 - r.IntN(100))
		}
		dirty := r.bytes(guard + h.Len() + len(packet) + guard)
		copy(dirty[guard+h.Len():], packet)
		before := bytes.Clone(dirty)
		end := guard + h.Len() + len(packet)
		h.Apply(dirty[guard:end], in)

		require.Equal(t, naiveFrame(tunnel, outer, in, packet), dirty[guard:end], "%s %+v %+v", tunnel, outer, in)
		require.Equal(t, before[:guard], dirty[:guard])
		require.Equal(t, before[end:], dirty[end:])
		require.Equal(t, packet, dirty[end-len(packet):end])
	}
	for n := MinLen; n <= MaxLen; n += 4 {
		assert.Contains(t, lengths, n, "a length that the random tunnels never had")
	}
}

// A UDP checksum that computes to 0 goes out as 0xffff (RFC 768), over every other
// outcome as well.
func TestApplyEveryChecksum(t *testing.T) {
	h := mustCompile(t, vectors[4].tunnel, vectors[4].outer)
	require.Equal(t, formIPv6, h.form)
	frame := append(make([]byte, h.Len()), wire(t, innerIPv4)...)
	word := frame[len(frame)-2:]
	seen := make([]bool, 1<<16)
	for w := range 1 << 16 {
		binary.BigEndian.PutUint16(word, uint16(w))
		h.Apply(frame, Inner{Hash: 7})
		p, err := Parse(frame)
		require.NoError(t, err)
		require.Equal(t, ChecksumGood, p.UDPChecksum, "word 0x%04x", w)
		seen[binary.BigEndian.Uint16(frame[14+40+6:])] = true
	}
	assert.False(t, seen[0], "zero means that there is no checksum")
	assert.True(t, seen[0xffff])
}

// Every TOS goes outward whole, and the IPv4 header checksum is right for each of
// them with each total length.
func TestApplyTOSAndLength(t *testing.T) {
	for _, v := range []int{0, 4} {
		h := mustCompile(t, vectors[v].tunnel, vectors[v].outer)
		buf := make([]byte, h.Len()+2000)
		for tos := range 256 {
			for n := h.Len() + 20; n <= len(buf); n += 97 {
				h.Apply(buf[:n], Inner{Hash: 0xffffffff, TOS: uint8(tos)})
				p, err := Parse(buf[:n])
				require.NoError(t, err)
				require.Equal(t, uint8(tos), p.TOS)
				require.NotEqual(t, ChecksumBad, p.IPChecksum)
				require.NotEqual(t, ChecksumBad, p.UDPChecksum)
				require.Len(t, p.Packet, n-h.Len())
			}
		}
	}
}

// The largest outer packets that a length field can tell.
func TestApplyLargest(t *testing.T) {
	for _, v := range []int{0, 4} {
		h := mustCompile(t, vectors[v].tunnel, vectors[v].outer)
		longest := 0xffff + int(h.ip) // IPv4 counts its header, IPv6 does not
		if h.form != formIPv4 {
			longest += ipv6Len
		}
		frame := newRandom(2).bytes(longest)
		h.Apply(frame, Inner{})
		p, err := Parse(frame)
		require.NoError(t, err)
		assert.Equal(t, frame[h.Len():], p.Packet)
		assert.NotEqual(t, ChecksumBad, p.IPChecksum)
		assert.NotEqual(t, ChecksumBad, p.UDPChecksum)
	}
}

// The source port has its two high bits set and takes 14 bits of the hash; the
// flow label takes the other end of it.
func TestApplyEntropy(t *testing.T) {
	h := mustCompile(t, vectors[6].tunnel, vectors[6].outer)
	frame := make([]byte, h.Len()+20)
	for bit := range 32 {
		h.Apply(frame, Inner{Hash: 1 << bit})
		p, err := Parse(frame)
		require.NoError(t, err)
		port, label := uint16(0xc000), uint32(0)
		if bit < 14 {
			port |= 1 << bit
		}
		if bit >= 12 {
			label = 1 << (bit - 12)
		}
		assert.Equal(t, port, p.SrcPort, "bit %d", bit)
		assert.Equal(t, label, p.FlowLabel, "bit %d", bit)
	}
}

func TestApplyNoRoom(t *testing.T) {
	h := mustCompile(t, vectors[6].tunnel, vectors[6].outer)
	backing := make([]byte, 256)
	assert.Panics(t, func() { h.Apply(backing[:h.Len()-1], Inner{}) })
	assert.Equal(t, make([]byte, 256), backing, "nothing may be written where there is no room for all of it")
	assert.Panics(t, func() { new(Header).Apply(backing, Inner{}) }, "a header that Compile did not make")
}

// Several workers apply one header at the same time: the race detector watches.
func TestApplyShared(t *testing.T) {
	h := mustCompile(t, vectors[5].tunnel, vectors[5].outer)
	packet := wire(t, innerIPv6)
	want := append(wire(t, vectors[5].want), packet...)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				frame := append(make([]byte, h.Len()), packet...)
				h.Apply(frame, Inner{Hash: 0xdeadbeef, TOS: 0xb9, IPv6: true})
				if !bytes.Equal(want, frame) {
					t.Errorf("got %x, want %x", frame, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocations(t *testing.T) {
	for _, v := range vectors {
		h := mustCompile(t, v.tunnel, v.outer)
		frame := append(make([]byte, h.Len()), wire(t, innerIPv4)...)
		assert.Zero(t, testing.AllocsPerRun(100, func() { h.Apply(frame, Inner{Hash: 1}) }), "Apply: %s", v.name)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if _, err := ParseAs(frame, v.tunnel.Protocol); err != nil {
				t.Error(err)
			}
		}), "Parse: %s", v.name)
	}
}

// What Compile and Apply write, Parse reads back, field by field.
func TestRoundTrip(t *testing.T) {
	r := newRandom(3)
	for range 5000 {
		v6 := r.chance(2)
		tunnel, o, in := r.tunnel(v6), r.outer(v6), r.inner()
		h := mustCompile(t, tunnel, o)
		packet := r.bytes(r.IntN(100))
		frame := append(make([]byte, h.Len()), packet...)
		h.Apply(frame, in)
		padding := r.bytes(r.IntN(8))
		p, err := ParseAs(append(frame, padding...), tunnel.Protocol)
		require.NoError(t, err)

		c := tunnel.Canonical()
		want := Parsed{
			OuterDst: o.Dst, OuterSrc: o.Src, Src: o.Local, Dst: c.VTEP, TOS: in.TOS, TTL: o.ttl(),
			SrcPort: uint16(0xc000 | in.Hash&0x3fff), DstPort: c.Port,
			Protocol: c.Protocol, VNI: c.VNI, Critical: c.Options.Critical(),
			Frame:    frame[h.Len()-14:],
			InnerDst: c.InnerDst, InnerSrc: c.InnerSrc, InnerType: 0x0800, Packet: frame[h.Len():],
		}
		if c.Protocol == Geneve {
			want.Options = c.Options.AppendTo(RawOptions{})
		}
		if o.VLAN.S != 0 {
			want.TagType[want.Tags], want.TCI[want.Tags] = 0x88a8, o.VLAN.S
			want.Tags++
		}
		if o.VLAN.C != 0 {
			want.TagType[want.Tags], want.TCI[want.Tags] = 0x8100, o.VLAN.C
			want.Tags++
		}
		if in.IPv6 {
			want.InnerType = 0x86dd
		}
		switch {
		case !v6:
			want.IPChecksum = ChecksumGood
		case o.ZeroChecksum6:
			want.FlowLabel = in.Hash >> 12
		default:
			want.FlowLabel = in.Hash >> 12
			want.UDPChecksum = ChecksumGood
		}
		require.Equal(t, want, p)

		payload := frame[int(h.ip)+udpLen+map[bool]int{false: ipv4Len, true: ipv6Len}[v6]:]
		parse := map[Protocol]func([]byte) (Parsed, error){Geneve: ParseGeneve, VXLAN: ParseVXLAN}
		g, err := parse[c.Protocol](payload)
		require.NoError(t, err)
		require.Equal(t, Parsed{
			Protocol: p.Protocol, VNI: p.VNI, Critical: p.Critical, Options: p.Options, Frame: p.Frame,
			InnerDst: p.InnerDst, InnerSrc: p.InnerSrc, InnerType: p.InnerType, Packet: p.Packet,
		}, g)
	}
}

// Tunnels are equal when they lead to equal headers, once defaults are filled in.
func TestTunnelEqual(t *testing.T) {
	o := vectors[0].outer
	short := Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 7, Options: OVNOptions(2, 1)}
	long := short
	long.Port, long.InnerDst, long.InnerSrc = GenevePort, DefaultInnerDst, DefaultInnerSrc
	var err error
	long.Options, err = ParseOptions([]byte{1, 2, 0x80, 1, 0, 2, 0, 1})
	require.NoError(t, err)

	assert.Equal(t, short.Options, long.Options, "options are equal by their bytes")
	assert.False(t, short == long)
	assert.True(t, short.Canonical() == long.Canonical())
	assert.True(t, long.Canonical() == long)
	assert.True(t, *mustCompile(t, short, o) == *mustCompile(t, long, o))

	vxlan := Tunnel{VTEP: short.VTEP, VNI: 7, Protocol: VXLAN}
	explicit := vxlan
	explicit.Port = VXLANPort
	assert.True(t, vxlan.Canonical() == explicit.Canonical())
	assert.EqualValues(t, 4789, vxlan.Canonical().Port)

	r := newRandom(4)
	for range 1000 {
		a, b := r.tunnel(false), r.tunnel(false)
		assert.NotEqual(t, *mustCompile(t, a, o), *mustCompile(t, b, o))
	}
}
