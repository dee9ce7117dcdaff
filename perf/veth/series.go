package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Series are the runs that go through something. A run without one has every contender
// forward as much as it can, and measures delays at some loads and CPU without load.
const (
	seriesEIPs    = "eips"    // numbers of EIPs, each compared with the first
	seriesChurn   = "churn"   // binding changes a second, each compared with the first
	seriesLatency = "latency" // loads from 10 % to 90 %
	seriesSoak    = "soak"    // a minute at 80 % of the highest rate, at rest and with churn
)

var allSeries = []string{seriesEIPs, seriesChurn, seriesLatency, seriesSoak}

// churnEIPs is how many EIPs there are when bindings change: so many that a binding is not
// changed again before the last change of it was programmed.
const churnEIPs = 100_000

// takeSeries sets what a series has other defaults for, unless it was given.
func (s *settings) takeSeries(given map[string]bool) error {
	set := func(name string, take func()) {
		if !given[name] {
			take()
		}
	}
	exclusive := s.Hostile != "" || s.Rate > 0 || s.Against != "" || s.Profile != ""
	switch {
	case s.Series == "" && given["points"]:
		return fmt.Errorf("-points needs a -series")
	case s.Series != "" && exclusive:
		return fmt.Errorf("-series goes without -hostile, -rate, -against and -profile")
	case s.Series == "" && !exclusive:
		set("loads", func() { s.Loads = []float64{0.5, 0.8} })
		return nil
	case s.Series == "":
		set("idle", func() { s.Idle = 0 })
		if s.Profile != "" {
			set("contenders", func() { s.selected = "eipgw" })
			set("time", func() { s.Time = 10 * time.Second })
		}
		return nil
	}
	set("idle", func() { s.Idle = 0 })
	switch s.Series {
	case seriesEIPs:
		set("points", func() { s.Points = []float64{1e3, 1e4, 1e5, 1e6, 1e7} })
		set("contenders", func() { s.selected = "eipgw" })
	case seriesLatency:
		set("loads", func() { s.Loads = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9} })
	case seriesChurn:
		set("points", func() { s.Points = []float64{0, 10_000, 100_000} })
		set("loads", func() { s.Loads = []float64{0.5} })
		set("time", func() { s.Time = time.Second })
		set("timed-time", func() { s.TimedTime = time.Second })
	case seriesSoak:
		set("points", func() { s.Points = []float64{0, 100_000} })
		set("loads", func() { s.Loads = []float64{0.8} })
		set("rounds", func() { s.Rounds = 1 })
		set("timed-turns", func() { s.TimedTurns = 1 })
		set("timed-time", func() { s.TimedTime = time.Minute })
		set("retries", func() { s.Retries = 0 })
	default:
		return fmt.Errorf("-series %s: expected one of %s", s.Series, strings.Join(allSeries, ", "))
	}
	if s.Series == seriesChurn || s.Series == seriesSoak {
		set("contenders", func() { s.selected = "eipgw" })
		set("eips", func() { s.EIPs = churnEIPs })
		set("waiting", func() { s.Waiting = 1 }) // for the gateway's own threads: part of what is measured
	}
	return s.checkPoints()
}

func (s *settings) checkPoints() error {
	if s.Series == seriesLatency {
		if len(s.Points) > 0 {
			return fmt.Errorf("-series %s goes through -loads, and has no -points", s.Series)
		}
		return nil
	}
	if len(s.Points) == 0 {
		return fmt.Errorf("-series %s needs -points", s.Series)
	}
	if s.Series == seriesEIPs && (slices.Min(s.Points) < 1 || slices.Max(s.Points) > maxEIPs) {
		return fmt.Errorf("-points of EIPs: expected 1 to %d", maxEIPs)
	}
	return nil
}

// entrants are the contenders of a run, or in a series variants of them.
func (s settings) entrants() ([]contender, error) {
	chosen, err := choose(contenders(s), s.selected)
	if err != nil || s.Series == "" || s.Series == seriesLatency {
		return chosen, err
	}
	var cs []contender
	for n := range chosen {
		for i, x := range s.Points {
			v := variant{contender: chosen[n], x: x, base: i == 0}
			if s.Series == seriesEIPs {
				among := s
				among.EIPs = int(x)
				these, err := choose(contenders(among), s.selected)
				if err != nil {
					return nil, err
				}
				v.contender = these[n]
				v.label = v.contender.name() + ", " + short(x) + " EIPs"
			} else {
				v.churn = x
				v.label = v.contender.name() + ", " + short(x) + " changes/s"
			}
			cs = append(cs, v)
		}
	}
	return cs, nil
}

// short is a number with a unit: 100k.
func short(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%gM", x/1e6)
	case x >= 1e3:
		return fmt.Sprintf("%gk", x/1e3)
	}
	return fmt.Sprintf("%g", x)
}

// baseOf is the number of the contender whose rate the loads of cs[i] are shares of: its own,
// but that at rest where bindings change.
func baseOf(cs []contender, i int) int {
	v, ok := cs[i].(variant)
	if !ok || v.churn == 0 {
		return i
	}
	for j, c := range cs {
		if b, ok := c.(variant); ok && b.base && b.contender == v.contender {
			return j
		}
	}
	return i
}

// variant is a contender in one of the circumstances that a series goes through. Variants of
// one contender share its process in a round.
type variant struct {
	contender
	label string
	x     float64 // what the series goes through
	churn float64 // binding changes a second meanwhile
	base  bool    // what the others are compared with
}

func (v variant) name() string    { return v.label }
func (v variant) reference() bool { return v.base }

func (v variant) what() string {
	if v.churn > 0 {
		return fmt.Sprintf("%s; %.0f binding changes a second are asked for", v.contender.what(), v.churn)
	}
	return v.contender.what()
}

func churnOf(c contender) float64 {
	v, _ := c.(variant)
	return v.churn
}
