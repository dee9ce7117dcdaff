//go:build linux && amd64 && !race

package outside

import (
	"runtime"
	_ "unsafe" // for go:linkname
)

// What enter says.
const (
	entered uintptr = iota
	later           // the goroutine is about to be preempted, or its stack has just been shrunk
	never           // the runtime is not the one that this was written for
)

// Call calls f outside of the runtime, and returns when f has. It returns false, and has not
// called f, where that cannot be done. The caller's goroutine should be locked to its thread.
//
// Coming back takes a P: it may take as long as the runtime needs to have one to spare.
func Call(f func()) bool {
	for {
		grow()
		switch call(f) {
		case entered:
			return true
		case never:
			return false
		}
		runtime.Gosched() // so that whoever wanted to preempt us has
	}
}

// call is between two functions of the runtime that want it to be as it is: it never asks for
// stack, and its frame stays as long as f runs, since the first one notes where that is, for
// whoever scans or shows the stack.
//
// A goroutine in a system call must not grow its stack. The runtime makes sure of that by a
// stack guard that no frame is above, so that every function that begins ends up in the
// runtime, and there in a fatal error. We put the true guard back.
//
//go:nosplit
//go:noinline
func call(f func()) uintptr {
	span := guardSpan()
	if span == 0 {
		return later
	}
	entersyscallblock()
	said := restoreGuard(span)
	if said == entered {
		f()
	}
	exitsyscall()
	return said
}

// grow leaves the stack with room for the frame that it has, which is 64 KiB.
func grow()

// guardSpan is how many bytes the guard lies above the end of the stack, 0 when it is not where
// it is in an ordinary moment. A stack that moves afterwards does not change that.
func guardSpan() uintptr

// restoreGuard puts the guard span bytes above the end of the stack, if all is as it has to be:
// there is room, and the guard is the one by which the runtime asks for preemption.
func restoreGuard(span uintptr) uintptr

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()
