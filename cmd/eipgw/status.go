package main

import (
	"fmt"
	"os"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// Status implements admin.Gateway.
func (g *gateway) Status() admin.Status {
	r := g.rib.Status()
	s := admin.Status{
		Version: version(), PID: os.Getpid(), Started: g.started,
		Config: g.configStatus(),
		Gate:   admin.Gate{Open: r.Gate.Open, Reasons: r.Gate.Reasons, Waiting: r.Gate.Waiting, Deadline: r.Gate.Deadline},
		Health: g.healthViews(r.Health), Workers: g.workerViews(),
		Table: tableView(g.compiler.Stats()), Rules: g.rules.view(),
	}
	f := g.static.status()
	s.Bindings = admin.FileStatus{Path: f.Path, Bindings: f.Bindings, Loaded: f.Loaded, Error: f.Err}
	s.Summary = g.summary(&r)
	s.Reasons = notReady(&s, &r)
	s.Ready = len(s.Reasons) == 0
	return s
}

func (g *gateway) configStatus() admin.ConfigStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := admin.ConfigStatus{File: g.file, Loaded: g.reload.loaded, Refused: g.reload.refused, Tried: g.reload.tried}
	for _, w := range g.cfg.Warnings {
		c.Warnings = append(c.Warnings, w.String())
	}
	return c
}

// profiling tells workers that a CPU profile has begun or ended.
func (g *gateway) profiling() {
	for _, w := range g.workers {
		w.Visit()
	}
}

func (g *gateway) workerViews() []admin.Worker {
	var out []admin.Worker
	for _, w := range g.workers {
		snap := w.Snapshot()
		last := snap.LastPoll
		out = append(out, admin.Worker{
			Name: w.name, CPU: w.cpu, Outside: snap.Outside, LastPoll: last,
			Stalled: !last.IsZero() && time.Since(last) > stallAfter, PollGaps: gapsView(&snap.Gaps, false),
		})
	}
	return out
}

func (g *gateway) summary(r *rib.Status) admin.Summary {
	k := &r.Counters
	s := admin.Summary{
		Paths: k.Paths, Prefixes: k.Prefixes, Queued: k.Queued, BindingsProgrammed: k.Programmed,
		ProgramLagLast: k.Lag.Last.Round(time.Microsecond).String(), ProgramLagMax: k.Lag.Max.Round(time.Microsecond).String(),
	}
	for _, n := range k.Refused {
		s.Refused += n
	}
	for _, seg := range r.Segments {
		switch seg.State {
		case rib.SegmentAnnounced:
			s.SegmentsWanted++
			s.SegmentsAnnounced++
		case rib.SegmentHeld, rib.SegmentProgramming:
			s.SegmentsWanted++
		}
	}
	for _, w := range g.workers {
		snap := w.Snapshot()
		s.RxPackets += snap.Received()
		s.TxPackets += snap.Sent()
		s.DropPackets += snap.Dropped()
		s.MadePackets += snap.Made()
	}
	for _, l := range g.carried() {
		s.RxPackets += l.rx.Packets
		s.TxPackets += l.tx.Packets
		s.DropPackets += l.lost
	}
	sessions(g.speaker.Neighbors(), &s)
	return s
}

// notReady says what keeps the gateway from doing its job: being announced to at least
// one switch, if there are switches, with every segment that is wanted.
func notReady(s *admin.Status, r *rib.Status) (reasons []string) {
	reasons = append(reasons, r.Gate.Reasons...)
	u := &s.Summary
	if r.Gate.Open && u.SegmentsAnnounced < u.SegmentsWanted {
		reasons = append(reasons, fmt.Sprintf("%d of %d segments are not announced yet", u.SegmentsWanted-u.SegmentsAnnounced, u.SegmentsWanted))
	}
	if u.Switches > 0 && u.SwitchesUp == 0 {
		reasons = append(reasons, fmt.Sprintf("no session is up with any of %s", plural(u.Switches, "switch")))
	}
	return reasons
}
