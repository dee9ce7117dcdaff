package dataplane

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// cpuMask is a set of CPUs as the kernel takes it, for up to 8192 of them.
type cpuMask [128]uint64

// pinThread binds the calling goroutine to a thread and the thread to a CPU, until
// undo is called.
//
// Affinity belongs to threads, so there is no pinning without LockOSThread, and that
// has a price: whenever the runtime preempts a locked goroutine, its P goes to another thread,
// and it sleeps until one finds it in the run queue and hands a P back. Outside of the runtime (see
// Outsider) there is neither P nor preemption. Other threads of the process stay free to use the
// worker's CPU: so they can hand over there while others are busy elsewhere. A worker that is
// not pinned is not locked either, and is picked up again by its own thread within a
// microsecond; but it moves between CPUs, and its thread runs others' goroutines in between.
//
// The thread goes before all ordinary ones on its CPU (nice -20), also before those of this
// process: the garbage collector's would else run on it for milliseconds at a time, as long
// as a collection goes on. They get the rest, which is what a worker that is idle leaves and a
// percent of a busy one's time. Without CAP_SYS_NICE it is one among them. Its timer slack is
// a microsecond, since pauses of a microsecond would else take 50.
func pinThread(cpu int) (undo func(), err error) {
	var old, want cpuMask
	if cpu < 0 || cpu >= len(want)*64 {
		return nil, fmt.Errorf("CPU %d: expected 0 to %d", cpu, len(want)*64-1)
	}
	runtime.LockOSThread()
	if _, _, e := affinity(syscall.SYS_SCHED_GETAFFINITY, &old); e != 0 {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("reading the CPU affinity: %w", e)
	}
	want[cpu/64] = 1 << (cpu % 64)
	if _, _, e := affinity(syscall.SYS_SCHED_SETAFFINITY, &want); e != 0 {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("pinning to CPU %d, which may be missing, offline or outside this process's cpuset: %w", cpu, e)
	}
	setTimerSlack(time.Microsecond)
	unhurry := hurry()
	return func() {
		setTimerSlack(0)
		unhurry()
		if _, _, e := affinity(syscall.SYS_SCHED_SETAFFINITY, &old); e == 0 {
			runtime.UnlockOSThread() // else the thread ends with its goroutine
		}
	}, nil
}

// affinity gets or sets the calling thread's CPUs.
func affinity(call uintptr, m *cpuMask) (uintptr, uintptr, syscall.Errno) {
	return syscall.RawSyscall(call, 0, unsafe.Sizeof(*m), uintptr(unsafe.Pointer(m)))
}

// hurry gives the calling thread the highest priority that is not of real time, if it may,
// until undo is called. On Linux, a nice value is a thread's own.
func hurry() (undo func()) {
	const highest, self = -20, 0
	// The system call returns 20 - nice (getpriority(2)).
	old, err := syscall.Getpriority(syscall.PRIO_PROCESS, self)
	if err != nil || syscall.Setpriority(syscall.PRIO_PROCESS, self, highest) != nil {
		return func() {}
	}
	return func() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, self, 20-old) }
}

// setTimerSlack sets by how much the kernel may delay the calling thread's timers; 0
// is its default. It cannot fail.
func setTimerSlack(d time.Duration) {
	const prSetTimerSlack = 29
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, uintptr(d), 0)
}

// sleep blocks the thread: the runtime's own timers are too coarse for microseconds.
// A signal may end it early.
//
//go:noinline
func sleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}

// sleepOutside is sleep outside of the runtime, which is not told.
func sleepOutside(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// pollFD is struct pollfd.
type pollFD struct {
	fd      int32
	events  int16
	revents int16
}

const pollIn = 1

// pollAny waits until one of the descriptors is readable or in error, for at most d.
// Negative descriptors are never ready. A signal may end it early.
//
//go:noinline
func pollAny(fds []pollFD, d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_, _, _ = syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))),
		uintptr(len(fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
}

// pollOutside is pollAny outside of the runtime, which is not told.
func pollOutside(fds []pollFD, d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))),
		uintptr(len(fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
}
