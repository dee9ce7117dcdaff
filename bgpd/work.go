package bgpd

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
)

// idleWork is how long the goroutine of Run sleeps when nothing is due.
const idleWork = time.Hour

// reviveRetry is when a neighbor that GoBGP would not have back is offered again.
const reviveRetry = 5 * time.Second

// work does what is due and returns when there is something again. It runs on the
// goroutine of Run, as everything in this file does.
func (s *Speaker) work() time.Time {
	now := time.Now()
	s.mu.Lock()
	inspect := slices.Collect(maps.Keys(s.agenda.inspect))
	clear(s.agenda.inspect)
	var revive []netip.Addr
	for a, t := range s.agenda.revive {
		if !now.Before(t) {
			revive = append(revive, a)
			delete(s.agenda.revive, a)
		}
	}
	announce := s.agenda.announce || !s.agenda.retry.IsZero() && !now.Before(s.agenda.retry)
	want := s.want
	if announce {
		s.agenda.announce, s.agenda.retry = false, time.Time{}
	}
	var anew, dumped []*session
	for a, t := range s.agenda.relearn {
		if now.Before(t) {
			continue
		}
		delete(s.agenda.relearn, a)
		if ses := s.sessions[a]; ses != nil {
			anew = append(anew, ses)
		}
	}
	for _, ses := range s.sessions {
		if ses.up && ses.n.Role == VirtualRouter && !ses.synced && ses.dumped(s.quietSince(now), now) {
			dumped = append(dumped, ses)
		}
	}
	s.mu.Unlock()

	if announce {
		s.announce(want)
	}
	for _, a := range inspect {
		s.inspect(a)
	}
	for _, a := range revive {
		s.revive(a)
	}
	for _, ses := range anew {
		s.relearn(ses)
	}
	for _, ses := range dumped {
		s.sync(ses)
	}
	return s.due(now)
}

// due is when work is to be called next, if nobody wakes it before.
func (s *Speaker) due(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := now.Add(idleWork)
	earlier := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	for _, t := range s.agenda.revive {
		earlier(t)
	}
	for _, t := range s.agenda.relearn {
		earlier(t)
	}
	for _, ses := range s.sessions {
		if !ses.up || ses.synced || ses.n.Role != VirtualRouter {
			continue
		}
		earlier(ses.syncBy)
		if ses.allEnded() {
			earlier(ses.quietAt(s.quietSince(now)))
		}
	}
	if !s.agenda.retry.IsZero() {
		earlier(s.agenda.retry)
	}
	return next
}

// inspect asks GoBGP about a session that came up or whose dump has ended. GoBGP does not
// say by the station that a session has ended with the removal of its neighbor; so one that
// was on its way here then, and got another session's place, ends by that.
func (s *Speaker) inspect(addr netip.Addr) {
	s.mu.Lock()
	ses := s.sessions[addr]
	if ses == nil || !ses.up {
		s.mu.Unlock()
		return
	}
	c, e := ses.conn, ses.ended
	s.mu.Unlock()
	st := s.lookup(addr).GetState()
	if st.GetSessionState() != api.PeerState_ESTABLISHED {
		s.endGone(ses, c)
		return
	}
	m := st.GetMessages().GetReceived()
	s.mu.Lock()
	if ses.up && ses.conn == c && ses.said == c && ses.ended.marks == e.marks && e.marks > 0 {
		ses.ended.counted = true
		ses.ended.updates = m.GetUpdate() + m.GetDiscarded() - e.marks // what GoBGP could not parse counts as discarded
	}
	s.mu.Unlock()
	s.sync(ses)
}

// endGone ends a session if it is still the one on c.
func (s *Speaker) endGone(ses *session, c connection) {
	s.out.Lock()
	defer s.out.Unlock()
	s.mu.Lock()
	same := s.sessions[ses.addr] == ses && ses.conn == c
	s.mu.Unlock()
	if same {
		s.down(ses)
	}
}

// revive makes a neighbor whose session has ended reachable again at once: GoBGP
// refuses connections for five seconds, and keeps neighbors of a range that offered
// graceful restart for as long as they said. A neighbor that is not idle has come
// back by itself.
func (s *Speaker) revive(addr netip.Addr) {
	if peer := s.lookup(addr); peer != nil {
		if peer.GetState().GetSessionState() != api.PeerState_IDLE {
			return
		}
		if err := s.deletePeer(addr); err != nil {
			return // gone meanwhile
		}
	}
	s.mu.Lock()
	ses := s.sessions[addr]
	if ses == nil || ses.dynamic {
		s.mu.Unlock()
		return
	}
	n := ses.n
	s.mu.Unlock()
	err := s.addToLibrary(n)
	if err == nil {
		return
	}
	s.log.Error("bgpd: bring neighbor back", "neighbor", addr, "error", err, "again_in", reviveRetry)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	ses.problem("bring back: "+err.Error(), now)
	s.agenda.revive[addr] = now.Add(reviveRetry)
}
