package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultsOfASeries(t *testing.T) {
	s, err := parse(nil)
	require.NoError(t, err)
	assert.Equal(t, []float64{0.5, 0.8}, s.Loads)
	assert.Equal(t, 2*time.Second, s.Idle)
	for _, args := range [][]string{{"-rate", "1000"}, {"-hostile", "ttl"}, {"-against", "x"}, {"-loads", ""}} {
		s, err := parse(args)
		require.NoError(t, err)
		assert.Empty(t, s.Loads, "%v", args)
	}
	s, err = parse([]string{"-series", "soak", "-timed-time", "3s"})
	require.NoError(t, err)
	assert.Equal(t, []float64{0.8}, s.Loads)
	assert.Equal(t, []float64{0, 100_000}, s.Points)
	assert.Equal(t, 3*time.Second, s.TimedTime)
	assert.Equal(t, churnEIPs, s.EIPs)
	assert.Zero(t, s.Idle)
	s, err = parse([]string{"-series", "latency"})
	require.NoError(t, err)
	assert.Len(t, s.Loads, 9)
	s, err = parse([]string{"-profile", "there"})
	require.NoError(t, err)
	assert.Equal(t, "eipgw", s.selected)
}

func TestImpossibleSeries(t *testing.T) {
	for what, args := range map[string][]string{
		"expected one of eips": {"-series", "none"},
		"needs a -series":      {"-points", "1"},
		"goes without":         {"-series", "churn", "-rate", "5"},
		"has no -points":       {"-series", "latency", "-points", "5"},
		"needs -points":        {"-series", "churn", "-points", ""},
		"expected 1 to":        {"-series", "eips", "-points", "0,10"},
		"numbers above 0":      {"-loads", "0"},
		"loads up to 1":        {"-loads", "1.1"},
	} {
		_, err := parse(args)
		assert.ErrorContains(t, err, what, "%v", args)
	}
}

func TestEntrantsOfASeries(t *testing.T) {
	s, err := parse([]string{"-series", "eips", "-points", "1000,10000000"})
	require.NoError(t, err)
	cs, err := s.entrants()
	require.NoError(t, err)
	require.Len(t, cs, 2)
	few, many := cs[0], cs[1]
	assert.Equal(t, []string{"eipgw, 1k EIPs", "eipgw, 10M EIPs"}, []string{few.name(), many.name()})
	assert.Equal(t, []int{1000, 10_000_000}, []int{few.traffic().eips, many.traffic().eips})
	assert.True(t, few.reference())
	assert.False(t, many.reference())
	assert.Equal(t, 1, baseOf(cs, 1), "its own rate")

	s, err = parse([]string{"-series", "churn"})
	require.NoError(t, err)
	cs, err = s.entrants()
	require.NoError(t, err)
	require.Len(t, cs, 3)
	assert.Equal(t, "eipgw, 100k changes/s", cs[2].name())
	assert.InDelta(t, 100_000, churnOf(cs[2]), 0)
	assert.Same(t, cs[0].(variant).contender, cs[2].(variant).contender, "one process")
	assert.Contains(t, cs[2].what(), "100000 binding changes a second")
	assert.Equal(t, 0, baseOf(cs, 2), "the rate at rest")
	assert.Zero(t, churnOf(fake{}))
}

func TestVariantsAreComparedWithTheirOwn(t *testing.T) {
	one, other := fake{label: "one"}, fake{label: "other"}
	base := variant{contender: one, base: true}
	assert.True(t, related(variant{contender: one}, base))
	assert.False(t, related(variant{contender: other}, base))
	assert.False(t, related(variant{contender: one}, one))
	assert.True(t, related(one, other))
}

func TestShortNumbers(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 256: "256", 1000: "1k", 2.5e6: "2.5M", 1e7: "10M"} {
		assert.Equal(t, want, short(x))
	}
}
