package rib

import (
	"cmp"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// choice is what a prefix's accepted paths come to: one tunnel, or a group of
// several. The zero value is none.
type choice struct {
	one  *attrs
	many []encap.Tunnel // in the order of compareTunnels
}

func (c choice) equal(o choice) bool {
	if c.one != nil && c.one == o.one {
		return true
	}
	return slices.Equal(c.tunnels(), o.tunnels())
}

// criterion is one step of the comparison of paths.
type criterion struct {
	name    string // as people read it
	compare func(a, b *attrs) int
	value   func(a *attrs) uint64
}

// criteria decide between accepted paths, in this order; the first that differs
// decides. Nothing in it depends on when a path was learned, so every gateway with
// the same paths chooses the same. MED is compared between all neighbors, as
// "always-compare-med" does in routers (RFC 4271 section 9.1.2.2 compares it within
// one neighboring AS only, which makes the choice depend on the order of learning).
var criteria = [...]criterion{
	{"rank of the source", func(a, b *attrs) int { return cmp.Compare(a.src.policy.Rank, b.src.policy.Rank) },
		func(a *attrs) uint64 { return uint64(a.src.policy.Rank) }},
	{"LOCAL_PREF", func(a, b *attrs) int { return cmp.Compare(b.localPref, a.localPref) },
		func(a *attrs) uint64 { return uint64(a.localPref) }},
	{"AS path length", func(a, b *attrs) int { return cmp.Compare(a.asPathLen, b.asPathLen) },
		func(a *attrs) uint64 { return uint64(a.asPathLen) }},
	{"origin", func(a, b *attrs) int { return cmp.Compare(a.origin, b.origin) },
		func(a *attrs) uint64 { return uint64(a.origin) }},
	{"MED", func(a, b *attrs) int { return cmp.Compare(a.med, b.med) },
		func(a *attrs) uint64 { return uint64(a.med) }},
}

// better is negative when a wins, positive when b does, 0 when they form a group.
// by is the index of the criterion that decided.
func better(a, b *attrs) (result, by int) {
	for i := range criteria {
		if d := criteria[i].compare(a, b); d != 0 {
			return d, i
		}
	}
	return 0, len(criteria)
}

// choose selects among the paths of one prefix.
func (t *table[K]) choose(head uint32) choice {
	var best *attrs
	equals := 0
	for p := head; p != 0; p = t.paths.at(p).next {
		at := t.paths.at(p)
		if at.reason != RefuseNone {
			continue
		}
		a := t.r.slots[at.attr]
		if best == nil {
			best, equals = a, 1
			continue
		}
		switch d, _ := better(a, best); {
		case d < 0:
			best, equals = a, 1
		case d == 0:
			equals++
		}
	}
	if equals <= 1 {
		return choice{one: best}
	}
	return t.group(head, best, equals)
}

// group collects the tunnels of all paths that are as good as best.
func (t *table[K]) group(head uint32, best *attrs, equals int) choice {
	tunnels := make([]encap.Tunnel, 0, equals)
	for p := head; p != 0; p = t.paths.at(p).next {
		at := t.paths.at(p)
		if at.reason != RefuseNone {
			continue
		}
		a := t.r.slots[at.attr]
		if d, _ := better(a, best); d == 0 {
			tunnels = append(tunnels, a.tunnel[0])
		}
	}
	slices.SortFunc(tunnels, compareTunnels)
	tunnels = slices.Compact(tunnels)
	if len(tunnels) > fib.MaxTunnels { // the lowest ones: the same on every gateway
		tunnels = tunnels[:fib.MaxTunnels]
	}
	return choice{many: tunnels}
}

// contested says whether several sources have accepted claims on the prefix that
// do not all name the same tunnel. Then two of them name different ones.
func (t *table[K]) contested(head uint32) bool {
	var first *attrs
	sources, tunnels := false, false // more than one
	for p := head; p != 0; p = t.paths.at(p).next {
		at := t.paths.at(p)
		if at.reason != RefuseNone {
			continue
		}
		a := t.r.slots[at.attr]
		if first == nil {
			first = a
		}
		sources = sources || a.src != first.src
		tunnels = tunnels || a.tunnel != first.tunnel
	}
	return sources && tunnels
}
