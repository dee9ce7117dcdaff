package rib

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// healthBindings is the RIB's own health condition: something is programmed.
const healthBindings = "bindings"

// health is one condition with its history.
type health struct {
	Health
	since time.Time
	fell  bool // it became bad when the gate had been open: Damping applies from now on
}

// holds says whether the condition lets segments be announced now, and if only
// damping keeps it from that, until when.
func (h *health) holds(now time.Time, damping time.Duration) (good bool, until time.Time) {
	if !h.OK {
		return false, time.Time{}
	}
	if until = h.since.Add(damping); h.fell && now.Before(until) {
		return false, until
	}
	return true, time.Time{}
}

// gate decides whether segments may be announced at all. Guarded by the RIB's lock.
type gate struct {
	damping  time.Duration
	unnamed  bool // only the deadline says that all sources are in
	opened   bool // the wait for initial dumps is over, for good
	used     bool // nothing has held it shut, at least once: what becomes bad from now on has fallen
	stopping bool
	deadline time.Time // of that wait; zero before Run
	health   map[string]*health
}

// set notes a condition and returns whether it changed. One that nobody has spoken
// of was good: the first word on it may be that it fails. Before the gate was open
// there is nothing to damp.
func (g *gate) set(h Health, now time.Time) (changed bool) {
	if h.OK {
		h.Reason = ""
	}
	old := g.health[h.Name]
	if old == nil {
		g.health[h.Name] = &health{Health: h, since: now, fell: !h.OK && g.used}
		return true
	}
	if old.OK == h.OK {
		old.Reason = h.Reason
		return false
	}
	old.fell = old.fell || !h.OK && g.used
	old.Health, old.since = h, now
	return true
}

// look says what holds the gate shut, nothing when it is open. waiting are the
// sources whose initial dump is not in. wake is when time alone may open it.
func (g *gate) look(now time.Time, waiting []string) (reasons []string, wake time.Time) {
	if g.stopping {
		reasons = append(reasons, "stopping")
	}
	switch {
	case g.opened:
	case g.deadline.IsZero():
		reasons = append(reasons, "not running")
	case g.waits(now, waiting):
		reasons = append(reasons, g.waitReason(waiting))
		wake = g.deadline
	}
	for _, name := range slices.Sorted(maps.Keys(g.health)) {
		h := g.health[name]
		good, until := h.holds(now, g.damping)
		switch {
		case good:
		case h.OK:
			reasons = append(reasons, fmt.Sprintf("%s: good again since %s, damped until %s", name, clock(h.since), clock(until)))
			wake = earlier(wake, until)
		default:
			reasons = append(reasons, fmt.Sprintf("%s: %s", name, h.Reason))
		}
	}
	return reasons, wake
}

// waits says whether the initial dumps, or the deadline for them, are still awaited.
func (g *gate) waits(now time.Time, waiting []string) bool {
	return now.Before(g.deadline) && (len(waiting) > 0 || g.unnamed)
}

func (g *gate) waitReason(waiting []string) string {
	if len(waiting) == 0 {
		return "waiting for sources that cannot be named beforehand, until " + clock(g.deadline)
	}
	const show = 5
	more := ""
	if n := len(waiting); n > show {
		waiting, more = waiting[:show], fmt.Sprintf(" and %d more", n-show)
	}
	return fmt.Sprintf("waiting for the initial dump of %v%s, until %s", waiting, more, clock(g.deadline))
}

func (g *gate) status(now time.Time) []HealthStatus {
	var out []HealthStatus
	for _, name := range slices.Sorted(maps.Keys(g.health)) {
		h := g.health[name]
		good, _ := h.holds(now, g.damping)
		out = append(out, HealthStatus{Health: h.Health, Since: h.since, Held: h.OK && !good})
	}
	return out
}

func clock(t time.Time) string { return t.Format(time.TimeOnly) }
