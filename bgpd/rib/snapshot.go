package rib

import (
	"maps"
	"slices"
	"time"
)

// Refusals lists claims that were not accepted, latest first.
func (r *RIB) Refusals() []Refusal { return r.refusals.list(nil) }

// Status is a snapshot.
func (r *RIB) Status() Status {
	now := time.Now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	st := Status{
		Gate:     r.gateStatus(now),
		Health:   r.gate.status(now),
		Sources:  r.sourceStatus(),
		Counters: r.counters,
	}
	for _, s := range r.segments.sorted() {
		st.Segments = append(st.Segments, r.segments.state(s, r.open, now))
	}
	c := &st.Counters
	c.Refused = r.refusals.counted(nil)
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	c.Updates, c.Received, c.Coalesced = r.queue.updates, r.queue.received, r.queue.coalesced
	c.Queued = len(r.queue.index)
	return st
}

func (r *RIB) gateStatus(now time.Time) Gate {
	waiting := r.waiting()
	g := Gate{Waiting: waiting}
	g.Reasons, _ = r.gate.look(now, waiting)
	g.Open = len(g.Reasons) == 0
	if !r.gate.opened {
		g.Deadline = r.gate.deadline
	}
	return g
}

func (r *RIB) sourceStatus() []SourceStatus {
	var out []SourceStatus
	for _, id := range slices.Sorted(maps.Keys(r.sources)) {
		s := r.sources[id]
		out = append(out, SourceStatus{
			ID: id, Policy: s.policy,
			Synced: !s.syncedAt.IsZero(), SyncedAt: s.syncedAt,
			Paths: s.paths, Accepted: s.accepted, Refused: s.paths - s.accepted, NotHeld: s.notHeld,
			Refusals: r.refusals.counted(s),
		})
	}
	return out
}
