package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

// counting is n bytes that count from 0.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// A packet of 112 bytes with 12 of options through a way of 68: 32 bytes behind all
// options, 40 behind the one that is copied, and the rest. To the byte.
func TestFragmentInnerBytes(t *testing.T) {
	const routerAlert, recordRoute, nop = `94 04 00 00 `, `07 07 04 00 00 00 00 `, `01 `
	payload := wire(`9c 40 01 bb  00 50 00 00`, hex.EncodeToString(counting(72)))
	in := append(wire(ether+`08 00`,
		`48 b9 00 70  12 34 00 00  40 11 5f 47  c6 33 64 01  cb 00 71 07`, routerAlert+recordRoute+nop), payload...)

	tunnel := func(total, sum, udp string) string {
		return outerEther + `08 00` +
			`45 b9 ` + total + ` 00 00 40 00  40 11 ` + sum + ` 0a ff 00 01  0a 00 02 0b` +
			`d7 7f 17 c1 ` + udp + ` 00 00` + // the hash of the whole packet's flow
			`00 00 65 58  00 13 89 00` + innerEther + `08 00`
	}
	c := newCutter(t, cutterWay{mtu: 50 + 68, port: 1500}, dataplane.FragmentInner)
	got := c.cut(in)
	require.Len(t, got, 3)
	assert.Equal(t, append(wire(tunnel(`00 72`, `22 b8`, `00 5e`),
		`48 b9 00 40  12 34 20 00  3f 11 40 77  c6 33 64 01  cb 00 71 07`, routerAlert+recordRoute+nop), payload[:32]...), got[0])
	assert.Equal(t, append(wire(tunnel(`00 72`, `22 b8`, `00 5e`),
		`46 b9 00 40  12 34 20 04  3f 11 4d 7b  c6 33 64 01  cb 00 71 07`, routerAlert), payload[32:72]...), got[1])
	assert.Equal(t, append(wire(tunnel(`00 52`, `22 d8`, `00 3e`),
		`46 b9 00 20  12 34 00 09  3f 11 6d 96  c6 33 64 01  cb 00 71 07`, routerAlert), payload[72:]...), got[2])
}

// 76 bytes that do not fit 68, in a tunnel packet of which 96 bytes fit behind the
// headers. To the byte. The UDP checksum is that of all.
func TestFragmentOuterBytes(t *testing.T) {
	udp := append(wire(`9c 40 01 bb  00 38 00 00`), counting(48)...)
	t.Run("IPv4", func(t *testing.T) {
		in := append(wire(ether+`08 00`, `45 b9 00 4c  12 34 00 00  40 11 01 78  c6 33 64 01  cb 00 71 07`), udp...)
		c := newCutter(t, cutterWay{mtu: 50 + 68, port: 1500}, dataplane.FragmentOuter)
		got := c.cut(in)
		require.Len(t, got, 2)
		assert.Equal(t, append(wire(outerEther+`08 00`,
			`45 b9 00 74  ca fe 20 00  40 11 77 b7  0a ff 00 01  0a 00 02 0b`,
			`d7 7f 17 c1  00 6a 84 58`, `00 00 65 58  00 13 89 00`, innerEther+`08 00`,
			`45 b9 00 4c  12 34 00 00  3f 11 02 78  c6 33 64 01  cb 00 71 07`), udp[:46]...), got[0])
		assert.Equal(t, append(wire(outerEther+`08 00`,
			`45 b9 00 1e  ca fe 00 0c  40 11 98 01  0a ff 00 01  0a 00 02 0b`), udp[46:]...), got[1])
		assert.EqualValues(t, 0xcaff, binary.BigEndian.Uint16(c.cut(in)[0][18:]), "the next identification")
	})
	t.Run("IPv6", func(t *testing.T) {
		in := append(wire(ether+`08 00`, `45 00 00 4c  12 34 00 00  40 11 02 30  c6 33 64 01  cb 00 71 08`), udp...)
		got := newCutter(t, cutterWay{mtu: 78 + 68, port: 1500}, dataplane.FragmentOuter).cut(in)
		require.Len(t, got, 2)
		const addresses = `fd 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 01  fd 00 00 02 00 00 00 00 00 00 00 00 00 00 00 11`
		assert.Equal(t, append(wire(outerEther+`86 dd`,
			`60 0e 07 1c  00 68 2c 40`, addresses, `11 00 00 01  00 00 ca fe`,
			`c5 80 17 c1  00 72 2e f7`, `02 40 65 58  00 13 89 00  01 02 80 01  00 02 00 01`, innerEther+`08 00`,
			`45 00 00 4c  12 34 00 00  3f 11 03 30  c6 33 64 01  cb 00 71 08`), udp[:38]...), got[0])
		assert.Equal(t, append(wire(outerEther+`86 dd`,
			`60 0e 07 1c  00 1a 2c 40`, addresses, `11 00 00 60  00 00 ca fe`), udp[38:]...), got[1])
	})
}

// Who may be cut, and what the others are told.
func TestOversize(t *testing.T) {
	const inner, outer, refuse = dataplane.FragmentInner, dataplane.FragmentOuter, dataplane.RefuseOversize
	clear := func(x byte, n int) []byte { return patch4(sized4(x, n), 20, 0, 0) } // sized4 has DF
	options := func(n int) []byte {                                               // 40 bytes of them
		b := append(slices.Clone(clear(7, n)[:34]), slices.Repeat([]byte{1}, 40)...)
		return patch4(append(b, make([]byte, n-60)...), 14, 0x4f)
	}
	for _, c := range []struct {
		name  string
		way   cutterWay
		o     dataplane.Oversize
		frame []byte
		want  dataplane.Verdict
		mtu   int // of those dropped
	}{
		{"fits", cutterWay{1500, 1500}, inner, clear(7, 1450), dataplane.Forward, 0},
		{"inner", cutterWay{1500, 1500}, inner, clear(7, 1451), dataplane.Split, 0},
		{"outer", cutterWay{1500, 1500}, outer, clear(7, 1451), dataplane.Split, 0},
		{"refuse", cutterWay{1500, 1500}, refuse, clear(7, 1451), dataplane.Drop, 1450},
		{"inner, DF", cutterWay{1500, 1500}, inner, sized4(7, 1451), dataplane.Drop, 1450},
		{"outer, DF", cutterWay{1500, 1500}, outer, sized4(7, 1451), dataplane.Drop, 1450},
		{"over IPv6, DF", cutterWay{1500, 1500}, outer, sized4(8, 9000), dataplane.Drop, 1422},
		{"the port is smaller", cutterWay{9000, 1400}, inner, sized4(7, 1351), dataplane.Drop, 1350},

		{"IPv6", cutterWay{1500, 1500}, inner, sized6(7, 1451), dataplane.Drop, 1450},
		{"IPv6, outer", cutterWay{1500, 1500}, outer, sized6(7, 1451), dataplane.Drop, 1450},
		{"IPv6 of 1280", cutterWay{1280, 1280}, inner, sized6(8, 1280), dataplane.Split, 0},
		{"IPv6 of 1280, refuse", cutterWay{1280, 1280}, refuse, sized6(7, 1280), dataplane.Split, 0},
		{"IPv6 of 1281 is told no less than 1280", cutterWay{1280, 1280}, outer, sized6(8, 1281), dataplane.Drop, 1280},
		{"... whatever the way", cutterWay{1340, 1500}, inner, sized6(7, 1300), dataplane.Drop, 1290},

		{"8 bytes behind the longest header", cutterWay{118, 1500}, inner, options(100), dataplane.Split, 0},
		{"not even 8", cutterWay{1500, 117}, inner, options(100), dataplane.Drop, 67},
		{"... but in the outer packet", cutterWay{1500, 117}, outer, options(100), dataplane.Split, 0},
		{"not even the headers", cutterWay{1500, 49}, outer, clear(7, 100), dataplane.Drop, 0},
		{"not even the headers of IPv6", cutterWay{1500, 69}, inner, sized6(12, 100), dataplane.Drop, 1280},

		{"no tunnel packet is that large", cutterWay{1500, 1500}, outer, clear(7, 65486), dataplane.Drop, 1450},
		{"... nor cut into fragments", cutterWay{1500, 1500}, inner, clear(7, 65486), dataplane.Drop, 1450},
		{"the largest", cutterWay{1500, 1500}, inner, clear(7, 65485), dataplane.Split, 0},
		{"its end is the largest datagram's", cutterWay{1500, 1500}, inner, patch4(clear(7, 1820), 20, 0x1f, 0x1e), dataplane.Split, 0},
		{"beyond the largest datagram", cutterWay{1500, 1500}, inner, patch4(clear(7, 1820), 20, 0x1f, 0x1f), dataplane.Drop, 1450},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newCutter(t, c.way, c.o).process(c.frame)
			require.Equal(t, c.want, f.Verdict)
			switch c.want {
			case dataplane.Drop:
				assert.Equal(t, dataplane.ReasonPacketTooBig, f.Reason)
				assert.Equal(t, c.mtu, f.MTU())
				assert.Equal(t, c.frame, f.Bytes(), "as it was received")
			case dataplane.Split:
				assert.Equal(t, dataplane.ReasonPacketTooBig, f.Reason, "for callers that do not cut")
			}
		})
	}
}

// A frame that has no room in front for the tunnel is not cut.
func TestSplitNeedsHeadroom(t *testing.T) {
	c := newCutter(t, cutterWay{1500, 1500}, dataplane.FragmentInner)
	frame := patch4(sized4(7, 1451), 20, 0, 0)
	f := &c.burst.F[0]
	f.Attach(slices.Clone(frame), 0, len(frame))
	f.In, c.burst.N = north, 1
	c.fw.Process(&c.burst)
	assert.Equal(t, dataplane.Drop, f.Verdict)
	assert.Equal(t, dataplane.ReasonNoHeadroom, f.Reason)
	s := c.fw.Fragments(f)
	assert.False(t, s.Next(&c.to), "of what is not to be cut")
}

// randomOptions is up to 40 bytes of sound options.
func randomOptions(r *rand.Rand) []byte {
	o := []byte{}
	for room := 4 * r.IntN(11); len(o) < room; {
		switch left := room - len(o); {
		case left < 2 || r.IntN(3) == 0:
			o = append(o, byte(r.IntN(2))) // nop, or the end, with anything behind
		default:
			n := 2 + r.IntN(min(left-1, 12))
			kind := []byte{7, 68, 148, 134, 0x80, 30}[r.IntN(6)]
			o = append(append(o, kind, byte(n)), counting(n-2)...)
		}
	}
	return o
}

// randomPacket is a frame with an IPv4 packet of at most that many bytes, which may be
// cut and may be a fragment already.
func randomPacket(r *rand.Rand, x byte, most int) []byte {
	o := randomOptions(r)
	n := 20 + len(o) + r.IntN(max(most-20-len(o), 1))
	b := append(slices.Clone(udp7[:34]), o...)
	for len(b) < 14+n {
		b = append(b, byte(r.Uint32()))
	}
	word := uint16(0)
	if r.IntN(3) == 0 { // a fragment, which may end where the largest datagram ends
		word = uint16(r.IntN(1+min(8191, (65535-n)/8))) | uint16(r.IntN(2))<<13
	}
	b[15] = byte(r.Uint32())
	binary.BigEndian.PutUint16(b[16:], uint16(n))
	binary.BigEndian.PutUint16(b[18:], uint16(r.Uint32()))
	binary.BigEndian.PutUint16(b[20:], word)
	b[14], b[33] = 0x40|byte(5+len(o)/4), x
	return patch4(b, 22, byte(2+r.IntN(254)))
}

// Whatever a packet, its tunnel and its way are: what is cut is small enough, and put
// together again it is the packet.
func TestFragmentsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	var inner, outer, whole int
	for _, mtu := range []int{118, 119, 146, 147, 160, 201, 300, 576, 1280, 1400, 1499, 1500, 1508, 4000, 8999, 9000} {
		for _, o := range []dataplane.Oversize{dataplane.FragmentInner, dataplane.FragmentOuter} {
			port := mtu
			if r.IntN(2) == 0 {
				port += r.IntN(100)
			}
			vteps := []byte{7, 11, 8, 12}
			if mtu < 78+68 {
				vteps = vteps[:2] // the table takes no less of a way
			}
			c := newCutter(t, cutterWay{mtu, port}, o)
			for range 120 {
				frame := randomPacket(r, vteps[r.IntN(len(vteps))], []int{mtu * 2, 9000, min(mtu*40, 65000)}[r.IntN(3)])
				want := patch4(frame, 22, frame[22]-1)[14:]
				f := c.process(frame)
				if f.Verdict == dataplane.Forward {
					whole++
					require.Equal(t, want, unite(t, mtu, [][]byte{f.Bytes()}))
					continue
				}
				got := c.cut(frame)
				require.Greater(t, len(got), 1)
				if !bytes.Equal(want, unite(t, mtu, got)) {
					t.Fatalf("mtu %d, %v, %x: not what it was", mtu, o, frame[:80])
				}
				if o == dataplane.FragmentInner {
					inner++
				} else {
					outer++
				}
			}
		}
	}
	assert.Greater(t, inner, 500)
	assert.Greater(t, outer, 500)
	assert.Greater(t, whole, 50)
}

// IPv6 packets that are too large for a way on which they may not be, in tunnels over
// both families, by every rule.
func TestSmallIPv6InOuterFragments(t *testing.T) {
	for o := range dataplane.RefuseOversize + 1 {
		for _, mtu := range []int{146, 576, 1280, 1329} {
			c := newCutter(t, cutterWay{mtu, 1500}, o)
			for _, x := range []byte{7, 8, 11, 12} {
				frame := sized6(x, 1280)
				copy(frame[74:], counting(1280-60))
				want := patch(frame, 14+7, 63)[14:]
				assert.Equal(t, want, unite(t, mtu, c.cut(frame)), "%v, mtu %d, 203.0.113.%d", o, mtu, x)
			}
		}
	}
}

// As few fragments as can be: all but the last are full.
func TestFragmentsAreFull(t *testing.T) {
	for _, c := range []struct {
		o    dataplane.Oversize
		x    byte
		n    int
		want []int
	}{
		{dataplane.FragmentInner, 7, 1451, []int{64 + 20 + 1424, 64 + 20 + 7}}, // 1430 is not a multiple of 8
		{dataplane.FragmentInner, 7, 9000, []int{1508, 1508, 1508, 1508, 1508, 1508, 64 + 20 + 436}},
		{dataplane.FragmentOuter, 7, 1451, []int{1514, 14 + 20 + 1}},
		{dataplane.FragmentOuter, 8, 1423, []int{1510, 14 + 48 + 13}},
	} {
		t.Run(fmt.Sprintf("%v %d to %d", c.o, c.n, c.x), func(t *testing.T) {
			var got []int
			for _, f := range newCutter(t, cutterWay{1500, 1500}, c.o).cut(patch4(sized4(c.x, c.n), 20, 0, 0)) {
				got = append(got, len(f))
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestCuttingDoesNotAllocate(t *testing.T) {
	for o := range dataplane.RefuseOversize + 1 {
		c := newCutter(t, cutterWay{1280, 1500}, o)
		for _, x := range []byte{7, 8, 11, 12} {
			for _, frame := range [][]byte{patch4(sized4(x, 9000), 20, 0, 0), sized4(x, 9000), sized6(x, 1280), sized6(x, 1281)} {
				fragments := 0
				assert.Zero(t, testing.AllocsPerRun(20, func() {
					f := c.process(frame)
					for s := c.fw.Fragments(f); s.Next(&c.to); {
						fragments++
					}
				}))
				if frame[20]&0x40 == 0 && len(frame) > 1295 && frame[12] == 8 && o != dataplane.RefuseOversize {
					assert.Greater(t, fragments, 21*6)
				}
			}
		}
	}
}
