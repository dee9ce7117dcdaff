// Package loadgen is the two ends of a measurement over veth: a generator that sends
// several million frames a second from one CPU, and a sink that counts what arrives.
// Both are BPF programs.
//
//	generator ─ XDP redirect ─► veth ═ contender ═ veth ─ tc ingress ─► sink
//
// Files:
//
//	generator.go   Generator: what is sent, how fast, from which CPU
//	headers.go     the header bytes that every frame starts from
//	mix.go         Mix: hostile frames among the ordinary ones
//	run_unsafe.go  BPF_PROG_RUN in live-frame mode, which a signal ends
//	delays.go      Delays, the histogram of a sink
//	sink.go        Sink, and Pass, which makes a veth end take redirected frames
//	bpf/, generate.go, bpf_bpfel.*   the programs and what bpf2go makes of them
//
// # The generator
//
// The kernel runs the XDP program generate again and again on frames of a page pool
// (BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES), and redirects each to the interface. A
// frame comes back to the pool as its receiver left it, so the program writes every
// byte of the headers anew. Destinations and source ports are taken from their ranges
// in an order that looks random and is the same in every run. With a rate given, the program looks
// at the clock for each frame and sends it when it is due; a generator that was held up
// makes up for Load.Burst frames at most and counts the rest as skipped, so that it does not
// itself cause the loss that it is to find.
//
// Frames leave in batches: the kernel runs the program 64 times, or 8 times when there is a rate,
// and then hands over what it is to send. Runs in which no frame is due count too, so that a
// batch of 8 has no more frames than fall due while the program runs 8 times.
//
// With a Mix a share of the frames is hostile, evenly spread among the others: to addresses
// that nobody has bound, at their last hop, or malformed, each from a random network. Which
// frame is, its number says; the ordinary ones are what they are without.
//
// Receiving a redirected frame, with the work of the contender's XDP program and the copy
// into its AF_XDP socket, is done in the sender's softirq: on the generator's CPU.
//
// # The sink
//
// It sits at the tc ingress and not in XDP: a native XDP program on the veth end that
// receives makes the kernel copy every frame sent by a socket once more, which no NIC
// would. It drops what it counts, so that the kernel does nothing else with it. Its work is
// done on the sender's CPU, the contender's, and is the same for every contender.
//
// Told to, it also reads the time that Load.Stamped has put at the start of a frame's payload,
// in plain frames and in those of Geneve and VXLAN tunnels, and counts the frame in a histogram
// by how long it was under way: 32 buckets to every power of two, so a figure is at most 3 % off.
//
// The generator needs Linux 5.18, the sink 6.6 (TCX).
package loadgen
