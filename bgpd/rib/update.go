package rib

import (
	"net/netip"
	"time"
)

// Update is what a source says at once. The order inside is RemoveAll, Remove,
// Set: a path in both Remove and Set stays.
type Update struct {
	Source SourceID

	RemoveAll bool      // everything said before is void: the session is down
	Remove    []PathKey // withdrawn
	Set       []Path    // new, or said anew; Path.Source is ignored, Source above holds

	// Synced ends the initial dump (End-of-RIB, the whole file read). It takes
	// effect once everything said before it is programmed. Later ones are harmless.
	Synced bool

	// Refused names what the source itself had to refuse, because it could not be
	// turned into a Path. It is counted and listed; a path held under the same key
	// stays in force.
	Refused []Refusal
}

// PathKey names one claim of a source.
type PathKey struct {
	Prefix netip.Prefix
	PathID uint32
}

// RefuseReason is why a claim was not accepted.
type RefuseReason uint8

// Reasons of refusal. The first group is policy: the claim is held, shown, and
// accepted as soon as policy allows it. The second is the claim's own fault: it is
// dropped, and an earlier claim under the same key stays in force.
const (
	RefuseNone RefuseReason = iota // accepted

	RefuseOutsideSegment // the prefix does not lie inside the segments
	RefuseNotAllowed     // the prefix does not lie inside the source's allow-list
	RefuseVTEPInSegment  // the tunnel's VTEP lies inside the segments: its packets would come back
	RefuseMaxPrefixes    // the source claims more prefixes than it may

	RefuseUnknownSource     // nobody has added the source
	RefuseBadPrefix         // not a valid prefix of EIPs
	RefuseBadTunnel         // VTEP, VNI or address that no tunnel can have
	RefuseConflict          // parts of one route name different tunnels
	RefuseBadAttribute      // an attribute that cannot be parsed
	RefuseUnsupportedTunnel // no tunnel of a type that is built
	RefuseNoVNI             // neither the route nor the neighbor's profile names a VNI, or the route says that it has none
	RefuseNoVTEP            // neither the route nor the session names a usable VTEP
	RefuseProgram           // the forwarding table would not take the binding

	NumRefuseReasons // how many there are
)

var refuseNames = [NumRefuseReasons]string{
	"none",
	"outside_segment", "not_allowed", "vtep_in_segment", "max_prefixes",
	"unknown_source", "bad_prefix", "bad_tunnel", "conflict", "bad_attribute",
	"unsupported_tunnel", "no_vni", "no_vtep", "program",
}

// String is the reason's name in counters and JSON.
func (r RefuseReason) String() string {
	if r >= NumRefuseReasons {
		return "unknown"
	}
	return refuseNames[r]
}

// MarshalText makes JSON carry the name.
func (r RefuseReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Refusal is one claim that was not accepted. A list of them holds the latest of
// each source and prefix.
type Refusal struct {
	Source SourceID
	Prefix netip.Prefix
	Reason RefuseReason
	Detail string    // what was found and what was expected, for people
	Time   time.Time // when it was last refused; zero is now
	Count  uint64    // how often since it entered the list; set by the RIB
}
