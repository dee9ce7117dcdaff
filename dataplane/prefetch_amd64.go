package dataplane

// prefetch has the CPU fetch the first cache line of n frames from f on, and the one in
// front where the tunnel header goes, to be written to. Another CPU wrote the frames, so
// each would be a miss of its own when it is parsed; here all of them overlap. It reads
// nothing, so any address is good.
//
//go:noescape
func prefetch(f *Frame, n int)
