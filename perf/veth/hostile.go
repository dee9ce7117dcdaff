package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eipgw/eipgw/perf/loadgen"
)

// traffic is what a contender is given in its turns.
type traffic struct {
	rate float64 // ordinary frames a second; 0: as many frames as the generator can
	mix  loadgen.Mix
	eips int // destinations
}

// total is the rate of all frames: hostile ones come on top of the ordinary ones.
func (t traffic) total() float64 { return t.rate / (1 - t.mix.Share()) }

// traffic is that of every contender without a flood.
func (s settings) traffic() traffic { return traffic{rate: s.Rate, eips: s.EIPs} }

// floods are the kinds of hostile frames, "all" being a third of each.
var floods = []string{"unbound", "ttl", "malformed", "all"}

// mix is a flood that has s.Share of all frames.
func (s settings) mix(flood string) loadgen.Mix {
	m := loadgen.Mix{FirstUnbound: lastEIP(s.EIPs).Next(), Unbounds: maxEIPs - s.EIPs}
	switch flood {
	case "unbound":
		m.Unbound = s.Share
	case "ttl":
		m.TTL = s.Share
	case "malformed":
		m.Malformed = s.Share
	case "all":
		m.Unbound, m.TTL, m.Malformed = s.Share/3, s.Share/3, s.Share/3
	}
	return m
}

// checkHostile checks the options of floods.
func (s settings) checkHostile() error {
	if s.Hostile == "" {
		return nil
	}
	for _, f := range strings.Split(s.Hostile, ",") {
		if !slices.Contains(floods, f) {
			return fmt.Errorf("-hostile %s: expected some of %s, separated by commas", f, strings.Join(floods, ", "))
		}
	}
	switch {
	case !(s.Share > 0 && s.Share < 1), !(s.Load > 0 && s.Load <= 1):
		return fmt.Errorf("-share %v, -load %v: expected a share between 0 and 1, and a load up to 1", s.Share, s.Load)
	case s.EIPs == maxEIPs:
		return fmt.Errorf("-eips %d leaves no address of the segment unbound", s.EIPs)
	case s.Against != "":
		return fmt.Errorf("-hostile compares one build with itself: not with -against")
	}
	return nil
}

// flooded are the contenders of a run with floods: one without, the reference of the others.
func flooded(s settings) []contender {
	cs := []contender{&eipgw{settings: s, label: "eipgw-quiet", exe: s.Exe, other: true}}
	for _, f := range strings.Split(s.Hostile, ",") {
		cs = append(cs, &eipgw{settings: s, label: "eipgw-" + f, exe: s.Exe, flood: f})
	}
	return cs
}

// calibrate makes a round of eipgw alone, with as many frames as the generator can, and
// returns the share of what came out that a run with floods is to offer.
func calibrate(ctx context.Context, s settings) (rate float64, most trial, err error) {
	s.Rate = 0
	ts, err := round(ctx, s, []contender{&eipgw{settings: s, label: "eipgw-most", exe: s.Exe}})
	if err != nil {
		return 0, trial{}, fmt.Errorf("calibration: %w", err)
	}
	return s.Load * ts[0].Rate, ts[0], nil
}
