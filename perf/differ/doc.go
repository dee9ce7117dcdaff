// Package differ holds a test that has two routers forward the same random packets, the
// Linux kernel and the gateway's own forwarder, and compares what becomes of each: whether
// it is forwarded, as which bytes, and which ICMP error its sender gets. Where the two
// differ on purpose stands in one table, with the clause that says why; anything else is
// a failure, and so is a line of the table that never occurs. The seed is in the output, and
// EIPGW_SEED sets another. The table was made beside Linux 6.18; an older kernel may differ
// in more, as it refuses all of 0.0.0.0/8 before 5.3.
//
//	differ_test.go       the test: phases, comparing
//	packets_test.go      random packets, IPv4; headers and options
//	packets6_test.go     the same of IPv6; extension headers
//	kernel_test.go       the kernel as the router, in a namespace
//	gateway_test.go      a worker of the gateway between ports in memory
//	outcome_test.go      what became of a packet
//	differences_test.go  the table
package differ
