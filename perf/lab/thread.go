package lab

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// threadNS is the network namespace of the calling thread.
const threadNS = "/proc/thread-self/ns/net"

// aside runs f, which may change the network namespace of its thread, on a goroutine of
// its own that is locked to its thread, brings the thread back, and waits. A panic or
// Goexit in f carries over to the caller.
func aside(f func() error) error {
	var (
		err      error
		returned bool
		panicked any
	)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if !returned {
				panicked = recover()
			}
		}()
		err = thereAndBack(f)
		returned = true
	}()
	<-done
	switch {
	case returned:
		return err
	case panicked != nil:
		panic(panicked)
	default:
		runtime.Goexit()
		return nil
	}
}

// thereAndBack leaves the thread locked when the way back fails, so that the runtime
// ends it with its goroutine instead of running others in the wrong namespace. That
// is the last resort: the process's first thread cannot be ended, only parked, and
// would pin the namespace.
func thereAndBack(f func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open(threadNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("lab: opening the present namespace: %w", err)
	}
	defer func() {
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		_ = unix.Close(home)
	}()
	return f()
}
