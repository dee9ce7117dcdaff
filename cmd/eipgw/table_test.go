package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// TestJSONList: what is written element by element is what is written at once.
func TestJSONList(t *testing.T) {
	list := []admin.Binding{}
	for i := range 4 {
		var want, got strings.Builder
		require.NoError(t, printJSON(&want, list))
		l := newJSONList(&got)
		for _, b := range list {
			require.NoError(t, l.add(b))
		}
		require.NoError(t, l.end())
		assert.Equal(t, want.String(), got.String(), "%d elements", i)
		list = append(list, admin.Binding{
			Prefix: netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/32", i)), Tunnels: make([]admin.Tunnel, i), Problem: "<&>",
		})
	}
}

// full takes so many bytes.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

func TestJSONListThatCannotBeWritten(t *testing.T) {
	l := newJSONList(&full{10_000})
	n := 0
	for ; n < 1000; n++ {
		if l.add(admin.Binding{}) != nil {
			break
		}
	}
	assert.Less(t, n, 1000)
	assert.EqualError(t, l.end(), "no space left")
}
