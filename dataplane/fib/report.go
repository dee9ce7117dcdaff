package fib

import (
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// Report says what became of each binding of a change set.
type Report struct {
	Programmed []netip.Prefix // in force, and at least one tunnel is resolved: frames are forwarded
	Unresolved []netip.Prefix // in force, but no tunnel is resolved: kept, shown, not forwarded to
	Removed    []netip.Prefix // was bound, is not any more
	Refused    []Refusal      // bad: whatever was bound before stays in force
}

// Refusal is a binding that cannot be, and why.
type Refusal struct {
	Prefix netip.Prefix
	Err    error
}

// Explanation says what the table does with an address, and why.
type Explanation struct {
	Prefix  netip.Prefix  // the longest bound prefix that covers the address
	Tunnels []TunnelState // in canonical order, see Seed
}

// Resolved says whether at least one tunnel is resolved.
func (e Explanation) Resolved() bool {
	for _, t := range e.Tunnels {
		if t.Err == nil {
			return true
		}
	}
	return false
}

// TunnelState is a tunnel and what the underlay makes of it.
type TunnelState struct {
	Tunnel encap.Tunnel // canonical
	Seed   uint32       // its seed in the group's rendezvous
	Ways   []Way        // one entry each; none when unresolved
	Err    error        // why it is unresolved; nil when it is resolved
}

// Way is one way to a tunnel's VTEP with the entry compiled for it.
type Way struct {
	Adjacency
	InnerMTU uint16 // largest inner IP packet in bytes
	Seed     uint32 // its seed among the tunnel's ways
	Header   encap.Header
}

// BindingState is a binding in force.
type BindingState struct {
	Prefix   netip.Prefix
	Tunnels  []encap.Tunnel // canonical, in canonical order; shared, not to be changed
	Resolved int            // how many of them are resolved
}

// Stats counts what a table holds.
type Stats struct {
	IPv4, IPv6        int // bindings
	Unresolved        int // bindings none of whose tunnels is resolved
	VTEPs             int
	Tunnels           int // distinct
	UnresolvedTunnels int
	Groups            int // distinct sets of several tunnels
	Entries           int // compiled ways
	Readers           int
	Retired           int           // blocks of memory that wait until readers have let go
	Bytes             uint64        // in use, all regions
	Regions           []RegionStats // the same by region
}

// RegionStats is the memory of one region in bytes.
type RegionStats struct {
	Name      string
	InUse     uint64 // held by the table's content
	Committed uint64 // backed by the system at most
}
