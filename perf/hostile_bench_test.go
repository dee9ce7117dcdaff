package perf_test

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/eipset"
)

// hostile is what attackers send, and the Reason of each: none is that of the frames that
// the others are compared with. make gets a sound frame for a bound EIP from anywhere, and
// an address of the same segment that is not bound.
var hostile = []struct {
	name   string
	reason dataplane.Reason
	size   int // of the frame without FCS, where it is not the smallest
	make   func(frame []byte, unbound netip.Addr) []byte
}{
	{"forwarded", dataplane.ReasonNone, 0, func(b []byte, _ netip.Addr) []byte { return b }},
	{"unbound", dataplane.ReasonNoBinding, 0, func(b []byte, unbound netip.Addr) []byte { copy(b[30:], unbound.AsSlice()); return sealed(b) }},
	{"unbound-one-source", dataplane.ReasonNoBinding, 0, func(b []byte, unbound netip.Addr) []byte {
		copy(b[26:], []byte{198, 51, 100, 1})
		copy(b[30:], unbound.AsSlice())
		return sealed(b)
	}},
	{"ttl-1", dataplane.ReasonTTLExpired, 0, func(b []byte, _ netip.Addr) []byte { b[22] = 1; return sealed(b) }},
	{"too-big", dataplane.ReasonPacketTooBig, 1514, func(b []byte, _ netip.Addr) []byte { b[20] = 0x40; return sealed(b) }},
	{"checksum", dataplane.ReasonBadIPv4Checksum, 0, func(b []byte, _ netip.Addr) []byte { b[24] ^= 0x55; return b }},
	{"header", dataplane.ReasonBadIPv4Header, 0, func(b []byte, _ netip.Addr) []byte { b[14] = 0x44; return b }},
	{"length", dataplane.ReasonBadIPv4Header, 0, func(b []byte, _ netip.Addr) []byte { b[16] = 0xff; return sealed(b) }},
	{"short", dataplane.ReasonShortFrame, 0, func(b []byte, _ netip.Addr) []byte { return b[:33] }},
	{"source-route", dataplane.ReasonSourceRoute, 0, func(b []byte, _ netip.Addr) []byte {
		b[14] = 0x47
		copy(b[34:], []byte{131, 7, 4, 192, 0, 2, 1, 0}) // loose source route, and the end of options
		return sealed(b)
	}},
	{"martian", dataplane.ReasonMartianSource, 0, func(b []byte, _ netip.Addr) []byte { b[26] = 127; return sealed(b) }},
	{"own-source", dataplane.ReasonOwnSource, 0, func(b []byte, _ netip.Addr) []byte { copy(b[26:], hostileOwn.AsSlice()); return sealed(b) }},
	{"not-for-us", dataplane.ReasonNotForUs, 0, func(b []byte, _ netip.Addr) []byte { b[5]++; return b }},
	{"ether-type", dataplane.ReasonEtherType, 0, func(b []byte, _ netip.Addr) []byte { b[13] = 6; return b }},
}

// sealed gives the frame's IPv4 header the right checksum.
func sealed(b []byte) []byte {
	ip := b[14:]
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], encap.Checksum(ip[:4*int(ip[0]&15)], 0))
	return b
}

var hostileOwn = eipset.Addr4(10<<24 | 255<<16 | 1)

// hostileMTU is that of the way to every VTEP; the port takes more, so that a packet of
// 1500 bytes arrives and does not fit.
const hostileMTU = 1500

// BenchmarkHostile is what a whole worker spends on a frame that it drops, beside one
// that it forwards: ns of CPU time per packet, counters and a port in memory that sends nothing
// included. A million random addresses of a /8 are bound, so that an unbound one is found
// unbound as late as can be. Answers are on, within the default limits: of these frames
// next to none gets one.
func BenchmarkHostile(b *testing.B) {
	bound := eipset.Must("v4-pool").Make(eipset.Million)
	taken := make(map[netip.Addr]bool, len(bound))
	for _, a := range bound {
		taken[a] = true
	}
	table, c, _, err := eipset.NewTable(hostileMTU)
	require.NoError(b, err)
	require.NoError(b, eipset.Load(c, bound))
	defer func() { require.NoError(b, table.Close()) }()
	for _, h := range hostile {
		r := rand.New(rand.NewPCG(7, 8))
		frames := make([][]byte, pipelineFrames)
		for i := range frames {
			frame := udpFrame(r, bound[r.IntN(len(bound))], max(h.size, 60))
			binary.BigEndian.PutUint32(frame[26:], 198<<24|r.Uint32()>>8) // 65536 prefixes
			unbound := eipset.Addr4(100<<24 | r.Uint32()>>8)
			for taken[unbound] {
				unbound = eipset.Addr4(100<<24 | r.Uint32()>>8)
			}
			frames[i] = h.make(sealed(frame), unbound)
		}
		b.Run(h.name, func(b *testing.B) { benchHostile(b, table, frames, h.reason) })
	}
}

// benchHostile runs a worker over b.N bursts of the frames.
func benchHostile(b *testing.B, table *fib.Table, frames [][]byte, reason dataplane.Reason) {
	reader, err := table.NewReader()
	require.NoError(b, err)
	defer reader.Close()
	var rules dataplane.Rules
	require.NoError(b, rules.Set(dataplane.RulesConfig{
		Unbound: dataplane.HostUnreachable, Unresolved: dataplane.NetUnreachable, Own: []netip.Addr{hostileOwn},
		Answers: dataplane.AnswerConfig{Default: dataplane.AnswerSource{V4: hostileOwn}, Rate: 1000, Burst: 200, SourceRate: 50, SourceBurst: 50},
	}))
	in := &finite{Port: memport.New(memport.Config{ID: 1, MAC: encap.MAC{0x02, 0, 0, 0, 0, 1}, MTU: pipelineMTU,
		Buffers: pipelineBuffers, Repeat: frames, Restore: 64, Discard: true})}
	out := memport.New(memport.Config{ID: 2, MTU: pipelineMTU, Discard: true})
	worker, err := dataplane.NewWorker(dataplane.WorkerConfig{Ports: []dataplane.Port{in, out}, Reader: reader, CPU: -1, Rules: &rules})
	require.NoError(b, err)
	out.End()
	in.bursts = b.N
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	b.ResetTimer()
	start := threadTime(b)
	require.NoError(b, worker.Run(context.Background()))
	spent := threadTime(b) - start
	b.StopTimer()
	stats, packets := worker.Snapshot(), uint64(b.N*dataplane.BurstSize)
	require.Equal(b, packets, stats.Received())
	if reason != dataplane.ReasonNone {
		require.Equal(b, packets, stats.Drops[reason].Packets)
	}
	require.Equal(b, packets+stats.Made(), stats.Sent()+stats.Dropped())
	cpuPerItem(b, spent, int(packets), "packet")
}

// finite is a port whose frames come to an end, after so many bursts.
type finite struct {
	*memport.Port
	bursts int
}

// Rx implements dataplane.Port.
func (p *finite) Rx(b *dataplane.Burst) (int, error) {
	if p.bursts--; p.bursts < 0 {
		b.N = 0
		return 0, io.EOF
	}
	return p.Port.Rx(b)
}
