package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

// splitShop is a worker whose north takes 9000 bytes and whose way takes 1280: by south,
// or back by north, where frames are sent in place otherwise.
type splitShop struct {
	*shop
	out *memport.Port
}

func newSplitShop(t *testing.T, oneArm bool, o dataplane.Oversize, txQueue int) *splitShop {
	t.Helper()
	in := memport.New(memport.Config{ID: north, MTU: 9000, MAC: macNorth, Poison: true, TxQueue: txQueue})
	out := memport.New(memport.Config{ID: south, MTU: 1280, MAC: macSouth, Poison: true, TxQueue: txQueue})
	s, by := &splitShop{out: out}, south
	if oneArm {
		s.out, by = in, north
	}
	s.shop = newShop(t, func(c *dataplane.WorkerConfig) {
		c.Ports = []dataplane.Port{in, out}
		res := &fibtest.Resolver{}
		vtep := netip.MustParseAddr("10.0.2.11")
		res.Set(vtep, fib.Adjacency{Port: by, MTU: 1280, Outer: encap.Outer{Src: macSouth, Dst: macHop, Local: local4}})
		c.Reader, _ = newReader(t, res, []fib.Binding{{Prefix: netip.MustParsePrefix("203.0.113.0/24"),
			Tunnels: []encap.Tunnel{{VTEP: vtep, VNI: 5001}}}})
		c.Rules, c.Identification = new(dataplane.Rules), 65500 // the lower 16 bits begin anew
		require.NoError(t, c.Rules.Set(dataplane.RulesConfig{Oversize: o}))
	})
	s.north, s.south = in, out
	return s
}

// numbered is packet i of a flow: large ones, with one in eight small.
func numbered(i int) []byte {
	n := 9000 - i
	if i%8 == 3 {
		n = 100 + i
	}
	f := sized4(7, n)
	copy(f[42:], counting(n-28))
	return patch4(patch4(f, 20, 0, 0), 18, byte(i>>8), byte(i))
}

func (s *splitShop) inject(n int) (rxBytes uint64) {
	for i := range n {
		s.north.Inject(numbered(i))
		rxBytes += uint64(len(numbered(i)))
	}
	return rxBytes
}

// Bursts of 64 packets, each in up to eight fragments: all leave, in order, and add up to
// what came.
func TestWorkerFragments(t *testing.T) {
	for _, oneArm := range []bool{false, true} {
		for _, o := range []dataplane.Oversize{dataplane.FragmentInner, dataplane.FragmentOuter} {
			t.Run(fmt.Sprintf("%v one arm %v", o, oneArm), func(t *testing.T) {
				const packets = 3 * dataplane.BurstSize
				s := newSplitShop(t, oneArm, o, 8*dataplane.BurstSize)
				rxBytes := s.inject(packets)
				st := s.run()
				closed(t, st)
				out := s.out.Collect()
				assert.EqualValues(t, packets, st.Received())
				assert.EqualValues(t, len(out), st.Sent())
				assert.EqualValues(t, len(out)-packets, st.Events[dataplane.EventFragment])
				cut := map[bool]uint64{true: st.Events[dataplane.EventFragmentedInner], false: st.Events[dataplane.EventFragmentedOuter]}
				assert.EqualValues(t, packets*7/8, cut[o == dataplane.FragmentInner])
				assert.Zero(t, cut[o != dataplane.FragmentInner])
				assert.Equal(t, rxBytes, st.Ports[0].RxBytes)
				var txBytes uint64
				for i := range packets {
					n := 1
					for n < len(out) && more(out[n-1]) {
						n++
					}
					require.Equal(t, patch4(numbered(i), 22, 63)[14:], unite(t, 1280, out[:n]), "packet %d", i)
					for _, f := range out[:n] {
						txBytes += uint64(len(f))
					}
					out = out[n:]
				}
				assert.Empty(t, out)
				assert.Equal(t, txBytes, st.Ports[0].TxBytes+st.Ports[1].TxBytes)
			})
		}
	}
}

// more says whether another fragment follows, of the outer packet or of the inner.
func more(frame []byte) bool {
	if frame[20]&0x20 != 0 {
		return true
	}
	return frame[20]&0x40 != 0 && frame[64+6]&0x20 != 0
}

// What a port does not take is dropped, each fragment by itself, and nothing is lost from
// the counters.
func TestWorkerFragmentsNotTaken(t *testing.T) {
	all := newSplitShop(t, false, dataplane.FragmentInner, 1000)
	all.inject(dataplane.BurstSize)
	closed(t, all.run())
	want := all.out.Collect()
	for _, room := range []int{1, 2, 63, 64, 65, 100, 127, 300} {
		s := newSplitShop(t, false, dataplane.FragmentInner, room)
		rxBytes := s.inject(dataplane.BurstSize)
		st := s.run()
		closed(t, st)
		out := s.out.Collect()
		require.Equal(t, want[:room], out, "the first of them")
		assert.EqualValues(t, len(want)-room, st.Drops[dataplane.ReasonTxFull].Packets)
		var carried uint64 // of what was received
		for _, f := range out {
			if carried += uint64(len(f) - 64 - 20); binary.BigEndian.Uint16(f[64+6:])&0x1fff == 0 {
				carried += 14 + 20
			}
		}
		assert.Equal(t, rxBytes, carried+st.Drops[dataplane.ReasonTxFull].Bytes)
	}
}

func TestWorkerFragmentsOfAPortThatIsDown(t *testing.T) {
	for _, o := range []dataplane.Oversize{dataplane.FragmentInner, dataplane.FragmentOuter} {
		s := newSplitShop(t, false, o, 1000)
		s.south.SetDown(errors.New("pulled"))
		s.w.Round() // which notes it
		rxBytes := s.inject(dataplane.BurstSize)
		s.north.End()
		s.w.Round()
		st := s.w.Snapshot()
		closed(t, st)
		assert.Equal(t, dataplane.Count{Packets: st.Received() + st.Made(), Bytes: rxBytes}, st.Drops[dataplane.ReasonPortDown])
		assert.Greater(t, st.Made(), uint64(300))
	}
}

// A worker's round does not allocate, whatever it cuts.
func TestWorkerFragmentsDoNotAllocate(t *testing.T) {
	for _, o := range []dataplane.Oversize{dataplane.FragmentInner, dataplane.FragmentOuter} {
		var frames [][]byte
		for i := range 16 {
			frames = append(frames, numbered(i))
		}
		in := memport.New(memport.Config{ID: north, MTU: 9000, MAC: macNorth, Repeat: frames})
		out := memport.New(memport.Config{ID: south, MTU: 1280, Discard: true})
		c := dataplane.WorkerConfig{Ports: []dataplane.Port{in, out}, Reader: cutterTable(t, 1280), CPU: -1, Rules: new(dataplane.Rules)}
		require.NoError(t, c.Rules.Set(dataplane.RulesConfig{Oversize: o}))
		w, err := dataplane.NewWorker(c)
		require.NoError(t, err)
		w.Round()
		assert.Zero(t, testing.AllocsPerRun(20, w.Round))
		st := w.Snapshot()
		closed(t, st)
		assert.Greater(t, st.Made(), st.Received()*5)
	}
}

// The identification of outer fragments begins anywhere unless told.
func TestIdentificationIsRandom(t *testing.T) {
	seen := map[uint16]bool{}
	for range 20 {
		c := newCutter(t, cutterWay{1280, 1500}, dataplane.FragmentOuter)
		c.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{Reader: cutterTable(t, 1280), Rules: &c.rules,
			Ports: []dataplane.PortInfo{{ID: north, MTU: 9000}, {ID: south, MTU: 1500}}})
		out := c.cut(numbered(0))
		seen[binary.BigEndian.Uint16(out[0][18:])] = true
		require.True(t, bytes.Equal(out[0][18:20], out[1][18:20]))
	}
	assert.Greater(t, len(seen), 10)
}

// A worker that is not told what to do with packets that are too large cuts the inner one.
func TestWorkerFragmentsByDefault(t *testing.T) {
	s := newShop(t, nil)
	s.north.Inject(numbered(0))
	st := s.run()
	closed(t, st)
	assert.EqualValues(t, 1, st.Events[dataplane.EventFragmentedInner])
	assert.Equal(t, patch4(numbered(0), 22, 63)[14:], unite(t, 1500, s.south.Collect()))
}
