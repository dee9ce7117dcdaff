// Package e2e holds the integration tests: the eipgw binary in a namespace, between
// real switches and real virtual routers, with frames from a kernel's stack.
//
//	world_test.go    the network, the gateway in it, what tests ask of both
//	switch_test.go   FRR, BIRD and the embedded switch learn segments
//	vrouter_test.go  FRR, BIRD, ExaBGP and the embedded speaker announce EIPs, by every carrier
//	ovs_test.go      Open vSwitch takes the tunnel's frames
//	large_test.go    packets that do not fit the tunnel, put together again by a kernel
//	vxlan_test.go    the kernel's VXLAN device takes the tunnel's frames
//	daemon_test.go   reload, crash, wrong configuration, missing privilege
package e2e
