// Package eipset makes the sets of EIPs that benchmarks and measurements bind: the same
// ones in every run, in random order, of any size.
//
// Files: eipset.go (sets, their bindings), table.go (tables of them, the Internet's prefixes).
package eipset

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Million is 2^20, so that bursts divide it.
const Million = 1 << 20

// Set is a way in which EIPs lie in the address space.
type Set struct {
	Name string
	at   func(i uint32) netip.Addr // a different address for each i
	most int                       // how many there are
}

// Sets are all of them.
var Sets = []Set{
	{"v4-dense", dense4, 1 << 26},   // pools in a row: every address of a /24 is bound
	{"v4-pool", pool4, 1 << 24},     // random addresses of a /8: of a million 16 to a /24
	{"v4-sparse", sparse4, 1 << 31}, // random addresses: of a million hardly two in a /24
	{"v6-dense", dense6, 1 << 31},   // a row of addresses in /64s of 2^18
	{"v6-sparse", sparse6, 1 << 31}, // a random address in each of so many /64s of a /32
}

// Named is the set of this name; false when there is none.
func Named(name string) (Set, bool) {
	i := slices.IndexFunc(Sets, func(s Set) bool { return s.Name == name })
	if i < 0 {
		return Set{}, false
	}
	return Sets[i], true
}

// Must is Named for names that are known.
func Must(name string) Set {
	s, ok := Named(name)
	if !ok {
		panic("eipset: no set named " + name)
	}
	return s
}

// Make returns n distinct EIPs in random order. It panics when the set is smaller.
func (s Set) Make(n int) []netip.Addr { return s.MakeFrom(0, n) }

// MakeFrom leaves the first EIPs of the set out: other ones than Make(first) has.
func (s Set) MakeFrom(first, n int) []netip.Addr {
	if first < 0 || n < 0 || first+n > s.most {
		panic("eipset: " + s.Name + " is not that large")
	}
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = s.at(uint32(first + i))
	}
	return Shuffled(all, 1)
}

// Shuffled is a copy in another random order for each seed.
func Shuffled(addrs []netip.Addr, seed uint64) []netip.Addr {
	addrs = slices.Clone(addrs)
	rand.New(rand.NewPCG(seed, 2)).Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs
}

func dense4(i uint32) netip.Addr  { return Addr4(100<<24 + i) }
func pool4(i uint32) netip.Addr   { return Addr4(100<<24 | mix24(i)) }
func sparse4(i uint32) netip.Addr { return Addr4(fib.Mix(i)) }

func dense6(i uint32) netip.Addr {
	return Addr6(0x20010db8_00000000+uint64(i>>18), uint64(i&(1<<18-1)))
}

func sparse6(i uint32) netip.Addr {
	return Addr6(0x20010db8_00000000|uint64(fib.Mix(i)), uint64(fib.Mix(i+1))<<32|uint64(fib.Mix(^i)))
}

// mix24 is a bijection of 24-bit numbers: two halves that change each other by turns.
func mix24(x uint32) uint32 {
	left, right := x>>12&0xfff, x&0xfff
	for round := range uint32(4) {
		left, right = right, left^fib.Mix(right+round<<12)&0xfff
	}
	return left<<12 | right
}

// Addr4 is an IPv4 address from its number, 203.0.113.7 from 0xcb007107.
func Addr4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
}

// Addr6 is an IPv6 address from its halves.
func Addr6(hi, lo uint64) netip.Addr {
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, hi), lo)))
}

// Number4 is the number of an IPv4 address, as Lookup4 takes it.
func Number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Tunnels is how many distinct tunnels the EIPs of a table share.
const Tunnels = 1000

// Tunnel is the tunnel of the i-th EIP.
func Tunnel(i int) encap.Tunnel {
	i %= Tunnels
	return encap.Tunnel{VTEP: Addr4(10<<24 + 1<<16 + uint32(i)), VNI: encap.VNI(i)}
}

var shared = func() (ts [Tunnels]encap.Tunnel) {
	for i := range ts {
		ts[i] = Tunnel(i)
	}
	return ts
}()

// Binding binds the i-th prefix to its tunnel.
func Binding(i int, p netip.Prefix) fib.Binding {
	i %= Tunnels
	return fib.Binding{Prefix: p, Tunnels: shared[i : i+1 : i+1]}
}

// Bindings binds each address to a tunnel.
func Bindings(addrs []netip.Addr) []fib.Binding {
	bs := make([]fib.Binding, len(addrs))
	for i, a := range addrs {
		bs[i] = Binding(i, netip.PrefixFrom(a, a.BitLen()))
	}
	return bs
}
