package fib_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// rig is a table with its compiler, a resolver that knows the way to every
// tunnel of tun, and one reader.
type rig struct {
	t     *testing.T
	res   *fibtest.Resolver
	table *fib.Table
	c     *fib.Compiler
	r     *fib.Reader
}

const rigTunnels = 300

func newRig(t *testing.T, o fib.TableOptions) *rig {
	t.Helper()
	table, err := fib.NewTable(o)
	require.NoError(t, err)
	r, err := table.NewReader()
	require.NoError(t, err)
	g := &rig{t: t, res: &fibtest.Resolver{}, table: table, r: r}
	g.c = fib.NewCompiler(table, g.res)
	for n := 1; n <= rigTunnels; n++ {
		g.res.Set(tun(n).VTEP, fibtest.Adjacency(fib.PortID(n), local4, 1))
	}
	t.Cleanup(func() {
		r.Close()
		require.NoError(t, table.Close())
	})
	return g
}

var local4 = netip.MustParseAddr("10.255.0.1")

// tun is the n-th of a row of tunnels. In a rig its entry's Out is n.
func tun(n int) encap.Tunnel {
	return encap.Tunnel{VTEP: netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), VNI: encap.VNI(n)}
}

func bind(p netip.Prefix, n ...int) fib.Binding {
	b := fib.Binding{Prefix: p}
	for _, n := range n {
		b.Tunnels = append(b.Tunnels, tun(n))
	}
	return b
}

// apply expects that nothing is refused.
func (g *rig) apply(b ...fib.Binding) fib.Report {
	g.t.Helper()
	rep, err := g.c.Apply(b)
	require.NoError(g.t, err)
	require.Empty(g.t, rep.Refused)
	return rep
}

// lookup is the tunnel of each address, 0 where there is none.
func (g *rig) lookup(addrs []netip.Addr) []int {
	var (
		dst4     []uint32
		dst6     []fib.Addr6
		at4, at6 []int
		got      = make([]int, len(addrs))
	)
	for i, a := range addrs {
		if a.Is4() {
			b := a.As4()
			dst4 = append(dst4, uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]))
			at4 = append(at4, i)
		} else {
			dst6 = append(dst6, fib.Addr6From(a))
			at6 = append(at6, i)
		}
	}
	out4, out6 := make([]fib.Value, len(dst4)), make([]fib.Value, len(dst6))
	g.r.Begin()
	defer g.r.End()
	g.r.Lookup4(dst4, out4)
	g.r.Lookup6(dst6, out6)
	for i, v := range out4 {
		got[at4[i]] = g.out(v)
	}
	for i, v := range out6 {
		got[at6[i]] = g.out(v)
	}
	return got
}

func (g *rig) out(v fib.Value) int {
	if v == 0 {
		return 0
	}
	e := g.r.Entry(v, 1)
	if e == nil {
		return -1
	}
	return int(e.Out)
}

// naive is the table that is obviously right.
type naive struct {
	prefixes map[netip.Prefix]int
	masked   map[masked]int // the same, quicker to look up
}

type masked struct {
	addr fib.Addr6
	bits int
	is4  bool
}

func newNaive() naive { return naive{map[netip.Prefix]int{}, map[masked]int{}} }

func mask(a netip.Addr, bits int) masked {
	m := masked{bits: bits, is4: a.Is4()}
	if m.is4 {
		bits += 96
	}
	m.addr = fib.Addr6From(a)
	if bits < 64 {
		m.addr = fib.Addr6{Hi: m.addr.Hi >> (64 - bits) << (64 - bits)}
	} else {
		m.addr.Lo = m.addr.Lo >> (128 - bits) << (128 - bits)
	}
	return m
}

// set binds a prefix to a tunnel, 0 to none.
func (n naive) set(p netip.Prefix, tunnel int) {
	if tunnel == 0 {
		delete(n.prefixes, p)
		delete(n.masked, mask(p.Addr(), p.Bits()))
		return
	}
	n.prefixes[p] = tunnel
	n.masked[mask(p.Addr(), p.Bits())] = tunnel
}

func (n naive) lookup(a netip.Addr) int {
	for bits := a.BitLen(); bits >= 0; bits-- {
		if v := n.masked[mask(a, bits)]; v != 0 {
			return v
		}
	}
	return 0
}

// edges are the first and last address of a prefix, and those next to them.
func edges(p netip.Prefix) []netip.Addr {
	first := p.Masked().Addr()
	last := first
	b := first.AsSlice()
	for i := p.Bits(); i < first.BitLen(); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ = netip.AddrFromSlice(b)
	var all []netip.Addr
	for _, a := range []netip.Addr{first, last, first.Prev(), last.Next()} {
		if a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}

// chooser makes prefixes and addresses that lie close together, so that they
// overlap and share nodes.
type chooser struct {
	*rand.Rand
	v6 bool
}

func (c chooser) addr() netip.Addr {
	if !c.v6 {
		b := [4]byte{203, 0, byte(c.IntN(3)), byte(c.IntN(256))}
		if c.IntN(8) == 0 {
			b = [4]byte{byte(c.IntN(256)), byte(c.IntN(256)), byte(c.IntN(256)), byte(c.IntN(256))}
		}
		return netip.AddrFrom4(b)
	}
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	for i := 4; i < 16; i++ {
		if c.IntN(3) == 0 {
			b[i] = byte(c.IntN(3))
		}
	}
	b[15] = byte(c.IntN(256))
	if c.IntN(8) == 0 {
		for i := range b {
			b[i] = byte(c.IntN(256))
		}
	}
	return netip.AddrFrom16(b)
}

func (c chooser) prefix() netip.Prefix {
	a := c.addr()
	bits := a.BitLen()
	switch c.IntN(4) {
	case 0:
		bits = c.IntN(bits + 1)
	case 1:
		bits -= c.IntN(9)
	case 2:
		bits -= c.IntN(24)
	}
	if bits < 10 && c.IntN(20) > 0 { // these take long
		bits += 10
	}
	p, _ := a.Prefix(bits)
	return p
}
