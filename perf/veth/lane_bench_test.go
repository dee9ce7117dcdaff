package main

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

// laneObjects names a variable with more objects of the lane's program, separated by commas, that
// take turns with the one that is built in: to compare a change with what was before.
const laneObjects = "LANE_OBJECTS"

// laneCase is what frames are for: EIPs, of which there are so many, stride addresses apart.
type laneCase struct {
	name         string
	eips, stride int
	bound        bool
	options      encap.Options
	segments     int // of a /24 each; 0: one for all
}

var laneCases = []laneCase{
	{name: "1EIP", eips: 1, stride: 1, bound: true},
	{name: "256EIPs", eips: 256, stride: 1, bound: true},
	{name: "256EIPs-OVN", eips: 256, stride: 1, bound: true, options: encap.OVNOptions(2, 1)},
	{name: "256EIPs-of-1000-segments", eips: 256, stride: 1, bound: true, segments: 1000},
	{name: "1MEIPs", eips: 1 << 20, stride: 1, bound: true},
	{name: "1MEIPs-16-to-a-24", eips: 1 << 20, stride: 16, bound: true},
	{name: "unbound", eips: 1 << 20, stride: 1},
}

const runsOfTurn = 5000 // frames of a turn

// BenchmarkLane is what the fast lane's program itself spends on a frame, beside xdp-hash's:
// ns a frame by BPF_PROG_RUN, medians of short turns, without what making the frame takes. What
// the frame's receiving, sending and copying take is not in it. The ratios are of one run.
func BenchmarkLane(b *testing.B) {
	for _, c := range laneCases {
		b.Run(c.name, func(b *testing.B) { benchLane(b, c) })
	}
}

func benchLane(b *testing.B, c laneCase) {
	lab.Need(b, lab.Root)
	lab.Pin(b)
	m := newLaneMeasured(b, c)
	verdict := uint32(xdpTX)
	if !c.bound {
		verdict = xdpPass
	}
	m.add("nothing", m.nothing, xdpDrop)
	m.add("lane", m.lane(), verdict)
	for _, path := range strings.Split(os.Getenv(laneObjects), ",") {
		if path != "" {
			m.add(strings.TrimSuffix(filepath.Base(path), ".o"), m.variant(path), verdict)
		}
	}
	if c.bound && c.stride == 1 {
		m.add("xdp-hash", m.hash(), xdpTX)
	}
	for b.Loop() {
		m.round()
	}
	m.report()
}

// Verdicts of XDP programs.
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTX   = 3
)

// laneMeasured is programs that get the same frames in turn.
type laneMeasured struct {
	*testing.B
	laneCase
	topology *topology
	feed     *ebpf.Program
	nothing  *ebpf.Program
	slot     *ebpf.Map
	names    []string
	programs []*ebpf.Program
	verdicts []uint32
	times    [][]float64 // ns a frame, by program
}

func newLaneMeasured(b *testing.B, c laneCase) *laneMeasured {
	m := &laneMeasured{B: b, laneCase: c}
	var err error
	m.topology, err = newTopology(1)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, m.topology.Close()) })

	spec, err := loadFeed()
	require.NoError(b, err)
	dst := firstEIP
	if !c.bound {
		dst = lastEIP(1 + 1<<23)
	}
	words, sum := feedFrame()
	for name, value := range map[string]any{
		feedVarWords: words, feedVarSum: sum, feedVarFirst: number4(dst), feedVarStride: uint32(c.stride), feedVarCount: uint32(c.eips),
	} {
		require.NoError(b, spec.Variables[name].Set(value))
	}
	var objs feedObjects
	require.NoError(b, spec.LoadAndAssign(&objs, nil))
	b.Cleanup(func() { require.NoError(b, objs.Close()) })
	m.feed, m.nothing, m.slot = objs.Feed, objs.Nothing, objs.Measured
	return m
}

// feedFrame is a frame of 64 bytes with its FCS, UDP, and the sum of its IPv4 header's
// 16-bit words.
func feedFrame() (words [8]uint64, sum uint32) {
	f := make([]byte, 64)
	copy(f, portMACs[0][:])
	copy(f[6:], wireMACs[0][:])
	f[12] = 0x08
	f[14], f[17], f[22], f[23] = 0x45, 46, 64, 17
	copy(f[26:], client.AsSlice())
	binary.BigEndian.PutUint16(f[36:], plainPort)
	binary.BigEndian.PutUint16(f[38:], 26)
	for i := range words {
		words[i] = binary.NativeEndian.Uint64(f[8*i:])
	}
	return words, encap.Sum(f[14:34], 0)
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func (m *laneMeasured) add(name string, p *ebpf.Program, verdict uint32) {
	m.names, m.programs, m.verdicts = append(m.names, name), append(m.programs, p), append(m.verdicts, verdict)
	m.times = append(m.times, nil)
}

// lane opens an interface with the fast lane over a table that has the EIPs, and returns
// the program that it put there.
func (m *laneMeasured) lane() *ebpf.Program {
	lane, err := afxdp.NewLane()
	require.NoError(m, err)
	m.Cleanup(func() { require.NoError(m, lane.Close()) })
	memory, err := lane.Memory()
	require.NoError(m, err)
	table, err := fib.NewTable(fib.TableOptions{Memory: memory, LookupSpace: 256 << 20})
	require.NoError(m, err)
	m.Cleanup(func() { require.NoError(m, table.Close()) })
	rep, err := fib.NewCompiler(table, laneResolver{}).Apply(m.bindings())
	require.NoError(m, err)
	require.Empty(m, rep.Refused)

	require.NoError(m, m.topology.wire.Do(func() error { // as for all of veth's contenders in the kernel
		pass, err := loadgen.Pass(wireNames[0])
		if err == nil {
			m.Cleanup(func() { require.NoError(m, pass.Close()) })
		}
		return err
	}))
	require.NoError(m, m.topology.gateway.Do(func() error {
		i, err := afxdp.Open(afxdp.InterfaceConfig{Name: portNames[0], Mode: afxdp.ModeNative, Lane: lane})
		if err != nil {
			return err
		}
		m.Cleanup(func() { require.NoError(m, i.Close()) })
		return i.SetSegments(m.announced())
	}))
	require.NoError(m, lane.SetRules((&dataplane.Rules{}).Plain()))
	l, err := m.topology.gateway.Link(portNames[0])
	require.NoError(m, err)
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(l.Attrs().Xdp.ProgId))
	require.NoError(m, err)
	m.Cleanup(func() { require.NoError(m, p.Close()) })
	return p
}

// announced are the segments: those that the EIPs are in, and others.
func (m *laneMeasured) announced() (all []netip.Prefix) {
	if m.segments == 0 {
		return []netip.Prefix{segment}
	}
	for i := range m.segments {
		all = append(all, netip.PrefixFrom(lastEIP(1+i<<8), 24))
	}
	return all
}

// laneResolver knows the way to every VTEP: back.
type laneResolver struct{}

func (laneResolver) Resolve(netip.Addr) ([]fib.Adjacency, error) {
	return []fib.Adjacency{{MTU: mtu, Outer: encap.Outer{Src: portMACs[0], Dst: wireMACs[0], Local: link(0, 1).Addr()}}}, nil
}
func (laneResolver) Track(netip.Addr)   {}
func (laneResolver) Untrack(netip.Addr) {}

func (m *laneMeasured) bindings() []fib.Binding {
	bs := make([]fib.Binding, m.eips)
	for i := range bs {
		n := i % tunnelsInUse
		bs[i] = fib.Binding{
			Prefix:  netip.PrefixFrom(lastEIP(1+i*m.stride), 32),
			Tunnels: []encap.Tunnel{{VTEP: vtep(n), VNI: encap.VNI(vni(n)), Options: m.options}},
		}
	}
	return bs
}

// variant loads another object of the lane's program over the maps of the one that is on
// the interface.
func (m *laneMeasured) variant(path string) *ebpf.Program {
	spec, err := ebpf.LoadCollectionSpec(path)
	require.NoError(m, err)
	info, err := m.programs[1].Info()
	require.NoError(m, err)
	ids, ok := info.MapIDs()
	require.True(m, ok)
	shared := map[string]*ebpf.Map{}
	for _, id := range ids {
		have, err := ebpf.NewMapFromID(id)
		require.NoError(m, err)
		m.Cleanup(func() { require.NoError(m, have.Close()) })
		about, err := have.Info()
		require.NoError(m, err)
		if s := spec.Maps[about.Name]; s != nil && s.ValueSize == about.ValueSize {
			shared[about.Name], s.MaxEntries = have, about.MaxEntries
		}
	}
	objects, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared})
	require.NoError(m, err)
	m.Cleanup(objects.Close)
	return objects.Programs["eipgw_lane"]
}

// hash loads the program of xdp-hash over a table that has the EIPs.
func (m *laneMeasured) hash() *ebpf.Program {
	const frags = 1 << 5 // BPF_F_XDP_HAS_FRAGS: as those have it that take turns with it
	spec, err := loadBpf()
	require.NoError(m, err)
	spec.Maps[bpfMapTunnels].MaxEntries, spec.Maps[bpfMapAddresses].MaxEntries = tunnelsInUse, uint32(m.eips)
	spec.Programs = map[string]*ebpf.ProgramSpec{bpfProgEncapHash: spec.Programs[bpfProgEncapHash]}
	spec.Programs[bpfProgEncapHash].Flags |= frags
	objects, err := ebpf.NewCollection(spec)
	require.NoError(m, err)
	m.Cleanup(objects.Close)
	require.NoError(m, fillTunnels(objects.Maps[bpfMapTunnels], m.topology))
	require.NoError(m, (&xdpProgram{settings: settings{EIPs: m.eips}}).fillTable(objects.Maps[bpfMapAddresses]))
	return objects.Programs[bpfProgEncapHash]
}

// round gives each program a turn.
func (m *laneMeasured) round() {
	frame := make([]byte, 60)
	for i, p := range m.programs {
		require.NoError(m, m.slot.Put(uint32(0), p))
		got, ns, err := m.feed.Benchmark(frame, runsOfTurn, nil)
		require.NoError(m, err)
		require.Equal(m, m.verdicts[i], got, m.names[i])
		m.times[i] = append(m.times[i], float64(ns.Nanoseconds()))
	}
}

// report shows each program's time beside that of the first, which does nothing, and the
// ratios to the last.
func (m *laneMeasured) report() {
	m.ReportMetric(0, "ns/op")
	for i, name := range m.names[1:] {
		own := median(m.times[i+1]) - median(m.times[0])
		m.ReportMetric(own, name+"-ns")
	}
	if info, err := m.programs[1].Info(); err == nil {
		if size, err := info.JitedSize(); err == nil {
			m.ReportMetric(float64(size), "lane-machine-bytes")
		}
	}
	for i, name := range m.names[2:] {
		ratios := make([]float64, len(m.times[0]))
		for k := range ratios {
			ratios[k] = (m.times[1][k] - m.times[0][k]) / (m.times[i+2][k] - m.times[0][k])
		}
		m.ReportMetric(median(ratios), "lane/"+name)
	}
}
