package main

import (
	"net/netip"
	"time"

	"github.com/gaissmai/bart"

	"github.com/eipgw/eipgw/perf/eipset"
)

// newBART looks keys up one by one, the only way there is in bart.Fast.
func newBART(eips, keys []netip.Addr) *contender {
	var t bart.Fast[uint32]
	for i, a := range eips {
		t.Insert(netip.PrefixFrom(a, a.BitLen()), uint32(i%eipset.Tunnels)+1)
	}
	at := 0
	var out [burst]uint32
	look := func(n int) (time.Duration, error) {
		start := threadTime()
		for range n {
			for i, a := range keys[at : at+burst] {
				out[i], _ = t.Lookup(a)
			}
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
	return &contender{name: "bart.Fast", look: look, close: func() error { return nil }}
}
