package fib

import "net/netip"

// Report says what became of each binding of a change set.
type Report struct {
	Programmed []netip.Prefix // in force, and at least one tunnel is resolved: frames are forwarded
	Unresolved []netip.Prefix // in force, but no tunnel is resolved: kept, shown, not forwarded to
	Removed    []netip.Prefix // was bound, is not any more
	Refused    []Refusal      // whatever was bound before stays in force
}

// Refusal is a binding that cannot be, and why.
type Refusal struct {
	Prefix netip.Prefix
	Err    error
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
	Retired           int           // blocks of memory that wait until readers have let go of them
	Bytes             uint64        // in use, in all regions
	Regions           []RegionStats // the same by region
}

// RegionStats is the memory of one region in bytes.
type RegionStats struct {
	Name      string
	InUse     uint64 // held by the table's content
	Committed uint64 // that the system has promised; it backs what has been written
}

func (r *region) stats(inUse uint64) RegionStats {
	return RegionStats{Name: r.name, InUse: inUse, Committed: uint64(r.committed)}
}

// memory lists the regions.
func (t *Table) memory() []RegionStats {
	dir := uint64(0)
	if t.long6.n > 0 {
		dir = 4 << t.long6.depth
	}
	return []RegionStats{
		t.ipv4.root.stats(t.ipv4.inUse()),
		t.ipv6.root.stats(t.ipv6.inUse()),
		t.long6.dir.stats(dir),
		t.slots.words.stats(t.slots.inUse()),
		t.lines.region.stats(t.lines.inUse()),
		t.known4.pool.region.stats(t.known4.pool.inUse()),
	}
}
