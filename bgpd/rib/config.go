package rib

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Programmer is the forwarding table: fib.Compiler. Only the RIB's own goroutine
// calls it.
type Programmer interface {
	// Apply programs a batch and returns when workers can see it. A binding without
	// tunnels removes its prefix. A refused binding leaves the old one in force.
	Apply(changes []fib.Binding) (fib.Report, error)
}

// Filter is what the ports redirect to the pipeline; everything else is the
// kernel's. It is widened before a segment is announced and narrowed after it is
// withdrawn. Only the RIB's own goroutine calls it.
type Filter interface {
	SetSegments(prefixes []netip.Prefix) error
}

// Announcer tells the switches: bgpd.Speaker. Only the RIB's own goroutine calls it.
type Announcer interface {
	// Announce hands over the whole set that is to be announced from now on. Empty
	// withdraws everything. It does not wait for the switches; nil says that the
	// speaker has taken the set.
	Announce(want []Segment) error
}

// Segment is a prefix of EIPs that the switches get, with what the route carries.
type Segment struct {
	Prefix           netip.Prefix
	Communities      []uint32    // RFC 1997, AS in the high 16 bits
	LargeCommunities [][3]uint32 // RFC 8092
	MED              *uint32     // nil sends none
}

// Config is what a RIB is made of. Programmer is required; a nil Filter or
// Announcer is left out.
type Config struct {
	Programmer Programmer
	Filter     Filter
	Announcer  Announcer

	// Settle is how long a covering or more specific segment must have been announced
	// before what it replaces is withdrawn.
	Settle time.Duration

	// Linger is how long bindings stay programmed after their segment is withdrawn.
	Linger time.Duration

	// InitialWait is the longest that announcing waits for sources to finish their
	// initial dump, counted from the start of Run.
	InitialWait time.Duration

	// UnnamedSources says that sources may come that nobody can name beforehand
	// (neighbors of a range): then only InitialWait tells that all are in.
	UnnamedSources bool

	// WhenEmpty announces segments also while no binding at all is programmed.
	WhenEmpty bool

	// Damping is how long a health condition must have been good, or the table not
	// empty, before segments withdrawn because of it are announced again. It does not
	// delay the first announcement.
	Damping time.Duration

	// MaxRefusals bounds the list of refusals; 0 is 1024.
	MaxRefusals int

	Log *slog.Logger // nil is silent
}

// SourcePolicy is what a source may say and how much it is worth.
type SourcePolicy struct {
	// Rank orders kinds of sources before anything that a path says; lower wins.
	Rank int

	// Allow lists the prefixes inside which the source may claim EIPs. Nil allows
	// every segment, empty nothing.
	Allow []netip.Prefix

	// MaxPrefixes is how many claims of the source are accepted; 0 is no limit.
	// Further ones are refused, those accepted stay, the session is not touched.
	MaxPrefixes int

	// Initial makes announcing wait until the source is synced.
	Initial bool
}

// Health is one condition that announcing depends on, such as a worker that polls
// or a port that is up.
type Health struct {
	Name   string
	OK     bool
	Reason string // why not; shown by Status
}
