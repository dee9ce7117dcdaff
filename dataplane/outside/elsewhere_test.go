//go:build !linux || !amd64 || race

package outside_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane/outside"
)

// TestNotBuiltHere: Call says so.
func TestNotBuiltHere(t *testing.T) {
	assert.False(t, outside.Call(func() { t.Error("it was called") }))
}
