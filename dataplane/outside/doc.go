// Package outside runs code outside of Go's runtime: on a thread that the scheduler neither
// stops nor preempts, and without which garbage collections begin and end.
//
// For the runtime, the goroutine is in a system call that blocks, and its P, the right to run Go
// code, has gone to others. So the world stops without it. A machine whose other threads are slow
// to stop, because they share too few CPUs, costs it nothing: what is left is what the
// kernel does to any thread. The code runs on the thread's own stack, as C code would that is called
// from Go.
//
// Three functions of the runtime make it: entersyscallblock and exitsyscall, whose signatures its authors
// keep for others (go.dev/issue/67401), and systemstack, which assembly may call.
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
//   - use more than 8 KiB of stack. A thread has 16 KiB or more.
//   - panic. Neither can a panic be recovered there: any, also an index out of range or a nil
//     pointer, ends the process.
//
// The runtime notices a mistake late, if at all: it has no P where it needs one, or finds a write barrier
// while it marks. The process then ends by a signal or a fatal error, and shows the stack. What keeps code
// in order is a test that goes through the compiled program from the packet path on, and refuses
// whatever is not known to do without the runtime.
//
// # How it is seen
//
// Whoever asks for all stacks finds the goroutine in a system call, at Call. CPU profiles have its time
// with its whole stack, but for one that begins meanwhile: the runtime tells a thread of that only when
// it next runs a goroutine there, so f has to return for a moment. An execution trace shows a system call.
//
// # Where it works
//
// On Linux, amd64, without the race detector. Elsewhere Call says so and calls nothing.
//
//	outside.go          Call
//	outside_amd64.s     the thread's stack
//	elsewhere.go        Call where that is not built
package outside
