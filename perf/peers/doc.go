// Package peers holds the other ends of a gateway, for the demo, the integration
// tests and the bench: switches that learn segments and virtual routers that
// announce EIPs and take the tunneled frames.
//
// Two kinds speak for themselves, embedded in this program and run as a process
// of its own inside a network namespace:
//
//	speaker.go   a plain BGP speaker on GoBGP: announce, withdraw, watch
//	switch.go    a switch: installs what it learns into its namespace's kernel routes
//	vrouter.go   a virtual router: announces EIPs by any carrier, decapsulates Geneve
//	             to a TAP interface, where the namespace's kernel answers
//	control.go   the parent's side: start such a process, tell it what to do, ask it
//
//	gateway.go   the gateway itself, as a process of its own
//
// The others run what an operator runs, from Debian's packages:
//
//	daemon.go   any of them as a process: started, ready, killed
//	frr.go bird.go exabgp.go
//	ovs.go   Open vSwitch in userspace, as the end of a tunnel
//	ovn.go   OVN on top of it: databases, northd and one chassis
package peers
