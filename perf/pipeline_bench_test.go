package perf_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

// Frames of the pipeline benchmarks: buffers lie in 8 MiB, as an AF_XDP socket's do,
// and destinations are random among all EIPs.
const (
	pipelineBuffers = 4096
	pipelineFrames  = 1 << 16
	pipelineMTU     = 1600 // so that 1500-byte frames fit with their tunnel header
)

// BenchmarkPipeline moves frames from memory through the forwarder to memory, in
// bursts of 64, and shows ns per packet. Sizes are those of the whole frame with FCS.
// "ends" is the same without the forwarder: what the benchmark itself costs.
func BenchmarkPipeline(b *testing.B) {
	for _, eips := range []int{256, million} {
		addrs := dense4(eips)
		for _, size := range []int{64, 512, 1500} {
			b.Run(fmt.Sprintf("v4/%dB/%dEIPs", size, eips), func(b *testing.B) { benchPipeline(b, addrs, size) })
		}
	}
	for _, eips := range []int{256, million} {
		addrs := dense6(eips)
		b.Run(fmt.Sprintf("v6/78B/%dEIPs", eips), func(b *testing.B) { benchPipeline(b, addrs, 78) })
	}
	b.Run("ends/64B", func(b *testing.B) {
		in, out := pipelinePorts(dense4(256), 64)
		benchBursts(b, in, out, func(*dataplane.Burst) {})
	})
}

func benchPipeline(b *testing.B, addrs []netip.Addr, size int) {
	res := &fibtest.Resolver{}
	for i := range tunnels {
		way := fibtest.Adjacency(2, addr4(10<<24+1), byte(i))
		way.MTU = pipelineMTU
		res.Set(tunnelOf(i).VTEP, way)
	}
	table, err := fib.NewTable(fib.TableOptions{HugePages: true})
	require.NoError(b, err)
	_, err = fib.NewCompiler(table, res).Apply(bindings(addrs))
	require.NoError(b, err)
	reader, err := table.NewReader()
	require.NoError(b, err)
	defer func() {
		reader.Close()
		require.NoError(b, table.Close())
	}()
	in, out := pipelinePorts(addrs, size)
	fw := dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: reader, Ports: []dataplane.PortInfo{in.Info(), out.Info()},
	})
	benchBursts(b, in, out, fw.Process)
	require.EqualValues(b, 0, dropped, "a benchmark of drops")
}

var dropped int

// benchBursts does what a worker does, with one port at each end.
func benchBursts(b *testing.B, in, out *memport.Port, process func(*dataplane.Burst)) {
	var burst dataplane.Burst
	fs := make([]*dataplane.Frame, 0, dataplane.BurstSize)
	round := func() {
		if _, err := in.Rx(&burst); err != nil {
			b.Fatal(err)
		}
		process(&burst)
		fs = fs[:0]
		for i := range burst.F[:burst.N] {
			if f := &burst.F[i]; f.Verdict == dataplane.Forward {
				fs = append(fs, f)
			}
		}
		out.Tx(fs)
		if err := out.Flush(); err != nil {
			b.Fatal(err)
		}
		in.Release(&burst)
	}
	for range pipelineFrames / dataplane.BurstSize {
		round()
	}
	b.ReportAllocs()
	b.ResetTimer()
	start, rounds := out.Sent(), 0
	for b.Loop() {
		round()
		rounds++
	}
	packets := float64(rounds * dataplane.BurstSize)
	dropped = 0
	if sent := out.Sent() - start; sent != 0 {
		dropped = int(packets) - int(sent)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/packets, "ns/packet")
	b.ReportMetric(packets/b.Elapsed().Seconds()/1e6, "Mpps")
	b.ReportMetric(0, "ns/op")
}

// pipelinePorts makes the ends: one that receives frames of size bytes, 4 of them FCS,
// to random ones of the addresses, and one that discards.
func pipelinePorts(addrs []netip.Addr, size int) (in, out *memport.Port) {
	frames := make([][]byte, pipelineFrames)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range frames {
		frames[i] = udpFrame(r, addrs[r.IntN(len(addrs))], size-4)
	}
	in = memport.New(memport.Config{ID: 1, MAC: encap.MAC{0x02, 0, 0, 0, 0, 1}, MTU: pipelineMTU, Buffers: pipelineBuffers, Repeat: frames, Restore: 64})
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
