// Package porttest holds the rules of dataplane.Port as tests. Every kind of port
// passes the same suite:
//
//	porttest.Run(t, porttest.Harness{Open: func(t testing.TB, in [][]byte) *porttest.Link { … }})
//
// A Harness says what kind of port it is, a Link is one open port and the far end of
// its wire. The suite plays the worker's part: it makes all calls to the port, in the
// order in which a worker makes them. It plays the far end's part through the Link.
// Real links take their time, so it polls with a deadline everywhere; and they carry
// other people's frames (neighbor discovery), so frames without the suite's mark are
// ignored on both sides.
//
// Files, in the order of the suite: harness.go (what a port's author provides, and
// the list of rules), frames.go (marked frames), session.go (polling with a
// deadline), receive.go, send.go, life.go (the rules).
package porttest
