package admin

import (
	"context"
	"errors"
	"net/netip"
)

// Gateway is what the API shows and changes: the running daemon. Any goroutine may
// call its methods. The contexts end with the request.
type Gateway interface {
	Status() Status
	Bindings(q BindingQuery) BindingPage
	Segments() []Segment
	Neighbors() []Neighbor
	Ports() []Port
	Counters() Counters
	Sources() []Source
	Refusals() []Refusal
	Underlay() []VTEP

	// Why explains an address; flow may be nil.
	Why(addr netip.Addr, flow *Flow) Why

	// Metrics is one consistent look at all that Prometheus reads.
	Metrics() Metrics

	ChangeSegments(ctx context.Context, c SegmentChange) (Plan, error)
	Bind(ctx context.Context, b Bind) (Bound, error)
	BindMany(ctx context.Context, b BindMany) (BoundMany, error)
	Unbind(ctx context.Context, prefix netip.Prefix) (Bound, error)

	// Reload reads the configuration again. On an error the running one is in force.
	Reload(ctx context.Context) (Reloaded, error)
}

// BindingQuery asks for a page of bindings.
type BindingQuery struct {
	From  netip.Prefix // first prefix of the page; zero is the beginning
	Under netip.Prefix // only prefixes inside it; zero is all
	Limit int          // at most this many
}

// Errors that a Gateway wraps to choose the answer's HTTP status; others are 500.
var (
	ErrInvalid  = errors.New("not possible")     // 400: the request itself is wrong
	ErrNotFound = errors.New("not there")        // 404
	ErrConflict = errors.New("in conflict")      // 409: right, but not now
	errMethod   = errors.New("method not known") // 405
)
