package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
)

const (
	bindEIPs  = 100_000
	bindVTEPs = 16
)

// BenchmarkBindMany moves EIPs to another VTEP through the API, 100 or 1000 with a request, all 100 000 in the order
// of addresses, as `go run ./perf/veth -series churn` does, or in random order: from the request's body to the answer, which comes when the table has it. It shows the CPU
// time of the whole process and its allocations, by EIP that moved; an iteration is a request.
func BenchmarkBindMany(b *testing.B) {
	for _, n := range []int{100, 1000} {
		places := make([]int, bindEIPs)
		for i := range places {
			places[i] = i
		}
		b.Run(fmt.Sprintf("%d/row", n), func(b *testing.B) { benchBindMany(b, places, n) })
		rand.New(rand.NewPCG(1, 2)).Shuffle(bindEIPs, func(i, j int) { places[i], places[j] = places[j], places[i] })
		b.Run(fmt.Sprintf("%d/random", n), func(b *testing.B) { benchBindMany(b, places, n) })
	}
}

func benchBindMany(b *testing.B, places []int, n int) {
	w := newWorld(b, `
gateway: {asn: 64512, router-id: 10.255.0.1, service-addresses: [10.255.0.1]}
segments: [{prefix: 100.64.0.0/10}]
announce: {settle: 10ms, initial-wait: 100ms, damping: 10ms, when-empty: true}
ports: [{name: mem1}]
admin: {socket: SOCKET}
stop: {linger: 50ms}
`)
	var bodies [bindVTEPs][][]byte // by VTEP, then by place
	for v := range bodies {
		vtep := netip.AddrFrom4([4]byte{10, 1, 0, byte(v)})
		w.network.way(vtep, fibtest.Adjacency(fib.PortID(1), netip.MustParseAddr("10.0.0.1"), 1))
		for some := range slices.Chunk(places, n) {
			bodies[v] = append(bodies[v], bindBody(vtep, 5000+v, some))
		}
	}
	h := admin.NewHandler(w.g, discard)
	at := 0
	move := func() {
		all := bodies[at/(bindEIPs/n)%bindVTEPs]
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/v1/bindings", bytes.NewReader(all[at%len(all)])))
		if answer.Code != http.StatusOK {
			b.Fatal(answer.Body)
		}
		at++
	}
	for range bindEIPs / n {
		move()
	}
	require.Equal(b, bindEIPs, w.g.compiler.Stats().IPv4)
	defer debug.SetGCPercent(debug.SetGCPercent(defaultGOGC))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, done := processTime(b), 0
	for b.Loop() {
		move()
		done += n
	}
	took := processTime(b) - start
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(took)/float64(done), "cpu-ns/change")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(done), "allocs/change")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(done), "B/change")
}

// bindBody asks for the EIPs at these places to have a tunnel.
func bindBody(vtep netip.Addr, vni int, places []int) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"tunnels":[{"vtep":"%s","vni":%d}],"prefixes":[`, vtep, vni)
	for i, at := range places {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `"100.%d.%d.%d/32"`, 64+at>>16, at>>8&0xff, at&0xff)
	}
	body.WriteString("]}")
	return body.Bytes()
}

// processTime is the CPU time of all the process's threads.
func processTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	require.NoError(b, unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts))
	return time.Duration(ts.Nano())
}
