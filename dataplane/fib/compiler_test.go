package fib_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// TestRefused: a bad binding is refused with its reason, the old one stays, and the
// good ones of the same change set are put into force.
func TestRefused(t *testing.T) {
	bad := func(change func(*encap.Tunnel)) []encap.Tunnel {
		b := tun(9)
		change(&b)
		return []encap.Tunnel{tun(8), b}
	}
	for _, v := range []struct {
		name   string
		b      fib.Binding
		reason string
	}{
		{"no prefix", fib.Binding{}, "prefix is not valid"},
		{"not masked", bind(netip.MustParsePrefix("203.0.113.7/24"), 1), "prefix 203.0.113.7/24 has bits set beyond its length, want 203.0.113.0/24"},
		{"mapped", bind(netip.MustParsePrefix("::ffff:203.0.113.7/128"), 1), "is IPv4-mapped IPv6, want IPv4"},
		{"remove not masked", bind(netip.MustParsePrefix("203.0.113.7/24")), "beyond its length"},
		{"VNI", fib.Binding{Prefix: eip, Tunnels: bad(func(t *encap.Tunnel) { t.VNI = 1 << 24 })}, "fib: 203.0.113.7/32: encap: tunnel to 10.1.0.9: VNI 16777216, want at most 16777215"},
		{"no VTEP", fib.Binding{Prefix: eip, Tunnels: bad(func(t *encap.Tunnel) { t.VTEP = netip.Addr{} })}, "VTEP"},
		{"mapped VTEP", fib.Binding{Prefix: eip, Tunnels: bad(func(t *encap.Tunnel) { t.VTEP = netip.MustParseAddr("::ffff:10.1.0.9") })}, "IPv4-mapped"},
		{"multicast VTEP", fib.Binding{Prefix: eip, Tunnels: bad(func(t *encap.Tunnel) { t.VTEP = netip.MustParseAddr("224.0.0.1") })}, "unicast"},
		{"protocol", fib.Binding{Prefix: eip, Tunnels: bad(func(t *encap.Tunnel) { t.Protocol = 9 })}, "protocol 9"},
	} {
		t.Run(v.name, func(t *testing.T) {
			g := newRig(t, fib.TableOptions{})
			other := netip.MustParsePrefix("203.1.0.0/24") // in the same page of the root
			g.apply(bind(eip, 3))
			before := g.c.Stats()
			rep, err := g.c.Apply([]fib.Binding{v.b, bind(other, 4)})
			require.NoError(t, err)
			require.Len(t, rep.Refused, 1)
			assert.Equal(t, v.b.Prefix, rep.Refused[0].Prefix)
			assert.ErrorContains(t, rep.Refused[0].Err, v.reason)
			assert.Equal(t, []netip.Prefix{other}, rep.Programmed)
			assert.Equal(t, 3, g.outOf(1))
			g.apply(bind(other))
			assert.Equal(t, before, g.c.Stats(), "nothing of it is left")
		})
	}
}

func TestReport(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	g.res.Set(tun(5).VTEP)
	p := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	rep := g.apply(bind(p("203.0.113.0/24"), 1), bind(p("::/0"), 5), bind(p("0.0.0.0/0"), 5, 1), bind(p("192.0.2.0/24")))
	assert.Equal(t, fib.Report{
		Programmed: []netip.Prefix{p("203.0.113.0/24"), p("0.0.0.0/0")},
		Unresolved: []netip.Prefix{p("::/0")},
	}, rep)
	rep = g.apply(bind(p("203.0.113.0/24")), bind(p("203.0.113.0/24")), bind(p("::/0"), 1), bind(p("::/0"), 2))
	assert.Equal(t, fib.Report{
		Programmed: []netip.Prefix{p("::/0"), p("::/0")},
		Removed:    []netip.Prefix{p("203.0.113.0/24")},
	}, rep)
	assert.Equal(t, []int{2}, g.lookup([]netip.Addr{netip.MustParseAddr("2001:db8::1")}), "the last one of a prefix holds")
}

// TestLargeApply: a set that is put in order does the same as its changes one by
// one.
func TestLargeApply(t *testing.T) {
	g := newRig(t, fib.TableOptions{Poison: true})
	want := newNaive()
	r := rand.New(rand.NewPCG(5, 5))
	four, six := chooser{r, false}, chooser{r, true}
	for range 3 {
		var bs []fib.Binding
		for range fib.Scaled(2000) {
			c := four
			if r.IntN(2) == 0 {
				c = six
			}
			p, n := c.prefix(), 1+r.IntN(rigTunnels)
			if r.IntN(4) == 0 {
				bs = append(bs, bind(p))
				want.set(p, 0)
			} else {
				bs = append(bs, bind(p, n))
				want.set(p, n)
			}
		}
		g.apply(bs...)
		checkAll(t, g, want, four)
		checkAll(t, g, want, six)
	}
}

// TestTurns: in the middle of a large change set others get at the compiler.
func TestTurns(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	bs := make([]fib.Binding, 200_000)
	for i := range bs {
		bs[i] = bind(netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}), 32), 1)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := g.c.Apply(bs)
		assert.NoError(t, err)
	})
	between := 0
	for n := 0; n < len(bs); {
		if n = g.c.Stats().IPv4; n > 0 && n < len(bs) {
			between++
		}
	}
	wg.Wait()
	assert.NotZero(t, between)
}

// TestWalk begins anywhere, stops when told to, and sees every binding that is
// there all the time once, whatever else changes.
func TestWalk(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	var all []netip.Prefix
	var bs []fib.Binding
	for i := range 2000 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32)
		if i%2 == 1 {
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 13: byte(i >> 8), 14: byte(i)}), 120+i%9)
		}
		all, bs = append(all, p.Masked()), append(bs, bind(p.Masked(), 1, 2))
	}
	g.apply(bs...)
	slices.SortFunc(all, netip.Prefix.Compare)
	all = slices.Compact(all)
	g.res.Set(tun(2).VTEP)
	g.c.Refresh([]netip.Addr{tun(2).VTEP})

	walk := func(from netip.Prefix, max int) (got []netip.Prefix) {
		g.c.Walk(from, func(b fib.BindingState) bool {
			require.Equal(t, []encap.Tunnel{tun(1).Canonical(), tun(2).Canonical()}, b.Tunnels)
			require.Equal(t, 1, b.Resolved)
			got = append(got, b.Prefix)
			return len(got) < max
		})
		return got
	}
	for _, at := range []int{0, 1, 255, 256, 257, 999, 1000, 1001, len(all) - 1} {
		require.Equal(t, all[at:], walk(all[at], len(all)+1), "from %s", all[at])
		require.Equal(t, all[at:min(at+300, len(all))], walk(all[at], 300))
	}
	require.Equal(t, all, walk(netip.Prefix{}, len(all)+1))
	require.Empty(t, walk(netip.MustParsePrefix("ffff::/16"), 1))
	require.Equal(t, all[1000:], walk(netip.MustParsePrefix("203.255.0.0/32"), len(all)), "IPv6 after IPv4")

	var got []netip.Prefix
	g.c.Walk(netip.Prefix{}, func(b fib.BindingState) bool {
		if b.Prefix.Addr().As16()[15]%2 == 0 && b.Prefix.Addr().Is4() {
			got = append(got, b.Prefix)
		}
		g.apply(bind(netip.PrefixFrom(b.Prefix.Addr(), b.Prefix.Addr().BitLen()), 3)) // also ones that are not yet bound
		g.apply(bind(netip.PrefixFrom(b.Prefix.Addr().Next(), b.Prefix.Addr().BitLen())))
		return true
	})
	require.Equal(t, all[:1000], got)
}

// TestNoRoom: a table that has used up its address space refuses what is new, and
// goes on working.
func TestNoRoom(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		g := newRig(t, fib.TableOptions{Poison: true, LookupSpace: 4 << 20, PrefixSpace: 4 << 20, DistinctSpace: 1 << 16})
		base := g.c.Stats().Bytes
		r := rand.New(rand.NewPCG(1, 1))
		addr := func() netip.Addr {
			return netip.AddrFrom4([4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), 1})
		}
		if v6 {
			addr = func() netip.Addr { return fuzzAddr6(r.Uint64()) }
		}
		want := newNaive()
		var refused fib.Refusal
		for refused.Err == nil {
			p := netip.PrefixFrom(addr(), 32)
			if v6 {
				p = netip.PrefixFrom(p.Addr(), 128-r.IntN(2)*64).Masked()
			}
			rep, err := g.c.Apply([]fib.Binding{bind(p, 1+r.IntN(rigTunnels))})
			require.NoError(t, err)
			if len(rep.Refused) > 0 {
				refused = rep.Refused[0]
				break
			}
			x, ok := g.c.Lookup(p.Addr())
			require.True(t, ok)
			want.set(p, int(x.Tunnels[0].Tunnel.VNI))
			require.Less(t, len(want.prefixes), 1_000_000)
		}
		assert.ErrorContains(t, refused.Err, "is full")
		assert.Greater(t, len(want.prefixes), 5000)
		for p, n := range want.prefixes {
			require.Equal(t, []int{n}, g.lookup([]netip.Addr{p.Addr()}))
			g.apply(bind(p))
		}
		g.apply(bind(refused.Prefix, 1))
		g.apply(bind(refused.Prefix))
		assert.Equal(t, base, g.c.Stats().Bytes)
	}
}

func fuzzAddr6(x uint64) netip.Addr {
	b := [16]byte{0x20, 1, 15: byte(x >> 56)}
	for i := range 8 {
		b[2+i] = byte(x >> (8 * i))
	}
	return netip.AddrFrom16(b)
}

// TestTooManyTunnels: distinct tunnels have a limit; a change of the ones there are
// is not affected.
func TestTooManyTunnels(t *testing.T) {
	g := newRig(t, fib.TableOptions{DistinctSpace: 1 << 16})
	const max = 1<<16/4 - 1
	bs := make([]fib.Binding, max+1)
	for i := range bs {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		bs[i] = fib.Binding{Prefix: p, Tunnels: []encap.Tunnel{{VTEP: tun(1).VTEP, VNI: encap.VNI(i)}}}
	}
	rep, err := g.c.Apply(bs)
	require.NoError(t, err)
	require.Len(t, rep.Refused, 1)
	assert.ErrorContains(t, rep.Refused[0].Err, "too many distinct tunnels")
	assert.Equal(t, max, g.c.Stats().Tunnels)
	g.apply(bind(bs[0].Prefix))
	g.apply(bs[max])
}

func TestTableOptions(t *testing.T) {
	_, err := fib.NewTable(fib.TableOptions{LookupSpace: 1000})
	assert.EqualError(t, err, "fib: new table: LookupSpace is 1000 bytes, want a multiple of 64 KiB from 4194304 to 8589934592")
	_, err = fib.NewTable(fib.TableOptions{DistinctSpace: 2 << 30})
	assert.ErrorContains(t, err, "DistinctSpace")
	for k := range 6 {
		mem := &failing{after: k}
		_, err := fib.NewTable(fib.TableOptions{Memory: mem})
		assert.ErrorIs(t, err, errNoMemory)
		assert.True(t, mem.closed, "what had been reserved is given back")
	}
}

var errNoMemory = errors.New("no memory")

// failing is memory whose n-th region cannot be had.
type failing struct {
	after  int
	closed bool
}

func (f *failing) Reserve(_ string, size int) ([]byte, error) {
	if f.after--; f.after < 0 {
		return nil, errNoMemory
	}
	return make([]byte, min(size, 64<<20)), nil
}
func (f *failing) Commit([]byte, int, int) error { return nil }
func (f *failing) Discard([]byte)                {}
func (f *failing) Close() error                  { f.closed = true; return nil }

// TestLookupNothing: addresses that are none, or of no binding.
func TestLookupNothing(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	assert.Nil(t, g.r.Entry(0, 1))
	g.apply(bind(eip, 1))
	for _, a := range []string{"203.0.113.8", "2001:db8::1", "::"} {
		_, ok := g.c.Lookup(netip.MustParseAddr(a))
		assert.False(t, ok, a)
		assert.Equal(t, []int{0}, g.lookup([]netip.Addr{netip.MustParseAddr(a)}))
	}
	_, ok := g.c.Lookup(netip.Addr{})
	assert.False(t, ok)
	_, ok = g.c.Lookup(netip.MustParseAddr("::ffff:203.0.113.7"))
	assert.True(t, ok, "an IPv4 address in whatever form")
}

// TestNoAllocations: nothing that a worker calls allocates.
func TestNoAllocations(t *testing.T) {
	g := newRig(t, fib.TableOptions{})
	g.res.Set(tun(2).VTEP, fibtest.Adjacency(1, local4, 1), fibtest.Adjacency(2, local4, 2))
	g.apply(bind(eip, 1, 2), bind(netip.MustParsePrefix("2001:db8::/64"), 1), bind(netip.MustParsePrefix("2001:db8::7/128"), 2))
	dst4, dst6 := make([]uint32, 100), make([]fib.Addr6, 100)
	for i := range dst4 {
		dst4[i] = 203<<24 | 113<<8 | uint32(i)
		dst6[i] = fib.Addr6{Hi: 0x20010db8_00000000, Lo: uint64(i)}
	}
	out := make([]fib.Value, 100)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		g.r.Begin()
		g.r.Lookup4(dst4, out)
		g.r.Entry(out[7], 1)
		g.r.Lookup6(dst6, out)
		g.r.Entry(out[7], 1)
		g.r.Entry(out[8], 1)
		g.r.End()
	}))
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		g.r.Lookup4(nil, nil)
		g.r.Lookup6(nil, nil)
	}))
}

// TestManyReaders come and go while the writer works.
func TestManyReaders(t *testing.T) {
	g := newRig(t, fib.TableOptions{Poison: true})
	g.apply(bind(eip, 1))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				r, err := g.table.NewReader()
				if !assert.NoError(t, err) {
					return
				}
				var out [1]fib.Value
				r.Begin()
				r.Lookup4([]uint32{203<<24 | 113<<8 | 7}, out[:])
				if e := r.Entry(out[0], 0); e.Out != 1 && e.Out != 2 {
					t.Errorf("tunnel %d", e.Out)
				}
				r.End()
				r.Close()
			}
		})
	}
	for i := range 2000 {
		g.apply(bind(eip, 1+i%2))
	}
	wg.Wait()
	g.c.Reclaim()
	assert.Zero(t, g.c.Stats().Retired)
	assert.Equal(t, 1, g.c.Stats().Readers)
}
