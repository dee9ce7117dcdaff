// Package e2e holds the integration tests: the eipgw binary in a namespace, between
// real switches and real virtual routers, with frames from a kernel's stack.
//
//	world_test.go      the network, the gateway in it, what tests ask of both
//	switch_test.go     FRR, BIRD and the embedded switch learn segments
//	vrouter_test.go    FRR, BIRD, ExaBGP and the embedded speaker announce EIPs, by every carrier
//	ovs_test.go        Open vSwitch takes the tunnel's frames
//	ovn_world_test.go  OVN set up as README.md tells the operator
//	ovn_test.go        an OVN gateway router translates and answers: ping, fragments, TCP, tracepath, path MTU
//	large_test.go      packets that do not fit the tunnel, put together again by a kernel
//	vxlan_test.go      the kernel's VXLAN device takes the tunnel's frames
//	hops_test.go       traceroute and tracepath: the gateway is a hop
//	pathmtu_test.go    path MTU discovery over underlays of 1280 to 9000 bytes; MSS clamping
//	answers_test.go    frames that lead nowhere, own addresses, VLANs, limits of answers
//	lane_test.go       the fast lane: what it takes, what it leaves to a worker
//	flood_test.go      hostile frames among those for a bound EIP
//	daemon_test.go     reload, crash, wrong configuration, missing privilege
package e2e
