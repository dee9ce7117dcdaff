//go:build linux && amd64 && !race

package outside_test

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/outside"
)

// limit is for what has to come in the end.
const limit = 30 * time.Second

// spin runs f outside, on a thread of its own, until the test ends or end is called. f is called
// again and again.
func spin(t *testing.T, f func()) (end func()) {
	t.Helper()
	var began, over atomic.Bool
	done := make(chan bool, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with us
		done <- outside.Call(func() {
			for !over.Load() {
				f()
				began.Store(true)
			}
		})
	}()
	require.Eventually(t, began.Load, limit, time.Millisecond)
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		over.Store(true)
		select {
		case ok := <-done:
			assert.True(t, ok)
		case <-time.After(limit):
			t.Fatal("it does not come back")
		}
	}
	t.Cleanup(end)
	return end
}

// TestTheWorldStopsWithoutIt: while it runs on, collections begin and end, and its thread never
// gives the CPU up, which it would have to for the world to stop.
func TestTheWorldStopsWithoutIt(t *testing.T) {
	var rounds, slept atomic.Int64
	spin(t, func() {
		var u syscall.Rusage
		_, _, _ = syscall.RawSyscall(syscall.SYS_GETRUSAGE, rusageThread, address(&u), 0)
		slept.Store(u.Nvcsw)
		rounds.Add(1)
	})
	before := slept.Load()
	for range 20 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m) // stops the world, too
		from := rounds.Load()
		require.Eventually(t, func() bool { return rounds.Load() > from+100 }, limit, time.Millisecond)
	}
	assert.Equal(t, before, slept.Load(), "its thread slept")
}

// TestItTakesNoP: with one P, others run beside it.
func TestItTakesNoP(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	spin(t, func() {})
	made := make(chan int)
	go func() { made <- 1 }()
	select {
	case <-made:
	case <-time.After(limit):
		t.Fatal("another goroutine does not run")
	}
}

// TestItMaySleep: a system call that blocks holds nobody up.
func TestItMaySleep(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var naps atomic.Int64
	spin(t, func() {
		ts := syscall.NsecToTimespec(int64(time.Millisecond))
		_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, address(&ts), 0, 0)
		naps.Add(1)
	})
	for range 5 {
		runtime.GC()
	}
	from := naps.Load()
	require.Eventually(t, func() bool { return naps.Load() > from+5 }, limit, time.Millisecond)
}

//go:noinline
func deep(n int) int {
	var b [1000]byte
	b[n%len(b)] = byte(n)
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(b[n%len(b)])
}

// TestStack: it may go as deep as the package promises, on whatever thread, and again after collections.
func TestStack(t *testing.T) {
	for range 20 {
		done := make(chan bool)
		go func() {
			ok := true
			for range 10 {
				n := -1
				ok = outside.Call(func() { n = deep(7) }) && n == 7*8/2 && ok
				runtime.GC()
			}
			done <- ok
		}()
		require.True(t, <-done)
	}
}

// TestManyAtOnce: several go in and out while the collector runs all the time and goroutines are preempted.
func TestManyAtOnce(t *testing.T) {
	var over atomic.Bool
	var garbage atomic.Pointer[[]byte]
	for range 2 {
		go func() {
			for !over.Load() {
				b := make([]byte, 100_000)
				garbage.Store(&b)
			}
		}()
	}
	done := make(chan int)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			n := 0
			for begin := time.Now(); time.Since(begin) < time.Second; {
				if outside.Call(func() { n++ }) {
					n--
				} else {
					n = -1 << 40
				}
			}
			done <- n
		}()
	}
	for range 4 {
		assert.Zero(t, <-done)
	}
	over.Store(true)
}

// TestProfiles: it is seen by whoever asks for stacks, and where its time goes by the CPU profile.
func TestProfiles(t *testing.T) {
	profile := func() string {
		var profile strings.Builder
		require.NoError(t, pprof.StartCPUProfile(&profile))
		end := spin(t, busyOutside)
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		assert.Contains(t, string(stacks), "outside.Call(")
		assert.Contains(t, string(stacks), "[syscall")
		time.Sleep(300 * time.Millisecond)
		end()
		pprof.StopCPUProfile()
		file := t.TempDir() + "/cpu"
		require.NoError(t, os.WriteFile(file, []byte(profile.String()), 0o600))
		out, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	last := ""
	for tries := 0; tries < 20 && !strings.Contains(last, "outside_test.busyOutside"); tries++ {
		last = profile() // one without a sample of it is bad luck on a busy machine
	}
	assert.Contains(t, last, "outside_test.busyOutside")
}

var sink atomic.Uint64

//go:noinline
func busyOutside() {
	for i := range uint64(100_000) {
		sink.Store(sink.Load() ^ i)
	}
}

// TestWhatMayNotBe: mistakes end the process, and its last words tell where.
func TestWhatMayNotBe(t *testing.T) {
	mistakes := map[string]func(){
		"nil":        func() { *(*int)(nilPointer) = 1 },
		"index":      func() { _ = make([]int, 1)[:len(os.Args)][len(os.Args)] },
		"allocation": func() { kept = make([]byte, 1<<20) },
		"too deep":   func() { deep(1_000_000) },
	}
	if which := os.Getenv("EIPGW_TEST_MISTAKE"); which != "" {
		outside.Call(mistakes[which])
		return // which is no mistake then
	}
	for which := range mistakes {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWhatMayNotBe$")
		cmd.Env = append(os.Environ(), "EIPGW_TEST_MISTAKE="+which)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, which)
		assert.True(t, strings.Contains(string(out), "TestWhatMayNotBe.func") || strings.Contains(string(out), "deep("), "%s: %.300s", which, out)
	}
}

var kept []byte
