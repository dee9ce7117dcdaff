// Package bmp is the station that GoBGP, in this very process, tells of its sessions and
// of what neighbors say, by the BGP Monitoring Protocol (RFC 7854).
//
//	station.go  Listen, who may connect, and the goroutines
//	message.go  messages: cut by hand, but for the OPENs
//	own.go      whether a connection is of this process
//
// GoBGP has another way out, WatchEvent, which makes protobuf messages of every route and
// of all its attributes. BMP carries each UPDATE as it came from the neighbor, in one
// piece, and the beginning and the end of its session in the same order.
//
// The station listens on loopback, on a port of the kernel's choice, and takes
// connections of its own process only. Whoever else connects is hung up on.
//
// GoBGP queues without bound for a station that is slow, so the station does not hold
// GoBGP up; it has one buffer itself, and waits for nothing of GoBGP's.
package bmp
