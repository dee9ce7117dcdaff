package afxdp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

const (
	xdpTX       = 3
	xdpRedirect = 4
)

// Ports of the lane's tests: frames come in by the first, and may leave by it and by the
// second; the third is the forwarder's only, and nobody has the fourth.
const (
	inPort fib.PortID = 1 + iota
	outPort
	slowPort
	noPort
)

// laneBench runs the lane's program in the kernel on frames in memory, beside a forwarder
// that has the same table and rules.
type laneBench struct {
	t        *testing.T
	lane     *Lane
	table    *fib.Table
	res      *fibtest.Resolver
	compiler *fib.Compiler
	reader   *fib.Reader
	rules    *dataplane.Rules
	fw       *dataplane.Forwarder
	i        *Interface
	mtus     map[fib.PortID]int
}

func newLaneBench(t *testing.T) *laneBench {
	t.Helper()
	lab.Need(t, lab.Root)
	b := &laneBench{t: t, res: &fibtest.Resolver{}, rules: &dataplane.Rules{}, mtus: map[fib.PortID]int{inPort: 1500, outPort: 1400, slowPort: 1500}}
	b.lane, b.table = newLaneTable(t)
	foreign, err := b.table.NewForeign(b.lane.Synchronize)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, foreign.Close()) })
	b.compiler = fib.NewCompiler(b.table, b.res)
	b.reader, err = b.table.NewReader()
	require.NoError(t, err)
	t.Cleanup(b.reader.Close)

	var infos []dataplane.PortInfo
	for id, mtu := range b.mtus {
		infos = append(infos, dataplane.PortInfo{ID: id, Name: "port", MAC: gwMAC, MTU: mtu, Headroom: headroom})
	}
	b.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{Reader: b.reader, Ports: infos, Rules: b.rules})

	b.i = &Interface{cfg: InterfaceConfig{ID: inPort, Name: "none", Lane: b.lane}, ctl: -1}
	require.NoError(t, b.i.load())
	t.Cleanup(func() { require.NoError(t, b.i.Close()) })
	b.i.segments = b.i.newSegments()
	require.NoError(t, b.i.setOwnMAC(device{mac: gwMAC}))
	require.NoError(t, b.i.SetSegments([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}))
	ns := lab.T(t).NS("gw")
	require.NoError(t, ns.Do(func() error { // a device that is there, which nothing is sent to
		if err := b.lane.set(b.i, inPort, laneDevice{index: 1, mtu: b.mtus[inPort], tx: true}); err != nil {
			return err
		}
		other := &Interface{cfg: InterfaceConfig{Name: "other", ID: outPort}}
		return b.lane.set(other, outPort, laneDevice{index: 1, mtu: b.mtus[outPort], redirect: true})
	}))
	b.set(dataplane.RulesConfig{})
	return b
}

// newLaneTable makes a small table in a lane's memory, with poisoning on.
func newLaneTable(t *testing.T) (*Lane, *fib.Table) {
	t.Helper()
	lane, err := NewLane()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lane.Close()) })
	mem, err := lane.Memory()
	require.NoError(t, err)
	table, err := fib.NewTable(fib.TableOptions{Memory: mem, Poison: true, LookupSpace: 16 << 20, PrefixSpace: 16 << 20, DistinctSpace: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	return lane, table
}

// set puts rules into force, for both.
func (b *laneBench) set(c dataplane.RulesConfig) {
	b.t.Helper()
	require.NoError(b.t, b.rules.Set(c))
	require.NoError(b.t, b.lane.SetRules(b.rules.Plain()))
}

func (b *laneBench) apply(bs ...fib.Binding) {
	b.t.Helper()
	rep, err := b.compiler.Apply(bs)
	require.NoError(b.t, err)
	require.Empty(b.t, rep.Refused)
}

// run gives a frame to the program: what became of it, and whether the lane took it. No
// queue has a socket, so what is left to one goes on to the kernel.
func (b *laneBench) run(frame []byte) (verdict uint32, out []byte) {
	b.t.Helper()
	out = make([]byte, len(frame)+encap.MaxLen+2)
	o := ebpf.RunOptions{Data: frame, DataOut: out}
	verdict, err := b.i.lane.program.Run(&o)
	require.NoError(b.t, err)
	return verdict, o.DataOut
}

// carried is what the lane has counted.
func (b *laneBench) carried() (all []LaneCounters) {
	b.t.Helper()
	b.i.mode = ModeNative
	st, err := b.i.laneStatus()
	require.NoError(b.t, err)
	return st.Carried
}

// forward gives a frame to the forwarder.
func (b *laneBench) forward(frame []byte) (*dataplane.Frame, []byte) {
	burst := &dataplane.Burst{N: 1}
	buf := append(make([]byte, headroom), frame...)
	f := &burst.F[0]
	f.Attach(buf, headroom, len(frame))
	f.In = inPort
	b.fw.Process(burst)
	return f, f.Bytes()
}

// ip4 is a frame of IPv4 for the gateway, built field by field; its checksum is right.
type ip4 struct {
	src, dst uint32
	tos, ttl byte
	protocol byte
	fragment uint16
	options  []byte // a multiple of 4
	payload  []byte
	padding  int
	tags     []uint16
}

func (p ip4) frame() []byte {
	f := append(append([]byte{}, gwMAC[:]...), swMAC[:]...)
	for _, vid := range p.tags {
		f = binary.BigEndian.AppendUint16(append(f, 0x81, 0x00), vid)
	}
	h := make([]byte, 20, 60)
	h[0], h[1], h[8], h[9] = 0x45+byte(len(p.options)/4), p.tos, p.ttl, p.protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(p.options)+len(p.payload)))
	binary.BigEndian.PutUint16(h[6:], p.fragment)
	binary.BigEndian.PutUint32(h[12:], p.src)
	binary.BigEndian.PutUint32(h[16:], p.dst)
	h = append(h, p.options...)
	binary.BigEndian.PutUint16(h[10:], encap.Checksum(h, 0))
	f = append(append(append(f, 0x08, 0x00), h...), p.payload...)
	return append(f, make([]byte, p.padding)...)
}

// randomIP4 is one that is plain more often than not.
func randomIP4(r *rand.Rand, dst uint32) ip4 {
	p := ip4{
		src: 198<<24 | 51<<16 | 100<<8 | uint32(r.IntN(256)), dst: dst, tos: byte(r.IntN(256)), ttl: byte(2 + r.IntN(254)),
		protocol: []byte{6, 17, 1, 132, 136, 47}[r.IntN(6)], payload: make([]byte, r.IntN(1480)),
	}
	for k := range p.payload {
		p.payload[k] = byte(r.Uint32())
	}
	if r.IntN(2) == 0 {
		p.payload = p.payload[:min(len(p.payload), r.IntN(40))]
		p.padding = max(0, 46-20-len(p.payload)) + r.IntN(3)
	}
	switch r.IntN(20) {
	case 0:
		p.ttl = byte(r.IntN(2))
	case 1:
		p.fragment = uint16(r.IntN(1 << 14))
	case 2:
		p.options = []byte{1, 1, 1, 0}
	case 3:
		p.src = r.Uint32()
	case 4:
		p.tags = []uint16{uint16(r.IntN(4))}
	case 5:
		p.src = ownAddress
	case 6:
		p.fragment = 0x4000 // DF
	}
	return p
}

const ownAddress = 10<<24 | 1
