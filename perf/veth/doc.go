// Command veth measures how many frames a second eipgw forwards, beside other programs
// that a user could take instead, over veth pairs in network namespaces.
//
//	go run ./perf/veth
//
//	 namespace wire                    namespace gateway
//	+------------------------------+  +------------------------+
//	| generator ─XDP redirect─► w0 ╪══╪ p0 ─► contender        |
//	| (CPU 0)                      |  |       (CPU 1)          |
//	| sink at tc ingress ◄───── w0 ╪══╪ p0 ◄─┘  one arm        |
//	|                    or ─── w1 ╪══╪ p1 ◄─┘  two arms       |
//	+------------------------------+  +------------------------+
//
// In a round all contenders are started, each in namespaces of its own, and are ready
// when frames come through. Then they take short turns, there and back (A B B
// A A B ...): traffic runs, a moment uncounted, and is then counted at the sink,
// while the others' processes are stopped (SIGSTOP); those inside the kernel cannot be, and
// sleep without frames. Turns are short because the
// speed of a virtual machine changes from second to second, and there are several rounds
// because a process that is started again may be some percent faster or slower for
// as long as it lives, from where its memory happens to lie. A turn in which somebody else took the CPUs shows in the kernel's
// accounts (steal; how long the worker's and the generator's threads were ready to run
// and did not) and is repeated.
//
// Then each gets shares of the rate that it reached, and every frame carries the time when it
// was sent, which the sink reads: delays, at the same share of what each can do. At last it is
// watched without traffic.
//
// With -series a run goes through something: numbers of EIPs, binding changes a second (made
// through the gateway's API while frames go through), loads, or one long turn. What it
// compares are variants of a contender, which take turns as contenders do.
//
// What a contender's CPU does is not the same for all: copying a frame into an AF_XDP socket
// is done by the CPU that sends, the generator's. Contenders inside the kernel have all of
// their work on the worker's CPU, kernel-rps most of it.
//
// With -hostile the contenders are one build of eipgw, each with traffic of its own: ordinary
// frames at a fixed rate, the same for all, and for all but the first a flood beside them.
//
// Files:
//
//	main.go       command line
//	series.go     what the series go through, and their defaults; variants of a contender
//	round.go      one round: order of turns, what they add up to
//	stand.go      one contender with all around it
//	turn.go       one turn of it: load, readings before and after, what was lost, who disturbed it
//	latency.go    delays at shares of the highest rate; CPU time without traffic
//	churn.go      binding changes through the gateway's API, and what the gateway counts of them
//	topology.go   namespaces, links, addresses
//	contender.go  what a contender is, and all of them
//	eipgw.go      the daemon, with bindings from a file
//	testpmd.go    dpdk-testpmd
//	kernel.go     the kernel's own routes into tunnels; routes.go loads a million of them
//	xdp.go        an XDP program that does the whole job; bpf/, generate.go, bpf_bpfel.*
//	feed_bpfel.*  makes frames for the benchmark of such programs and of the fast lane's
//	ovs.go        Open vSwitch in userspace
//	asavie.go     asavie/xdp used plainly; plain.go is the child process that does it
//	napi.go       which CPU receives for a contender inside the kernel
//	hostile.go    floods: contenders that get hostile frames beside the ordinary ones
//	profile.go    profiles of a gateway under load
//	procfs.go     whose time the CPUs spent; huge pages; the machine in words
//	report.go     medians, spread, ratios; Markdown and JSON; tables.go, plots.go
package main
