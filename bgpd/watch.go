package bgpd

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	api "github.com/osrg/gobgp/v3/api"
)

// What is in here takes what GoBGP's WatchEvent reports, on the one goroutine that GoBGP
// has for it: the states of sessions, for people, and End-of-RIB, which does not come by
// the station. Routes come by that only (learn.go), and in a queue of their own, so one of
// both can be ahead of the other; a session is known by its connection to both.

// watchRequest asks for states and End-of-RIB.
func watchRequest() *api.WatchEventRequest {
	return &api.WatchEventRequest{
		Peer: &api.WatchEventRequest_Peer{},
		Table: &api.WatchEventRequest_Table{Filters: []*api.WatchEventRequest_Table_Filter{
			{Type: api.WatchEventRequest_Table_Filter_EOR},
		}},
	}
}

// connection tells a session of a neighbor from those before and after it.
type connection struct{ here, there uint16 } // ports

// event takes what GoBGP reports. It calls nothing of GoBGP.
func (s *Speaker) event(r *api.WatchEventResponse) {
	for _, p := range r.GetTable().GetPaths() {
		s.endOfRIB(addrOrZero(p.GetNeighborIp()), familyOfAPI(p.GetFamily()))
	}
	p := r.GetPeer()
	switch p.GetType() {
	case api.WatchEventResponse_PeerEvent_INIT, api.WatchEventResponse_PeerEvent_STATE:
	default: // or the late end of a deleted peer, when there may be another one already
		return
	}
	st, t := p.GetPeer().GetState(), p.GetPeer().GetTransport()
	addr, err := netip.ParseAddr(st.GetNeighborAddress())
	if err != nil {
		return
	}
	s.stateChanged(addr.Unmap(), strings.ToLower(st.GetSessionState().String()),
		connection{uint16(t.GetLocalPort()), uint16(t.GetRemotePort())})
}

func addrOrZero(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func familyOfAPI(f *api.Family) Family {
	if f.GetAfi() == api.Family_AFI_IP6 {
		return IPv6
	}
	return IPv4
}

// endOfRIB takes that a neighbor's dump of a family ends: with what GoBGP has received
// until now, but the station may still have to bring some of it.
func (s *Speaker) endOfRIB(addr netip.Addr, f Family) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses := s.sessions[addr]
	if ses == nil || ses.n.Role != VirtualRouter {
		return
	}
	ses.ended.marks++
	ses.ended.counted, ses.ended.latest = false, time.Now()
	if !slices.Contains(ses.ended.families, f) {
		ses.ended.families = append(ses.ended.families, f)
	}
	s.agenda.inspect[addr] = true
	s.wake()
}

// connected are the states in which somebody is there; a neighbor of a range exists
// only in these.
var connected = map[string]bool{"opensent": true, "openconfirm": true, stateUp: true}

// stateChanged follows what GoBGP says of a session. That it is up, the station says; that
// it is not any more, whoever says it first.
func (s *Speaker) stateChanged(addr netip.Addr, state string, c connection) {
	s.out.Lock()
	defer s.out.Unlock()
	s.mu.Lock()
	ses := s.sessionIn(addr, state)
	if ses == nil {
		s.mu.Unlock()
		return
	}
	was := ses.state
	ses.state = state
	over := ses.up && ses.said == ses.conn
	switch {
	case state == stateUp:
		ses.said, ses.ended = c, ended{}
		over = false
	case was == stateUp: // also if the station has not said yet that it was up
		s.agenda.revive[addr] = time.Now().Add(ses.n.IdleHold)
	}
	if !ses.up && ses.dynamic && !connected[state] {
		s.forget(ses)
	}
	s.mu.Unlock()
	if over {
		s.down(ses)
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
