// Gen writes the cases of package pcaps, their index in the README beside it, and the
// table of the clauses that they prove, rfccompliance.md.
// It depends on no package of the gateway: headers are laid out here a second time,
// from the RFCs, with every checksum computed in full, and flows are hashed as the
// documentation of dataplane.FlowHash4 and fib.Seed has it.
//
// Files, from bytes up to cases:
//
//	layers.go    Ethernet, VLAN tags, IPv4, IPv6, extension headers: values to bytes
//	transport.go UDP, TCP, SCTP, ICMP, with their checksums
//	packet.go    an IP packet with what the flow hash takes from it; fragments
//	geneve.go    the Geneve header and options, and all the layers in front of a packet
//	vxlan.go     the VXLAN header
//	icmp.go      ICMP errors about a packet
//	fragment.go  packets that leave in fragments, inner and outer
//	hash.go      flow hash, and the choice among VTEPs and ways
//	gateway.go   the gateway that a case describes: what becomes case.yaml
//	rules.go     what the gateway does beyond its table
//	case.go      Case: frames in, frames wanted, drops, events; how cases are written
//	world.go     the addresses that most cases share
//	output.go    a case as files; the index
//	compliance.go the table from clause to case, and when it is refused
//	clauses_*.go the clauses, what they ask and what is done about them
//	main.go      the list of all cases
//	cases_*.go   the cases, one file per topic
//
// A case is a function that tells a story in the order of the wire:
//
//	{"ttl-1", "TTL 1 expires here", "RFC 1812 section 5.3.1", func(c *Case) {
//		c.bind(eip4, tunnel4)
//		c.drop(c.frame(udp(to4).ttl(1)), "ttl_expired")
//	}}
//
// Output is the same bytes in every run: pcap timestamps count frames from zero.
package main
