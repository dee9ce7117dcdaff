// Package demo runs the gateway's main job on a network in namespaces and checks
// what it shows: the same that `eipgw demo` and `make demo` run.
//
//	topology.go  the network: client, two switches, gateway, two virtual routers
//	parts.go     what runs in it: switches and virtual routers, embedded or real
//	gateway.go   the gateway process and its command line
//	ping.go transfer.go watch.go   what the client does, what the wire shows
//	demo.go      Run: build up, go through the steps, tear down
//	steps.go     the steps, in order
//	report.go    words and checks
package demo
