package rib

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// source is one source and what is known of it.
type source struct {
	id SourceID

	// Guarded by the queue's lock.
	epoch     uint32 // how often its claims became void
	gone      bool   // removed; nothing that it says counts any more
	syncAsked bool   // it has ended its initial dump, with
	syncTurn  uint64 // this as the last prefix

	// Guarded by the RIB's lock.
	policy   SourcePolicy
	details  [RefuseMaxPrefixes + 1]string // of refusals for policy, see attrs.refused
	allow4   spans[key4]                   // of policy.Allow, unless that is nil
	allow6   spans[key6]
	syncedAt time.Time // zero before
	paths    int       // held
	accepted int
	over     int      // held, refused for MaxPrefixes
	roomy    bool     // in RIB.room
	notHeld  int      // not even held, for MaxPrefixes
	rings    [2]rings // its paths, by family

	tableEpoch uint32 // epoch as the tables know it

	refused [NumRefuseReasons]uint64 // ever; guarded by the refusals' lock
}

// rings are the two lists on which a source's paths of one family are, each by the
// path record that anchors it.
type rings struct {
	live   uint32
	doomed uint32 // void, not taken out yet
}

func (s *source) setPolicy(p SourcePolicy) {
	p.Allow = slices.Clone(p.Allow)
	s.policy = p
	s.allow4, s.allow6 = splitSpans(p.Allow)
	s.details = [...]string{
		RefuseOutsideSegment: "not inside the segments",
		RefuseNotAllowed:     fmt.Sprintf("not inside the source's allow-list %v", p.Allow),
		RefuseMaxPrefixes:    fmt.Sprintf("the source has %d prefixes accepted already, the most that it may", p.MaxPrefixes),
	}
}

// canHold says whether one more path of the source is held, accepted or not.
func (s *source) canHold() bool {
	return s.policy.MaxPrefixes == 0 || s.paths < 2*s.policy.MaxPrefixes
}

// full says whether no further path of the source is accepted.
func (s *source) full() bool {
	return s.policy.MaxPrefixes != 0 && s.accepted >= s.policy.MaxPrefixes
}

// span is an inclusive range of addresses.
type span[K key[K]] struct{ first, last K }

// spans is a set of addresses: disjoint ranges in order, with a gap between any
// two. So a prefix lies in the set exactly when it lies in one range.
type spans[K key[K]] []span[K]

// makeSpans unites the ranges, whatever their order.
func makeSpans[K key[K]](in []span[K]) spans[K] {
	slices.SortFunc(in, func(a, b span[K]) int {
		switch {
		case a.first.less(b.first):
			return -1
		case b.first.less(a.first):
			return 1
		default:
			return 0
		}
	})
	var out spans[K]
	for _, s := range in {
		if n := len(out); n > 0 {
			top := &out[n-1]
			end := top.last.next()
			if touches := !end.less(s.first) || end.less(top.last); touches { // the second: end of the address space
				if top.last.less(s.last) {
					top.last = s.last
				}
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// covers says whether every address of the range is in the set.
func (s spans[K]) covers(first, last K) bool {
	lo, hi := 0, len(s)
	for lo < hi {
		mid := (lo + hi) / 2
		if s[mid].last.less(first) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(s) && !first.less(s[lo].first) && !s[lo].last.less(last)
}

// splitSpans makes the sets that prefixes of both families stand for.
func splitSpans(prefixes []netip.Prefix) (spans[key4], spans[key6]) {
	var v4 []span[key4]
	var v6 []span[key6]
	for _, p := range prefixes {
		p, ok := cleanPrefix(p)
		if !ok {
			continue
		}
		if k := keyOf(p); k.v6 {
			a := k.key6()
			v6 = append(v6, span[key6]{a, a.last(k.bits)})
		} else {
			a := k.key4()
			v4 = append(v4, span[key4]{a, a.last(k.bits)})
		}
	}
	return makeSpans(v4), makeSpans(v6)
}
