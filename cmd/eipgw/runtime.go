package main

import (
	"runtime"
	"runtime/debug"
)

// runtimeSettings is what Go's runtime is told; zero leaves it as it is.
type runtimeSettings struct {
	procs int // GOMAXPROCS
	gogc  int // GOGC, percent
}

// defaultGOGC lets the heap grow to five times what is in use. BGP's part of it is large,
// half a KiB a route, and learning makes several KiB of garbage of each: at 200 % a quarter of
// the CPU time of learning a million routes is collecting, and each collection stops twice what
// is not outside of the runtime, as pinned workers are, for as long as all threads need to get a
// CPU. perf/README.md has the figures, and what it costs in memory.
const defaultGOGC = 400

// chooseRuntime chooses for so many CPUs and workers; what the environment says stands.
// GOMEMLIMIT is the environment's alone: who bounds the process's memory knows by how much.
//
// The garbage collector wants a quarter of the Ps. With 4 and more it takes whole ones
// and leaves the rest alone; with 2 or 3 it takes its share from every P, also from
// those that workers poll on. So 4 are better than 2 even on 2 CPUs. And every worker
// that is not pinned keeps a P busy, while the control plane needs some as well.
func chooseRuntime(getenv func(string) string, cpus, workers int) (s runtimeSettings) {
	if getenv("GOMAXPROCS") == "" {
		s.procs = max(4, cpus, workers+2)
	}
	if getenv("GOGC") == "" {
		s.gogc = defaultGOGC
	}
	return s
}

// apply puts the settings into force.
func (s runtimeSettings) apply() {
	if s.procs > 0 {
		runtime.GOMAXPROCS(s.procs)
	}
	if s.gogc > 0 {
		debug.SetGCPercent(s.gogc)
	}
}
