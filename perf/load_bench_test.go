package perf_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/perf/eipset"
)

// BenchmarkLoad puts a million bindings into an empty table, all at once and in the
// batches in which the RIB hands them over, and shows the time for all of them and what the
// table occupies. So it does for a full Internet table, and, to show how it grows, for ten
// million bindings.
func BenchmarkLoad(b *testing.B) {
	const batch = 4096
	for _, s := range eipset.Sets {
		bs := eipset.Bindings(s.Make(eipset.Million))
		b.Run(s.Name+"/at-once", func(b *testing.B) { benchLoad(b, bs, len(bs)) })
		b.Run(s.Name+"/batches", func(b *testing.B) { benchLoad(b, bs, batch) })
	}
	bs := internetBindings()
	b.Run("internet/at-once", func(b *testing.B) { benchLoad(b, bs, len(bs)) })
	for _, name := range []string{"v4-dense", "v4-pool"} {
		b.Run(name+"-10M/at-once", func(b *testing.B) {
			bs := eipset.Bindings(eipset.Must(name).Make(10 * eipset.Million))
			benchLoad(b, bs, len(bs))
		})
	}
}

func benchLoad(b *testing.B, bs []fib.Binding, batch int) {
	var bytes uint64
	for b.Loop() {
		b.StopTimer()
		table, c, _ := newTable(b)
		b.StartTimer()
		for part := range slices.Chunk(bs, batch) {
			report, err := c.Apply(part)
			require.NoError(b, err)
			require.Empty(b, report.Refused)
		}
		b.StopTimer()
		st := c.Stats()
		require.Equal(b, len(bs), st.IPv4+st.IPv6)
		require.Zero(b, st.Unresolved)
		bytes = st.Bytes
		require.NoError(b, table.Close())
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/load")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(bs)), "ns/binding")
	b.ReportMetric(float64(bytes)/(1<<20), "table-MiB")
	b.ReportMetric(0, "ns/op")
}
