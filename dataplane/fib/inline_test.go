package fib

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInlined: what the inner loops of a lookup call costs no call.
func TestInlined(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, f := range []string{
		"(*Reader).Begin", "(*Reader).End", "Mix", "Score", "WayScore",
		"dirIndex", "hash6", "hashBucket", "inDense", "ones", "single", "touch", "wordAt", "zero",
	} {
		assert.True(t, strings.Contains(string(out), "can inline "+f+"\n"), f)
	}
}
