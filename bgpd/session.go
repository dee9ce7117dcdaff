package bgpd

import (
	"net/netip"
	"slices"
	"time"

	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
)

// session is one neighbor by address: a configured one all the time, one of a range
// from its first connection until it is gone. Speaker.mu guards it, except what is
// marked.
type session struct {
	addr    netip.Addr   // fixed
	id      rib.SourceID // fixed
	dynamic bool         // fixed: of a range

	closed bool // guarded by Speaker.out: no longer a source, nothing of it goes out

	n    *Neighbor  // configured entry; replaced, never changed
	peer *path.Peer // how its routes are judged; nil unless up and a virtual router

	up       bool
	state    string
	since    time.Time
	local    netip.Addr
	routerID netip.Addr

	negotiated []Family // nil until it is known
	ended      []Family // End-of-RIB has come for these
	synced     bool
	syncBy     time.Time

	received, accepted uint64 // as of Speaker.counted
	tally
	discards discards
}

// tally is what is counted of a session, and of a range after its sessions.
type tally struct {
	refused, flaps uint64
	lastError      string
	errorTime      time.Time
}

func (t *tally) problem(text string, now time.Time) { t.lastError, t.errorTime = text, now }

// States that GoBGP does not have.
const (
	stateIdle      = "idle"
	stateListening = "listening"
	stateUp        = "established"
)

func newSession(addr netip.Addr, n *Neighbor) *session {
	return &session{
		addr: addr, id: rib.SourceID(addr.String()), dynamic: n.Range.IsValid(), n: n,
		state: stateIdle, since: time.Now(),
	}
}

// begin makes the session one that has just come up.
func (s *session) begin(local, routerID netip.Addr, now time.Time) {
	s.up, s.since = true, now
	s.local, s.routerID = local, routerID
	s.negotiated, s.ended, s.synced = nil, nil, false
	s.received, s.accepted = 0, 0
}

// end makes the session one that has just gone down.
func (s *session) end(now time.Time) {
	s.up, s.since, s.peer = false, now, nil
	s.negotiated, s.ended, s.synced = nil, nil, false
	s.received, s.accepted = 0, 0
	s.discards.forget()
	s.flaps++
}

// dumped says whether the initial dump is in: every negotiated family has ended, or
// it has had its time: a million routes take longer than a neighbor may be silent.
func (s *session) dumped(now time.Time) bool {
	if !now.Before(s.syncBy) {
		return true
	}
	for _, f := range s.negotiated {
		if !slices.Contains(s.ended, f) {
			return false
		}
	}
	return s.negotiated != nil
}

// judge makes what path needs to judge routes of the session.
func (s *session) judge(c *Config) *path.Peer {
	own := slices.Clone(c.ServiceAddresses)
	if s.local.IsValid() {
		own = append(own, s.local)
	}
	return &path.Peer{
		Source: s.id, Address: s.addr, Own: own, ASN: c.ASN,
		Carriers: path.CarriersOf(s.n.Carriers), Profile: s.n.Profile,
	}
}

// source is what OnSource is told of the session.
func (s *session) source() Source {
	return Source{
		ID: s.id, Name: s.n.name(), Configured: !s.dynamic,
		Allow: s.n.Allow, MaxPrefixes: s.n.MaxPrefixes,
	}
}

// status is the session for people; advertised is how many segments it has got.
func (s *session) status(advertised uint64) NeighborStatus {
	return NeighborStatus{
		Name: s.n.name(), Address: s.addr, Range: s.n.Range, Role: s.n.Role, ASN: s.n.ASN,
		State: s.state, Since: s.since, RouterID: s.routerID, Local: s.local,
		Families: slices.Clone(s.negotiated), Synced: s.synced,
		Received: s.received, Accepted: s.accepted, Advertised: advertised, Refused: s.refused,
		Flaps: s.flaps, LastError: s.lastError, ErrorTime: s.errorTime,
	}
}
