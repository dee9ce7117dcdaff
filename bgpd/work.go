package bgpd

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
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
	inspect := slices.Collect(maps.Keys(s.todo.inspect))
	clear(s.todo.inspect)
	var revive []netip.Addr
	for a, t := range s.todo.revive {
		if !now.Before(t) {
			revive = append(revive, a)
			delete(s.todo.revive, a)
		}
	}
	announce := s.todo.announce || !s.todo.retry.IsZero() && !now.Before(s.todo.retry)
	want := s.want
	if announce {
		s.todo.announce, s.todo.retry = false, time.Time{}
	}
	var overdue, trials []*session
	for _, ses := range s.sessions {
		if ses.discards.due(now) {
			trials = append(trials, ses)
		}
		if ses.up && ses.n.Role == VirtualRouter && !ses.synced && !now.Before(ses.syncBy) {
			overdue = append(overdue, ses)
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
	for _, ses := range overdue {
		s.sync(ses)
	}
	for _, ses := range trials {
		s.tryDiscards(ses)
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
	for _, t := range s.todo.revive {
		earlier(t)
	}
	for _, ses := range s.sessions {
		if ses.up && !ses.synced && ses.n.Role == VirtualRouter {
			earlier(ses.syncBy)
		}
		if !ses.discards.trial.IsZero() {
			earlier(ses.discards.trial)
		}
	}
	if !s.todo.retry.IsZero() {
		earlier(s.todo.retry)
	}
	return next
}

// inspect finds out which families a session that came up has.
func (s *Speaker) inspect(addr netip.Addr) {
	peer := s.lookup(addr)
	if peer.GetState().GetSessionState() != api.PeerState_ESTABLISHED {
		return
	}
	remote := remoteFamilies(peer.GetState())
	s.mu.Lock()
	ses := s.sessions[addr]
	if ses == nil || !ses.up {
		s.mu.Unlock()
		return
	}
	ses.negotiated = make([]Family, 0, 2)
	for _, f := range ses.n.Families {
		if slices.Contains(remote, f) {
			ses.negotiated = append(ses.negotiated, f)
		}
	}
	s.mu.Unlock()
	s.sync(ses)
}

// remoteFamilies are those that the neighbor has offered; one that does not know
// the capability has IPv4 (RFC 4760 section 8).
func remoteFamilies(st *api.PeerState) []Family {
	caps, err := apiutil.UnmarshalCapabilities(st.GetRemoteCap())
	if err != nil {
		return nil
	}
	var list []Family
	none := true
	for _, c := range caps {
		mp, ok := c.(*bgp.CapMultiProtocol)
		if !ok {
			continue
		}
		none = false
		switch mp.CapValue {
		case bgp.RF_IPv4_UC:
			list = append(list, IPv4)
		case bgp.RF_IPv6_UC:
			list = append(list, IPv6)
		}
	}
	if none {
		return []Family{IPv4}
	}
	return list
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
	s.todo.revive[addr] = now.Add(reviveRetry)
}
