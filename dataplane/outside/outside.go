//go:build linux && amd64 && !race

package outside

import _ "unsafe" // for go:linkname

// Call calls f outside of the runtime, and returns when f has. It returns false, and has not
// called f, where that is not built. The caller's goroutine should be locked to its thread.
//
// Coming back takes a P: it may take as long as the runtime needs to have one to spare.
//
// The frame of Call stays as long as f runs: the runtime notes where it is, for whoever scans
// or shows the stack. f has the stack of the thread, as C code would. The goroutine's own will not do: in
// a system call the runtime makes its guard one that no frame is above, also at a time of its
// choosing, so that any function that asks whether there is room ends the process.
//
//go:nosplit
//go:noinline
func Call(f func()) bool {
	entersyscallblock()
	onThreadStack(f)
	exitsyscall()
	return true
}

// onThreadStack is runtime.systemstack.
func onThreadStack(f func())

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()
