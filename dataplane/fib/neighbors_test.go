package fib_test

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// TestNeighbors compares the table with a naive one while rows of addresses, of one to several /24s,
// come, change and go at once, among prefixes that are shorter.
func TestNeighbors(t *testing.T) {
	for seed := range uint64(4) {
		g := newRig(t, fib.TableOptions{Poison: true})
		base := g.c.Stats().Bytes
		c := chooser{rand.New(rand.NewPCG(seed, 7)), false}
		want := newNaive()
		for step := range fib.Scaled(300) {
			var bs []fib.Binding
			for range 1 + c.IntN(3) { // of several rows, those that are bound last hold
				first, n := uint32(203<<24|c.IntN(3<<8)), []int{1, 2, 17, 256, 700}[c.IntN(5)]
				tunnel := c.IntN(4)
				for i := range n {
					p := netip.PrefixFrom(addr4(first+uint32(i)), 32)
					bs = append(bs, rowBinding(p, tunnel))
					want.set(p, tunnel)
				}
			}
			if step%4 == 0 {
				p, n := netip.PrefixFrom(addr4(203<<24|uint32(c.IntN(3<<8))), 22+c.IntN(10)).Masked(), c.IntN(4)
				bs = append(bs, rowBinding(p, n))
				want.set(p, n)
			}
			rep := g.apply(bs...)
			require.LessOrEqual(t, len(rep.Programmed)+len(rep.Removed), len(bs))
			for i := range uint32(4 << 8) {
				a := addr4(203<<24 | i)
				if step%50 == 0 || c.IntN(16) == 0 {
					check(t, g, want, []netip.Addr{a})
				}
			}
			if step%100 == 0 {
				checkAll(t, g, want, c)
			}
		}
		checkAll(t, g, want, c)
		var gone []fib.Binding
		for _, p := range slices.SortedFunc(maps.Keys(want.prefixes), netip.Prefix.Compare) {
			gone = append(gone, bind(p))
		}
		g.apply(gone...)
		st := g.c.Stats()
		assert.Equal(t, base, st.Bytes, "memory is back")
		assert.Zero(t, st.Retired)
		assert.Empty(t, g.res.Tracked())
	}
}

// TestNeighborsReport: what is said of each address of a row is what is said of it alone.
func TestNeighborsReport(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	var row, moved []fib.Binding
	var all []netip.Prefix
	for i := range uint32(300) {
		p := netip.PrefixFrom(addr4(203<<24|i), 32)
		row, moved, all = append(row, rowBinding(p, 1)), append(moved, rowBinding(p, 2)), append(all, p)
	}
	assert.Equal(t, all, g.apply(row...).Programmed)
	assert.Equal(t, all, g.apply(moved...).Programmed)
	assert.Equal(t, 1, g.c.Stats().Tunnels, "the first is forgotten")
	g.res.Set(tun(3).VTEP) // no way
	for i := range row {
		row[i].Tunnels = rows[3]
	}
	rep := g.apply(row...)
	assert.Equal(t, all, rep.Unresolved)
	assert.Empty(t, rep.Programmed)
	assert.Equal(t, 300, g.c.Stats().Unresolved)
}

// rows are lists of tunnels that bindings have between them, as those of one request do; none for 0.
var rows = [...][]encap.Tunnel{nil, bind(netip.Prefix{}, 1).Tunnels, bind(netip.Prefix{}, 2).Tunnels, bind(netip.Prefix{}, 3).Tunnels}

func rowBinding(p netip.Prefix, n int) fib.Binding { return fib.Binding{Prefix: p, Tunnels: rows[n]} }

func addr4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}
