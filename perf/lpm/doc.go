// Command lpm compares lookups in the table with those in DPDK's rte_lpm and in bart.Fast:
// the same EIPs, the same keys in the same random order, the same bursts.
//
//	go run ./perf/lpm
//
// The contenders take short turns, there and back (A B C C B A ...), each of them idle
// while another has its turn, because the speed of a virtual machine changes from second to
// second. What counts is the CPU time of the thread. A figure is the median of all turns; a ratio is that of the turns next to each other,
// and its spread the quartiles.
//
// Both sides get keys in host byte order and give a number for each, and whether there is one.
// What else is timed is eipgw's: the epoch of each burst.
//
// rte_lpm runs as a process of its own: a small C program, built with cc and pkg-config,
// see rtelpm/rtelpm.c. It takes part twice, with pages of 4 KiB and with huge pages, and what
// counts is the better. It has no part where it could not have the EIPs: IPv6, and more
// /24s than -groups.
//
// Files:
//
//	main.go    command line, turns
//	fib.go     the table; bart.go, rtelpm.go: what it is compared with
//	report.go  medians, ratios, Markdown
package main
