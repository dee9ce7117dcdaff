// Command eipgw is the EIP gateway and the commands to work with it.
//
// The daemon is one process of many parts, which know nothing of each other; here they
// meet. From the left, how a frame goes; from the right, how what a virtual router says
// comes to bear on it:
//
//	device ─ port ─ worker ─ reader ─┐                       ┌─ speaker ── BGP neighbors
//	                                 ├─ table ─ compiler ─ rib ─ static ── file
//	               underlay (netlink) ───────────┘             └─ admin ── commands
//
// Files of the daemon, in the order in which they come into play:
//
//	main.go       the command tree, exit codes
//	run.go        signals, log, systemd
//	runtime.go    what Go's runtime is told
//	parts.go      what touches the world, so that tests can put memory there
//	wire.go       the configuration → all parts and their tasks
//	rules.go      what happens to frames that are not simply forwarded; rules_view.go says it
//	lane.go       the fast lane, where it is on
//	filter.go     which frames the ports take from the kernel; own.go the machine's addresses
//	sources.go    who may claim EIPs; the bindings file
//	segments.go   wanted segments, the file's and the API's; split.go parts of them
//	reload.go     a changed configuration, taken over as a whole or not at all
//	health.go     what announcing depends on
//	bind.go, view.go, counters.go, gaps.go, status.go, why.go   the API's answers
//
// The commands: show.go, with what it prints in tables.go and status_cmd.go;
// why_cmd.go, segment_cmd.go, bind_cmd.go, validate.go, replay.go, and demo.go, which
// alone imports perf. table.go aligns. deps_test.go holds who may import whom.
package main
