package bgpd

import (
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// What is in here tells who may claim EIPs, and what they claim. Callers of emit and close
// hold out.

// emit hands an update over, unless its source is gone.
func (s *Speaker) emit(ses *session, u rib.Update) {
	if !ses.closed && !s.stopped {
		s.updates(u)
	}
}

// close voids what ses has said and ends it as a source.
func (s *Speaker) close(ses *session) {
	if ses.closed || s.stopped {
		return
	}
	ses.closed = true
	s.updates(rib.Update{Source: ses.id, RemoveAll: true})
	s.onSource(Source{ID: ses.id, Gone: true})
}

// open makes ses a source, or tells what is new about it. It takes out.
func (s *Speaker) open(ses *session, src Source) {
	s.out.Lock()
	defer s.out.Unlock()
	if !ses.closed && !s.stopped {
		s.onSource(src)
	}
}

// sync tells the RIB that the initial dump of a session is in, once.
func (s *Speaker) sync(ses *session) {
	s.out.Lock()
	defer s.out.Unlock()
	now := time.Now()
	s.mu.Lock()
	ready := ses.up && ses.n.Role == VirtualRouter && !ses.synced && ses.dumped(s.quietSince(now), now)
	if ready {
		ses.synced = true
	}
	s.mu.Unlock()
	if ready {
		s.emit(ses, rib.Update{Source: ses.id, Synced: true})
	}
}

// register makes the session of a neighbor by address; a virtual router is a source
// from then on. If it was there by a range, what it said by that is void.
func (s *Speaker) register(n *Neighbor) {
	if n.Range.IsValid() {
		return
	}
	ses := newSession(n.Address, n)
	s.out.Lock()
	defer s.out.Unlock()
	s.mu.Lock()
	before := s.sessions[n.Address]
	s.sessions[n.Address] = ses
	delete(s.agenda.relearn, n.Address)
	s.mu.Unlock()
	if before != nil && before.n.Role == VirtualRouter {
		s.close(before)
	}
	if n.Role == VirtualRouter && !s.stopped {
		s.onSource(ses.source())
	}
}

// unregister drops the sessions of a neighbor or a range, and voids what they said.
func (s *Speaker) unregister(n *Neighbor) {
	s.out.Lock()
	defer s.out.Unlock()
	for _, ses := range s.of(n) {
		s.mu.Lock()
		delete(s.sessions, ses.addr)
		delete(s.agenda.revive, ses.addr)
		delete(s.agenda.relearn, ses.addr)
		s.mu.Unlock()
		if n.Role == VirtualRouter {
			s.close(ses)
		}
	}
	s.mu.Lock()
	delete(s.ranges, n.Range)
	s.mu.Unlock()
}

// note takes what GoBGP logs about a neighbor.
func (s *Speaker) note(addr netip.Addr, kind noteKind, text string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	ses := s.sessions[addr.Unmap()]
	if ses == nil {
		return
	}
	// GoBGP says why a timer ran out or a message was bad just before it says that the
	// connection is lost.
	if kind != noteDown || text != lostConnection || now.Sub(ses.errorTime) > time.Second {
		ses.problem(text, now)
	}
}

// notePassword takes that a password is not in force.
func (s *Speaker) notePassword(key, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsecured[key] = text
}
