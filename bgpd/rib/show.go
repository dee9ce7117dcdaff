package rib

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// walkPage is how many prefixes Walk copies under one lock.
const walkPage = 256

// Walk calls fn for prefixes from the given one on, IPv4 before IPv6, each in
// address order with a covering prefix before what it covers, until fn returns
// false. The zero Prefix starts at the beginning. fn may call back into the RIB. What
// changes meanwhile may or may not be seen.
func (r *RIB) Walk(from netip.Prefix, fn func(PrefixState) bool) {
	var at prefixKey
	if p, ok := cleanPrefix(from); ok {
		at = keyOf(p)
	}
	if !at.v6 && !r.walkFamily(at, fn) {
		return
	}
	if !at.v6 {
		at = prefixKey{v6: true}
	}
	r.walkFamily(at, fn)
}

// walkFamily walks one family a page at a time; false when fn wants no more.
func (r *RIB) walkFamily(at prefixKey, fn func(PrefixState) bool) bool {
	page := make([]PrefixState, 0, walkPage)
	for behind := false; ; behind = true {
		page = r.page(at, behind, page[:0])
		for _, s := range page {
			if !fn(s) {
				return false
			}
		}
		if len(page) < walkPage {
			return true
		}
		at = keyOf(page[len(page)-1].Prefix)
	}
}

// page copies up to walkPage prefixes of one family from at on, or from behind it.
func (r *RIB) page(at prefixKey, behind bool, page []PrefixState) []PrefixState {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if at.v6 {
		return r.t6.page(at.key6(), at.bits, behind, page)
	}
	return r.t4.page(at.key4(), at.bits, behind, page)
}

func (t *table[K]) page(k K, bits uint8, behind bool, page []PrefixState) []PrefixState {
	c := t.trie.seek(k, bits)
	for i := c.next(); i != 0 && len(page) < walkPage; i = c.next() {
		if n := t.trie.nodes.at(i); behind && n.key == k && n.bits == bits {
			continue
		}
		page = append(page, t.state(i))
	}
	return page
}

// state shows one prefix.
func (t *table[K]) state(i uint32) PrefixState {
	n := t.trie.nodes.at(i)
	key := n.key.pack(n.bits)
	chosen := t.choose(n.head)
	return PrefixState{
		Prefix:     key.prefix(),
		Tunnels:    slices.Clone(chosen.tunnels()),
		Programmed: n.flags&flagProgrammed != 0,
		Contested:  n.flags&flagContested != 0,
		Problem:    t.r.problems[key],
		Candidates: t.candidates(i, chosen),
	}
}

// candidates lists the paths of a prefix, best first, those refused at the end,
// and says of each why it stands where it does.
func (t *table[K]) candidates(i uint32, chosen choice) []Candidate {
	n := t.trie.nodes.at(i)
	type held struct {
		Candidate
		a *attrs
	}
	var all []held
	prefix := n.key.pack(n.bits).prefix()
	for p := n.head; p != 0; p = t.paths.at(p).next {
		at := t.paths.at(p)
		a := t.r.slots[at.attr]
		all = append(all, held{a: a, Candidate: Candidate{
			Rank: a.src.policy.Rank, Refused: at.reason,
			Path: Path{
				Prefix: prefix, Tunnel: a.tunnel[0], Source: a.src.id, Router: a.router, PathID: at.pathID, Carrier: a.carrier,
				LocalPref: a.localPref, ASPathLen: a.asPathLen, Origin: a.origin, MED: a.med, Learned: t.r.unstamp(at.learned),
			},
		}})
	}
	slices.SortFunc(all, func(x, y held) int {
		if xr, yr := x.Refused != RefuseNone, y.Refused != RefuseNone; xr != yr {
			if xr {
				return 1
			}
			return -1
		}
		if d, _ := better(x.a, y.a); d != 0 {
			return d
		}
		if d := strings.Compare(string(x.Source), string(y.Source)); d != 0 {
			return d
		}
		return int(int64(x.PathID) - int64(y.PathID))
	})
	out := make([]Candidate, len(all))
	for i, c := range all {
		c.Chosen = c.Refused == RefuseNone && slices.Contains(chosen.tunnels(), c.a.tunnel[0])
		c.Why = why(c.Candidate, c.a, all[0].a, len(all))
		out[i] = c.Candidate
	}
	return out
}

// why says what decided about a candidate, best being the first of n.
func why(c Candidate, a, best *attrs, n int) string {
	if c.Refused != RefuseNone {
		return fmt.Sprintf("refused: %s", a.refused(c.Refused))
	}
	d, by := better(a, best)
	switch {
	case n == 1:
		return "the only claim"
	case d != 0:
		return fmt.Sprintf("%s %d, the best has %d", criteria[by].name, criteria[by].value(a), criteria[by].value(best))
	case !c.Chosen:
		return "as good as the best, but the group is full"
	default:
		return "best, or as good as the best"
	}
}

// candidates is table.candidates for a key of either family. The caller holds mu.
func (r *RIB) candidates(k prefixKey) []Candidate {
	if k.v6 {
		if i := r.t6.trie.find(k.key6(), k.bits); i != 0 {
			return r.t6.state(i).Candidates
		}
		return nil
	}
	if i := r.t4.trie.find(k.key4(), k.bits); i != 0 {
		return r.t4.state(i).Candidates
	}
	return nil
}

// Why explains what happens to addr as far as the RIB knows: which segment covers
// it, who claims it, who wins and why.
func (r *RIB) Why(addr netip.Addr) Explanation {
	addr = addr.Unmap().WithZone("")
	e := Explanation{Addr: addr}
	if !addr.IsValid() {
		e.Summary = "not an address"
		return e
	}
	r.mu.RLock()
	e.Segment = r.segmentOf(addr, time.Now())
	k := keyOf(netip.PrefixFrom(addr, addr.BitLen()))
	if k.v6 {
		r.t6.trie.covering(k.key6(), k.bits, func(i uint32) { e.Prefixes = append(e.Prefixes, r.t6.state(i)) })
	} else {
		r.t4.trie.covering(k.key4(), k.bits, func(i uint32) { e.Prefixes = append(e.Prefixes, r.t4.state(i)) })
	}
	r.mu.RUnlock()
	slices.Reverse(e.Prefixes)
	e.Refusals = r.refusals.list(func(f *Refusal) bool { return f.Prefix.Contains(addr) })
	e.Summary = e.summary()
	return e
}

// segmentOf is the segment that speaks for addr: an announced one before a wanted
// one before one on its way out, and of these the longest.
func (r *RIB) segmentOf(addr netip.Addr, now time.Time) *SegmentStatus {
	var best *segment
	for _, s := range r.segments.segments {
		if s.Prefix.Contains(addr) && (best == nil || s.worth() > best.worth()) {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	st := r.segments.state(best, r.open, now)
	return &st
}

func (s *segment) worth() int {
	w := s.Prefix.Bits()
	if s.wanted {
		w += 1000
	}
	if s.announced {
		w += 2000
	}
	return w
}

func (e *Explanation) summary() string {
	where := "no segment covers it, so switches do not send it here"
	if e.Segment != nil {
		where = fmt.Sprintf("segment %s is %s", e.Segment.Prefix, e.Segment.State)
	}
	for _, p := range e.Prefixes {
		switch {
		case p.Programmed && p.Problem != "":
			return fmt.Sprintf("%s; %s keeps an older binding: %s", where, p.Prefix, p.Problem)
		case p.Programmed && len(p.Tunnels) > 1:
			return fmt.Sprintf("%s; bound by %s to a group of %d tunnels", where, p.Prefix, len(p.Tunnels))
		case p.Programmed && len(p.Tunnels) == 1:
			return fmt.Sprintf("%s; bound by %s to %s, said by %s (%s)",
				where, p.Prefix, p.Tunnels[0], p.Candidates[0].Source, p.Candidates[0].Carrier)
		}
	}
	switch {
	case len(e.Prefixes) > 0 && len(e.Prefixes[0].Candidates) > 0 && e.Prefixes[0].Candidates[0].Refused != RefuseNone:
		return fmt.Sprintf("%s; not bound: the claim of %s is %s", where, e.Prefixes[0].Candidates[0].Source, e.Prefixes[0].Candidates[0].Why)
	case len(e.Refusals) > 0:
		return fmt.Sprintf("%s; not bound: a claim of %s was refused, %s: %s", where, e.Refusals[0].Source, e.Refusals[0].Reason, e.Refusals[0].Detail)
	default:
		return where + "; not bound: nobody claims it"
	}
}
