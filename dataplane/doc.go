// Package dataplane moves frames: from a port, through the forwarder, to a port. It
// knows nothing of sockets, files or BGP; it depends on the standard library, on
// package fib for what is bound to where, and on package encap for header bytes.
//
// One packet, five hops:
//
//	Port.Rx ──► classify ──► rewrite ──► Port.Tx ──► Port.Release
//	 burst      parse,        TTL, MTU,   per port    buffers go
//	 of frames  lookup all    headers     of a way    back
//
// Worker.Run makes the round over its ports again and again. Forwarder.Process is
// the two hops in the middle, on bytes alone: run, replay and benchmark are the same
// forwarder between other ports. There are no stage objects; the order of the steps
// is their meaning. Frames go in bursts, because one burst's cache misses overlap.
//
// A frame borrows its port's buffer, from Rx until Release. It is never copied on the
// way: the tunnel header goes into the room in front of it. The exception is a packet
// that is larger than its way takes and may be cut: it becomes one tunnel packet in
// place as any other, but with the Verdict Split, and Fragments copies it in pieces to
// scratch frames of the worker, which sends them in its place. Either the inner packet
// is cut and every piece gets a copy of the tunnel header, or the outer packet is.
//
// Every frame ends in exactly one counter: a port took it, or it was dropped for one
// Reason. A dropped frame may become the ICMP error that tells its sender; that is a
// frame more, which counts as made, and so does every fragment beside a packet's first
// one: received and made is sent and dropped. The packet path returns Verdict and Reason,
// never an error; it does not log, allocate or block, and reads the clock at most once per
// burst, when an answer has a limit. The worker reads it once a round or less, to know its poll gaps.
//
// Files, in the order of a packet's way:
//
//	port.go          Port, and what else a port may be able to do
//	frame.go         Frame, Burst
//	worker.go        Worker: one queue of every port, one goroutine
//	send.go          what it sends, and what becomes of what no port takes
//	scratch.go       frames of the worker's own, for fragments
//	forward.go       Forwarder: Process, and the second half of it
//	classify.go      the first half: Ethernet, IPv4, IPv6; plain frames in one function
//	extension.go     IPv6 extension headers, stepped over
//	inspect.go       IPv4 options, tiny fragments; martian.go: addresses that cannot be
//	flow.go          FlowHash4, FlowHash6
//	prefetch_*       a burst's cache lines, fetched at once
//	clamp.go         the MSS of TCP SYNs
//	split.go         packets that are too large: who is cut; Fragments, inner ones
//	splitouter.go    fragments of the outer packet
//	rules.go         Rules: what may change while workers run; sets.go: sets of addresses and VLANs
//	plain.go         what of the rules a program in the kernel needs that forwards plain packets
//	respond.go       which Reason calls for which ICMP error, and what stands against it
//	forbidden.go     the packets about which no error may be sent
//	limit.go         how many errors: token buckets
//	icmp.go          the errors as bytes, in place
//	answers.go       AnswerConfig: from which addresses, and how many
//	verdict.go       Verdict; Reason: the list of all drops
//	event.go         Event: what else happens to frames
//	stats.go         counters, and how others read them
//	gaps.go          how long ports were not looked at
//	outsider.go      Outsider: ports with which a worker runs outside of Go's runtime, see package outside
//	kept.go          pointers that are stored there
//	idle.go          what a worker does without frames
//	thread_linux.go  pinning, sleeping, polling
package dataplane
