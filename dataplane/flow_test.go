package dataplane

import (
	"math/big"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane/fib"
)

func v4(s string) uint32 {
	b := netip.MustParseAddr(s).As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func v6(s string) fib.Addr6 { return fib.Addr6From(netip.MustParseAddr(s)) }

// The vectors of FlowHash4's documentation. Changing one changes where flows go when
// gateways of two versions stand side by side.
func TestFlowHashVectors(t *testing.T) {
	const ports = 40000<<16 | 443
	client, eip := v4("198.51.100.1"), v4("203.0.113.7")
	client6, eip6 := v6("2001:db8::1"), v6("2001:db8:e1b::7")
	all := fib.Addr6{Hi: 1<<64 - 1, Lo: 1<<64 - 1}

	assert.EqualValues(t, 0xbf39b835, FlowHash4(Flow4{client, eip, ports, 6}))
	assert.EqualValues(t, 0x66c9a230, FlowHash4(Flow4{client, eip, 0, 1}))
	assert.EqualValues(t, 0x029d89c5, FlowHash4(Flow4{1<<32 - 1, 1<<32 - 1, 1<<32 - 1, 132}))
	assert.EqualValues(t, 0x46bbc5e4, FlowHash6(Flow6{client6, eip6, ports, 6}))
	assert.EqualValues(t, 0x4eae942b, FlowHash6(Flow6{client6, eip6, 0, 44}))
	assert.EqualValues(t, 0xdb64319b, FlowHash6(Flow6{all, fib.Addr6{}, 1<<32 - 1, 136}))
}

// The definition once more, in numbers of any size.
func TestFlowHashDefinition(t *testing.T) {
	num := func(x uint64) *big.Int { return new(big.Int).SetUint64(x) }
	low := func(x *big.Int, n uint) *big.Int {
		return new(big.Int).And(x, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), n), big.NewInt(1)))
	}
	xor := func(a, b *big.Int) *big.Int { return new(big.Int).Xor(a, b) }
	fold := func(x *big.Int, k uint64) *big.Int {
		p := new(big.Int).Mul(x, num(k))
		return xor(new(big.Int).Rsh(p, 64), low(p, 64))
	}
	word := func(hi, lo uint64) *big.Int { return new(big.Int).Add(new(big.Int).Lsh(num(hi), 32), num(lo)) }
	mix := func(h *big.Int) uint32 {
		x := low(new(big.Int).Mul(xor(new(big.Int).Rsh(h, 32), low(h, 32)), num(0x9e3779b1)), 32)
		return uint32(xor(x, new(big.Int).Rsh(x, 15)).Uint64())
	}

	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		f4 := Flow4{r.Uint32(), r.Uint32(), r.Uint32(), uint8(r.Uint32())}
		h := fold(word(uint64(f4.Src), uint64(f4.Dst)), 0x243f6a8885a308d3)
		h = fold(xor(h, word(uint64(f4.Protocol), uint64(f4.Ports))), 0x13198a2e03707345)
		assert.Equal(t, mix(h), FlowHash4(f4))

		f6 := Flow6{fib.Addr6{Hi: r.Uint64(), Lo: r.Uint64()}, fib.Addr6{Hi: r.Uint64(), Lo: r.Uint64()}, r.Uint32(), uint8(r.Uint32())}
		h = fold(num(f6.Src.Hi), 0x243f6a8885a308d3)
		h = xor(h, fold(num(f6.Src.Lo), 0x13198a2e03707345))
		h = xor(h, fold(num(f6.Dst.Hi), 0xa4093822299f31d1))
		h = xor(h, fold(num(f6.Dst.Lo), 0x082efa98ec4e6c89))
		h = fold(xor(h, word(uint64(f6.Protocol), uint64(f6.Ports))), 0x452821e638d01377)
		assert.Equal(t, mix(h), FlowHash6(f6))
	}
}

// Traffic that differs in little spreads evenly over all that the hash decides: UDP
// source ports (low 14 bits), flow labels (high 20 bits) and members of a group.
func TestFlowHashSpreads(t *testing.T) {
	const n, buckets = 1 << 18, 64
	base := Flow4{v4("198.51.100.1"), v4("203.0.113.7"), 40000<<16 | 443, 6}
	base6 := Flow6{v6("2001:db8::1"), v6("2001:db8:e1b::7"), 40000<<16 | 443, 17}
	traffic := map[string]func(i uint32) uint32{
		"one client's ports": func(i uint32) uint32 { f := base; f.Ports += i << 16; return FlowHash4(f) },
		"server ports":       func(i uint32) uint32 { f := base; f.Ports += i; return FlowHash4(f) },
		"clients in a row":   func(i uint32) uint32 { f := base; f.Src += i; return FlowHash4(f) },
		"clients apart":      func(i uint32) uint32 { f := base; f.Src += i << 14; return FlowHash4(f) },
		"EIPs in a row":      func(i uint32) uint32 { f := base; f.Dst += i; return FlowHash4(f) },
		"pings":              func(i uint32) uint32 { f := base; f.Src += i; f.Ports, f.Protocol = 0, 1; return FlowHash4(f) },
		"ports, IPv6":        func(i uint32) uint32 { f := base6; f.Ports += i << 16; return FlowHash6(f) },
		"clients, IPv6":      func(i uint32) uint32 { f := base6; f.Src.Lo += uint64(i); return FlowHash6(f) },
		"networks, IPv6":     func(i uint32) uint32 { f := base6; f.Src.Hi += uint64(i) << 16; return FlowHash6(f) },
		"EIPs, IPv6":         func(i uint32) uint32 { f := base6; f.Dst.Lo += uint64(i); return FlowHash6(f) },
	}
	parts := map[string]func(h uint32) uint32{
		"low bits":     func(h uint32) uint32 { return h % buckets },
		"of port":      func(h uint32) uint32 { return h >> 8 % buckets },
		"of label":     func(h uint32) uint32 { return h >> 12 % buckets },
		"high bits":    func(h uint32) uint32 { return h >> 26 },
		"group member": func(h uint32) uint32 { return fib.Mix(h^0x12345678) % buckets },
	}
	for name, flow := range traffic {
		size := uint32(n)
		if name == "one client's ports" || name == "ports, IPv6" || name == "server ports" {
			size = 1 << 14 // what there is
		}
		for what, part := range parts {
			var count [buckets]float64
			for i := range size {
				count[part(flow(i))]++
			}
			want, chi2 := float64(size)/buckets, 0.0
			for _, c := range count {
				chi2 += (c - want) * (c - want) / want
			}
			// 63 degrees of freedom: 126 is exceeded once in 300,000 by chance.
			assert.Less(t, chi2, 126.0, "%s: %s", name, what)
		}
	}
}

// Every bit of the input changes every bit of the hash about half of the time.
func TestFlowHashAvalanche(t *testing.T) {
	const n = 4000
	r := rand.New(rand.NewPCG(3, 4))
	for bit := range 104 { // 32+32 address bits, 32 of ports, 8 of protocol
		var flips [32]int
		for range n {
			f := Flow4{r.Uint32(), r.Uint32(), r.Uint32(), uint8(r.Uint32())}
			g := f
			switch {
			case bit < 32:
				g.Src ^= 1 << bit
			case bit < 64:
				g.Dst ^= 1 << (bit - 32)
			case bit < 96:
				g.Ports ^= 1 << (bit - 64)
			default:
				g.Protocol ^= 1 << (bit - 96)
			}
			for i, d := 0, FlowHash4(f)^FlowHash4(g); i < 32; i++ {
				flips[i] += int(d >> i & 1)
			}
		}
		total := 0
		for i, c := range flips {
			total += c
			assert.InDelta(t, 0.5, float64(c)/n, 0.1, "input bit %d, hash bit %d", bit, i)
		}
		assert.InDelta(t, 0.5, float64(total)/n/32, 0.02, "input bit %d", bit)
	}
}
