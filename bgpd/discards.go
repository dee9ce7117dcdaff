package bgpd

import (
	"context"
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v3/api"

	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
)

const (
	// trialWait is how long after the first suspect of a neighbor it is decided what
	// becomes of them. What GoBGP receives is here by then, unless there is very much.
	trialWait = 2 * time.Second

	// backlog is how long it may take then.
	backlog = time.Minute
)

// discards remembers when GoBGP threw attributes of a neighbor's routes away, and
// which routes are suspected to have lost one. GoBGP tells of that by log only, not
// with the route, and gives routes the time of their arrival in whole seconds; so this
// is as near as one can get. Package path says what follows from it. Speaker.mu guards
// it.
//
// A route that is said again and is the same as before has the time of its first
// arrival, that is GoBGP's way. So suspects are remembered with it.
type discards struct {
	lost   [16]discarded // the latest seconds, in a ring
	last   int           // index of the latest
	latest time.Time

	suspects map[rib.PathKey]suspect // until they are withdrawn
	updates  int                     // with suspects, since the last trial
	trial    time.Time               // zero: nobody waits for one
}

// discarded is how many attributes GoBGP threw away in a second.
type discarded struct {
	sec int64
	n   int
}

// covers says whether a route that arrived in the second sec may be one of those: the
// log comes after the arrival, at once unless the machine stalls.
func (l discarded) covers(sec int64) bool { return l.n > 0 && sec <= l.sec && sec >= l.sec-1 }

// suspect is a route that arrived in the second sec.
type suspect struct {
	sec int64
	verdict
}

type verdict uint8

const (
	waiting  verdict = iota // refused until the trial
	guilty                  // refused
	believed                // after the trial, or said again at a time when nothing was lost
)

func (d *discards) add(t time.Time) {
	if l := &d.lost[d.last]; l.n == 0 || l.sec != t.Unix() {
		d.last = (d.last + 1) % len(d.lost)
		d.lost[d.last] = discarded{sec: t.Unix()}
	}
	d.lost[d.last].n++
	d.latest = t
}

// covers says whether a route that comes through now and arrived in the second sec may
// have lost an attribute.
func (d *discards) covers(sec int64, now time.Time) bool {
	for _, l := range d.lost {
		if l.covers(sec) && l.sec >= now.Add(-backlog).Unix() {
			return true
		}
	}
	return false
}

// suspect says whether route k, which comes through now, has to be refused.
func (d *discards) suspect(k rib.PathKey, sec int64, now time.Time) bool {
	if x, ok := d.suspects[k]; ok && x.sec == sec { // said again
		return now.Sub(d.latest) < trialWait
	}
	return d.covers(sec, now)
}

// heard takes what became of an UPDATE, and says whether there is to be a trial now.
func (d *discards) heard(u *rib.Update, suspects []path.Suspect, now time.Time) bool {
	if len(d.suspects) > 0 {
		for i := range u.Set {
			k := rib.PathKey{Prefix: u.Set[i].Prefix, PathID: u.Set[i].PathID}
			if x, ok := d.suspects[k]; ok {
				d.suspects[k] = suspect{x.sec, believed}
			}
		}
		for _, k := range u.Remove {
			delete(d.suspects, k)
		}
	}
	if len(suspects) == 0 {
		return false
	}
	if d.suspects == nil {
		d.suspects = make(map[rib.PathKey]suspect)
	}
	for _, x := range suspects {
		d.suspects[x.Key] = suspect{x.Sec, waiting}
	}
	d.updates++
	if !d.trial.IsZero() {
		return false
	}
	d.trial = now.Add(trialWait)
	return true
}

// due says whether the trial is to be held.
func (d *discards) due(now time.Time) bool { return !d.trial.IsZero() && !now.Before(d.trial) }

// judge holds the trial. If most of the suspected UPDATEs have lost an attribute their
// routes stay refused; else all of them are believed, and returned.
func (d *discards) judge(now time.Time) map[rib.PathKey]suspect {
	v := believed
	if 2*d.lostBySuspects() > d.updates {
		v = guilty
	}
	freed := make(map[rib.PathKey]suspect)
	for k, x := range d.suspects {
		switch {
		case x.verdict == believed && x.sec < now.Add(-backlog).Unix():
			delete(d.suspects, k)
		case x.verdict == waiting:
			x.verdict = v
			d.suspects[k] = x
			if v == believed {
				freed[k] = x
			}
		}
	}
	d.updates, d.trial = 0, time.Time{}
	return freed
}

// lostBySuspects is how many attributes those who wait for their trial may have lost.
func (d *discards) lostBySuspects() int {
	n := 0
	for i, l := range d.lost {
		for _, x := range d.suspects {
			if x.verdict == waiting && (l.covers(x.sec) || i == d.last) { // the latest made those suspect that were said again
				n += l.n
				break
			}
		}
	}
	return n
}

// forget drops the suspects of a session that has ended.
func (d *discards) forget() { d.suspects, d.updates, d.trial = nil, 0, time.Time{} }

// discarded is path.Batch.Discarded for what comes through now. Caller holds mu; what it
// returns takes it.
func (s *Speaker) discarded(ses *session, now time.Time) func(rib.PathKey, int64) bool {
	if now.Sub(ses.discards.latest) > backlog {
		return nil
	}
	return func(k rib.PathKey, sec int64) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return ses.discards.suspect(k, sec, now)
	}
}

// tryDiscards decides what becomes of the suspects of a session.
func (s *Speaker) tryDiscards(ses *session) {
	s.mu.Lock()
	peer := ses.peer
	freed := ses.discards.judge(time.Now())
	s.mu.Unlock()
	if peer == nil || len(freed) == 0 {
		return
	}
	s.log.Warn("bgpd: routes are believed of which some may have lost a malformed attribute 23",
		"neighbor", ses.addr, "routes", len(freed))
	s.believe(ses, peer, freed)
}

// believe judges routes again, of those in GoBGP's adj-RIB-in, without suspicion.
func (s *Speaker) believe(ses *session, peer *path.Peer, routes map[rib.PathKey]suspect) {
	s.out.Lock()
	defer s.out.Unlock()
	u := rib.Update{Source: ses.id}
	var conv path.Converter
	err := s.adjIn(ses, func(k rib.PathKey, p *api.Path) {
		if x, ok := routes[k]; ok && x.sec == p.GetAge().GetSeconds() {
			v := conv.Update(path.Batch{Peer: peer, Paths: []*api.Path{p}, Time: time.Now()})
			u.Set, u.Refused = append(u.Set, v.Set...), append(u.Refused, v.Refused...)
		}
	})
	if err != nil {
		s.log.Error("bgpd: judge routes again", "neighbor", ses.addr, "error", err)
		return
	}
	s.mu.Lock()
	current := ses.peer == peer
	s.mu.Unlock()
	if current && !ses.closed && !s.stopped {
		s.updates(u)
	}
}

// adjIn shows f the adj-RIB-in of a session.
func (s *Speaker) adjIn(ses *session, f func(k rib.PathKey, p *api.Path)) error {
	for _, family := range ses.n.Families {
		err := s.lib.ListPath(context.Background(), &api.ListPathRequest{
			TableType: api.TableType_ADJ_IN, Name: ses.addr.String(), Family: apiFamily[family],
		}, func(d *api.Destination) {
			prefix, _ := netip.ParsePrefix(d.Prefix) // of what is none the converter says more
			for _, p := range d.Paths {
				f(rib.PathKey{Prefix: prefix, PathID: p.Identifier}, p)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
