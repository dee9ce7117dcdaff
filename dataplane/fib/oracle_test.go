package fib_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// TestOracle compares the table with a naive one over random overlapping prefixes
// that come, change and go.
func TestOracle(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("v6=%v/seed=%d", v6, seed), func(t *testing.T) {
				g := newRig(t, fib.TableOptions{Poison: true})
				base := g.c.Stats().Bytes
				c := chooser{rand.New(rand.NewPCG(seed, 1)), v6}
				want := newNaive()
				var ever []netip.Prefix
				for step := range fib.Scaled(3000) {
					p := c.prefix()
					if step > 100 && c.IntN(3) == 0 {
						p = ever[c.IntN(len(ever))]
					}
					n := 1 + c.IntN(rigTunnels)
					if c.IntN(4) == 0 {
						n = 1 + c.IntN(2)
					}
					if c.IntN(3) == 0 {
						g.apply(bind(p))
						want.set(p, 0)
					} else {
						g.apply(bind(p, n))
						want.set(p, n)
						ever = append(ever, p)
					}
					check(t, g, want, edges(p))
					if step%500 == 499 {
						checkAll(t, g, want, c)
					}
				}
				checkAll(t, g, want, c)
				for _, p := range slices.Collect(maps.Keys(want.prefixes)) {
					g.apply(bind(p))
					want.set(p, 0)
					check(t, g, want, edges(p))
				}
				st := g.c.Stats()
				assert.Equal(t, base, st.Bytes, "memory is back")
				assert.Zero(t, st.Retired)
				assert.Empty(t, g.res.Tracked())
			})
		}
	}
}

func check(t *testing.T, g *rig, want naive, addrs []netip.Addr) {
	t.Helper()
	for i, got := range g.lookup(addrs) {
		require.Equal(t, want.lookup(addrs[i]), got, "%s", addrs[i])
	}
}

// checkAll compares all edges of all prefixes and many addresses, the explanations,
// and the list of bindings.
func checkAll(t *testing.T, g *rig, want naive, c chooser) {
	t.Helper()
	var addrs []netip.Addr
	for p := range want.prefixes {
		addrs = append(addrs, edges(p)...)
	}
	for range 2000 {
		addrs = append(addrs, c.addr())
	}
	check(t, g, want, addrs)
	for _, a := range addrs[:min(len(addrs), 500)] {
		x, ok := g.c.Lookup(a)
		require.Equal(t, want.lookup(a) != 0, ok, "%s", a)
		if ok {
			assert.Equal(t, want.prefixes[x.Prefix], int(x.Tunnels[0].Tunnel.VNI), "%s", a)
			assert.Equal(t, want.lookup(a), want.prefixes[x.Prefix], "%s", a)
		}
	}
	sorted := slices.SortedFunc(maps.Keys(want.prefixes), netip.Prefix.Compare)
	var got []netip.Prefix
	g.c.Walk(netip.Prefix{}, func(b fib.BindingState) bool {
		got = append(got, b.Prefix)
		return true
	})
	require.Equal(t, sorted, got)
}
