package rib

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	batchPrefixes   = 4096 // most prefixes of the queue that are programmed at once
	judgePrefixes   = 8192 // most prefixes that are judged again in one turn
	updateChunk     = 512  // claims of one update that are queued under one lock
	retryAfter      = time.Second
	defaultRefusals = 1024
	stampUnit       = 100 * time.Millisecond // precision of the time that a path keeps
)

// RIB holds what every source claims, and keeps the forwarding table, the ports'
// filter and the announcements current. Any goroutine may call its methods; Run's
// goroutine alone changes tables and calls out, holding no lock.
type RIB struct {
	cfg      Config
	log      *slog.Logger
	born     time.Time
	queue    *queue
	refusals *refusals
	binds    binds

	// mu guards what follows. It comes before queue.mu.
	mu       sync.RWMutex
	sources  map[SourceID]*source // queue.mu guards it too: writing takes both
	t4       *table[key4]
	t6       *table[key6]
	slots    []*attrs // the queue's, as of the last take
	gate     gate
	segments *choreography
	served   []netip.Prefix // inside which claims are accepted, and VTEPs are not
	filtered []netip.Prefix // what Filter was told last
	sent     []Segment      // what Announcer was told last
	judging  judging
	open     bool
	problems map[prefixKey]string
	counters Counters // those that are not counted elsewhere

	// Run's own.
	dooming []*source          // with paths that are void
	room    []*source          // with room below MaxPrefixes again
	freed   []uint32           // references to attrs that the batch has let go
	firsts  []Refusal          // to be logged when the batch is done
	retry   map[prefixKey]bool // what the Programmer failed to take
	batch   batch

	// When to call again what failed; zero when it did not.
	retryAt, filterAt, announceAt time.Time

	life life
}

// New makes a RIB without sources and segments. Sources and segments that are
// configured are added before Run.
func New(cfg Config) (*RIB, error) {
	if cfg.Programmer == nil {
		return nil, errors.New("rib: Config.Programmer is nil, expected the forwarding table's compiler")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"Settle", cfg.Settle}, {"Linger", cfg.Linger}, {"InitialWait", cfg.InitialWait}, {"Damping", cfg.Damping}} {
		if d.value < 0 {
			return nil, errors.New("rib: Config." + d.name + " is " + d.value.String() + ", expected zero or more")
		}
	}
	if cfg.MaxRefusals == 0 {
		cfg.MaxRefusals = defaultRefusals
	}
	r := &RIB{
		cfg: cfg, log: cfg.Log, born: time.Now(),
		queue: newQueue(), refusals: newRefusals(cfg.MaxRefusals),
		sources: map[SourceID]*source{}, problems: map[prefixKey]string{}, retry: map[prefixKey]bool{},
		gate:     gate{damping: cfg.Damping, unnamed: cfg.UnnamedSources, health: map[string]*health{}},
		segments: &choreography{settle: cfg.Settle, linger: cfg.Linger, segments: map[netip.Prefix]*segment{}},
		life:     life{done: make(chan struct{})},
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.t4 = &table[key4]{r: r, family: 0, allow: func(s *source) spans[key4] { return s.allow4 }}
	r.t6 = &table[key6]{r: r, family: 1, allow: func(s *source) spans[key6] { return s.allow6 }}
	if !cfg.WhenEmpty {
		r.gate.set(Health{Name: healthBindings, Reason: "no binding is programmed"}, r.born)
	}
	return r, nil
}

// AddSource makes a source known, or changes the policy of a known one: what it
// holds is then judged again. Updates of a source that nobody has added are refused.
func (r *RIB) AddSource(id SourceID, p SourcePolicy) {
	r.SetPolicies(map[SourceID]SourcePolicy{id: p})
}

// SetPolicies is AddSource for several at once: an EIP that leaves one source's
// allow-list and enters another's is then never without a binding. Sources that
// are not named keep theirs.
func (r *RIB) SetPolicies(policies map[SourceID]SourcePolicy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rejudge, ranks := false, false
	for id, p := range policies {
		s := r.sources[id]
		if s == nil {
			s = &source{id: id}
			s.setPolicy(p)
			r.queue.mu.Lock()
			r.sources[id] = s
			r.queue.mu.Unlock()
			continue
		}
		rejudge, ranks = true, ranks || s.policy.Rank != p.Rank
		s.setPolicy(p)
	}
	if rejudge {
		r.judging.restart(ranks)
	}
	r.queue.kick()
}

// RemoveSource forgets a source and everything that it claims.
func (r *RIB) RemoveSource(id SourceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	s := r.sources[id]
	if s == nil {
		return
	}
	delete(r.sources, id)
	s.gone = true
	r.queue.void(s)
	r.queue.kick()
}

// SetSegments replaces the wanted segments and returns the plan that leads from
// what is announced now to them. Segments may overlap. A plan under way is
// superseded: the new one starts from where it has come. Claims whose VTEP a new
// segment covers are refused before it is announced.
func (r *RIB) SetSegments(want []Segment) (Plan, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.plan(want)
	if err != nil {
		return p, err
	}
	if r.gate.stopping {
		return p, errors.New("rib: stopping, segments stay as they are")
	}
	copied := make([]Segment, len(want))
	for i, s := range want {
		copied[i] = s.clone()
	}
	r.segments.want(copied)
	r.follow() // who binds inside a new one from now on is not refused
	r.log.Info("segments wanted", "segments", len(want), "steps", len(p.Steps))
	r.queue.kick()
	return p, nil
}

// PlanSegments returns the plan that SetSegments would carry out, and changes nothing.
func (r *RIB) PlanSegments(want []Segment) (Plan, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plan(want)
}

func (r *RIB) plan(want []Segment) (Plan, error) {
	if err := checkSegments(want); err != nil {
		return Plan{}, err
	}
	now := time.Now()
	p := r.segments.plan(want, now)
	p.Held, _ = r.gate.look(now, r.waiting())
	return p, nil
}

// Segments returns the wanted segments in address order. They are shared, not to
// be changed.
func (r *RIB) Segments() []Segment {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.segments.wanted()
}

// SetHealth reports a condition. A bad one withdraws every segment; bindings stay,
// so what arrives until the switches have heard is still forwarded.
func (r *RIB) SetHealth(h Health) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gate.set(h, time.Now()) {
		r.log.Info("health", "condition", h.Name, "ok", h.OK, "reason", h.Reason)
		r.queue.kick()
	}
}

// ClearHealth forgets a condition.
func (r *RIB) ClearHealth(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gate.health, name)
	r.queue.kick()
}

// waiting lists the sources whose initial dump is not in. The caller holds mu.
func (r *RIB) waiting() []string {
	if r.gate.opened {
		return nil
	}
	var out []string
	for id, s := range r.sources {
		if s.policy.Initial && s.syncedAt.IsZero() {
			out = append(out, string(id))
		}
	}
	slices.Sort(out)
	return out
}

// elapsed is the time since New, in nanoseconds.
func (r *RIB) elapsed() int64 { return int64(time.Since(r.born)) }

// stamp is t in units of stampUnit since New; what is older becomes 0.
func (r *RIB) stamp(t time.Time) uint32 {
	return uint32(min(max(t.Sub(r.born)/stampUnit, 0), 1<<32-1))
}

func (r *RIB) unstamp(s uint32) time.Time { return r.born.Add(time.Duration(s) * stampUnit) }

// refuse counts and lists a refusal of policy. The first of its kind is logged when
// the batch is done.
func (r *RIB) refuse(a *attrs, k prefixKey, reason RefuseReason) {
	f := Refusal{Source: a.src.id, Prefix: k.prefix(), Reason: reason, Detail: a.refused(reason)}
	if r.refusals.add(a.src, f) {
		r.firsts = append(r.firsts, f)
	}
}

func (r *RIB) logFirst(f Refusal) {
	r.log.Warn("claim refused, the first of this source for this reason",
		"source", f.Source, "prefix", f.Prefix, "reason", f.Reason.String(), "detail", f.Detail)
}

// accept takes a claim off the list of refusals if it is there.
func (r *RIB) accept(src *source, k prefixKey) {
	if !r.refusals.empty() {
		r.refusals.clear(src.id, k.prefix())
	}
}
