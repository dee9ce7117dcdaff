package rib

import (
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// sink is a forwarding table that takes everything at no cost, so that benchmarks
// measure the RIB alone.
type sink struct{ bindings int }

func (s *sink) Apply(b []fib.Binding) (fib.Report, error) {
	s.bindings += len(b)
	return fib.Report{}, nil
}

func million(n int, vteps uint32, med uint32) []Path {
	paths := make([]Path, n)
	for i := range paths {
		a, v := make([]byte, 4), make([]byte, 4)
		binary.BigEndian.PutUint32(a, 10<<24+uint32(i))
		binary.BigEndian.PutUint32(v, 172<<24+1+uint32(i)/1000%vteps)
		vtep, _ := netip.AddrFromSlice(v)
		addr, _ := netip.AddrFromSlice(a)
		paths[i] = Path{
			Prefix: netip.PrefixFrom(addr, 32), Router: vtep, Carrier: CarrierLargeCommunity, LocalPref: 100, MED: med,
			Tunnel: encap.Tunnel{VTEP: vtep, VNI: 5001},
		}
	}
	return paths
}

func running(tb testing.TB, p Programmer) *RIB {
	r, err := New(Config{Programmer: p, WhenEmpty: true})
	require.NoError(tb, err)
	r.AddSource("vr1", SourcePolicy{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	_, err = r.SetSegments(segs("10.0.0.0/9", "10.128.0.0/9"))
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	tb.Cleanup(func() { cancel(); require.NoError(tb, <-done) })
	return r
}

// sayAll hands paths over in updates of n, as a session does.
func sayAll(r *RIB, paths []Path, n int) {
	for len(paths) > 0 {
		k := min(n, len(paths))
		r.Update(Update{Source: "vr1", Set: paths[:k]})
		paths = paths[k:]
	}
}

// BenchmarkLoad is 1M prefixes said by one source, from the first Update until the
// last is handed to the Programmer; bytes/path is what the RIB keeps then.
func BenchmarkLoad(b *testing.B) {
	load(b, func() Programmer { return &sink{} })
}

// BenchmarkLoadTable is the same into the real forwarding table.
func BenchmarkLoadTable(b *testing.B) {
	load(b, func() Programmer {
		t, err := fib.NewTable(fib.TableOptions{})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, t.Close()) })
		return fib.NewCompiler(t, &fibtest.Resolver{})
	})
}

func load(b *testing.B, programmer func() Programmer) {
	const n = 1_000_000
	paths := million(n, 1000, 0)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := running(b, programmer())
		begin := time.Now()
		sayAll(r, paths, 100)
		require.NoError(b, r.Flush(context.Background()))
		b.ReportMetric(n/time.Since(begin).Seconds(), "paths/s")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/path")
		runtime.KeepAlive(r)
	}
}

// BenchmarkJudgeAgain is 1M claims judged again, as after a change of segments or
// allow-lists; all stay accepted.
func BenchmarkJudgeAgain(b *testing.B) {
	const n = 1_000_000
	r := running(b, &sink{})
	sayAll(r, million(n, 1000, 0), 100)
	require.NoError(b, r.Flush(context.Background()))
	begin, rounds := time.Now(), 0
	for b.Loop() {
		r.AddSource("vr1", SourcePolicy{})
		require.NoError(b, r.Flush(context.Background()))
		rounds++
	}
	b.ReportMetric(float64(time.Since(begin))/float64(n*rounds), "ns/claim")
}

// BenchmarkChurn is changes of prefixes that are held already, one to an update.
func BenchmarkChurn(b *testing.B) {
	r := running(b, &sink{})
	sets := [2][]Path{million(100_000, 100, 0), million(100_000, 100, 1)}
	for s := range sets {
		for i := range sets[s] {
			v := sets[s][i].Router.As4()
			v[0] += byte(s)
			sets[s][i].Tunnel.VTEP = netip.AddrFrom4(v)
		}
	}
	sayAll(r, sets[0], 100)
	require.NoError(b, r.Flush(context.Background()))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		k := i % 100_000
		r.Update(Update{Source: "vr1", Set: sets[i/100_000%2][k : k+1]})
	}
	require.NoError(b, r.Flush(context.Background()))
}
