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
// while the others' processes are stopped (SIGSTOP). Turns are short because the
// speed of a virtual machine changes from second to second, and there are several rounds
// because a process that is started again may be some percent faster or slower for
// as long as it lives, from where its memory happens to lie. A turn in which somebody else took the CPUs shows in the kernel's
// accounts (steal; how long the worker's and the generator's threads were ready to run
// and did not) and is repeated.
//
// With -hostile the contenders are one build of eipgw, each with traffic of its own: ordinary
// frames at a fixed rate, the same for all, and for all but the first a flood beside them.
//
// Files:
//
//	main.go       command line
//	round.go      one round: order of turns, what they add up to
//	stand.go      one contender with all around it, and one turn of it
//	topology.go   namespaces, links, addresses
//	contender.go  what a contender is; eipgw.go, testpmd.go
//	hostile.go    floods: contenders that get hostile frames beside the ordinary ones
//	procfs.go     whose time the CPUs spent; huge pages; the machine in words
//	report.go     medians, spread, ratios; Markdown and JSON
package main
