package afxdp

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

// laneWire is two veth pairs, gw0 to sw0 and gw1 to sw1, with the lane on the gateway's
// ends.
type laneWire struct {
	*bench
	lane     *Lane
	compiler *fib.Compiler
	ifaces   [2]*Interface
	captures [2]*lab.Capture
	sender   *lab.Sender
}

func newLaneWire(t *testing.T, mode Mode) *laneWire {
	t.Helper()
	w := &laneWire{bench: newBench(t, lab.VethOptions{})}
	w.second()
	lane, table := newLaneTable(t)
	w.lane = lane
	foreign, err := table.NewForeign(lane.Synchronize)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, foreign.Close()) })
	res := &fibtest.Resolver{}
	w.compiler = fib.NewCompiler(table, res)
	for n, id := range []fib.PortID{inPort, outPort} {
		vtep := netip.AddrFrom4([4]byte{10, 9, 0, byte(n)})
		res.Set(vtep, fibtest.Adjacency(id, netip.MustParseAddr("10.255.0.1"), 9))
		rep, err := w.compiler.Apply([]fib.Binding{{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}), 32), Tunnels: []encap.Tunnel{{VTEP: vtep, VNI: encap.VNI(n)}},
		}})
		require.NoError(t, err)
		require.Empty(t, rep.Refused)
	}
	for n, name := range []string{"gw0", "gw1"} {
		require.NoError(t, w.gw.Do(func() (err error) {
			w.ifaces[n], err = Open(InterfaceConfig{ID: inPort + fib.PortID(n), Name: name, Mode: mode, Frames: MinFrames, Lane: lane})
			return err
		}))
		t.Cleanup(func() { require.NoError(t, w.ifaces[n].Close()) })
		require.NoError(t, w.ifaces[n].SetSegments([]netip.Prefix{segment}))
		w.captures[n], err = w.sw.Capture("sw"+name[2:], lab.CaptureOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, w.captures[n].Close()) }) // of then
	}
	w.sender, err = w.sw.Sender("sw0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.sender.Close()) })
	require.NoError(t, lane.SetRules((&dataplane.Rules{}).Plain()))
	return w
}

// second makes the second pair, again after it was deleted.
func (w *laneWire) second() {
	w.t.Helper()
	require.NoError(w.t, lab.Veth(
		lab.End{NS: w.gw, Name: "gw1", MAC: "02:00:00:00:00:1a", Pfifo: 1000},
		lab.End{NS: w.sw, Name: "sw1", Pfifo: 1000}, lab.VethOptions{}))
}

func (w *laneWire) status(n int) Status {
	w.t.Helper()
	st, err := w.ifaces[n].Status()
	require.NoError(w.t, err)
	return st
}

// goes sends frames for the n-th EIP until one comes back in a tunnel at the n-th wire, by
// the lane alone: no queue has a port.
func (w *laneWire) goes(n int) {
	w.t.Helper()
	frame := packet{to: netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}), payload: 40}.bytes()
	inner := frame[14+20:]
	w.captures[n].Reset()
	eventually(w.t, "a tunnel packet comes back", func() bool {
		require.NoError(w.t, w.sender.Send(frame))
		for _, f := range w.captures[n].Frames() {
			if p, err := encap.ParseAs(f, encap.Geneve); err == nil && p.VNI == encap.VNI(n) && bytes.Contains(f, inner) {
				return true
			}
		}
		return false
	})
}

// A far end has to take frames from programs. Where it does not, the lane leaves them to
// the port, and says so; when it does, it is seen.
func TestLaneOverVeth(t *testing.T) {
	w := newLaneWire(t, ModeNative)
	frame := packet{to: netip.MustParseAddr("203.0.113.1"), payload: 40}.bytes()
	unserved := w.status(0).Filter.Unserved
	require.NoError(t, w.sender.Send(frame))
	eventually(t, "left to a port", func() bool { return w.status(0).Filter.Unserved > unserved })
	for n := range w.ifaces {
		st := w.status(n)
		require.NotNil(t, st.Lane)
		assert.False(t, st.Lane.Redirects || st.Lane.Returns)
		assert.Contains(t, joined(st.Notes), "far end takes none from a program")
	}
	for n, far := range []string{"sw0", "sw1"} {
		require.NoError(t, w.sw.GROOn(far))
		require.NoError(t, w.lane.Refresh())
		w.goes(n)
		var c LaneCounters
		eventually(t, "frames and bytes agree", func() bool { // one may be on its way
			carried := w.status(0).Lane.Carried
			require.Len(t, carried, n+1)
			c = carried[n]
			return c.Received+c.Frames*50 == c.Sent
		})
		assert.Equal(t, inPort+fib.PortID(n), c.Out)
		assert.NotZero(t, c.Frames)
		assert.Zero(t, c.Lost)
		assert.NotContains(t, joined(w.status(n).Notes), "fast lane")
	}
}

// Where the far end has a program of its own, frames that go back where they came from are
// returned, and redirected again when it is gone.
func TestLaneReturnsOverVeth(t *testing.T) {
	w := newLaneWire(t, ModeNative)
	require.NoError(t, w.sw.GROOn("sw0"))
	verdict := func() uint32 {
		frame := ip4{src: 198<<24 | 1, dst: 203<<24 | 113<<8, ttl: 64, protocol: 17, payload: make([]byte, 18)}.frame()
		mac := w.device("gw0").mac
		copy(frame, mac[:])
		v, err := w.ifaces[0].lane.program.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 256)})
		require.NoError(t, err)
		return v
	}
	for range 2 {
		require.NoError(t, w.lane.Refresh())
		assert.False(t, w.status(0).Lane.Returns)
		assert.EqualValues(t, xdpRedirect, verdict())
		w.goes(0)
		var program io.Closer
		require.NoError(t, w.sw.Do(func() (err error) {
			program, err = loadgen.Pass("sw0")
			return err
		}))
		require.NoError(t, w.lane.Refresh())
		assert.True(t, w.status(0).Lane.Returns)
		assert.False(t, w.status(1).Lane.Returns)
		assert.EqualValues(t, xdpTX, verdict())
		w.goes(0)
		require.NoError(t, program.Close())
	}
}

func joined(notes []string) (all string) {
	for _, n := range notes {
		all += n + "\n"
	}
	return all
}

// In generic mode an interface has today's program.
func TestLaneNotInGenericMode(t *testing.T) {
	w := newLaneWire(t, ModeGeneric)
	require.NoError(t, w.sw.GROOn("sw0"))
	require.NoError(t, w.lane.Refresh())
	st := w.status(0)
	assert.Nil(t, st.Lane)
	assert.Contains(t, joined(st.Notes), "fast lane: not on this interface")
	assert.Equal(t, filterProgEipgwFilter, programName(w.device("gw0").xdp.ProgId))
	require.NoError(t, w.sender.Send(packet{to: netip.MustParseAddr("203.0.113.0"), payload: 40}.bytes()))
	eventually(t, "left to a port", func() bool { return w.status(0).Filter.Unserved > 0 })
}

// A device that is made anew is the lane's again.
func TestLaneFollowsDevice(t *testing.T) {
	w := newLaneWire(t, ModeNative)
	require.NoError(t, w.sw.GROOn("sw1"))
	require.NoError(t, w.lane.Refresh())
	w.goes(1)
	require.NoError(t, w.ifaces[1].Close())
	assert.Zero(t, w.lane.now.Ports[outPort].Flags, "nothing is sent by what is closed")
	unserved := w.status(0).Filter.Unserved
	require.NoError(t, w.sender.Send(packet{to: netip.MustParseAddr("203.0.113.1"), payload: 40}.bytes()))
	eventually(t, "left to a port", func() bool { return w.status(0).Filter.Unserved > unserved })
	var again *Interface
	require.NoError(t, w.gw.Do(func() (err error) {
		again, err = Open(InterfaceConfig{ID: outPort, Name: "gw1", Mode: ModeNative, Lane: w.lane})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, again.Close()) })
	require.NoError(t, w.lane.Refresh())
	w.goes(1)
}

// Frames that leave by a device that was deleted are lost and counted until that is noticed,
// and go on when there is another one of its name.
func TestLaneFollowsDeletedDevice(t *testing.T) {
	w := newLaneWire(t, ModeNative)
	require.NoError(t, w.sw.GROOn("sw1"))
	require.NoError(t, w.lane.Refresh())
	w.goes(1)
	require.NoError(t, w.gw.DeleteLink("gw1"))
	frame := packet{to: netip.MustParseAddr("203.0.113.1"), payload: 40}.bytes()
	eventually(t, "lost", func() bool {
		require.NoError(t, w.sender.Send(frame))
		c := w.status(0).Lane.Carried
		return len(c) > 0 && c[0].Lost > 0
	})
	require.NoError(t, w.lane.Refresh())
	assert.Contains(t, joined(w.status(1).Notes), "can't be asked what it takes")
	unserved := w.status(0).Filter.Unserved
	require.NoError(t, w.sender.Send(frame))
	eventually(t, "left to a port", func() bool { return w.status(0).Filter.Unserved > unserved })

	w.second()
	require.NoError(t, w.sw.GROOn("sw1"))
	require.NoError(t, w.captures[1].Close())
	var err error
	w.captures[1], err = w.sw.Capture("sw1", lab.CaptureOptions{})
	require.NoError(t, err)
	require.NoError(t, w.gw.Do(func() error {
		s, _, err := w.ifaces[1].reopen(0, false) // as its port does
		if err != nil {
			return err
		}
		return s.close()
	}))
	require.NoError(t, w.lane.Refresh())
	w.goes(1)
}

func TestLaneRefusesInterfaces(t *testing.T) {
	w := newLaneWire(t, ModeNative)
	try := func(cfg InterfaceConfig) error {
		return w.gw.Do(func() error { _, err := Open(cfg); return err })
	}
	assert.ErrorContains(t, try(InterfaceConfig{ID: 64, Name: "gw0", Lane: w.lane}), "room for IDs up to 63")
	assert.ErrorContains(t, try(InterfaceConfig{ID: 5, Name: "gw0", Lane: w.lane}), "another eipgw serves this interface")
	empty, err := NewLane()
	require.NoError(t, err)
	defer func() { require.NoError(t, empty.Close()) }()
	require.NoError(t, w.ifaces[0].Close())
	assert.ErrorContains(t, try(InterfaceConfig{ID: 5, Name: "gw0", Lane: empty}), "has to be a table's before")
}

// Nothing is left of a lane, its table and its interface after they are closed, a hundred
// times.
func TestLaneRounds(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	round := func() {
		lane, err := NewLane()
		require.NoError(t, err)
		mem, err := lane.Memory()
		require.NoError(t, err)
		table, err := fib.NewTable(fib.TableOptions{Memory: mem, LookupSpace: 4 << 20, PrefixSpace: 4 << 20, DistinctSpace: 1 << 16})
		require.NoError(t, err)
		foreign, err := table.NewForeign(lane.Synchronize)
		require.NoError(t, err)
		var i *Interface
		require.NoError(t, b.gw.Do(func() (err error) {
			i, err = Open(InterfaceConfig{ID: 1, Name: "gw0", Mode: ModeNative, Lane: lane})
			return err
		}))
		require.NoError(t, lane.SetRules((&dataplane.Rules{}).Plain()))
		for _, end := range []func() error{i.Close, foreign.Close, table.Close, lane.Close, lane.Close} {
			require.NoError(t, end())
		}
		assert.ErrorIs(t, lane.Synchronize(), ErrClosed)
	}
	round()
	before, maps := count(t), bpfMaps(t)
	for range 100 {
		round()
	}
	assert.Equal(t, before, count(t))
	eventually(t, "no maps are left", func() bool { return bpfMaps(t) <= maps })
	assert.Nil(t, b.device("gw0").foreignProgram())
}

// bpfMaps counts the table's arrays in the kernel.
func bpfMaps(t *testing.T) (n int) {
	t.Helper()
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if err != nil {
			require.ErrorIs(t, err, os.ErrNotExist)
			return n
		}
		id = next
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue // it has gone meanwhile
		}
		if info, err := m.Info(); err == nil && strings.HasPrefix(info.Name, "fib_") {
			n++
		}
		require.NoError(t, m.Close())
	}
}
