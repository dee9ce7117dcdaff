package encap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire turns lines of hexadecimal, each with a comment behind "//", into bytes.
func wire(t testing.TB, text string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(text) {
		digits, _, _ := strings.Cut(line, "//")
		part, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		require.NoError(t, err)
		b = append(b, part...)
	}
	return b
}

// naiveChecksum is RFC 1071 word by word, written to be obvious.
func naiveChecksum(b []byte) uint16 {
	var sum uint64
	for i := range b {
		if i%2 == 0 {
			sum += uint64(b[i]) << 8
		} else {
			sum += uint64(b[i])
		}
	}
	for sum > 0xffff {
		sum = sum%0x10000 + sum/0x10000
	}
	return 0xffff - uint16(sum)
}

// naiveFrame is the whole tunnel packet, layer by layer from the inside out, in
// code that shares nothing with the package but the types of its input.
func naiveFrame(t Tunnel, o Outer, in Inner, packet []byte) []byte {
	etherType := func(v6 bool) []byte {
		if v6 {
			return []byte{0x86, 0xdd}
		}
		return []byte{0x08, 0x00}
	}
	dst, src := t.InnerDst, t.InnerSrc
	if dst == (MAC{}) {
		dst = MAC{0x02, 'e', 'i', 'p', 'v', 'r'}
	}
	if src == (MAC{}) {
		src = MAC{0x02, 'e', 'i', 'p', 'g', 'w'}
	}
	inner := bytes.Join([][]byte{dst[:], src[:], etherType(in.IPv6), packet}, nil)

	options := t.Options.b[:t.Options.n]
	var critical byte
	for i := 0; i < len(options); i += 4 + 4*int(options[i+3]&31) {
		if options[i+2] >= 0x80 {
			critical = 0x40
		}
	}
	vni := uint32(t.VNI)
	tunnel := []byte{byte(len(options) / 4), critical, 0x65, 0x58, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
	port := uint16(6081)
	if t.Protocol == 1 {
		tunnel = []byte{0x08, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
		port = 4789
	}
	if t.Port != 0 {
		port = t.Port
	}
	tunnel = bytes.Join([][]byte{tunnel, options, inner}, nil)
	udp := make([]byte, 8, 8+len(tunnel))
	binary.BigEndian.PutUint16(udp[0:], uint16(49152+in.Hash%16384))
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(tunnel)))
	udp = append(udp, tunnel...)

	ttl := o.TTL
	if ttl == 0 {
		ttl = 64
	}
	local, vtep := o.Local.AsSlice(), t.VTEP.AsSlice()
	var ip []byte
	if t.VTEP.Is4() {
		ip = []byte{0x45, in.TOS, 0, 0, 0, 0, 0x40, 0, ttl, 17, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
		ip = bytes.Join([][]byte{ip, local, vtep}, nil)
		binary.BigEndian.PutUint16(ip[10:], naiveChecksum(ip))
	} else {
		ip = []byte{0x60 | in.TOS>>4, in.TOS<<4 | byte(in.Hash>>28), byte(in.Hash >> 20), byte(in.Hash >> 12), 0, 0, 17, ttl}
		binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
		ip = bytes.Join([][]byte{ip, local, vtep}, nil)
		if !o.ZeroChecksum6 {
			pseudo := bytes.Join([][]byte{local, vtep, {0, 0, byte(len(udp) >> 8), byte(len(udp)), 0, 0, 0, 17}, udp}, nil)
			sum := naiveChecksum(pseudo)
			if sum == 0 {
				sum = 0xffff
			}
			binary.BigEndian.PutUint16(udp[6:], sum)
		}
	}

	ether := bytes.Join([][]byte{o.Dst[:], o.Src[:]}, nil)
	if s := o.VLAN.S; s != 0 {
		ether = append(ether, 0x88, 0xa8, byte(s>>8), byte(s))
	}
	if c := o.VLAN.C; c != 0 {
		ether = append(ether, 0x81, 0x00, byte(c>>8), byte(c))
	}
	return bytes.Join([][]byte{ether, etherType(t.VTEP.Is6()), ip, udp}, nil)
}

// random makes inputs that Compile accepts, every field used.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 1))} }

func (r random) chance(of int) bool { return r.IntN(of) == 0 }

func (r random) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r random) mac() MAC {
	m := MAC(r.bytes(6))
	m[0] = m[0]&^1 | 2
	return m
}

func (r random) addr(v6 bool) netip.Addr {
	if v6 {
		b := [16]byte(r.bytes(16))
		b[0] = 0xfd
		return netip.AddrFrom16(b)
	}
	b := [4]byte(r.bytes(4))
	b[0] = 10
	return netip.AddrFrom4(b)
}

func (r random) options() Options {
	if r.chance(2) {
		return OVNOptions(uint16(r.UintN(1<<15)), uint16(1+r.UintN(0xffff)))
	}
	var b []byte
	for {
		words := r.IntN(4)
		o := append(r.bytes(2), byte(r.Uint32()), byte(r.Uint32())&0xe0|byte(words))
		o[0] |= 0x80 // never OVN's class
		o = append(o, r.bytes(4*words)...)
		if len(b)+len(o) > MaxOptions || r.chance(4) {
			break
		}
		b = append(b, o...)
	}
	options, err := ParseOptions(b)
	if err != nil {
		panic(err)
	}
	return options
}

func (r random) tunnel(v6 bool) Tunnel {
	t := Tunnel{VTEP: r.addr(v6), VNI: VNI(r.UintN(1 << 24))}
	if r.chance(4) {
		t.Protocol = VXLAN
	} else {
		t.Options = r.options()
	}
	if r.chance(2) {
		t.Port = uint16(1 + r.UintN(0xffff))
		t.InnerDst, t.InnerSrc = r.mac(), r.mac()
	}
	return t
}

func (r random) outer(v6 bool) Outer {
	o := Outer{Src: r.mac(), Dst: r.mac(), Local: r.addr(v6), TTL: uint8(r.Uint32()), ZeroChecksum6: r.chance(3)}
	if r.chance(2) {
		o.VLAN.C = r.tci()
	}
	if r.chance(3) {
		o.VLAN.S = r.tci()
	}
	return o
}

func (r random) tci() uint16 { return uint16(r.UintN(8)<<13 | r.UintN(2)<<12 | 1 + r.UintN(maxVID)) }

func (r random) inner() Inner {
	return Inner{Hash: r.Uint32(), TOS: uint8(r.Uint32()), IPv6: r.chance(2)}
}
