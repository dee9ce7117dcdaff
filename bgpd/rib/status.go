package rib

import (
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/encap"
)

// Status is the RIB at a glance.
type Status struct {
	Gate     Gate
	Health   []HealthStatus // by name
	Sources  []SourceStatus // by ID
	Segments []SegmentStatus
	Counters Counters
}

// Gate says whether segments may be announced, and if not, why.
type Gate struct {
	Open     bool
	Reasons  []string  // what holds it shut; empty when open
	Waiting  []string  // sources whose initial dump is not in
	Deadline time.Time // when it stops waiting for them; zero once the wait is over
}

// HealthStatus is a health condition as announcing sees it: good again only after
// the damping time.
type HealthStatus struct {
	Health
	Since time.Time // of the last change
	Held  bool      // good, but not yet for as long as Config.Damping
}

// SourceStatus is one source.
type SourceStatus struct {
	ID       SourceID
	Policy   SourcePolicy
	Synced   bool
	SyncedAt time.Time // zero before

	Paths    int // held, accepted or not
	Accepted int
	Refused  int // held, waiting for policy to allow them
	NotHeld  int // refused for MaxPrefixes and not held either: the source has to say them again

	Refusals [NumRefuseReasons]uint64 // ever, by reason
}

// SegmentState is how far a segment has come.
type SegmentState uint8

// States of a segment.
const (
	SegmentHeld        SegmentState = iota // wanted, not announced: the gate is shut
	SegmentProgramming                     // wanted, its bindings are being programmed
	SegmentAnnounced                       // wanted and announced
	SegmentReplaced                        // no longer wanted, still announced until what covers it has settled
	SegmentLingering                       // withdrawn, its bindings still programmed
)

var segmentStateNames = [...]string{"held", "programming", "announced", "replaced", "lingering"}

// String is the state's name in tables and JSON.
func (s SegmentState) String() string {
	if int(s) >= len(segmentStateNames) {
		return "unknown"
	}
	return segmentStateNames[s]
}

// MarshalText makes JSON carry the name.
func (s SegmentState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// SegmentStatus is one segment, wanted or on its way out.
type SegmentStatus struct {
	Segment
	State SegmentState
	Since time.Time // of the state
	Until time.Time // when the next state is due; zero when it waits for no time
}

// Counters count since the start; Paths, Prefixes and the like are levels.
type Counters struct {
	Updates   uint64 // calls of RIB.Update
	Received  uint64 // claims and withdrawals in them
	Coalesced uint64 // of these, overtaken by a later word on the same claim before they were applied
	Batches   uint64
	Programs  uint64 // bindings handed to the Programmer
	Refused   [NumRefuseReasons]uint64
	Announces uint64 // sets handed to the Announcer

	ProgramErrors  uint64 // batches that the Programmer failed to take; tried again
	FilterErrors   uint64 // likewise of the Filter
	AnnounceErrors uint64 // likewise of the Announcer

	Queued     int // prefixes that wait to be applied
	Paths      int // held, accepted or not
	Prefixes   int // with at least one path
	Programmed int // bindings in the table
	Groups     int // of these, with more than one tunnel
	Contested  int // prefixes that several sources claim with different tunnels

	Lag Lag
}

// LagBounds are the upper bounds of Lag.Buckets; one more bucket holds the rest.
var LagBounds = [...]time.Duration{
	time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond,
	100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second,
}

// Lag is the time from RIB.Update until workers see the binding, per prefix.
type Lag struct {
	Last, Max time.Duration // of the oldest prefix of a batch
	Count     uint64
	Sum       time.Duration
	Buckets   [len(LagBounds) + 1]uint64 // not cumulative
}

// PrefixState is one EIP prefix and everything that is claimed for it.
type PrefixState struct {
	Prefix     netip.Prefix
	Tunnels    []encap.Tunnel // chosen; empty when no claim is accepted
	Programmed bool           // the table holds a binding for it
	Contested  bool           // several sources claim it with different tunnels
	Problem    string         // why what is programmed is not what is chosen
	Candidates []Candidate    // best first
}

// Candidate is one claim and how it fared.
type Candidate struct {
	Path
	Rank    int          // of its source
	Chosen  bool         // its tunnel is among the prefix's tunnels
	Refused RefuseReason // RefuseNone when accepted
	Why     string       // what decided, in words
}

// Explanation says what the RIB knows of an address.
type Explanation struct {
	Addr     netip.Addr
	Segment  *SegmentStatus // longest that covers it, nil when none does
	Prefixes []PrefixState  // that cover it, longest first; the first programmed one decides
	Refusals []Refusal      // of prefixes that cover it, latest first
	Summary  string         // one sentence
}
