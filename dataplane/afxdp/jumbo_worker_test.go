package afxdp

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// The pipeline with an underlay of 9000 bytes: packets of up to 8950 bytes leave in Geneve, by the
// port that they came in by and by another one; one byte more is too big.
func TestWorkerForwardsJumbos(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{MTU: 9000})
			require.NoError(t, lab.Veth(lab.End{NS: b.gw, Name: "gw1", Pfifo: 1000}, lab.End{NS: b.sw, Name: "sw1"}, lab.VethOptions{MTU: 9000}))
			ports := []dataplane.Port{b.port(b.open(InterfaceConfig{ID: 1, Mode: mode, Frames: 1024}), 0)}
			require.NoError(t, b.gw.Do(func() error {
				i, err := Open(InterfaceConfig{ID: 2, Name: "gw1", Mode: mode, Frames: 1024})
				if err != nil {
					return err
				}
				t.Cleanup(func() { require.NoError(t, i.Close()) })
				p, err := i.Port(0)
				ports = append(ports, p)
				return err
			}))
			received := map[fib.PortID]func() [][]byte{1: b.received("sw0"), 2: b.received("sw1")}
			send := b.sender()
			for out, eip := range map[fib.PortID]netip.Addr{1: eip, 2: netip.MustParseAddr("203.0.113.8")} {
				stop, stats := b.forward(ports, out, eip, -1)
				sizes := []int{28, 1472, 3776, 3777, 3778, 4032, 4033, 7630, 7631, 8141, 8142, 8143, 8949, 8950}
				for n := range 50 {
					sizes = append(sizes, 28+(n*1117)%8923)
				}
				for n, size := range sizes {
					p := packet{to: eip, payload: size - 28, seq: byte(n)}.bytes()
					send(p, packet{to: eip, payload: 8951 - 28}.bytes())
					var got [][]byte
					eventually(t, "at the far end", func() bool {
						got = append(got, geneve(received[out]())...)
						return len(got) > 0
					})
					require.Len(t, got, 1)
					checkGeneve(t, got[0], p[14:])
				}
				eventually(t, "the last is dropped", func() bool { return stats().Received() >= uint64(2*len(sizes)) })
				stop()
				s := stats()
				assert.EqualValues(t, len(sizes), s.Drops[dataplane.ReasonPacketTooBig].Packets)
				assert.EqualValues(t, len(sizes), s.Sent())
				assert.EqualValues(t, 2*len(sizes), s.Received())
			}
		})
	}
}

// forward runs a worker, on a CPU or -1, that sends one EIP's packets to VTEP 10.0.2.11, VNI 5001, by a port.
func (b *bench) forward(ports []dataplane.Port, out fib.PortID, eip netip.Addr, cpu int) (stop func(), stats func() dataplane.WorkerStats) {
	b.t.Helper()
	table, err := fib.NewTable(fib.TableOptions{Poison: true})
	require.NoError(b.t, err)
	var r fibtest.Resolver
	vtep := netip.MustParseAddr("10.0.2.11")
	way := fibtest.Adjacency(out, netip.MustParseAddr("10.255.0.1"), 7)
	way.MTU = 9000
	r.Set(vtep, way)
	_, err = fib.NewCompiler(table, &r).Apply([]fib.Binding{{
		Prefix: netip.PrefixFrom(eip, 32), Tunnels: []encap.Tunnel{{VTEP: vtep, VNI: 5001}},
	}})
	require.NoError(b.t, err)
	reader, err := table.NewReader()
	require.NoError(b.t, err)
	var rules dataplane.Rules
	require.NoError(b.t, rules.Set(dataplane.RulesConfig{Oversize: dataplane.RefuseOversize}))
	w, err := dataplane.NewWorker(dataplane.WorkerConfig{Ports: ports, Reader: reader, CPU: cpu, Rules: &rules})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.gw.Do(func() error { return w.Run(ctx) }) }()
	return func() {
		cancel()
		require.NoError(b.t, <-ended)
		reader.Close()
		require.NoError(b.t, table.Close())
	}, w.Snapshot
}

// geneve keeps the frames of the worker: to the next hop's address.
func geneve(frames [][]byte) (out [][]byte) {
	for _, f := range frames {
		if bytes.HasPrefix(f, []byte{0x02, 0, 0, 0, 0xbb, 7}) {
			out = append(out, f)
		}
	}
	return out
}

// checkGeneve compares a frame with what RFC 8926 makes of a packet: Ethernet 14, IPv4 20,
// UDP 8, Geneve 8, Ethernet 14, and the packet with one hop less.
func checkGeneve(t *testing.T, frame, packet []byte) {
	t.Helper()
	require.Len(t, frame, 14+20+8+8+14+len(packet))
	ip := frame[14:]
	assert.EqualValues(t, len(packet)+50, binary.BigEndian.Uint16(ip[2:]), "total length, RFC 791 section 3.1")
	assert.Zero(t, encap.Checksum(ip[:20], 0))
	assert.Equal(t, []byte{10, 255, 0, 1, 10, 0, 2, 11}, ip[12:20])
	udp := ip[20:]
	assert.EqualValues(t, 6081, binary.BigEndian.Uint16(udp[2:]))
	assert.EqualValues(t, len(packet)+30, binary.BigEndian.Uint16(udp[4:]), "length, RFC 768")
	assert.Equal(t, []byte{0, 0, 0x65, 0x58, 0, 0x13, 0x89, 0}, udp[8:16], "RFC 8926 section 3.4: VNI 5001")
	inner := bytes.Clone(packet)
	inner[8]--
	inner[10], inner[11] = 0, 0
	binary.BigEndian.PutUint16(inner[10:], encap.Checksum(inner[:20], 0))
	require.True(t, bytes.Equal(inner, udp[8+8+14:]), "the inner packet")
}
