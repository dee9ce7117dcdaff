package perf_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
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
	table, c, _ := newTableAndResolver(tb)
	return table, c
}

func newTableAndResolver(tb testing.TB) (*fib.Table, *fib.Compiler, *fibtest.Resolver) {
	table, err := fib.NewTable(fib.TableOptions{HugePages: true})
	require.NoError(tb, err)
	res := &fibtest.Resolver{}
	for i := range tunnels {
		res.Set(tunnelOf(i).VTEP, fibtest.Adjacency(1, addr4(10<<24+1), byte(i)))
	}
	return table, fib.NewCompiler(table, res), res
}

const burst = 64

// BenchmarkLookup looks EIPs up, a million of them, in random order: in bursts of 64
// in the table, and one by one, as it must be, in bart.Fast. It shows ns per lookup.
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
	keys = shuffled(keys)
	out := make([]fib.Value, burst)
	at := 0
	if keys[0].Is4() {
		dst := make([]uint32, len(keys))
		for i, a := range keys {
			k := a.As4()
			dst[i] = binary.BigEndian.Uint32(k[:])
		}
		for b.Loop() {
			r.Begin()
			r.Lookup4(dst[at:at+burst], out)
			r.End()
			at = (at + burst) % million
		}
	} else {
		dst := make([]fib.Addr6, len(keys))
		for i, a := range keys {
			dst[i] = fib.Addr6From(a)
		}
		for b.Loop() {
			r.Begin()
			r.Lookup6(dst[at:at+burst], out)
			r.End()
			at = (at + burst) % million
		}
	}
	perItem(b, burst, "ns/lookup")
	require.NotContains(b, out, fib.Value(0))
}

func benchBART(b *testing.B, keys []netip.Addr) {
	var t bart.Fast[uint32]
	for i, a := range keys {
		t.Insert(netip.PrefixFrom(a, a.BitLen()), uint32(i%tunnels))
	}
	keys = shuffled(keys)
	out := make([]uint32, burst)
	at := 0
	for b.Loop() {
		for i, a := range keys[at : at+burst] {
			out[i], _ = t.Lookup(a)
		}
		at = (at + burst) % million
	}
	perItem(b, burst, "ns/lookup")
}

// perItem shows the time of each of the n things that an iteration does.
func perItem(b *testing.B, n int, unit string) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), unit)
	b.ReportMetric(0, "ns/op")
}

// shuffled is keys in another order than they were bound in.
func shuffled(keys []netip.Addr) []netip.Addr {
	keys = slices.Clone(keys)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

// BenchmarkUpdate takes one binding out of a million away, and puts it back, in change sets of
// their own.
func BenchmarkUpdate(b *testing.B) {
	for _, s := range fibSets {
		b.Run(s.name, func(b *testing.B) {
			bs := bindings(s.make(million))
			table, c := newTable(b)
			_, err := c.Apply(bs)
			require.NoError(b, err)
			gone := make([]fib.Binding, 1)
			i := 0
			for b.Loop() {
				gone[0].Prefix = bs[i].Prefix
				if _, err := c.Apply(gone); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Apply(bs[i : i+1]); err != nil {
					b.Fatal(err)
				}
				i = (i + 1) % million
			}
			perItem(b, 2, "ns/update")
			require.NoError(b, table.Close())
		})
	}
}

// BenchmarkRefresh changes the way to one of a thousand VTEPs, to which a thousand of
// a million bindings lead.
func BenchmarkRefresh(b *testing.B) {
	table, c, res := newTableAndResolver(b)
	_, err := c.Apply(bindings(dense4(million)))
	require.NoError(b, err)
	vtep := []netip.Addr{tunnelOf(7).VTEP}
	n := 0
	for b.Loop() {
		n++
		res.Set(vtep[0], fibtest.Adjacency(fib.PortID(n%2), addr4(10<<24+1), 1))
		c.Refresh(vtep)
	}
	require.NoError(b, table.Close())
}

// BenchmarkEntry finds the entry of a flow: of one tunnel, or of a group.
func BenchmarkEntry(b *testing.B) {
	for _, n := range []int{1, 2, 8, fib.MaxTunnels} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			table, c := newTable(b)
			bind := fib.Binding{Prefix: netip.MustParsePrefix("203.0.113.7/32")}
			for i := range n {
				bind.Tunnels = append(bind.Tunnels, tunnelOf(i))
			}
			_, err := c.Apply([]fib.Binding{bind})
			require.NoError(b, err)
			r, err := table.NewReader()
			require.NoError(b, err)
			r.Begin()
			var v [1]fib.Value
			r.Lookup4([]uint32{203<<24 | 113<<8 | 7}, v[:])
			var mtu uint16
			for hash := uint32(0); b.Loop(); hash += 0x9e3779b9 {
				mtu = r.Entry(v[0], hash).MTU
			}
			r.End()
			require.EqualValues(b, 1450, mtu)
			r.Close()
			require.NoError(b, table.Close())
		})
	}
}
