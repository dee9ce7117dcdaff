package main

import (
	"fmt"
	"runtime"
	"sort"
	"time"

	"github.com/eipgw/eipgw/dataplane"
)

// spinChild is the first argument of this program as a bare loop.
const spinChild = "spin-child"

// spinFor reads the clock again and again for a while and prints how far apart the readings
// were: what the machine alone takes from a thread that wants its CPU all the time.
func spinFor(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	var bounds [dataplane.NumGapBuckets]time.Duration
	var counts [dataplane.NumGapBuckets]uint64
	for i := range bounds {
		bounds[i] = dataplane.GapBound(i)
	}
	begin := time.Now()
	for last := time.Duration(0); last < d; {
		now := time.Since(begin)
		gap, b := now-last, 0
		if last = now; gap > bounds[0] {
			b = sort.Search(len(bounds)-1, func(i int) bool { return gap <= bounds[i] })
		}
		counts[b]++
	}
	for i, n := range counts {
		bound := bounds[i]
		if i == len(counts)-1 {
			bound = 0
		}
		if n > 0 {
			fmt.Println(int64(bound), n)
		}
	}
	return nil
}
