package dataplane

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
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
	_, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &allowed)
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

// TestKeepOff: threads that are there and those to come. It runs in a process of its own.
func TestKeepOff(t *testing.T) {
	var allowed cpuMask
	_, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &allowed)
	require.Zero(t, e)
	var cpus []int
	for c := range len(allowed) * 64 {
		if allowed[c/64]>>(c%64)&1 != 0 {
			cpus = append(cpus, c)
		}
	}
	if os.Getenv("EIPGW_KEEP_OFF") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKeepOff$", "-test.v")
		cmd.Env = append(os.Environ(), "EIPGW_KEEP_OFF=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	left, err := KeepOff(cpus)
	require.NoError(t, err)
	assert.False(t, left, "no CPU but these")

	want := allowed
	if len(cpus) > 1 {
		want[cpus[0]/64] &^= 1 << (cpus[0] % 64)
		left, err = KeepOff(cpus[:1])
		require.NoError(t, err)
		assert.True(t, left)
	}
	for range 3 { // new threads
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and the thread ends with the goroutine
			var got cpuMask
			_, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &got)
			assert.Zero(t, e)
			assert.Equal(t, want, got)
		}()
		<-done
	}
	threads, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	assert.NotEmpty(t, threads)
	for _, th := range threads {
		tid, err := strconv.Atoi(th.Name())
		require.NoError(t, err)
		var got cpuMask
		if _, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, tid, &got); e == 0 {
			assert.Equal(t, want, got, "thread %d", tid)
		}
	}
}
