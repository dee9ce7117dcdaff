package fib

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEpochs: a reader holds back what was taken out after its burst began, and
// nothing else.
func TestEpochs(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	in, idle := newReader(t, table), newReader(t, table)
	eip := host("203.0.113.7")
	waiting := func() int { return c.Stats().Retired }

	apply(t, c, bound(eip, 1), Binding{Prefix: eip})
	assert.Zero(t, waiting(), "nobody is in a burst")

	idle.Begin()
	idle.End()
	apply(t, c, bound(eip, 1))
	in.Begin()
	apply(t, c, Binding{Prefix: eip})
	held := waiting()
	assert.NotZero(t, held, "the burst began before")

	late := newReader(t, table)
	late.Begin()
	c.Reclaim()
	assert.Equal(t, held, waiting())
	in.End()
	c.Reclaim()
	assert.Zero(t, waiting(), "the other burst began after")
	late.End()

	// A reader that goes away in a burst holds nothing back.
	gone, err := table.NewReader()
	require.NoError(t, err)
	apply(t, c, bound(eip, 1))
	gone.Begin()
	apply(t, c, Binding{Prefix: eip})
	assert.NotZero(t, waiting())
	gone.Close()
	gone.Close()
	c.Reclaim()
	assert.Zero(t, waiting())
	assert.Equal(t, 3, c.Stats().Readers)
}

// TestBurstKeepsWhatItFound: a value and an entry found in a burst stay as they
// were until its end, whatever is bound to their place meanwhile.
func TestBurstKeepsWhatItFound(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	r := newReader(t, table)
	eip := host("203.0.113.7")
	apply(t, c, bound(eip, 1))

	r.Begin()
	var out [1]Value
	r.Lookup4([]uint32{203<<24 | 113<<8 | 7}, out[:])
	e := r.Entry(out[0], 0)
	for n := 2; n < 100; n++ { // other tunnels, which would get the first one's slot and entry
		apply(t, c, Binding{Prefix: eip}, bound(eip, n))
	}
	assert.EqualValues(t, 1, e.Out)
	assert.Same(t, e, r.Entry(out[0], 0), "the value still means what it did")
	r.End()

	c.Reclaim()
	assert.NotEqual(t, PortID(1), e.Out, "poisoned, after the end")
	r.Begin()
	r.Lookup4([]uint32{203<<24 | 113<<8 | 7}, out[:])
	assert.EqualValues(t, 99, r.Entry(out[0], 0).Out)
	r.End()
}

func TestCloseWithReaders(t *testing.T) {
	table, err := NewTable(TableOptions{})
	require.NoError(t, err)
	r, err := table.NewReader()
	require.NoError(t, err)
	assert.ErrorContains(t, table.Close(), "1 readers are still open")
	r.Close()
	require.NoError(t, table.Close())
	require.NoError(t, table.Close())
	_, err = table.NewReader()
	assert.ErrorContains(t, err, "table is closed")
}

func TestClosedTable(t *testing.T) {
	table, err := NewTable(TableOptions{})
	require.NoError(t, err)
	c := NewCompiler(table, ways{})
	assert.Panics(t, func() { NewCompiler(table, ways{}) }, "one writer")
	require.NoError(t, table.Close())
	_, err = c.Apply([]Binding{bound(host("203.0.113.7"), 1)})
	assert.ErrorContains(t, err, "table is closed")
	c.Refresh(nil)
	c.Reclaim()
	assert.Zero(t, c.Stats())
}
