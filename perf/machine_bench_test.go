package perf_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkMachine is what the machine is like, whatever the project's code: a row of
// multiplications, each waiting for the one before, and loads from anywhere in 1 and 64 MiB, each
// waiting as well. Where these differ from the baseline's, so does everything.
func BenchmarkMachine(b *testing.B) {
	b.Run("multiply", func(b *testing.B) {
		x, n := uint64(1), 0
		start := threadTime(b)
		for b.Loop() {
			for range 1000 {
				x = x*0x9e3779b97f4a7c15 + 1
			}
			n += 1000
		}
		cpuPerItem(b, threadTime(b)-start, n, "item")
		require.NotZero(b, x)
	})
	for _, mib := range []int{1, 64} {
		b.Run("load/"+map[int]string{1: "1MiB", 64: "64MiB"}[mib], func(b *testing.B) { benchLoads(b, mib<<20/lineSize) })
	}
}

const lineSize = 64

// benchLoads goes through n cache lines in one cycle in random order.
func benchLoads(b *testing.B, n int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	next := make([][lineSize / 4]uint32, n)
	for i := range next {
		next[i][0] = uint32(i)
	}
	r := rand.New(rand.NewPCG(11, 12))
	for i := n - 1; i > 0; i-- { // one cycle (Sattolo)
		j := r.IntN(i)
		next[i][0], next[j][0] = next[j][0], next[i][0]
	}
	at, loads := uint32(0), 0
	start := threadTime(b)
	for b.Loop() {
		for range 1000 {
			at = next[at][0]
		}
		loads += 1000
	}
	cpuPerItem(b, threadTime(b)-start, loads, "item")
	require.Less(b, int(at), n)
}

// threadTime is how long the calling thread has run, not counting the time that others had
// its CPU.
func threadTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	require.NoError(b, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts))
	return time.Duration(ts.Nano())
}

// cpuPerItem shows the CPU time of each of n things.
func cpuPerItem(b *testing.B, spent time.Duration, n int, what string) {
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/"+what)
	b.ReportMetric(0, "ns/op")
}
