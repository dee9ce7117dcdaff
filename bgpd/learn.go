package bgpd

import (
	"net/netip"
	"strings"
	"time"

	api "github.com/osrg/gobgp/v3/api"

	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
)

// watchRequest asks for sessions going up and down, for routes as they come in
// before policy, and for End-of-RIB, all in the order in which GoBGP handled them.
//
// Pre-policy is reported once for each UPDATE, post-policy once for each route, and
// what is rejected after it never enters GoBGP's table.
func watchRequest() *api.WatchEventRequest {
	return &api.WatchEventRequest{
		Peer: &api.WatchEventRequest_Peer{},
		Table: &api.WatchEventRequest_Table{Filters: []*api.WatchEventRequest_Table_Filter{
			{Type: api.WatchEventRequest_Table_Filter_ADJIN},
			{Type: api.WatchEventRequest_Table_Filter_EOR},
		}},
	}
}

// event takes what GoBGP reports, on the one goroutine that GoBGP has for it. GoBGP
// queues without bound for whoever is slow here: it converts, hands over, and calls
// nothing of GoBGP.
func (s *Speaker) event(r *api.WatchEventResponse) {
	if t := r.GetTable(); t != nil {
		s.routes(t.Paths)
		return
	}
	p := r.GetPeer()
	switch p.GetType() {
	case api.WatchEventResponse_PeerEvent_INIT, api.WatchEventResponse_PeerEvent_STATE:
	default: // or the late end of a deleted peer, when there may be another one already
		return
	}
	st := p.GetPeer().GetState()
	addr, err := netip.ParseAddr(st.GetNeighborAddress())
	if err != nil {
		return
	}
	s.stateChanged(addr.Unmap(), stateChange{
		state:    strings.ToLower(st.GetSessionState().String()),
		local:    addrOrZero(p.GetPeer().GetTransport().GetLocalAddress()),
		routerID: addrOrZero(st.GetRouterId()),
	})
}

func addrOrZero(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// routes hands what one peer said in one UPDATE to the RIB.
func (s *Speaker) routes(paths []*api.Path) {
	if len(paths) == 0 {
		return
	}
	addr := addrOrZero(paths[0].NeighborIp)
	s.mu.Lock()
	ses := s.sessions[addr]
	if ses == nil || ses.peer == nil { // a switch, or gone meanwhile
		s.mu.Unlock()
		return
	}
	if path.IsEndOfRIB(paths[0]) {
		ses.ended = append(ses.ended, familyOfAPI(paths[0].GetFamily()))
		s.mu.Unlock()
		s.sync(ses)
		return
	}
	now := time.Now()
	ses.syncBy = now.Add(s.cfg.SyncWait)
	batch := path.Batch{Peer: ses.peer, Paths: paths, Time: now, Discarded: s.discarded(ses, now)}
	s.mu.Unlock()
	for batch.Peer != nil {
		u := s.conv.Update(batch)
		batch.Peer = s.emitRoutes(ses, batch.Peer, u)
	}
}

// emitRoutes hands over what was judged with peer. If the session is to be judged
// with another by now it hands over nothing and returns that.
func (s *Speaker) emitRoutes(ses *session, peer *path.Peer, u rib.Update) *path.Peer {
	s.out.Lock()
	defer s.out.Unlock()
	s.mu.Lock()
	now, trial := ses.peer, false
	if now == peer {
		ses.refused += uint64(len(u.Refused))
		trial = ses.discards.heard(&u, s.conv.Suspects(), time.Now())
	}
	s.mu.Unlock()
	if now != peer {
		return now
	}
	if trial {
		s.wake()
	}
	if !ses.closed && !s.stopped {
		s.updates(u)
	}
	return nil
}

func familyOfAPI(f *api.Family) Family {
	if f.GetAfi() == api.Family_AFI_IP6 {
		return IPv6
	}
	return IPv4
}

// stateChange is what GoBGP says of a session.
type stateChange struct {
	state           string
	local, routerID netip.Addr
}

// connected are the states in which somebody is there; a neighbor of a range exists
// only in these.
var connected = map[string]bool{"opensent": true, "openconfirm": true, stateUp: true}

// stateChanged follows a session. When it comes up its routes are told from then
// on, when it goes down all of them are void at once.
func (s *Speaker) stateChanged(addr netip.Addr, c stateChange) {
	s.mu.Lock()
	ses := s.sessionIn(addr, c.state)
	if ses == nil {
		s.mu.Unlock()
		return
	}
	wasUp := ses.up
	s.advance(ses, c, time.Now())
	up, stopping, n, why, source := ses.up, s.phase == phaseDone, ses.n, ses.lastError, ses.source()
	s.mu.Unlock()
	learns := n.Role == VirtualRouter
	switch {
	case up && !wasUp:
		s.log.Info("bgpd: session up", "neighbor", addr, "name", n.name())
		if learns && ses.dynamic {
			s.open(ses, source)
		}
	case wasUp && !up && !stopping:
		s.log.Warn("bgpd: session down", "neighbor", addr, "name", n.name(), "reason", why)
		switch {
		case learns && ses.dynamic:
			s.close(ses)
		case learns:
			s.emit(ses, rib.Update{Source: ses.id, RemoveAll: true})
		}
	}
	s.wake()
}

// sessionIn finds the session of a neighbor that is in a state, or makes it if the
// neighbor is of a range and there. Nil is for whoever is deconfigured or gone
// meanwhile. Caller holds mu.
func (s *Speaker) sessionIn(addr netip.Addr, state string) *session {
	if ses := s.sessions[addr]; ses != nil {
		return ses
	}
	n := s.rangeOf(addr)
	if n == nil || !connected[state] {
		return nil
	}
	ses := newSession(addr, n)
	s.sessions[addr] = ses
	return ses
}

// advance brings a session into a new state. Caller holds mu.
func (s *Speaker) advance(ses *session, c stateChange, now time.Time) {
	wasUp := ses.up
	ses.state = c.state
	switch {
	case c.state == stateUp && !wasUp:
		ses.begin(c.local, c.routerID, now)
		ses.syncBy = now.Add(s.cfg.SyncWait)
		if ses.n.Role == VirtualRouter {
			ses.peer = ses.judge(&s.cfg)
		}
		s.todo.inspect[ses.addr] = true
	case c.state != stateUp && wasUp:
		ses.end(now)
		s.todo.revive[ses.addr] = now.Add(ses.n.IdleHold)
	}
	if ses.dynamic && !connected[c.state] {
		s.forget(ses)
	}
}

// rangeOf is the configured range that addr lies in, or nil. Caller holds mu.
func (s *Speaker) rangeOf(addr netip.Addr) *Neighbor {
	for i := range s.cfg.Neighbors {
		if n := &s.cfg.Neighbors[i]; n.Range.IsValid() && n.Range.Contains(addr) {
			return n
		}
	}
	return nil
}

// forget drops a session of a range, and keeps what people ask about first. Caller
// holds mu.
func (s *Speaker) forget(ses *session) {
	delete(s.sessions, ses.addr)
	r := s.ranges[ses.n.Range]
	r.flaps += ses.flaps
	r.refused += ses.refused
	if ses.lastError != "" {
		r.problem(ses.addr.String()+": "+ses.lastError, ses.errorTime)
	}
	s.ranges[ses.n.Range] = r
}

// sync tells the RIB that the initial dump of a session is in, once.
func (s *Speaker) sync(ses *session) {
	s.mu.Lock()
	ready := ses.up && ses.n.Role == VirtualRouter && !ses.synced && ses.dumped(time.Now())
	if ready {
		ses.synced = true
	}
	s.mu.Unlock()
	if ready {
		s.emit(ses, rib.Update{Source: ses.id, Synced: true})
	}
}

// emit hands an update over, unless its source is gone.
func (s *Speaker) emit(ses *session, u rib.Update) {
	s.out.Lock()
	defer s.out.Unlock()
	if !ses.closed && !s.stopped {
		s.updates(u)
	}
}

// open makes ses a source, or tells what is new about it.
func (s *Speaker) open(ses *session, src Source) {
	s.out.Lock()
	defer s.out.Unlock()
	if !ses.closed && !s.stopped {
		s.onSource(src)
	}
}

// close voids what ses has said and ends it as a source.
func (s *Speaker) close(ses *session) {
	s.out.Lock()
	defer s.out.Unlock()
	if ses.closed || s.stopped {
		return
	}
	ses.closed = true
	s.updates(rib.Update{Source: ses.id, RemoveAll: true})
	s.onSource(Source{ID: ses.id, Gone: true})
}

// register makes the session of a neighbor by address; a virtual router is a source
// from then on. If it was there by a range, what it said by that is void.
func (s *Speaker) register(n *Neighbor) {
	if n.Range.IsValid() {
		return
	}
	ses := newSession(n.Address, n)
	s.mu.Lock()
	before := s.sessions[n.Address]
	s.sessions[n.Address] = ses
	s.mu.Unlock()
	if before != nil && before.n.Role == VirtualRouter {
		s.close(before)
	}
	if n.Role == VirtualRouter {
		s.open(ses, ses.source())
	}
}

// unregister drops the sessions of a neighbor or a range, and voids what they said.
func (s *Speaker) unregister(n *Neighbor) {
	for _, ses := range s.of(n) {
		s.mu.Lock()
		delete(s.sessions, ses.addr)
		delete(s.todo.revive, ses.addr)
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
	if kind == noteDiscards {
		ses.discards.add(now)
	}
}

// notePassword takes that a password is not in force.
func (s *Speaker) notePassword(key, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsecured[key] = text
}
