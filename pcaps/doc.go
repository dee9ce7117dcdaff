// Package pcaps is the contract of the packet path: a folder of cases, each saying
// what a gateway looks like, which frames arrive, which bytes must leave, and which
// counters must move. README.md has the format, the list, and how to add a case.
//
//	cases/           the cases, all of them written by gen
//	gen/             the program that writes them, from the RFCs alone
//	case_test.go     reads the cases
//	replay_test.go   runs every case through the forwarder in this process
//	wanted_test.go   wanted frames that are no whole tunnel packets: ICMP errors, fragments
//	wire_test.go     runs every case through AF_XDP over veth pairs, as root
//	rig_test.go      the veth pairs, sockets and tables for that
//	compare_test.go  what is equal and what is not
//	diff_test.go     mismatches for people: the layers that differ, and hex
//
// Package encap writes the gateway's tunnel headers; gen writes the wanted ones and
// may not use it, nor any other package of the gateway (a test sees to it): two
// writers who know of each other only what the RFCs and the documented hashes say
// must agree on every byte.
package pcaps

//go:generate go run ./gen
