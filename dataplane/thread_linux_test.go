package dataplane

import (
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// niceness is that of the calling thread.
func niceness(t *testing.T) int {
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	require.NoError(t, err)
	return 20 - n
}

// TestPinnedThreadGoesFirst: as far as the process may, and no longer than it is pinned.
func TestPinnedThreadGoesFirst(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := niceness(t)
	var allowed cpuMask
	_, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, &allowed)
	require.Zero(t, e)
	cpu := 0
	for ; allowed[cpu/64]>>(cpu%64)&1 == 0; cpu++ {
	}
	want := -20
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20); err != nil {
		want = before
	} else {
		require.NoError(t, syscall.Setpriority(syscall.PRIO_PROCESS, 0, before))
	}

	undo, err := pinThread(cpu)
	require.NoError(t, err)
	assert.Equal(t, want, niceness(t))
	undo()
	assert.Equal(t, before, niceness(t))
}
