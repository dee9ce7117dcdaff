package perf_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// EIP sets that the lookup benchmarks use. Keys are looked up in random order.
var fibSets = []struct {
	name string
	make func(n int) []netip.Addr
}{
	{"v4-dense", dense4},   // pools in a row: every address of a /24 is bound
	{"v4-pool", pool4},     // random addresses of a /8: 15 to a /24
	{"v4-sparse", sparse4}, // random addresses: hardly two in a /24
	{"v6-dense", dense6},   // a row of addresses in a few /64s
	{"v6-sparse", sparse6}, // a random address in each of a million /64s of a /32
}

const million = 1 << 20

func dense4(n int) []netip.Addr {
	return addrs(n, func(i uint32, _ *rand.Rand) netip.Addr { return addr4(100<<24 + i) })
}

func pool4(n int) []netip.Addr {
	return addrs(n, func(_ uint32, r *rand.Rand) netip.Addr { return addr4(100<<24 | r.Uint32()>>8) })
}

func sparse4(n int) []netip.Addr {
	return addrs(n, func(_ uint32, r *rand.Rand) netip.Addr { return addr4(r.Uint32()) })
}

func dense6(n int) []netip.Addr {
	return addrs(n, func(i uint32, _ *rand.Rand) netip.Addr {
		return addr6(0x20010db8_00000000+uint64(i>>18), uint64(i&(1<<18-1)))
	})
}

func sparse6(n int) []netip.Addr {
	return addrs(n, func(_ uint32, r *rand.Rand) netip.Addr {
		return addr6(0x20010db8_00000000|uint64(r.Uint32()), r.Uint64())
	})
}

func addr4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
}

func addr6(hi, lo uint64) netip.Addr {
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, hi), lo)))
}

// addrs is n distinct addresses in random order.
func addrs(n int, next func(i uint32, r *rand.Rand) netip.Addr) []netip.Addr {
	r := rand.New(rand.NewPCG(1, 2))
	seen := make(map[netip.Addr]bool, n)
	all := make([]netip.Addr, 0, n)
	for i := uint32(0); len(all) < n; i++ {
		if a := next(i, r); !seen[a] {
			seen[a] = true
			all = append(all, a)
		}
	}
	r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// tunnels is how many distinct tunnels the EIPs share.
const tunnels = 1000

func tunnelOf(i int) encap.Tunnel {
	i %= tunnels
	return encap.Tunnel{VTEP: addr4(10<<24 + 1<<16 + uint32(i)), VNI: encap.VNI(i)}
}

func bindings(addrs []netip.Addr) []fib.Binding {
	bs := make([]fib.Binding, len(addrs))
	ts := make([]encap.Tunnel, len(addrs))
	for i, a := range addrs {
		ts[i] = tunnelOf(i)
		bs[i] = fib.Binding{Prefix: netip.PrefixFrom(a, a.BitLen()), Tunnels: ts[i : i+1 : i+1]}
	}
	return bs
}

func newTable(tb testing.TB) (*fib.Table, *fib.Compiler) {
	table, err := fib.NewTable(fib.TableOptions{HugePages: true})
	require.NoError(tb, err)
	res := &fibtest.Resolver{}
	for i := range tunnels {
		res.Set(tunnelOf(i).VTEP, fibtest.Adjacency(1, addr4(10<<24+1), byte(i)))
	}
	return table, fib.NewCompiler(table, res)
}

const burst = 64

// BenchmarkLookup looks EIPs up, a million of them, in random order: in bursts in
// the table, and one by one in bart.Fast. It shows ns per lookup.
func BenchmarkLookup(b *testing.B) {
	for _, s := range fibSets {
		keys := s.make(million)
		b.Run(s.name+"/fib", func(b *testing.B) { benchFIB(b, keys) })
		b.Run(s.name+"/bart", func(b *testing.B) { benchBART(b, keys) })
	}
}

func benchFIB(b *testing.B, keys []netip.Addr) {
	table, c := newTable(b)
	_, err := c.Apply(bindings(keys))
	require.NoError(b, err)
	r, err := table.NewReader()
	require.NoError(b, err)
	defer func() {
		r.Close()
		require.NoError(b, table.Close())
	}()
	out := make([]fib.Value, burst)
	var sum fib.Value
	order(keys)
	if keys[0].Is4() {
		dst := make([]uint32, len(keys))
		for i, a := range keys {
			k := a.As4()
			dst[i] = binary.BigEndian.Uint32(k[:])
		}
		b.ResetTimer()
		for i, n := 0, 0; n < b.N; i, n = (i+burst)&(million-1), n+burst {
			r.Begin()
			r.Lookup4(dst[i:i+burst], out)
			r.End()
			sum += out[0] & out[burst-1]
		}
	} else {
		dst := make([]fib.Addr6, len(keys))
		for i, a := range keys {
			dst[i] = fib.Addr6From(a)
		}
		b.ResetTimer()
		for i, n := 0, 0; n < b.N; i, n = (i+burst)&(million-1), n+burst {
			r.Begin()
			r.Lookup6(dst[i:i+burst], out)
			r.End()
			sum += out[0] & out[burst-1]
		}
	}
	b.StopTimer()
	sink = uint32(sum)
}

var sink uint32

// order shuffles keys, so that they are not looked up in the order of insertion.
func order(keys []netip.Addr) {
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
}

func benchBART(b *testing.B, keys []netip.Addr) {
	var t bart.Fast[uint32]
	for i, a := range keys {
		t.Insert(netip.PrefixFrom(a, a.BitLen()), uint32(i%tunnels))
	}
	order(keys)
	var sum uint32
	b.ResetTimer()
	for i, n := 0, 0; n < b.N; i, n = (i+1)&(million-1), n+1 {
		v, _ := t.Lookup(keys[i])
		sum += v
	}
	b.StopTimer()
	sink = sum
}
