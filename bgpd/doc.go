// Package bgpd is the gateway's BGP speaker: it learns which EIP is behind which
// virtual router, and announces the EIP segments to the switches. It runs GoBGP v3 in
// the process; nothing of GoBGP is in its exported types.
//
// One route on its way in:
//
//	GoBGP's session → adj-RIB-in → learn.go (event) → path.Converter → Config.Updates
//
// and one segment on its way out:
//
//	Announce → announce.go (difference, adds first) → GoBGP's table → policy.go → switches
//
// Files:
//
//	config.go nexthop.go validate.go   what is configured, its defaults and its mistakes
//	speaker.go work.go                 Run, and the one goroutine that calls GoBGP
//	session.go learn.go discards.go    state of neighbors, what they say, what GoBGP drops of it
//	announce.go policy.go              what the switches get, and that nobody gets more
//	reconfigure.go exchange.go md5.go  a new configuration while sessions stay up, or the old one
//	status.go                          what there is to show
//	library.go peers.go plaintcp.go    neighbors into GoBGP and out, in its words; its listeners
//	logger.go gate.go                  what GoBGP says, and that it is silent after Run
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
// # What it costs to learn
//
// BenchmarkLearn compares with a GoBGP that takes the same routes into its table and
// tells nobody, sender included, on two cores: with 100 routes to an UPDATE about 1.3
// times its 8 µs a route, with one route to an UPDATE about twice its 22 µs. Of that
// path.Converter is 0.5 µs a route. The rest is GoBGP's watching: it puts each route
// into protobuf messages, and copies the neighbor's configuration for each UPDATE.
// perf/README.md has what a million routes from BIRD cost.
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
// it again. And a route that is replaced by one with the gateway's AS in its path is
// dropped by GoBGP without a word: what it replaces stays in force here.
package bgpd
