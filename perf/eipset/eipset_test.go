package eipset

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDistinct: no address comes twice, nor does one of another part of the set.
func TestDistinct(t *testing.T) {
	const n = 100_000
	for _, s := range Sets {
		seen := map[netip.Addr]bool{}
		for _, a := range append(s.Make(n), s.MakeFrom(n, n)...) {
			seen[a] = true
		}
		assert.Len(t, seen, 2*n, s.Name)
	}
}

func TestMix24IsABijection(t *testing.T) {
	seen := make([]bool, 1<<24)
	for i := range uint32(1 << 24) {
		x := mix24(i)
		if x >= 1<<24 || seen[x] {
			t.Fatalf("%#x comes twice, or is too large", x)
		}
		seen[x] = true
	}
}

func TestInternet(t *testing.T) {
	v4, v6, err := Internet("../testdata/internet.txt.gz")
	require.NoError(t, err)
	assert.Len(t, v4, 901_899)
	assert.Len(t, v6, 160_147)
}

func TestLoad(t *testing.T) {
	table, c, _, err := NewTable(1500)
	require.NoError(t, err)
	require.NoError(t, Load(c, Must("v4-pool").Make(3*loadBatch/2)))
	require.NoError(t, Load(c, Must("v6-sparse").Make(1000)))
	st := c.Stats()
	assert.Equal(t, 3*loadBatch/2, st.IPv4)
	assert.Equal(t, 1000, st.IPv6)
	assert.Zero(t, st.Unresolved)
	require.NoError(t, table.Close())
}
