package lab

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// CPU is the first of the CPUs that this process may use.
func CPU() (int, error) {
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		return 0, fmt.Errorf("lab: reading the CPU affinity: %w", err)
	}
	for cpu := range len(mine) * 64 {
		if mine.IsSet(cpu) {
			return cpu, nil
		}
	}
	return 0, errors.New("lab: this process may use no CPU")
}

// Pin has the test's goroutine, from here to its end, send from one CPU. The kernel keeps
// the order of frames that cross a veth pair on one CPU only: each has a queue of its
// own for what has arrived, and a thread that moves in between may overtake itself.
func Pin(t TB) {
	t.Helper()
	cpu, err := CPU()
	if err == nil {
		err = pin(t, cpu)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func pin(t TB, cpu int) error {
	runtime.LockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return fmt.Errorf("lab: reading the CPU affinity: %w", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("lab: pinning to CPU %d: %w", cpu, err)
	}
	t.Cleanup(func() {
		if unix.SchedSetaffinity(0, &old) == nil {
			runtime.UnlockOSThread() // else the thread ends with its goroutine
		}
	})
	return nil
}
