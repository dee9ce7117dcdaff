// Package encap makes and reads tunnel headers: bytes in, bytes out. It does no
// I/O, starts nothing and keeps nothing.
//
// A header is made in two steps. Compile, in the control plane, turns a Tunnel
// (what the binding says) and an Outer (what the underlay says) into a Header: it
// judges every field once, lays out every byte that no packet changes and sums
// them. Apply, on the packet path, copies these bytes in front of a packet and
// fills in the rest. Parse is the way back, for tests, tools and endpoints.
//
//	tunnel.go    Tunnel, Outer, Inner and the types of their fields
//	validate.go  what Compile refuses
//	options.go   Geneve options
//	compile.go   Tunnel and Outer to Header
//	header.go    Header, lengths
//	apply.go     Header in front of a packet
//	geneve.go    the Geneve header, both ways
//	vxlan.go     the VXLAN header, both ways
//	vlan.go      VLAN tags
//	parse.go     the outer headers, back to fields
//	checksum.go  sums (RFC 1071) and their update (RFC 1624)
//
// # Layout
//
// What stands in front of the inner IP packet, each line four bytes. Fields marked
// with * depend on the packet and are Apply's; all others are Compile's.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//
//	Outer Ethernet, 14 bytes and 4 for each VLAN tag (802.1Q section 9.3)
//	+---------------------------------------------------------------+
//	|                      destination: next hop                    |
//	+                               +-------------------------------+
//	|                               |                               |
//	+-------------------------------+                               +
//	|                          source: port                         |
//	+-------------------------------+-------------------------------+
//	|         [0x88a8]              |    [PCP | DEI | VLAN ID]      |  service tag
//	+-------------------------------+-------------------------------+
//	|         [0x8100]              |    [PCP | DEI | VLAN ID]      |  customer tag
//	+-------------------------------+-------------------------------+
//	|       0x0800 or 0x86dd        |
//	+-------------------------------+
//
//	Outer IPv4, 20 bytes (RFC 791 section 3.1)
//	+-------+-------+---------------+-------------------------------+
//	|   4   |   5   |  TOS*         |         total length*         |
//	+-------+-------+---------------+-----+-------------------------+
//	|      identification: 0        |0 1 0|     fragment offset: 0  |  DF
//	+---------------+---------------+-----+-------------------------+
//	|      TTL      |      17       |        header checksum*       |
//	+---------------+---------------+-------------------------------+
//	|                         source address                        |
//	+---------------------------------------------------------------+
//	|                   destination address: VTEP                   |
//	+---------------------------------------------------------------+
//
//	or outer IPv6, 40 bytes (RFC 8200 section 3)
//	+-------+---------------+---------------------------------------+
//	|   6   | traffic class*|              flow label*              |
//	+-------+---------------+-------+---------------+---------------+
//	|        payload length*        |      17       |   hop limit   |
//	+-------------------------------+---------------+---------------+
//	|                   source address, 16 bytes                    |
//	+---------------------------------------------------------------+
//	|            destination address: VTEP, 16 bytes                |
//	+---------------------------------------------------------------+
//
//	UDP, 8 bytes (RFC 768; RFC 8926 section 3.3; RFC 7348 section 5)
//	+-------------------------------+-------------------------------+
//	|         source port*          | destination port: 6081 / 4789 |
//	+-------------------------------+-------------------------------+
//	|            length*            |     checksum* (IPv4: 0)       |
//	+-------------------------------+-------------------------------+
//
//	Geneve, 8 bytes and options (RFC 8926 section 3.4)
//	+---+-----------+-+-+-----------+-------------------------------+
//	| 0 | words of  |O|C| reserved  |    protocol type: 0x6558      |  O: 0
//	|   | options   | | |           |                               |  C: an option is critical
//	+---+-----------+-+-+-----------+---------------+---------------+
//	|                      VNI                      |   reserved    |
//	+-----------------------------------------------+---------------+
//	|                  options, 0 to 24 bytes                       |
//	+---------------------------------------------------------------+
//
//	or VXLAN, 8 bytes (RFC 7348 section 5)
//	+-+-+-+-+-+-+-+-+-----------------------------------------------+
//	|R|R|R|R|I|R|R|R|                   reserved                    |  I: 1, the VNI is valid
//	+-+-+-+-+-+-+-+-+-------------------------------+---------------+
//	|                      VNI                      |   reserved    |
//	+-----------------------------------------------+---------------+
//
//	Inner Ethernet, 14 bytes
//	+---------------------------------------------------------------+
//	|             destination: the virtual router's port            |
//	+                               +-------------------------------+
//	|                               |                               |
//	+-------------------------------+                               +
//	|                             source                            |
//	+-------------------------------+-------------------------------+
//	|       0x0800 or 0x86dd*       |
//	+-------------------------------+
//
// In bytes, then, without a VLAN tag:
//
//	                        Len   Overhead (what the IP packet grows by)
//	IPv4, either protocol   64    50
//	IPv4, OVN's option      72    58
//	IPv6, either protocol   84    70
//	IPv6, OVN's option      92    78
//
// A VLAN tag adds 4 to Len and nothing to Overhead: an MTU does not count it. The
// outermost one holds its PCP in the bytes at OuterTCI, whatever follows it.
//
// # Choices
//
// TOS and traffic class are the inner packet's in whole: ECN as RFC 6040 section
// 4.1 has it in normal mode, DSCP as in RFC 2983's uniform model.
//
// The flow hash enters twice: its low 14 bits choose a source port among 49152 to
// 65535, its high 20 bits are the IPv6 flow label (RFC 6438), so that routers
// between here and the VTEP spread flows by either, and by both together over all
// 32 bits. Equal hashes give equal headers on every gateway. A label of 0, which
// one hash in a million gives, means "not labeled" and harms nothing.
//
// The outer IPv4 packet must not be fragmented (DF; RFC 8926 section 4.4.1, RFC 7348
// section 4.3), so its identification is free to be 0 (RFC 6864 section 4.1).
//
// The UDP checksum is zero over IPv4. Over IPv6 it covers the whole packet unless
// Outer.ZeroChecksum6 leaves it out, which RFC 6935 allows for tunnels whose
// endpoints agree. VXLAN is no exception: what RFC 7348 section 5 says of a zero and of
// a computed checksum allows either.
package encap
