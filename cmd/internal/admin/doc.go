// Package admin is the gateway as an operator sees it: what the eipgw commands show
// and change, and what Prometheus reads.
//
// The API is HTTP with JSON on a unix socket that only the daemon's own user may open
// (mode 0600): whoever can open it may do everything, there is no other right.
//
//	GET    /v1/status                          Status
//	GET    /v1/bindings?from=&under=&limit=    BindingPage, at most 10000 at a time
//	GET    /v1/segments                        []Segment
//	GET    /v1/neighbors                       []Neighbor
//	GET    /v1/ports                           []Port
//	GET    /v1/counters                        Counters
//	GET    /v1/sources                         []Source
//	GET    /v1/refusals                        []Refusal
//	GET    /v1/underlay                        []VTEP
//	GET    /v1/why?address=                    Why; and for one flow, which way it takes:
//	           &from=&from_port=&to_port=&protocol=
//	POST   /v1/segments                        SegmentChange → Plan
//	PUT    /v1/bindings                        Bind → Bound
//	POST   /v1/bindings                        BindMany → BoundMany
//	DELETE /v1/bindings?prefix=                → Bound
//	POST   /v1/reload                          → Reloaded
//
// An answer with another status than 2xx is an Error: {"error": "what, and what to do"}.
//
// Flow: a command's Client → the socket → Server, which reads the request and asks
// the Gateway, an interface that the daemon implements. Web is the second listener,
// on TCP: /metrics by a Collector over the same Gateway, so that both always agree,
// /healthz, /readyz, and profiles.
//
// Files: types.go and requests.go (all that goes over the socket), gateway.go (what
// the daemon has to be), socket.go (one daemon per socket), server.go, bindmany.go (long
// requests read quickly), client.go, metrics.go, web.go. Package admintest has a fixed gateway for tests.
package admin
