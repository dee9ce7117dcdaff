// Command scale measures the control plane with a million EIPs.
//
//	go run ./perf/scale
//
//	 namespace router                       namespace gateway
//	+----------------------------------+   +--------------------------+
//	| bird: 1M static /32, each with   |   | eipgw run, or            |
//	| a large community (VTEP, VNI) r0 ╪═══╪ g0  a bare GoBGP v3      |
//	+----------------------------------+   +--------------------------+
//
// BIRD holds the routes from the start. Contenders take turns (A B A B ...), each as a new
// process: eipgw as it is run by an operator, and the GoBGP library with its defaults, no
// watcher, no policy, and a logger that is silent. When a contender listens, BIRD's protocol is
// enabled; the time is that from session up until every route is
//
//	eipgw   in the forwarding table (its log line "source synced"); `eipgw show status`
//	        has to say afterwards that so many bindings forward
//	gobgp   in its table: the End-of-RIB that BIRD sends last has been handled; the table
//	        has to have so many routes
//
// Both times come from the contender's own log, so that nobody asks while it works.
//
// With -gaps, poll gaps of a busy worker are counted instead, while this or that goes on. BIRD and
// this program keep off the worker's CPU then, the gateway's other threads do not.
//
// Files:
//
//	main.go      command line, order of turns
//	stand.go     namespaces, link, BIRD and its routes
//	contender.go a contender's turn: what is measured
//	eipgw.go     the daemon
//	gobgp.go     GoBGP, as a child process of this program
//	report.go    medians, spread, ratios; Markdown
//	gaps.go      -gaps: a busy worker's poll gaps; spin.go: the bare loop to compare with
//	elsewhere.go what is no matter of the gateway's is off the worker's CPU
//	web.go       what contenders answer by HTTP: metrics, profiles
package main
