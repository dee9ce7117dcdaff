package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
)

const (
	healthEvery = 100 * time.Millisecond

	// stallAfter is how old a worker's last poll may be. It polls every 10 ms at least:
	// one that is a second late hangs, or has no CPU to run on.
	stallAfter = time.Second
)

// health is what the conditions were when they were last looked at, so that the RIB
// hears of changes only.
type health struct {
	mu   sync.Mutex
	last map[string]string // reason, "" is good
}

// watchHealth tells the RIB when a worker stalls or a port fails, and when it works
// again, until ctx ends. Segments are announced only while everything is good. It also
// has the filter follow the machine's own addresses.
func (g *gateway) watchHealth(ctx context.Context) error {
	started, looked := time.Now(), time.Now()
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			g.checkHealth(now, started)
			if now.Sub(looked) >= localEvery {
				looked = now
				g.filter.refresh()
				g.lane.refresh(g.log)
			}
		}
	}
}

func (g *gateway) checkHealth(now, started time.Time) {
	ports := map[fib.PortID]*portHealth{}
	for _, w := range g.workers {
		s := w.Snapshot()
		last := s.LastPoll
		if last.IsZero() {
			last = started
		}
		reason := ""
		if late := now.Sub(last); late > stallAfter {
			reason = "has not polled its ports for " + length(late)
		}
		g.setHealth(w.name, reason)
		collectPorts(ports, &s)
	}
	for name, reason := range judgePorts(ports) {
		g.setHealth(name, reason)
	}
}

// setHealth tells the RIB of a condition that has changed. Good at first is no news. Of
// one bad reason after another, the latest is shown; the log has the first.
func (g *gateway) setHealth(name, reason string) {
	g.health.mu.Lock()
	defer g.health.mu.Unlock()
	if g.health.last == nil {
		g.health.last = map[string]string{}
	}
	last := g.health.last[name]
	g.health.last[name] = reason
	switch {
	case last == reason:
		return
	case reason == "":
		g.log.Info("healthy again", "condition", name)
	case last == "":
		g.log.Error("not healthy: segments are withdrawn", "condition", name, "reason", reason)
	}
	g.rib.SetHealth(rib.Health{Name: name, OK: reason == "", Reason: reason})
}

// healthViews lists all conditions by name: the RIB knows of those that were ever bad.
func (g *gateway) healthViews(known []rib.HealthStatus) []admin.Health {
	views := map[string]admin.Health{}
	g.health.mu.Lock()
	for name, reason := range g.health.last {
		views[name] = admin.Health{Name: name, OK: reason == "", Reason: reason, Since: g.started}
	}
	g.health.mu.Unlock()
	for _, h := range known {
		views[h.Name] = admin.Health{Name: h.Name, OK: h.OK, Reason: h.Reason, Since: h.Since, Held: h.Held}
	}
	out := []admin.Health{}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		out = append(out, views[name])
	}
	return out
}

// portHealth is a port over all its queues.
type portHealth struct {
	name            string
	working, failed int
	err             error
}

func collectPorts(ports map[fib.PortID]*portHealth, s *dataplane.WorkerStats) {
	for _, p := range s.Ports {
		h := ports[p.Info.ID]
		if h == nil {
			h = &portHealth{name: p.Info.Name}
			ports[p.Info.ID] = h
		}
		if p.Err != nil {
			h.failed, h.err = h.failed+1, p.Err
		} else {
			h.working++
		}
	}
}

// judgePorts says which conditions of ports are bad. A port that has lost some of its
// queues drops some of the flows that switches send to it: bad. A port that is down
// as a whole has lost its switch as well, and with it the announcement there; the
// others go on, so only all ports down is bad.
func judgePorts(ports map[fib.PortID]*portHealth) map[string]string {
	out := map[string]string{}
	working, last := 0, error(nil)
	for _, h := range ports {
		out["port "+h.name] = ""
		switch {
		case h.failed == 0:
			working++
		case h.working > 0:
			out["port "+h.name] = fmt.Sprintf("%d of %d queues do not work: %v", h.failed, h.failed+h.working, h.err)
		default:
			last = h.err
		}
	}
	out["ports"] = ""
	if working == 0 && last != nil {
		out["ports"] = fmt.Sprintf("none works: %v", last)
	}
	return out
}
