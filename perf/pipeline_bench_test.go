package perf_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/eipset"
)

// Frames of the pipeline benchmarks: buffers lie in 8 MiB, as an AF_XDP socket's do,
// and each of a million frames goes to a random EIP.
const (
	pipelineBuffers = 4096
	pipelineFrames  = 1 << 20
	pipelineHead    = 64   // bytes of a frame in which frames differ
	pipelineMTU     = 1600 // so that 1500-byte frames fit with their tunnel header
)

// pipelineTables has the table of each set and number of EIPs: ten million are not bound
// again for each benchmark.
var pipelineTables = struct {
	sync.Mutex
	m map[string]*pipelineTable
}{m: map[string]*pipelineTable{}}

type pipelineTable struct {
	*fib.Table
	bound, unbound []netip.Addr // unbound ones lie between the bound ones where there is room
}

func pipelineTableOf(tb testing.TB, set string, eips int) *pipelineTable {
	pipelineTables.Lock()
	defer pipelineTables.Unlock()
	name := fmt.Sprint(set, eips)
	if t := pipelineTables.m[name]; t != nil {
		return t
	}
	table, c, _ := newTable(tb)
	s := eipset.Must(set)
	t := &pipelineTable{Table: table, bound: s.Make(eips), unbound: s.MakeFrom(eips, eipset.Million)}
	require.NoError(tb, eipset.Load(c, t.bound))
	pipelineTables.m[name] = t
	return t
}

// BenchmarkPipeline moves frames from memory through the forwarder to memory, in
// bursts of 64, and shows ns of CPU time per packet. EIPs are random addresses of a /8, unless a name
// says otherwise. Sizes are those of the whole frame with FCS. Of "miss" frames nobody has
// bound the destination: they are dropped. "ends" is the same without the forwarder: what the
// benchmark itself costs.
func BenchmarkPipeline(b *testing.B) {
	for _, eips := range []int{1, 256, 1 << 10, eipset.Million, 10 * eipset.Million} {
		for _, size := range []int{64, 512, 1500} {
			b.Run(fmt.Sprintf("v4/%dB/%dEIPs", size, eips), func(b *testing.B) { benchPipeline(b, "v4-pool", eips, size, true) })
		}
		b.Run(fmt.Sprintf("v4-miss/64B/%dEIPs", eips), func(b *testing.B) { benchPipeline(b, "v4-pool", eips, 64, false) })
	}
	for _, eips := range []int{256, eipset.Million} {
		b.Run(fmt.Sprintf("v4-dense/64B/%dEIPs", eips), func(b *testing.B) { benchPipeline(b, "v4-dense", eips, 64, true) })
		b.Run(fmt.Sprintf("v6-dense/78B/%dEIPs", eips), func(b *testing.B) { benchPipeline(b, "v6-dense", eips, 78, true) })
		b.Run(fmt.Sprintf("v6-sparse/78B/%dEIPs", eips), func(b *testing.B) { benchPipeline(b, "v6-sparse", eips, 78, true) })
	}
	b.Run("ends/64B", func(b *testing.B) {
		in, out := pipelinePorts(eipset.Must("v4-dense").Make(256), 64)
		newPipeline(b, in, out, func(*dataplane.Burst) {}).bench(b)
	})
}

func benchPipeline(b *testing.B, set string, eips, size int, hit bool) {
	t := pipelineTableOf(b, set, eips)
	dst := t.bound
	if !hit {
		dst = t.unbound
	}
	p, sent, closer := forwarderOf(b, t, dst, size)
	defer closer()
	p.bench(b)
	if hit {
		require.Equal(b, p.packets, sent(), "a benchmark of drops")
	} else {
		require.Zero(b, sent(), "unbound EIPs got frames")
	}
}

// forwarderOf is a pipeline with a forwarder of its own. sent counts what it has sent.
func forwarderOf(tb testing.TB, t *pipelineTable, dst []netip.Addr, size int) (p *pipeline, sent func() int, closer func()) {
	reader, err := t.NewReader()
	require.NoError(tb, err)
	in, out := pipelinePorts(dst, size)
	fw := dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: reader, Ports: []dataplane.PortInfo{in.Info(), out.Info()},
	})
	return newPipeline(tb, in, out, fw.Process), func() int { return int(out.Sent()) }, reader.Close
}

// BenchmarkWorkers moves frames through one pipeline and through two at once, each on a
// thread of its own with ports of its own, both reading one table. It shows ns per packet,
// by the clock and of CPU time. With two CPUs to themselves, two take half the time of one by
// the clock; how much less they gain, the CPU time says whoever else is on the machine.
func BenchmarkWorkers(b *testing.B) {
	t := pipelineTableOf(b, "v4-pool", eipset.Million)
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ps := make([]*pipeline, n)
			for i := range ps {
				p, _, closer := forwarderOf(b, t, t.bound, 64)
				defer closer()
				ps[i] = p
			}
			b.ResetTimer()
			spent := make([]time.Duration, n)
			var all sync.WaitGroup
			for i, p := range ps {
				all.Go(func() {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					start := threadTime(b)
					for range b.N {
						p.round()
					}
					spent[i] = threadTime(b) - start
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*dataplane.BurstSize), "ns/packet")
			var sum time.Duration
			for _, d := range spent {
				sum += d
			}
			cpuPerItem(b, sum, b.N*n*dataplane.BurstSize, "packet")
			for _, p := range ps {
				require.NoError(b, p.err)
			}
		})
	}
}

// pipeline does what a worker does, with one port at each end.
type pipeline struct {
	in, out *memport.Port
	process func(*dataplane.Burst)
	burst   dataplane.Burst
	fs      [dataplane.BurstSize]*dataplane.Frame
	packets int
	err     error
}

// newPipeline makes a pipeline, and runs all frames through it once.
func newPipeline(tb testing.TB, in, out *memport.Port, process func(*dataplane.Burst)) *pipeline {
	p := &pipeline{in: in, out: out, process: process}
	for range pipelineFrames / dataplane.BurstSize {
		p.round()
	}
	require.NoError(tb, p.err)
	return p
}

func (p *pipeline) round() {
	if _, err := p.in.Rx(&p.burst); err != nil {
		p.err = err
	}
	p.packets += p.burst.N
	p.process(&p.burst)
	n := 0
	for i := range p.burst.F[:p.burst.N] {
		if f := &p.burst.F[i]; f.Verdict == dataplane.Forward {
			p.fs[n] = f
			n++
		}
	}
	p.out.Tx(p.fs[:n])
	if err := p.out.Flush(); err != nil {
		p.err = err
	}
	p.in.Release(&p.burst)
}

func (p *pipeline) bench(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	packets, start := p.packets, threadTime(b)
	for b.Loop() {
		p.round()
	}
	cpuPerItem(b, threadTime(b)-start, p.packets-packets, "packet")
	require.NoError(b, p.err)
}

// pipelinePorts makes the ends: one that receives frames of size bytes, 4 of them FCS,
// to random ones of the addresses, and one that discards.
func pipelinePorts(dst []netip.Addr, size int) (in, out *memport.Port) {
	frames := make([][]byte, pipelineFrames)
	// Only a frame's head counts, so that frames may overlap: a million of 1500 bytes take
	// 64 MiB.
	all := make([]byte, pipelineFrames*pipelineHead+size)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range frames {
		frames[i] = all[i*pipelineHead:][:size-4]
		copy(frames[i][:min(size-4, pipelineHead)], udpFrame(r, dst[r.IntN(len(dst))], size-4))
	}
	in = memport.New(memport.Config{ID: 1, MAC: encap.MAC{0x02, 0, 0, 0, 0, 1}, MTU: pipelineMTU, Buffers: pipelineBuffers, Repeat: frames, Restore: pipelineHead})
	out = memport.New(memport.Config{ID: 2, MTU: pipelineMTU, Discard: true})
	return in, out
}

// udpFrame is a frame of n bytes from a random client to dst.
func udpFrame(r *rand.Rand, dst netip.Addr, n int) []byte {
	b := make([]byte, n)
	copy(b, []byte{0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 9})
	ip, transport := b[14:], b[54:]
	if dst.Is4() {
		transport = b[34:]
		binary.BigEndian.PutUint16(b[12:], 0x0800)
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		binary.BigEndian.PutUint32(ip[12:], 198<<24|18<<16|r.Uint32()>>16)
		copy(ip[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], encap.Checksum(ip[:20], 0))
	} else {
		binary.BigEndian.PutUint16(b[12:], 0x86dd)
		ip[0], ip[6], ip[7] = 0x60, 17, 64
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
		binary.BigEndian.PutUint64(ip[8:], 0x20010db8_ffff0000|r.Uint64()>>48)
		binary.BigEndian.PutUint64(ip[16:], r.Uint64())
		copy(ip[24:], dst.AsSlice())
	}
	binary.BigEndian.PutUint32(transport, r.Uint32())
	binary.BigEndian.PutUint16(transport[4:], uint16(len(transport)))
	return b
}
