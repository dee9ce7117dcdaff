// Package tap captures what passes a port: a wrapper that behaves as the port does
// and writes every frame that it receives or takes for sending to a pcapng stream,
// for tcpdump and Wireshark to read.
//
// The stream has two interfaces, "NAME in" and "NAME out". What comes in is captured
// as it was received, before the forwarder has changed it; what goes out once the
// port has taken it. The time is that of the burst.
//
// Capturing never holds up the worker and never allocates: frames are copied into a
// fixed number of slots, which a goroutine of the tap's own writes out. When the
// writer is slower than the traffic the slots run out, and frames pass uncaptured;
// Stats counts them. A frame longer than a slot is cut, its length is kept.
package tap
