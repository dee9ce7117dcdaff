package fib

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/encap"
)

// heap is Memory that the race detector watches, unlike what mmap returns. It also
// stands for memory that somebody else keeps: regions have names.
type heap struct {
	regions map[string][]byte
	closed  bool
}

func (h *heap) Reserve(name string, size int) ([]byte, error) {
	b := make([]byte, size)
	if h.regions == nil {
		h.regions = map[string][]byte{}
	}
	h.regions[name] = b
	return b, nil
}

func (h *heap) Commit([]byte, int, int) error { return nil }
func (h *heap) Discard(part []byte)           { clear(part) }
func (h *heap) Close() error                  { h.closed = true; return nil }

// small is options for a table of little address space.
func small(mem Memory) TableOptions {
	return TableOptions{Memory: mem, Poison: true, LookupSpace: 32 << 20, PrefixSpace: 16 << 20, DistinctSpace: 2 << 20}
}

// ways resolves every VTEP to one way, out of the port that the last two bytes of
// its address say.
type ways struct{}

func (ways) Resolve(vtep netip.Addr) ([]Adjacency, error) {
	b := vtep.As4()
	return []Adjacency{{
		Port: PortID(b[2])<<8 | PortID(b[3]),
		MTU:  1500,
		Outer: encap.Outer{
			Src: encap.MAC{2, 1}, Dst: encap.MAC{2, 2}, Local: netip.AddrFrom4([4]byte{10, 255, 0, 1}),
		},
	}}, nil
}
func (ways) Track(netip.Addr)   {}
func (ways) Untrack(netip.Addr) {}

// tunnelTo is a tunnel whose entry's Out is n.
func tunnelTo(n int) encap.Tunnel {
	return encap.Tunnel{VTEP: netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), VNI: encap.VNI(n)}
}

func bound(p netip.Prefix, n int) Binding {
	if n == 0 {
		return Binding{Prefix: p}
	}
	return Binding{Prefix: p, Tunnels: []encap.Tunnel{tunnelTo(n)}}
}

func newTable(t testing.TB, o TableOptions) (*Table, *Compiler) {
	t.Helper()
	table, err := NewTable(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	return table, NewCompiler(table, ways{})
}

func newReader(t testing.TB, table *Table) *Reader {
	t.Helper()
	r, err := table.NewReader()
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func apply(t testing.TB, c *Compiler, bs ...Binding) {
	t.Helper()
	rep, err := c.Apply(bs)
	require.NoError(t, err)
	require.Empty(t, rep.Refused)
}

func host(s string) netip.Prefix {
	a := netip.MustParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen())
}

func TestMemoryIsGivenBack(t *testing.T) {
	h := &heap{}
	table, err := NewTable(small(h))
	require.NoError(t, err)
	require.NoError(t, table.Close())
	assert.True(t, h.closed)
}

func TestAnonymousMemory(t *testing.T) {
	mem, err := anonymousMemory(true)
	require.NoError(t, err)
	b, err := mem.Reserve("test", 1<<30)
	require.NoError(t, err)
	require.Len(t, b, 1<<30)
	require.NoError(t, mem.Commit(b, 0, commitStep))
	assert.Zero(t, b[commitStep-1])
	b[0], b[commitStep-1] = 1, 2
	mem.Discard(b[:4096])
	assert.Zero(t, b[0])
	assert.EqualValues(t, 2, b[commitStep-1])
	require.NoError(t, mem.Close())
}

func TestRegionGrows(t *testing.T) {
	r, err := reserve(&heap{}, "r", 3*commitStep)
	require.NoError(t, err)
	require.NoError(t, r.commit(1))
	assert.Equal(t, commitStep, r.committed)
	require.NoError(t, r.commit(commitStep+1))
	assert.Equal(t, 2*commitStep, r.committed)
	require.NoError(t, r.commit(3*commitStep))
	assert.ErrorContains(t, r.commit(3*commitStep+1), `region "r" is full`)
}
