// Package memport is a dataplane.Port in memory, for tests and benchmarks. It lends
// buffers and takes frames back just as a network port does: a finite pool, sending
// in place, completion at Flush, a transmit queue that fills up. What a worker does
// wrong with a NIC's buffers shows here too, all the more with Config.Poison.
//
// The far end of the wire is Inject and Collect, which any goroutine may call:
//
//	Inject → [input queue] → Rx → … → Tx → [transmit queue] → Flush → Collect
//
// With Config.Repeat the port receives the same frames for ever, at no cost but the
// restoring of their headers, and with Config.Discard it counts what it sends and
// forgets it: the two ends of a benchmark.
//
// Files: memport.go (configuration, the far end), port.go (the dataplane.Port).
package memport
