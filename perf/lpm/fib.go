package main

import (
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/perf/eipset"
)

var errMissed = errors.New("a key that is bound was not found")

// contenders binds the EIPs of a set in all that can have them. The table is the first.
func contenders(s settings, rte *rtelpm, set eipset.Set) (cs []*contender, err error) {
	eips := set.Make(s.eips)
	keys := eipset.Shuffled(eips, 2)
	own, err := newFIB(eips, keys)
	if err != nil {
		return nil, err
	}
	cs = append(cs, own, newBART(eips, keys))
	if !eips[0].Is4() || groupsOf(eips) > s.groups {
		return cs, nil
	}
	for _, pages := range []string{"small", "transparent"} {
		c, err := rte.start(pages, eips, keys)
		if err != nil {
			return cs, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

// groupsOf is how many /24s have an EIP.
func groupsOf(eips []netip.Addr) int {
	seen := map[uint32]bool{}
	for _, a := range eips {
		seen[eipset.Number4(a)>>8] = true
	}
	return len(seen)
}

func newFIB(eips, keys []netip.Addr) (*contender, error) {
	table, c, _, err := eipset.NewTable(math.MaxUint16)
	if err != nil {
		return nil, err
	}
	if err := eipset.Load(c, eips); err != nil {
		return nil, errors.Join(err, table.Close())
	}
	r, err := table.NewReader()
	if err != nil {
		return nil, errors.Join(err, table.Close())
	}
	look := bursts(numbers4(keys), r, r.Lookup4)
	if !keys[0].Is4() {
		look = bursts(numbers6(keys), r, r.Lookup6)
	}
	return &contender{name: "eipgw", look: look, close: func() error {
		r.Close()
		return table.Close()
	}}, nil
}

// bursts makes a contender's look of a lookup.
func bursts[A any](keys []A, r *fib.Reader, lookup func([]A, []fib.Value)) func(int) (time.Duration, error) {
	at := 0
	var out [burst]fib.Value
	return func(n int) (time.Duration, error) {
		start := threadTime()
		for range n {
			r.Begin()
			lookup(keys[at:at+burst], out[:])
			r.End()
			if at += burst; at == len(keys) {
				at = 0
			}
		}
		took := threadTime() - start
		for _, v := range out {
			if v == 0 {
				return 0, errMissed
			}
		}
		return took, nil
	}
}

func numbers4(keys []netip.Addr) []uint32 {
	if !keys[0].Is4() {
		return nil
	}
	out := make([]uint32, len(keys))
	for i, a := range keys {
		out[i] = eipset.Number4(a)
	}
	return out
}

func numbers6(keys []netip.Addr) []fib.Addr6 {
	out := make([]fib.Addr6, len(keys))
	for i, a := range keys {
		out[i] = fib.Addr6From(a)
	}
	return out
}
