package rib

import (
	"context"
	"errors"
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// RIB holds what every source claims, and keeps the forwarding table, the ports'
// filter and the announcements current. All methods may be called from any
// goroutine; Run's goroutine alone changes tables and calls out.
type RIB struct {
	cfg Config
}

// New makes a RIB without sources and segments.
func New(cfg Config) (*RIB, error) {
	if cfg.Programmer == nil {
		return nil, errors.New("rib: Config.Programmer is nil, expected the forwarding table's compiler")
	}
	return &RIB{cfg: cfg}, nil
}

// Run works until ctx is done, or Stop has finished; it returns nil then. A
// cancelled ctx ends it at once and leaves announcements and bindings as they are.
func (r *RIB) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Stop withdraws every segment, waits for Linger, takes every binding out, and
// ends Run. When ctx is done first it ends Run at once and returns an error that
// says what is left.
func (r *RIB) Stop(ctx context.Context) error { return nil }

// AddSource makes a source known, or changes the policy of a known one: what it
// holds is then judged again. An update of a source that nobody has added is refused.
func (r *RIB) AddSource(id SourceID, p SourcePolicy) {}

// RemoveSource forgets a source and everything that it claims.
func (r *RIB) RemoveSource(id SourceID) {}

// Update takes what a source says. It never blocks on programming: what is said is
// queued by source, prefix and path ID, and a later word replaces an earlier one. The
// slices are not kept.
func (r *RIB) Update(u Update) {}

// SetSegments replaces the wanted segments and returns the plan that leads from
// what is announced now to them. A plan under way is superseded.
func (r *RIB) SetSegments(want []Segment) (Plan, error) { return Plan{}, nil }

// PlanSegments returns the plan that SetSegments would carry out, and changes nothing.
func (r *RIB) PlanSegments(want []Segment) (Plan, error) { return Plan{}, nil }

// Segments returns the wanted segments in address order.
func (r *RIB) Segments() []Segment { return nil }

// SetHealth reports a condition. A bad one withdraws every segment; bindings stay.
func (r *RIB) SetHealth(h Health) {}

// ClearHealth forgets a condition.
func (r *RIB) ClearHealth(name string) {}

// Bind makes or replaces a binding of the source SourceAdmin, which has to be known.
func (r *RIB) Bind(prefix netip.Prefix, tunnels []encap.Tunnel) error { return nil }

// Unbind removes what Bind has made.
func (r *RIB) Unbind(prefix netip.Prefix) error { return nil }

// Flush waits until everything that was said before is programmed.
func (r *RIB) Flush(ctx context.Context) error { return nil }

// Why explains what happens to addr.
func (r *RIB) Why(addr netip.Addr) Explanation { return Explanation{} }

// Walk calls fn for prefixes from the given one on, IPv4 before IPv6, each in
// address order, until fn returns false. The zero Prefix starts at the beginning.
// fn may call back into the RIB. What changes meanwhile may or may not be seen.
func (r *RIB) Walk(from netip.Prefix, fn func(PrefixState) bool) {}

// Refusals lists claims that were not accepted, latest first.
func (r *RIB) Refusals() []Refusal { return nil }

// Status is a snapshot.
func (r *RIB) Status() Status { return Status{} }
