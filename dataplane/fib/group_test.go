package fib_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

var (
	eip     = netip.MustParsePrefix("203.0.113.7/32")
	eipAddr = []netip.Addr{eip.Addr()}
)

// TestSeedVectors: what any other implementation must compute. The numbers come
// from a program in another language, written from the doc comments.
func TestSeedVectors(t *testing.T) {
	options := encap.OVNOptions(2, 1)
	for _, v := range []struct {
		tunnel encap.Tunnel
		seed   uint32
	}{
		{encap.Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001}, 0x76e9acd5},
		{encap.Tunnel{VTEP: netip.MustParseAddr("10.0.2.12"), VNI: 5001}, 0xabbf8173},
		{encap.Tunnel{
			VTEP: netip.MustParseAddr("2001:db8::11"), VNI: 0xabcdef, Port: 4789,
			InnerDst: encap.MAC{2, 0, 0, 0, 0, 11}, InnerSrc: encap.MAC{2, 0, 0, 0, 0, 12}, Options: options,
		}, 0x839ff16f},
		{encap.Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001, Protocol: encap.VXLAN}, 0x5b247273},
	} {
		assert.Equal(t, v.seed, fib.Seed(v.tunnel), "%s", v.tunnel)
		assert.Equal(t, fib.Seed(v.tunnel), fib.Seed(v.tunnel.Canonical()))
	}
	for _, v := range []struct{ in, mix, score, wayScore uint32 }{
		{0, 0, 0xf5e71c96, 0x8f18f320},
		{1, 0x688990c0, 0x3f779f73, 0xa72ffa56},
		{0xdeadbeef, 0xe628c683, 0xb31b3881, 0x69e7f34d},
	} {
		assert.Equal(t, v.mix, fib.Mix(v.in), "mix(%#x)", v.in)
		assert.Equal(t, v.score, fib.Score(v.in, 0x12345678), "score of %#x", v.in)
		assert.Equal(t, v.wayScore, fib.WayScore(v.in, 0x12345678), "way score of %#x", v.in)
	}
}

// outs is the Out of the entry that each flow to the EIP takes, 0 for none. What
// the compiler explains must be the same.
func (g *rig) outs(hashes ...uint32) []int {
	g.t.Helper()
	x, ok := g.c.Lookup(eip.Addr())
	require.True(g.t, ok)
	g.r.Begin()
	defer g.r.End()
	var out [1]fib.Value
	g.r.Lookup4([]uint32{203<<24 | 113<<8 | 7}, out[:])
	require.NotZero(g.t, out[0])
	var first [2]*fib.Entry
	several := g.r.Entries([]fib.Value{0, out[0]}, first[:])
	require.Nil(g.t, first[0], "value 0")
	require.Zero(g.t, several&^2, "only the second may depend on the flow")
	got := make([]int, len(hashes))
	for i, hash := range hashes {
		e := g.r.Entry(out[0], hash)
		if several == 0 && first[1] != e {
			require.Same(g.t, first[1], e, "Entries and Entry")
		}
		tunnel, way, ok := x.Choose(hash)
		if ok != (e != nil) {
			require.Equal(g.t, ok, e != nil)
		}
		if !ok {
			continue
		}
		w := x.Tunnels[tunnel].Ways[way]
		if want := (fib.Entry{Out: w.Port, MTU: w.InnerMTU, Header: w.Header}); want != *e {
			require.Equal(g.t, want, *e)
		}
		got[i] = int(e.Out)
	}
	ways := 0
	for _, tunnel := range x.Tunnels {
		ways += len(tunnel.Ways)
	}
	require.Equal(g.t, ways > 1, several != 0, "the flow decides among %d ways", ways)
	return got
}

func (g *rig) outOf(hash uint32) int { return g.outs(hash)[0] }

func (g *rig) flows(n int) (outs []int, counts map[int]int) {
	g.t.Helper()
	r := rand.New(rand.NewPCG(9, 9))
	hashes := make([]uint32, n)
	for i := range hashes {
		hashes[i] = r.Uint32()
	}
	counts = map[int]int{}
	for _, o := range g.outs(hashes...) {
		outs = append(outs, o)
		counts[o]++
	}
	return outs, counts
}

func TestGroupSplit(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	for n := 2; n <= 5; n++ {
		for first := 1; first < 40; first += n {
			var ms []int
			for i := range n {
				ms = append(ms, first+i)
			}
			g.apply(bind(eip, ms...))
			_, counts := g.flows(10000)
			require.Len(t, counts, n)
			for m, c := range counts {
				assert.InDelta(t, 10000/n, c, 300, "tunnel %d of %v", m, ms)
			}
		}
	}
}

// TestGroupLeave: when a member leaves, for good or because the underlay loses it,
// its flows move and no others; when it comes back, all is as before.
func TestGroupLeave(t *testing.T) {
	g := newRig(t, fib.TableOptions{Poison: true})
	g.apply(bind(eip, 1, 2, 3, 4))
	before, _ := g.flows(4000)
	moved := func() {
		t.Helper()
		after, counts := g.flows(4000)
		assert.Len(t, counts, 3)
		for i := range before {
			if before[i] != 3 {
				require.Equal(t, before[i], after[i])
			} else {
				require.NotEqual(t, 3, after[i])
			}
		}
		for m, c := range counts {
			assert.InDelta(t, 1333, c, 150, "tunnel %d", m)
		}
	}
	same := func() {
		t.Helper()
		after, _ := g.flows(4000)
		require.Equal(t, before, after)
	}
	g.apply(bind(eip, 1, 2, 4))
	moved()
	g.apply(bind(eip, 4, 2, 1, 3))
	same()
	g.res.Set(tun(3).VTEP)
	g.c.Refresh([]netip.Addr{tun(3).VTEP})
	moved()
	g.res.Set(tun(3).VTEP, fibtest.Adjacency(3, local4, 1))
	g.c.Refresh([]netip.Addr{tun(3).VTEP})
	same()
}

// TestGroupOrder: two gateways that learn the same in another order, with other
// ports and other groups before, choose the same.
func TestGroupOrder(t *testing.T) {
	a, b := newRig(t, fib.TableOptions{}), newRig(t, fib.TableOptions{})
	b.apply(bind(netip.MustParsePrefix("198.51.100.0/24"), 9, 8))
	a.apply(bind(eip, 1, 2, 3, 4, 5))
	b.apply(bind(eip, 5, 3, 3, 1))
	b.apply(bind(eip, 5, 4, 3, 2, 1, 5))
	wantA, _ := a.flows(3000)
	wantB, _ := b.flows(3000)
	assert.Equal(t, wantA, wantB)
}

// TestGroupSize: as many as fit, and one more.
func TestGroupSize(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	var ms []int
	for n := 1; n <= fib.MaxTunnels; n++ {
		ms = append(ms, n)
		g.apply(bind(eip, ms...))
		x, ok := g.c.Lookup(eip.Addr())
		require.True(t, ok)
		require.Len(t, x.Tunnels, n)
	}
	_, counts := g.flows(20000)
	assert.Len(t, counts, fib.MaxTunnels)
	rep, err := g.c.Apply([]fib.Binding{bind(eip, append(ms, fib.MaxTunnels+1)...)})
	require.NoError(t, err)
	require.Len(t, rep.Refused, 1)
	assert.EqualError(t, rep.Refused[0].Err, "fib: 203.0.113.7/32: 65 distinct tunnels, want at most 64")
	_, after := g.flows(20000)
	assert.Equal(t, counts, after, "the old binding stays")
	g.apply(bind(eip, append(ms, ms...)...)) // the same twice over
}

// TestWays: the flows of one tunnel spread over its ways, those of each member of a
// group over all of its ways, and only a lost way's flows move.
func TestWays(t *testing.T) {
	g := newRig(t, fib.TableOptions{Poison: true})
	ways := func(n int, ports ...fib.PortID) {
		var adjs []fib.Adjacency
		for _, p := range ports {
			adjs = append(adjs, fibtest.Adjacency(p, local4, byte(p)))
		}
		g.res.Set(tun(n).VTEP, adjs...)
		g.c.Refresh([]netip.Addr{tun(n).VTEP})
	}
	ways(1, 11, 12, 13, 14)
	ways(2, 21, 22)
	g.apply(bind(eip, 1))
	before, counts := g.flows(10000)
	assert.Len(t, counts, 4)
	for port, c := range counts {
		assert.InDelta(t, 2500, c, 250, "port %d", port)
	}
	ways(1, 14, 12, 11) // in another order, too
	after, _ := g.flows(10000)
	for i := range before {
		if before[i] != 13 {
			require.Equal(t, before[i], after[i])
		}
	}
	ways(1, 11, 12, 13, 14)

	g.apply(bind(eip, 1, 2))
	_, counts = g.flows(10000)
	for _, port := range []int{11, 12, 13, 14} {
		assert.InDelta(t, 1250, counts[port], 200, "port %d", port)
	}
	for _, port := range []int{21, 22} {
		assert.InDelta(t, 2500, counts[port], 250, "port %d", port)
	}

	var many []fib.PortID
	for p := range fib.PortID(fib.MaxTunnels + 6) {
		many = append(many, 100+p)
	}
	ways(1, many...)
	assert.Equal(t, fib.MaxTunnels+2, g.c.Stats().Entries, "the first ones are used")
}

// TestEqualTunnelsShare: bindings with equal tunnels have one value and one entry,
// however the tunnels are written.
func TestEqualTunnelsShare(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	other := tun(1)
	other.Port, other.InnerDst = encap.GenevePort, encap.DefaultInnerDst
	var bs []fib.Binding
	for i := range 200 {
		b := bind(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32), 1)
		if i%2 == 0 {
			b.Tunnels = []encap.Tunnel{other, tun(1)}
		}
		bs = append(bs, b)
	}
	g.apply(bs...)
	st := g.c.Stats()
	assert.Equal(t, 200, st.IPv4)
	assert.Equal(t, 1, st.Tunnels)
	assert.Equal(t, 1, st.Entries)
	assert.Zero(t, st.Groups)

	g.apply(bind(eip, 1, 2), bind(netip.MustParsePrefix("2001:db8::/48"), 2, 1))
	st = g.c.Stats()
	assert.Equal(t, 2, st.Tunnels)
	assert.Equal(t, 2, st.Entries)
	assert.Equal(t, 1, st.Groups)
	assert.Equal(t, 2, st.VTEPs)
}

// TestMixedGroup: the same VTEP and VNI by Geneve and by VXLAN are two tunnels with two
// entries, and a group of both splits flows between them as any group does.
func TestMixedGroup(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	vxlan := tun(1)
	vxlan.Protocol = encap.VXLAN
	assert.NotEqual(t, fib.Seed(tun(1)), fib.Seed(vxlan))
	samePort := tun(1)
	samePort.Port = encap.VXLANPort
	assert.NotEqual(t, fib.Seed(samePort), fib.Seed(vxlan), "the protocol counts, not the port alone")

	g.apply(fib.Binding{Prefix: eip, Tunnels: []encap.Tunnel{vxlan, tun(1)}})
	st := g.c.Stats()
	assert.Equal(t, []int{2, 2, 1, 1}, []int{st.Tunnels, st.Entries, st.Groups, st.VTEPs})

	counts := map[encap.Protocol]int{}
	g.r.Begin()
	defer g.r.End()
	var v [1]fib.Value
	g.r.Lookup4([]uint32{203<<24 | 113<<8 | 7}, v[:])
	for i := range uint32(4000) {
		hash := fib.Mix(i + 1)
		e := g.r.Entry(v[0], hash)
		want := tun(1)
		if fib.Score(hash, fib.Seed(vxlan)) > fib.Score(hash, fib.Seed(want)) {
			want = vxlan
		}
		frame := make([]byte, e.Header.Len()+20)
		e.Header.Apply(frame, encap.Inner{})
		p, err := encap.ParseAs(frame, want.Protocol)
		require.NoError(t, err)
		require.Equal(t, want.Canonical(), encap.Tunnel{
			VTEP: p.Dst, VNI: p.VNI, Protocol: p.Protocol, Port: p.DstPort, InnerDst: p.InnerDst, InnerSrc: p.InnerSrc,
		})
		counts[p.Protocol]++
	}
	assert.InDelta(t, 2000, counts[encap.VXLAN], 200)
}

// TestUnresolved: a binding whose VTEP has no way is kept and shown, and forwards
// as soon as there is one.
func TestUnresolved(t *testing.T) {
	g := newRig(t, fib.TableOptions{Poison: true})
	v := tun(7).VTEP
	g.res.Set(v)
	rep := g.apply(bind(eip, 7))
	assert.Equal(t, []netip.Prefix{eip}, rep.Unresolved)
	assert.Empty(t, rep.Programmed)
	assert.Zero(t, g.outOf(1))
	assert.Equal(t, []int{-1}, g.lookup(eipAddr))
	x, ok := g.c.Lookup(eip.Addr())
	require.True(t, ok)
	assert.False(t, x.Resolved())
	assert.ErrorContains(t, x.Tunnels[0].Err, "no way to VTEP 10.1.0.7")
	assert.Equal(t, 1, g.c.Stats().Unresolved)
	assert.Equal(t, 1, g.c.Stats().UnresolvedTunnels)

	g.res.Set(v, fibtest.Adjacency(9, local4, 1))
	g.c.Refresh([]netip.Addr{v, netip.MustParseAddr("192.0.2.1")})
	assert.Equal(t, 9, g.outOf(1))
	assert.Zero(t, g.c.Stats().Unresolved)
	assert.Zero(t, g.c.Stats().UnresolvedTunnels)
	x, _ = g.c.Lookup(eip.Addr())
	assert.NoError(t, x.Tunnels[0].Err)

	// A way that no tunnel fits through is none.
	narrow := fibtest.Adjacency(9, local4, 1)
	narrow.MTU = 117
	g.res.Set(v, narrow)
	g.c.Refresh([]netip.Addr{v})
	x, _ = g.c.Lookup(eip.Addr())
	assert.EqualError(t, x.Tunnels[0].Err, "fib: port 9 carries 117 bytes, tunnel headers take 50, want 68 left for the inner packet")
	narrow.MTU++
	g.res.Set(v, narrow)
	g.c.Refresh([]netip.Addr{v})
	x, _ = g.c.Lookup(eip.Addr())
	assert.EqualValues(t, 68, x.Tunnels[0].Ways[0].InnerMTU)

	// One that encap refuses neither.
	wrong := fibtest.Adjacency(9, netip.MustParseAddr("2001:db8::1"), 1)
	g.res.Set(v, wrong)
	g.c.Refresh([]netip.Addr{v})
	x, _ = g.c.Lookup(eip.Addr())
	assert.ErrorContains(t, x.Tunnels[0].Err, "source address 2001:db8::1")
	g.apply(bind(eip, 7, 8))
	assert.Equal(t, 8, g.outOf(1))
	assert.Zero(t, g.c.Stats().Unresolved)
	assert.Equal(t, 1, g.c.Stats().UnresolvedTunnels)
	g.apply(bind(eip))
	assert.Zero(t, g.c.Stats().UnresolvedTunnels)
	assert.Empty(t, g.res.Tracked())
}

// TestRefresh: a change in the underlay reaches every binding through one word.
func TestRefresh(t *testing.T) {
	g := newRig(t, fib.TableOptions{Poison: true})
	var bs []fib.Binding
	for i := range 256 {
		bs = append(bs, bind(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32), 1))
	}
	g.apply(bs...)
	bytes := g.c.Stats().Bytes
	for i := range 1000 {
		g.res.Set(tun(1).VTEP, fibtest.Adjacency(fib.PortID(i), local4, 2))
		g.c.Refresh([]netip.Addr{tun(1).VTEP})
		require.Equal(t, i, g.outOf(uint32(i)))
	}
	assert.Equal(t, bytes, g.c.Stats().Bytes)
	assert.Equal(t, 1, g.c.Stats().Entries)
}

// ExampleScore chooses as the gateway does, from what the doc comments say.
func ExampleScore() {
	members := []encap.Tunnel{tun(1), tun(2), tun(3)}
	for hash := range uint32(4) {
		best := members[0]
		for _, m := range members {
			if fib.Score(hash, fib.Seed(m)) > fib.Score(hash, fib.Seed(best)) {
				best = m
			}
		}
		fmt.Println(hash, best.VTEP)
	}
	// Output:
	// 0 10.1.0.1
	// 1 10.1.0.2
	// 2 10.1.0.2
	// 3 10.1.0.2
}
