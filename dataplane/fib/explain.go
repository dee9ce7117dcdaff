package fib

import (
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// Explanation says what the table does with an address, and why.
type Explanation struct {
	Prefix  netip.Prefix  // the longest bound prefix that covers the address
	Tunnels []TunnelState // in canonical order: that of the bytes that Seed takes
}

// TunnelState is a tunnel and what the underlay makes of it.
type TunnelState struct {
	Tunnel encap.Tunnel // canonical
	Seed   uint32       // what it brings into the choice among the tunnels
	Ways   []Way        // an entry each; none when unresolved
	Err    error        // why it is unresolved; nil when it is resolved
}

// Way is one way to a tunnel's VTEP, with the entry compiled for it.
type Way struct {
	Adjacency
	Seed     uint32 // what it brings into the choice among the ways
	InnerMTU uint16 // largest inner IP packet in bytes
	Header   encap.Header
}

// Resolved says whether at least one tunnel is resolved.
func (e Explanation) Resolved() bool {
	_, _, ok := e.Choose(0)
	return ok
}

// Choose is which tunnel a flow takes, and which of its ways, as indexes; false
// when no tunnel is resolved. It agrees with Reader.Entry.
func (e Explanation) Choose(hash uint32) (tunnel, way int, ok bool) {
	for i, t := range e.Tunnels {
		if len(t.Ways) > 0 && (!ok || Score(hash, t.Seed) > Score(hash, e.Tunnels[tunnel].Seed)) {
			tunnel, ok = i, true
		}
	}
	if !ok {
		return 0, 0, false
	}
	ways := e.Tunnels[tunnel].Ways
	for i, w := range ways {
		if WayScore(hash, w.Seed) > WayScore(hash, ways[way].Seed) {
			way = i
		}
	}
	return tunnel, way, true
}

// BindingState is a binding in force.
type BindingState struct {
	Prefix   netip.Prefix
	Tunnels  []encap.Tunnel // canonical, in canonical order; shared, not to be changed
	Resolved int            // how many of them are resolved
}
