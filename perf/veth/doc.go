// Command veth measures how many frames a second eipgw forwards, beside other programs
// that a user could take instead, over veth pairs in network namespaces.
//
//	go run ./perf/veth -rounds 5
//
//	 namespace wire                    namespace gateway
//	+------------------------------+  +------------------------+
//	| generator ─XDP redirect─► w0 ╪══╪ p0 ─► contender        |
//	| (CPU 0)                      |  |       (CPU 1)          |
//	| sink at tc ingress ◄───── w0 ╪══╪ p0 ◄─┘  one arm        |
//	|                    or ─── w1 ╪══╪ p1 ◄─┘  two arms       |
//	+------------------------------+  +------------------------+
//
// In each round every contender has one turn (A B C A B C ...), in namespaces, and
// as a process, of its own. It is ready when frames come through; then traffic runs, a
// while uncounted, and then counted, at the sink. A turn in which somebody else
// took the CPUs is told by the kernel's accounts (steal; how long the worker's
// and the generator's threads were ready to run and did not) and is repeated.
//
// Files:
//
//	main.go       command line, order of turns
//	topology.go   namespaces, links, addresses
//	contender.go  what a contender is; eipgw.go, testpmd.go
//	trial.go      one turn
//	procfs.go     whose time the CPUs spent; hugepages; the machine in words
//	report.go     medians, spread, ratios; Markdown and JSON
package main
