package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

const (
	outerEther = `02 00 00 00 00 fe  02 00 00 00 00 02 ` // to macHop, from macSouth
	innerEther = `02 65 69 70 76 72  02 65 69 70 67 77 ` // encap.DefaultInnerDst, DefaultInnerSrc
)

// All four families of inner and outer, to the byte. UDP source ports and flow labels
// are of the flow hashes 10af977f, 46bbc5e4, e071c580 and f75a2424.
func TestForwardBytes(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []byte
	}{
		{"IPv4 in IPv4", udp7, wire(outerEther+`08 00`,
			`45 b9 00 52  00 00 40 00  40 11 22 d8  0a ff 00 01  0a 00 02 0b`,
			`d7 7f 17 c1  00 3e 00 00`, // UDP
			`00 00 65 58  00 13 89 00`, // Geneve, VNI 5001
			innerEther+`08 00`,
			`45 b9 00 20  12 34 40 00  3f 11 c2 a3  c6 33 64 01  cb 00 71 07`, // TTL 63
			`9c 40 01 bb  00 0c 00 00  70 69 6e 67`)},
		{"IPv6 in IPv4", tcp6to7, wire(outerEther+`08 00`,
			`45 b9 00 6e  00 00 40 00  40 11 22 bc  0a ff 00 01  0a 00 02 0b`,
			`c5 e4 17 c1  00 5a 00 00`,
			`00 00 65 58  00 13 89 00`,
			innerEther+`86 dd`,
			`6b 9a bc de  00 14 06 3f`, // hop limit 63
			`20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01`,
			`20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 07`,
			`9c 40 01 bb  00 00 00 01  00 00 00 00  50 02 ff ff  00 00 00 00`)},
		{"IPv4 in IPv6", udp8, wire(outerEther+`86 dd`,
			`60 0e 07 1c  00 46 11 40`,
			`fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01`,
			`fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 11`,
			`c5 80 17 c1  00 46 7a ec`,
			`02 40 65 58  00 13 89 00  01 02 80 01  00 02 00 01`, // OVN: 2 -> 1
			innerEther+`08 00`,
			`45 00 00 20  12 34 40 00  3f 11 c3 5b  c6 33 64 01  cb 00 71 08`,
			`9c 40 01 bb  00 0c 00 00  70 69 6e 67`)},
		{"IPv6 in IPv6", tcp6to8, wire(outerEther+`86 dd`,
			`60 0f 75 a2  00 62 11 40`,
			`fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01`,
			`fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 11`,
			`e4 24 17 c1  00 62 9c 22`,
			`02 40 65 58  00 13 89 00  01 02 80 01  00 02 00 01`,
			innerEther+`86 dd`,
			`60 00 00 00  00 14 06 3f`,
			`20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01`,
			`20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 08`,
			`9c 40 01 bb  00 00 00 01  00 00 00 00  50 02 ff ff  00 00 00 00`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, newRig(t, nil).forward(c.in))
		})
	}
}

// tags puts VLAN tags of these types and TCIs between the addresses and the type.
func tags(frame []byte, tags ...uint32) []byte {
	out := slices.Clone(frame[:12])
	for _, tag := range tags {
		out = binary.BigEndian.AppendUint32(out, tag)
	}
	return append(out, frame[12:]...)
}

// Whatever stood in front of the IP packet, and behind it, what leaves is the same.
func TestForwardStripsTheLink(t *testing.T) {
	for name, frame := range map[string][]byte{"IPv4": udp7, "IPv6": tcp6to8} {
		r := newRig(t, nil)
		want := r.forward(frame)
		for what, in := range map[string][]byte{
			"802.1Q":                   tags(frame, 0x8100_0064),
			"802.1Q with PCP and DEI":  tags(frame, 0x8100_f064),
			"802.1ad":                  tags(frame, 0x88a8_0064),
			"QinQ":                     tags(frame, 0x88a8_0064, 0x8100_0007),
			"two 802.1Q":               tags(frame, 0x8100_0064, 0x8100_0007),
			"Ethernet padding":         append(slices.Clone(frame), make([]byte, 60)...),
			"padding that is not zero": append(slices.Clone(frame), bytes.Repeat([]byte{0xee}, 18)...),
			"padding behind QinQ":      append(tags(frame, 0x88a8_0064, 0x8100_0007), 1),
		} {
			assert.Equal(t, want, r.forward(in), "%s, %s", name, what)
		}
	}
}

// An underlay with a VLAN tag on a frame that came with another.
func TestForwardToVLAN(t *testing.T) {
	out := newRig(t, nil).forward(tags(patch4(udp7, 33, 11), 0x8100_0007))
	p, err := encap.Parse(out)
	require.NoError(t, err)
	require.Equal(t, 1, p.Tags)
	assert.EqualValues(t, 100, p.TCI[0])
	assert.Equal(t, patch4(patch4(udp7, 33, 11), 22, 63)[14:], p.Packet)
}

// TTL and hop limit go down by one, with the checksum that a computation from scratch
// gives; 0 and 1 go no further.
func TestTTL(t *testing.T) {
	r := newRig(t, nil)
	for ttl := 0; ttl < 256; ttl++ {
		in4 := patch4(udp7, 22, byte(ttl))
		in6 := patch(tcp6to7, 14+7, byte(ttl))
		if ttl < 2 {
			assert.Equal(t, dataplane.ReasonTTLExpired, r.drop(in4), "TTL %d", ttl)
			assert.Equal(t, dataplane.ReasonHopLimitExpired, r.drop(in6), "hop limit %d", ttl)
			continue
		}
		for ident := range 8 { // so that the checksum takes values of all kinds
			in := patch4(in4, 18, byte(ident*37), byte(ttl+ident))
			require.Equal(t, patch4(in, 22, byte(ttl-1))[14:], inner(t, r.forward(in)), "TTL %d", ttl)
		}
		require.Equal(t, patch(in6, 14+7, byte(ttl-1))[14:], inner(t, r.forward(in6)), "hop limit %d", ttl)
	}
}

// The checksums at which RFC 1624 corrects RFC 1141.
func TestTTLChecksumCorners(t *testing.T) {
	r := newRig(t, nil)
	for _, want := range []uint16{0x0000, 0x0001, 0x00ff, 0x0100, 0xfeff, 0xff00, 0xfffe} {
		// Choose the identification such that the checksum on arrival is want.
		in := patch4(udp7, 18, 0, 0)
		sum := ^binary.BigEndian.Uint16(in[24:])
		need := uint32(^want) + uint32(^sum)
		need = need>>16 + need&0xffff
		in = patch4(in, 18, byte(need>>8), byte(need))
		require.Equal(t, want, binary.BigEndian.Uint16(in[24:]), "the test's own arithmetic")
		assert.Equal(t, patch4(in, 22, 63)[14:], inner(t, r.forward(in)), "checksum %#04x", want)
	}
}

// inner takes a tunnel packet apart and returns the inner IP packet. Its checksums
// must be right.
func inner(t testing.TB, frame []byte) []byte {
	t.Helper()
	p, err := encap.Parse(frame)
	require.NoError(t, err)
	require.NotEqual(t, encap.ChecksumBad, p.IPChecksum)
	require.NotEqual(t, encap.ChecksumBad, p.UDPChecksum)
	return p.Packet
}

// sized4 is udp7 to 203.0.113.x with an IP packet of n bytes.
func sized4(x byte, n int) []byte {
	b := append(slices.Clone(udp7), make([]byte, n)...)[:14+n]
	return patch4(patch4(b, 33, x), 16, byte(n>>8), byte(n))
}

// sized6 is tcp6to7 to 2001:db8:e1b::x with an IP packet of n bytes.
func sized6(x byte, n int) []byte {
	b := append(slices.Clone(tcp6to7), make([]byte, n)...)[:14+n]
	return patch(patch(b, 14+39, x), 14+4, byte((n-40)>>8), byte(n-40))
}

func TestMTU(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		name    string
		frame   func(x byte, n int) []byte
		x       byte
		largest int
		out     int // length of the frame that carries it
	}{
		{"IPv4 in IPv4", sized4, 7, 1450, 1514},
		{"IPv6 in IPv4", sized6, 7, 1450, 1514},
		{"IPv4 in IPv6 with option", sized4, 8, 1422, 1514},
		{"IPv6 in IPv6 with option", sized6, 8, 1422, 1514},
		{"path of 1400 with VLAN", sized4, 11, 1350, 1418},
		{"path of 1400 with VLAN, IPv6", sized6, 11, 1350, 1418},
		{"path larger than the port", sized4, 12, 1450, 1514},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := r.forward(c.frame(c.x, c.largest))
			assert.Len(t, out, c.out)
			assert.Equal(t, dataplane.ReasonPacketTooBig, r.drop(c.frame(c.x, c.largest+1)))
			assert.Equal(t, dataplane.ReasonPacketTooBig, r.drop(c.frame(c.x, 9000)))
			// The frame is longer than the packet: padding does not count.
			assert.Len(t, r.forward(append(c.frame(c.x, c.largest), make([]byte, 100)...)), c.out)
		})
	}
}

// The Ethernet header's own room is used too, tags and all.
func TestHeadroom(t *testing.T) {
	for _, c := range []struct {
		header int // bytes of tunnel header
		x      byte
		vlans  []uint32
	}{
		{64, 7, nil},
		{68, 11, nil}, // VLAN out
		{92, 8, nil},  // IPv6, OVN option
		{64, 7, []uint32{0x8100_0001}},
		{64, 7, []uint32{0x88a8_0001, 0x8100_0001}},
	} {
		t.Run(fmt.Sprintf("header %d tags %d", c.header, len(c.vlans)), func(t *testing.T) {
			in := tags(patch4(udp7, 33, c.x), c.vlans...)
			need := c.header - 14 - 4*len(c.vlans)
			assert.Len(t, newRig(t, &memport.Config{Headroom: need}).forward(in), c.header+32)
			assert.Equal(t, dataplane.ReasonNoHeadroom, newRig(t, &memport.Config{Headroom: need - 1}).drop(in))
		})
	}
	assert.Equal(t, dataplane.ReasonNoHeadroom, newRig(t, &memport.Config{Headroom: -1}).drop(udp7))
}

// A frame that is dropped is as it was received, but for trimmed padding: who answers
// it quotes what was sent.
func TestDroppedFramesAreUntouched(t *testing.T) {
	r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth})
	for reason, frame := range drops() {
		f := r.process(frame)[0]
		require.Equal(t, reason, f.Reason, reason.String())
		assert.Equal(t, frame[:f.Len()], f.Bytes(), reason.String())
		if p := f.Packet(); p != nil {
			assert.Equal(t, frame[14:14+len(p)], p)
		}
		r.release()
	}
}

// A burst of all kinds: each frame fares as it does alone, and order is kept.
func TestBurstIsSumOfItsFrames(t *testing.T) {
	r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth})
	var frames [][]byte
	var reasons []dataplane.Reason
	for reason, frame := range drops() {
		frames, reasons = append(frames, frame), append(reasons, reason)
	}
	for _, f := range [][]byte{udp7, tcp6to7, udp8, tcp6to8, sized4(7, 1400), sized6(8, 1400)} {
		frames, reasons = append(frames, f), append(reasons, dataplane.ReasonNone)
	}
	alone := map[string][]byte{}
	for i, f := range frames {
		if reasons[i] == dataplane.ReasonNone {
			alone[string(f)] = r.forward(f)
		}
	}
	for shift := range 40 {
		var burst, want [][]byte
		for i := range dataplane.BurstSize {
			f := frames[(i*7+shift)%len(frames)]
			burst = append(burst, f)
			if out := alone[string(f)]; out != nil {
				want = append(want, out)
			}
		}
		for i, f := range r.process(burst...) {
			require.Equal(t, reasons[(i*7+shift)%len(frames)], f.Reason)
		}
		r.release()
		require.Equal(t, want, r.south.Collect())
	}
}

// Frames whose fields hold anything, in bursts that were used before.
func TestDirtyFrames(t *testing.T) {
	r := newRig(t, nil)
	want := r.forward(udp7)
	for _, dirt := range [][]byte{tcp6to8, udp7, patch(udp7, 24, 0), make([]byte, 20)} {
		r.process(dirt, dirt, dirt)
		r.release()
		r.south.Collect()
		for i := range r.burst.F {
			r.burst.F[i].Verdict, r.burst.F[i].Reason = dataplane.Forward, dataplane.ReasonTxFull
			r.burst.F[i].Taken, r.burst.F[i].Out = true, 77
		}
		assert.Equal(t, want, r.forward(udp7))
	}
}

// A frame that goes through Process again is decided about anew.
func TestProcessTwice(t *testing.T) {
	r := newRig(t, nil)
	f := r.process(udp7)[0]
	require.Equal(t, dataplane.Forward, f.Verdict)
	r.fw.Process(&r.burst) // now a Geneve packet to a VTEP, which no binding covers
	assert.Equal(t, dataplane.Drop, f.Verdict)
	assert.Equal(t, dataplane.ReasonNoBinding, f.Reason)
	r.release()
}

func TestEmptyBurst(t *testing.T) {
	var b dataplane.Burst
	newRig(t, nil).fw.Process(&b)
	assert.Zero(t, b.N)
}

func TestNewForwarderPanics(t *testing.T) {
	ports := func(p ...dataplane.PortInfo) func() {
		return func() { dataplane.NewForwarder(dataplane.ForwarderConfig{Ports: p}) }
	}
	assert.NotPanics(t, ports(dataplane.PortInfo{ID: 65535, MTU: 1500}, dataplane.PortInfo{MTU: 68}))
	assert.Panics(t, ports(dataplane.PortInfo{ID: 3, MTU: 1500}, dataplane.PortInfo{ID: 3, MTU: 1500}))
	assert.Panics(t, ports(dataplane.PortInfo{ID: 3}))
}
