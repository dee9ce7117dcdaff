package fib_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// FuzzTable reads changes from bytes, six each: family and operation, tunnel,
// length, and three bytes of the address that tell most. The table must agree with
// the naive one after each, and be empty at the end.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 1, 32, 0, 113, 7})
	f.Add([]byte{0, 1, 24, 0, 113, 0, 0, 2, 32, 0, 113, 7, 1, 0, 24, 0, 113, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 2, 25, 0, 0, 128, 0, 3, 31, 0, 0, 254, 1, 0, 25, 0, 0, 128})
	f.Add([]byte{2, 1, 128, 0, 0, 1, 2, 2, 128, 0, 0, 2, 3, 0, 128, 0, 0, 1, 2, 4, 121, 0, 0, 0})
	f.Add([]byte{2, 1, 64, 0, 0, 0, 2, 1, 120, 0, 1, 0, 2, 2, 120, 0, 2, 0, 3, 0, 64, 0, 0, 0})
	f.Add([]byte{2, 1, 0, 0, 0, 0, 2, 2, 127, 255, 255, 255, 2, 3, 128, 255, 255, 255, 3, 0, 127, 255, 255, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		g := newRig(t, fib.TableOptions{Poison: true})
		want := newNaive()
		for len(ops) >= 6 && len(want.prefixes) < 64 {
			p := fuzzPrefix(ops)
			if n := int(ops[1]); ops[0]&1 == 1 || n == 0 {
				g.apply(bind(p))
				want.set(p, 0)
			} else {
				g.apply(bind(p, n))
				want.set(p, n)
			}
			for q := range want.prefixes {
				check(t, g, want, edges(q))
			}
			check(t, g, want, edges(p))
			ops = ops[6:]
		}
		for p := range want.prefixes {
			g.apply(bind(p))
		}
		st := g.c.Stats()
		require.Zero(t, st.Bytes)
		require.Zero(t, st.Retired)
		require.Empty(t, g.res.Tracked())
	})
}

func fuzzPrefix(op []byte) netip.Prefix {
	if op[0]&2 == 0 {
		a := netip.AddrFrom4([4]byte{203, op[3], op[4], op[5]})
		return netip.PrefixFrom(a, max(int(op[2])%33, 10)).Masked() // shorter ones take long
	}
	b := [16]byte{0x20, 1, 13: op[3], 14: op[4], 15: op[5]}
	if op[0]&4 != 0 {
		b = [16]byte{0x20, 1, 5: op[3], 7: op[4], 8: op[5]}
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), int(op[2])%129).Masked()
}
