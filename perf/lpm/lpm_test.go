package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/eipset"
)

// TestContenders: every contender that needs no other program finds what is bound.
func TestContenders(t *testing.T) {
	for _, set := range eipset.Sets {
		s := settings{rounds: 2, turn: time.Millisecond, eips: 64 * burst}
		cs, err := contenders(s, nil, set)
		require.NoError(t, err)
		require.NoError(t, takeTurns(cs, s))
		var out strings.Builder
		report(&out, set.Name, cs)
		assert.Equal(t, 2, strings.Count(out.String(), "\n"), out.String())
		for _, c := range cs {
			assert.Len(t, c.turns, 2)
			require.NoError(t, c.close())
		}
	}
}

func TestSpread(t *testing.T) {
	assert.Equal(t, "3.0 [2.0, 4.0]", spread([]float64{5, 1, 3, 2, 4}, "%.1f"))
	assert.Equal(t, "7.0 [7.0, 7.0]", spread([]float64{7}, "%.1f"))
}

func TestParse(t *testing.T) {
	s, err := parse([]string{"-sets", "v4-pool", "-eips", "128"})
	require.NoError(t, err)
	assert.Equal(t, []string{"v4-pool"}, s.sets)
	for _, bad := range []string{"-sets=v5", "-eips=63", "-rounds=0", "x"} {
		_, err := parse([]string{bad})
		assert.Error(t, err, bad)
	}
}
