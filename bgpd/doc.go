// Package bgpd is the gateway's BGP speaker: it learns which EIP is behind which
// virtual router, and announces the EIP segments to the switches. It runs GoBGP v3 in
// the process; nothing of GoBGP is in its exported types.
//
// One route on its way in:
//
//	GoBGP's session → adj-RIB-in → bmp.Station → learn.go → path.Converter → Config.Updates
//
// and one segment on its way out:
//
//	Announce → announce.go (difference, adds first) → GoBGP's table → policy.go → switches
//
// Files:
//
//	config.go nexthop.go validate.go   what is configured, its defaults and its mistakes
//	speaker.go work.go                 Run, and the one goroutine that calls GoBGP
//	learn.go watch.go                  what GoBGP tells: sessions and routes; states and End-of-RIB
//	session.go sources.go              one neighbor; what the RIB is told of it
//	announce.go policy.go              what the switches get, and that nobody gets more
//	reconfigure.go exchange.go md5.go  a new configuration while sessions stay up, or the old one
//	status.go                          what there is to show
//	library.go peers.go plaintcp.go    neighbors into GoBGP and out, in its words; its listeners
//	logger.go gate.go                  what GoBGP says, and that it is silent after Run
//	bmp/                               the station that GoBGP tells what neighbors say
//	path/                              route → claim
//
// # What goes where
//
// Routes of neighbors never enter GoBGP's table: policy rejects them after they have
// been watched, and virtual routers have sessions of a kind that table knows nothing
// of. So there is nothing that could leak to a switch, to another virtual router or
// around the gateway, and no best path is chosen that nobody asked for. From a switch
// nothing is taken; but GoBGP keeps in its adj-RIB-in what a switch sends, so let it
// send nothing.
//
// # How routes get out of GoBGP
//
// GoBGP's BMP client (RFC 7854) connects to a station on loopback, which takes nobody but
// this process, and passes each UPDATE on as it came from the neighbor, before policy. The
// beginning of its session comes before it, and the end after it. So package path judges
// the very octets, and GoBGP makes no protobuf messages of them. The device lo has to be up.
//
// GoBGP queues without bound for a station that is slow; the station keeps one buffer. If
// their connection breaks, which is logged as an error, what was learned stays in force, and
// is judged anew from GoBGP's adj-RIB-in, now and when GoBGP has connected again: nothing
// is lost but the octets of a malformed attribute 23 that came in between, whose route is
// then taken for one that never had any.
//
// End-of-RIB does not come by the station but by WatchEvent, in a queue of its own, and so
// may be ahead of routes. An initial dump is in when the station has brought as many
// UPDATEs as GoBGP has received, by GoBGP's own count. There are two cases where that count
// cannot be reached: an UPDATE in the dump had no routes but such as loop, which the station
// does not get; and a neighbor that came back before GoBGP was told to forget it, since
// GoBGP goes on counting. Then the dump is in when the station has had no UPDATE in hand,
// of any neighbor, for 200 ms. That is not exact: a machine that leaves GoBGP's client
// without a CPU for so long can make the source count as synced too early. Config.SyncWait
// bounds both.
//
// # What it costs to learn
//
// BenchmarkLearn compares with a GoBGP that takes the same routes into its table and
// tells nobody, sender included. path.Converter is 0.2 µs a route, most of it memory for
// claims. The rest is GoBGP's watching, for each UPDATE: it copies the neighbor's
// configuration and the list of routes, and writes to the station. perf/README.md has what
// a million routes from BIRD cost.
//
// # Not built
//
// Graceful restart: what a virtual router said is void as soon as its session is. The
// capability is offered, without families, to get End-of-RIB. GoBGP's own API on a
// socket: who could add a route there could have it announced. Link-local (unnumbered)
// neighbors, TCP-AO, BFD, EVPN; tunnels other than Geneve and VXLAN are refused by name.
//
// # What is GoBGP's
//
// Version 3.37.0 panics on an UPDATE that ends with a Tunnel Encapsulation attribute
// that ends with the name of an SR policy's candidate path (sub-TLV 129), on a goroutine
// where nobody can recover. So a neighbor of either role, or somebody behind one that
// passes the attribute on, can end the process; whoever runs the gateway has to start
// it again. And an UPDATE whose routes all have the gateway's AS in their path, or the
// gateway as ORIGINATOR_ID, is dropped by GoBGP without a word: what they replace stays in
// force here. If there is anything else in it, they go.
//
// Its BMP client and its loop write the same OPEN at the same time, each setting what is in
// it to what it was: a race, which the tests tell the race detector of (testdata).
package bgpd
