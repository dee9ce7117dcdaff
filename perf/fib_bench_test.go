package perf_test

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/perf/eipset"
)

func newTable(tb testing.TB) (*fib.Table, *fib.Compiler, *fibtest.Resolver) {
	table, c, res, err := eipset.NewTable(pipelineMTU)
	require.NoError(tb, err)
	return table, c, res
}

const burst = 64

// BenchmarkLookup looks EIPs up, a million of them, in random order and in bursts of 64. It
// shows ns of CPU time per lookup. Command lpm compares that with others.
func BenchmarkLookup(b *testing.B) {
	for _, s := range eipset.Sets {
		keys := s.Make(eipset.Million)
		b.Run(s.Name, func(b *testing.B) {
			table, c, _ := newTable(b)
			require.NoError(b, eipset.Load(c, keys))
			benchLookup(b, table, eipset.Shuffled(keys, 2))
			require.NoError(b, table.Close())
		})
	}
}

// internet is the prefixes of a full Internet table.
var internet = sync.OnceValues(func() (v4, v6 []netip.Prefix) {
	v4, v6, err := eipset.Internet("testdata/internet.txt.gz")
	if err != nil {
		panic(err)
	}
	return v4, v6
})

func internetBindings() []fib.Binding {
	v4, v6 := internet()
	bs := make([]fib.Binding, 0, len(v4)+len(v6))
	for i, p := range append(v4[:len(v4):len(v4)], v6...) {
		bs = append(bs, eipset.Binding(i, p))
	}
	return bs
}

// BenchmarkLookupInternet looks random addresses of random prefixes of a full Internet table
// up.
func BenchmarkLookupInternet(b *testing.B) {
	table, c, _ := newTable(b)
	_, err := c.Apply(internetBindings())
	require.NoError(b, err)
	v4, v6 := internet()
	b.Run("v4", func(b *testing.B) { benchLookup(b, table, inside(v4)) })
	b.Run("v6", func(b *testing.B) { benchLookup(b, table, inside(v6)) })
	require.NoError(b, table.Close())
}

// inside is a million random addresses, each in a random one of the prefixes.
func inside(ps []netip.Prefix) []netip.Addr {
	r := rand.New(rand.NewPCG(9, 10))
	addrs := make([]netip.Addr, eipset.Million)
	for i := range addrs {
		p := ps[r.IntN(len(ps))]
		a := p.Addr().AsSlice()
		for j := range a {
			if host := 8*(j+1) - p.Bits(); host > 0 {
				a[j] |= byte(r.Uint32()) & byte(1<<min(host, 8)-1)
			}
		}
		addrs[i], _ = netip.AddrFromSlice(a)
	}
	return addrs
}

// benchLookup looks keys up, a multiple of burst of them, all of one family and all bound.
func benchLookup(b *testing.B, table *fib.Table, keys []netip.Addr) {
	r, err := table.NewReader()
	require.NoError(b, err)
	defer r.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := make([]fib.Value, burst)
	at, n := 0, 0
	var start time.Duration
	if keys[0].Is4() {
		dst := make([]uint32, len(keys))
		for i, a := range keys {
			dst[i] = eipset.Number4(a)
		}
		start = threadTime(b)
		for b.Loop() {
			r.Begin()
			r.Lookup4(dst[at:at+burst], out)
			r.End()
			at = (at + burst) % len(keys)
			n += burst
		}
	} else {
		dst := make([]fib.Addr6, len(keys))
		for i, a := range keys {
			dst[i] = fib.Addr6From(a)
		}
		start = threadTime(b)
		for b.Loop() {
			r.Begin()
			r.Lookup6(dst[at:at+burst], out)
			r.End()
			at = (at + burst) % len(keys)
			n += burst
		}
	}
	cpuPerItem(b, threadTime(b)-start, n, "lookup")
	require.NotContains(b, out, fib.Value(0))
}

// perItem shows the time of each of the n things that an iteration does.
func perItem(b *testing.B, n int, unit string) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), unit)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkUpdate takes one binding out of a million away, and puts it back, in change sets of
// their own.
func BenchmarkUpdate(b *testing.B) {
	for _, s := range eipset.Sets {
		b.Run(s.Name, func(b *testing.B) {
			bs := eipset.Bindings(s.Make(eipset.Million))
			table, c, _ := newTable(b)
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
				i = (i + 1) % eipset.Million
			}
			perItem(b, 2, "ns/update")
			require.NoError(b, table.Close())
		})
	}
}

// BenchmarkRefresh changes the way to one of a thousand VTEPs, to which a thousand of
// a million bindings lead.
func BenchmarkRefresh(b *testing.B) {
	table, c, res := newTable(b)
	_, err := c.Apply(eipset.Bindings(eipset.Must("v4-dense").Make(eipset.Million)))
	require.NoError(b, err)
	vtep := []netip.Addr{eipset.Tunnel(7).VTEP}
	n := 0
	for b.Loop() {
		n++
		res.Set(vtep[0], fibtest.Adjacency(fib.PortID(n%2), eipset.Addr4(10<<24+1), 1))
		c.Refresh(vtep)
	}
	require.NoError(b, table.Close())
}

// BenchmarkEntry finds the entry of a flow: of one tunnel, or of a group.
func BenchmarkEntry(b *testing.B) {
	for _, n := range []int{1, 2, 8, fib.MaxTunnels} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			table, c, _ := newTable(b)
			bind := fib.Binding{Prefix: netip.MustParsePrefix("203.0.113.7/32")}
			for i := range n {
				bind.Tunnels = append(bind.Tunnels, eipset.Tunnel(i))
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
			require.EqualValues(b, pipelineMTU-50, mtu)
			r.Close()
			require.NoError(b, table.Close())
		})
	}
}
