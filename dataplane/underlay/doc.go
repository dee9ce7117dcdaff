// Package underlay finds the ways to VTEPs in the kernel's routes and neighbors, and
// keeps them current: it is the fib.Resolver of a gateway that forwards real frames.
//
// What happens, in order, and where:
//
//	underlay.go   the Compiler tracks a VTEP; Resolve answers from a map, never from the kernel
//	loop.go       Run: one goroutine reads what the kernel tells, another, the loop, is the only
//	              one that asks the kernel and writes answers
//	sync.go       what events do to the loop's state: links, neighbors, next hops in use
//	ask.go        whose routes are asked for, and what comes of the answer
//	schedule.go   when all routes are asked for, beside those whose prefix changed
//	pathmtu.go    what routers say of the path: what is believed, for how long
//	resolve.go    route + links + neighbors → ways, or the reason why there is none
//	neighbor.go   when a neighbor is solicited, and when it is asked whether it is still there
//	kernel.go     what all this needs of the kernel, as an interface
//	monitor.go    the kernel's messages, as events
//	rtnetlink.go  requests: dumps, route lookups, solicitations
//	conn.go       one request and its answer
//	decode.go     rtnetlink messages → links, neighbors, routes
//	icmp.go       raw sockets: the ICMP errors that this machine gets, in batches
//	toobig.go     ICMP errors → reports of packets that were too big
//
// # Routes
//
// The kernel itself is asked for the route to each VTEP (RTM_GETROUTE with
// RTM_F_FIB_MATCH), as for a packet that this machine sends from the configured source
// address. So longest prefix, metric, policy rules on source and destination, multipath
// next hops, IPv6 gateways of IPv4 routes (RTA_VIA), onlink, next hop objects and route
// types mean what they mean to the kernel, and a table of any size costs nothing here. Rules
// on mark, TOS, user or input interface see the values of a plain packet of this
// machine. All next hops of a multipath route are ways of equal worth: weights are not
// honored. A route with an encapsulation of its own (lwtunnel) is refused.
//
// A next hop over an interface without carrier is no way, whatever
// net.ipv4.conf.*.ignore_routes_with_linkdown says; another route is chosen only when
// the kernel chooses it.
//
// The kernel tells of a lost carrier at once if the last such message is more than a
// second old, else within a second. The MTU of a way is the least of the route's, the
// interface's and the port's, and the path MTU of the VTEP.
//
// # Path MTU
//
// A router further on that cannot pass on a tunnel packet tells its source by ICMP
// (RFC 1191, RFC 8201), and so this machine's kernel: Run reads copies of these errors from
// raw sockets. A report is believed when it quotes a packet that may have been sent: from
// the source address of a way to a VTEP to that VTEP, UDP from a tunnel's source port, DF set
// in IPv4, larger than the MTU reported and not larger than the way's. It then lowers the MTU
// of every way to the VTEP, and with it the largest packet that entries let pass. It never
// raises one.
//
// Whoever knows these two addresses can forge such a report, for nothing in the quote is
// secret. Therefore there is a least that is believed: 1280 bytes in IPv6, where less
// is ignored (RFC 8201 section 4), and Config.MinMTU4 in IPv4, as which less counts. Either
// leaves room for the headers of any tunnel and the packet in it, so that the VTEP stays
// resolved. A path MTU ends after Config.PathMTUAge without another report, when the route
// changes to other next hops, and with Untrack. In a flood of errors some of the true ones are
// lost, and come again with the next packet that is too big.
//
// Errors reach the sockets only if they reach the kernel: their destination, the outer source
// address, has to be an address of this machine. Where the same anycast address is the source on
// several gateways, routers may report to another one; then discovery does not work, and the
// route's MTU has to be right.
//
// # Neighbors
//
// A neighbor that is missing or failed is solicited by the kernel on our behalf
// (NTF_USE) for so long as a VTEP needs it. The kernel does not see frames sent through
// AF_XDP, so it would let the entry go stale and never find out that the neighbor has a
// new address or is gone. Therefore every neighbor in use is asked again (NUD_PROBE)
// when it goes stale and when Config.Reprobe has passed; entries that an operator or
// another control plane has fixed are left alone. A silent change of address is so
// noticed after at most Reprobe and the three seconds that the kernel takes to give up
// the old one.
package underlay
