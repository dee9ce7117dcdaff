// Package pcapport is a dataplane.Port over capture files: it receives the frames of
// one and writes what it sends to another. With such ports at its ends the forwarder
// runs without root and network, and what comes out depends on nothing but what goes
// in: the same files byte for byte, every time.
//
// Input may be pcap, with micro- or nanoseconds, compressed by gzip or not, or
// pcapng; output is pcap with nanoseconds. Both are of Ethernet and of whole frames.
// A frame that leaves bears the time at which it was captured on its way in, when the
// port that it came by is of the same Group; any other the time of its place in the
// file, n microseconds after 1970.
//
// Files: pcapport.go (configuration, Group, the port), reader.go (what input is
// taken).
package pcapport
