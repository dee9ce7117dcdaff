// Package outside runs code outside of Go's runtime: on a thread of its own that the
// scheduler neither stops nor preempts, and without which garbage collections begin and end.
//
// For the runtime, the goroutine is in a system call that blocks. Its P, the right to run Go
// code, has gone to others. So the world stops without it, and a machine whose other
// threads are slow to stop, because they share too few CPUs, costs it nothing: what is left is
// what the kernel does to any thread. gVisor's platforms rest on the same two functions of
// the runtime, which its authors promise to keep for others (go.dev/issue/67401).
//
// # What code may do there
//
// It computes on memory that it has, calls functions, also through interfaces, reads the
// clock, uses atomics and makes system calls by syscall.RawSyscall, also such that block. It
// must not, and neither may what it calls:
//
//   - allocate: no P, no memory. That takes in errors' texts, fmt, closures that escape, append
//     that grows, conversions to interfaces, and type assertions to interfaces, which the
//     runtime keeps a cache of.
//   - store a pointer in the heap where the compiler puts a write barrier
//     (go build -gcflags=-d=wb=1 lists them). Stores to the stack have none.
//   - keep an object alive by its own stack: that is not scanned. Whatever it uses is
//     reachable from elsewhere, from before until after the call, or not of Go's heap.
//   - wait for a lock, a channel or a timer, start a goroutine, call functions of the runtime,
//     or make a system call by syscall.Syscall or package os.
//   - use more than 48 KiB of stack, which cannot grow.
//   - panic. Neither can a panic be recovered there: any, also an index out of range or a nil
//     pointer, ends the process.
//
// The runtime notices all but the third, and ends the process by a signal or a fatal error. The
// stack that it shows begins at Call; how it went on, a core tells (GOTRACEBACK=crash). A test of
// the project goes through the compiled program from the packet path on, and refuses whatever allocates,
// stores a pointer with a barrier, waits, or needs the runtime in another way.
//
// # Where it works
//
// On Linux, amd64, without the race detector, and as long as the runtime is as expected, which
// Call looks at each time. Elsewhere Call says so and calls nothing.
//
//	outside.go     Call
//	outside_amd64.s   what takes assembly: the stack's size and its guard
//	elsewhere.go   Call where that is not built
package outside
