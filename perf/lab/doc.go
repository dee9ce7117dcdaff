// Package lab makes network namespaces and the links between them, for tests,
// for the demo and for benchmarks. Nothing outside of the namespaces it makes is
// changed: veth pairs are created with each end directly inside its namespace.
//
// Files, in the order in which a topology comes to be:
//
//	need.go     what a test needs to run at all; the one way to skip
//	lab.go      Lab: a set of namespaces with one Close; T for tests, Run for programs
//	ns.go       NS: make, name, enter, run commands in, remove a namespace
//	thread.go   the one place where a thread changes namespace and comes back
//	sweep.go    names that tell who made a namespace; removal of what a dead process left
//	proc.go     processes inside a namespace
//	sysctl.go   kernel settings of a namespace
//	link.go     veth pairs, bridges, VLAN sub-interfaces, VXLAN devices
//	offload.go  checksum and segmentation offloads, off by the ethtool ioctl
//	qdisc.go    pfifo with a limit
//	route.go    addresses, routes
//	cpu.go      one CPU for what has to arrive in order
//	packet.go   raw frames: Sender and Capture over AF_PACKET
//
// A namespace is mounted under /run/netns, so "ip netns exec NAME ..." looks
// inside while a test runs. Its name is eipgw-PID-START-N-LABEL.
package lab
