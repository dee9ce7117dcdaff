package bgpd

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v3/api"

	"github.com/eipgw/eipgw/bgpd/bmp"
	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
)

// stationWait is how long GoBGP may take to connect to the station, which it does at once
// unless the machine does not let it.
const stationWait = 10 * time.Second

// learner takes what GoBGP tells the station, on the station's goroutine. What happens to
// a session and what is said in it come here in order. GoBGP queues without bound for
// whoever is slow here: it converts, hands over, and calls nothing of GoBGP.
type learner struct{ *Speaker }

// openStation makes GoBGP tell all that happens from now on.
func (s *Speaker) openStation() error {
	st, err := bmp.Listen(s.log, learner{s})
	if err != nil {
		return fmt.Errorf("bgpd: station for the BGP library: %w", err)
	}
	s.station = st
	at := st.Addr()
	err = s.lib.AddBmp(context.Background(), &api.AddBmpRequest{
		Address: at.Addr().String(), Port: uint32(at.Port()), Policy: api.AddBmpRequest_PRE,
	})
	if err != nil {
		return fmt.Errorf("bgpd: station for the BGP library: %w", err)
	}
	timer := time.NewTimer(stationWait)
	defer timer.Stop()
	select {
	case <-st.Begun():
		return nil
	case <-timer.C:
		return fmt.Errorf("bgpd: station for the BGP library: it has not connected to %s in %s; loopback must be usable", at, stationWait)
	}
}

// closeStation makes GoBGP let go of the station, for stop.
func (s *Speaker) closeStation() error {
	at := s.station.Addr()
	err := s.lib.DeleteBmp(context.Background(), &api.DeleteBmpRequest{Address: at.Addr().String(), Port: uint32(at.Port())})
	if err != nil {
		return err
	}
	<-s.station.Ended()
	return nil
}

// Begin is told when GoBGP has connected. The first time it has nothing to tell yet; later
// it says again what it holds, but not quite as it came: see Update.
func (l learner) Begin() {
	l.mu.Lock()
	again := l.begun
	if l.begun = true; again {
		l.retold = time.Now().Unix()
	}
	l.mu.Unlock()
	if again {
		l.log.Info("bgpd: the BGP library has connected to its station again")
	}
}

// Lost is told when GoBGP's connection has broken. All that was said since is in its
// adj-RIB-in, so everything is judged anew from there.
func (l learner) Lost(err error) {
	now := time.Now()
	l.mu.Lock()
	stopping := l.phase == phaseDone
	for addr, ses := range l.sessions {
		if ses.up {
			l.agenda.relearn[addr] = now
		}
	}
	l.mu.Unlock()
	if !stopping {
		l.log.Error("bgpd: the BGP library's connection to its station has broken; all routes are judged anew", "error", err)
		l.wake()
	}
}

// Up begins a session.
func (l learner) Up(up bmp.Session) {
	c := connection{here: up.LocalPort, there: up.PeerPort}
	l.out.Lock()
	defer l.out.Unlock()
	l.mu.Lock()
	ses := l.sessionIn(up.Peer, stateUp)
	switch {
	case ses == nil, ses.said == c && ses.state != stateUp: // it is known to be over
		l.mu.Unlock()
		return
	case ses.up && ses.conn == c: // told again
		l.agenda.relearn[up.Peer] = time.Now().Add(relearnWait)
		l.mu.Unlock()
		l.wake()
		return
	case ses.up: // its end was lost
		l.mu.Unlock()
		l.down(ses)
		l.mu.Lock()
		if ses = l.sessionIn(up.Peer, stateUp); ses == nil {
			l.mu.Unlock()
			return
		}
	}
	now := time.Now()
	ses.begin(&up, c, now)
	ses.syncBy = now.Add(l.cfg.SyncWait)
	if ses.n.Role == VirtualRouter {
		ses.peer = ses.judge(&l.cfg)
	}
	l.agenda.inspect[ses.addr] = true
	n, source := ses.n, ses.source()
	l.mu.Unlock()
	l.log.Info("bgpd: session up", "neighbor", ses.addr, "name", n.name())
	if n.Role == VirtualRouter && ses.dynamic && !l.stopped {
		ses.closed = false
		l.onSource(source)
	}
	l.wake()
}

// Down ends a session.
func (l learner) Down(peer netip.Addr) {
	l.out.Lock()
	defer l.out.Unlock()
	l.mu.Lock()
	ses := l.sessions[peer]
	l.mu.Unlock()
	if ses != nil {
		l.down(ses)
		l.wake()
	}
}

// down ends a session, if it is up: what was said in it is void at once. Caller holds out.
func (s *Speaker) down(ses *session) {
	s.mu.Lock()
	if !ses.up {
		s.mu.Unlock()
		return
	}
	now := time.Now()
	ses.end(now)
	s.agenda.revive[ses.addr] = now.Add(ses.n.IdleHold)
	delete(s.agenda.relearn, ses.addr)
	if ses.dynamic && !connected[ses.state] {
		s.forget(ses)
	}
	stopping, n, why := s.phase == phaseDone, ses.n, ses.lastError
	s.mu.Unlock()
	if stopping {
		return
	}
	s.log.Warn("bgpd: session down", "neighbor", ses.addr, "name", n.name(), "reason", why)
	switch {
	case n.Role != VirtualRouter:
	case ses.dynamic:
		s.close(ses)
	default:
		s.emit(ses, rib.Update{Source: ses.id, RemoveAll: true})
	}
}

// Update hands what one peer said in one UPDATE to the RIB.
func (l learner) Update(m bmp.Update) {
	l.taking.Store(true)
	l.out.Lock()
	defer l.taken()
	now := time.Now()
	peer, ses, synced := l.hear(&m, now)
	if peer == nil {
		return
	}
	u, err := l.conv.Update(path.Message{Peer: peer, Body: m.Body, Time: now, Lost: &ses.lost})
	if err != nil {
		l.log.Error("bgpd: an UPDATE that the BGP library took cannot be read", "neighbor", m.Peer, "error", err)
	}
	if len(u.Refused) > 0 {
		l.mu.Lock()
		ses.refused += uint64(len(u.Refused))
		l.mu.Unlock()
	}
	l.emit(ses, u)
	if synced {
		l.emit(ses, rib.Update{Source: ses.id, Synced: true})
	}
}

// taken ends what Update began.
func (s *Speaker) taken() {
	s.mu.Lock()
	s.latest = time.Now()
	s.mu.Unlock()
	s.taking.Store(false)
	s.out.Unlock()
}

// quietSince is when the station has last had something in hand. Caller holds mu.
func (s *Speaker) quietSince(now time.Time) time.Time {
	if s.taking.Load() {
		return now
	}
	return s.latest
}

// hear counts an UPDATE, and says how to judge it; nil is not at all: it is of a switch,
// of a session that has ended, or told again. Synced is that the dump is in with it.
//
// What GoBGP tells again when it connects anew it has put together itself, without path
// identifiers, and with the time at which the route came first. So whatever is not newer
// than the connection is left alone, and what GoBGP holds is judged instead.
func (s *Speaker) hear(m *bmp.Update, now time.Time) (peer *path.Peer, ses *session, synced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses = s.sessions[m.Peer]
	if ses == nil || ses.peer == nil {
		return nil, nil, false
	}
	if m.Seconds <= s.retold {
		if s.agenda.relearn[m.Peer].IsZero() {
			s.agenda.relearn[m.Peer] = now.Add(relearnWait)
			s.wake()
		}
		return nil, nil, false
	}
	ses.heard++
	ses.syncBy = now.Add(s.cfg.SyncWait)
	if !ses.synced && ses.dumped(now, now) {
		ses.synced, synced = true, true
	}
	return ses.peer, ses, synced
}

// relearnWait is how long what GoBGP tells again is left to come in.
const relearnWait = time.Second

// relearn judges anew what a neighbor has said, from GoBGP's adj-RIB-in, if its session is
// up. Nothing is handed over meanwhile: so what the station hands over afterwards came in
// later, or says again what is in here. It runs on the goroutine of Run.
func (s *Speaker) relearn(ses *session) {
	s.out.Lock()
	defer s.out.Unlock()
	s.mu.Lock()
	peer, families := ses.peer, ses.negotiated
	s.mu.Unlock()
	if peer == nil {
		return
	}
	u := rib.Update{Source: ses.id, RemoveAll: true}
	var conv path.Converter
	for _, f := range families {
		if err := s.judgeHeld(&u, &conv, ses, peer, f); err != nil {
			s.log.Error("bgpd: judge routes anew", "neighbor", ses.addr, "error", err)
			return
		}
	}
	s.emit(ses, u)
}

// judgeHeld adds to u what the adj-RIB-in of a session has of a family.
func (s *Speaker) judgeHeld(u *rib.Update, conv *path.Converter, ses *session, peer *path.Peer, f Family) error {
	now := time.Now()
	return s.lib.ListPath(context.Background(), &api.ListPathRequest{
		TableType: api.TableType_ADJ_IN, Name: ses.addr.String(), Family: apiFamily[f], EnableOnlyBinary: true,
	}, func(d *api.Destination) {
		for _, p := range d.Paths {
			err := conv.Held(u, path.Held{
				Peer: peer, Prefix: p.NlriBinary, IPv6: f == IPv6, PathID: p.Identifier,
				Attributes: p.PattrsBinary, Lost: &ses.lost, Time: now,
			})
			if err != nil {
				s.log.Error("bgpd: a route that the BGP library holds cannot be read", "neighbor", ses.addr, "prefix", d.Prefix, "error", err)
			}
		}
	})
}
