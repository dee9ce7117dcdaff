package fib

import (
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// Binding is intent: which tunnels lead to the virtual routers behind which an
// EIP, or a prefix of EIPs, lies. It knows nothing of the underlay.
type Binding struct {
	// Prefix is masked, and never IPv4-mapped IPv6.
	Prefix netip.Prefix

	// Tunnels holds one tunnel, or several of equal worth: a group, from which
	// each flow takes one by rendezvous hashing. Order and duplicates carry no
	// meaning. Empty in a change set means: remove the prefix.
	Tunnels []encap.Tunnel
}

// PortID names an interface of the data plane. Every worker knows its own queue
// of the port by the same ID.
type PortID uint16

// Adjacency is one resolved way to a VTEP: the next hop as the kernel's routes
// and neighbors have it.
type Adjacency struct {
	Port  PortID
	MTU   uint16 // largest outer IP packet in bytes on this way
	Outer encap.Outer
}

// Resolver finds the ways to a VTEP. underlay.Underlay is the real one; tests
// use a map. Its methods may be called from any goroutine and do not block on I/O.
type Resolver interface {
	// Resolve returns every usable equal-cost way to vtep now, in a stable order,
	// or an error that says why there is none (no route, neighbor unresolved, port
	// down). A tracked VTEP's changes are reported to Compiler.Refresh.
	Resolve(vtep netip.Addr) ([]Adjacency, error)

	// Track starts and Untrack ends interest in vtep. The compiler calls each once
	// per VTEP that bindings name.
	Track(vtep netip.Addr)
	Untrack(vtep netip.Addr)
}
