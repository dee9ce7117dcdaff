package bgpd

import (
	"net/netip"
	"slices"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"

	"github.com/eipgw/eipgw/bgpd/bmp"
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

	closed bool      // guarded by Speaker.out: not a source, nothing of it goes out
	lost   path.Lost // guarded by Speaker.out

	n    *Neighbor  // configured entry; replaced, never changed
	peer *path.Peer // how its routes are judged; nil unless up and a virtual router

	up       bool       // Speaker.out has to be held as well to change it
	conn     connection // of the session that is up, by the station
	since    time.Time
	local    netip.Addr
	routerID netip.Addr

	negotiated []Family
	withID     []Family // of them, those in which it sends path identifiers
	heard      uint64   // UPDATEs
	synced     bool
	syncBy     time.Time

	state string     // by WatchEvent, which may be behind the station or ahead of it
	said  connection // of the latest session, by WatchEvent
	ended ended      // of that

	received, accepted uint64 // as of Speaker.counted
	tally
}

// ended is what is known of the end of a session's initial dump.
type ended struct {
	families []Family // End-of-RIB has come for these
	marks    uint64   // so often
	latest   time.Time

	// counted says that GoBGP has been asked since how many UPDATEs it has received,
	// which is updates with the marks left out.
	counted bool
	updates uint64
}

// quiet is how long nothing has to have come from the station for all to have come that
// GoBGP received before: its queue is emptied without pause.
const quiet = 200 * time.Millisecond

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
	stateAlmostUp  = "openconfirm"
	stateUp        = "established"
)

func newSession(addr netip.Addr, n *Neighbor) *session {
	dynamic := n.Range.IsValid()
	return &session{
		addr: addr, id: rib.SourceID(addr.String()), dynamic: dynamic, closed: dynamic, n: n,
		state: stateIdle, since: time.Now(),
	}
}

// begin makes the session one that has just come up.
func (s *session) begin(up *bmp.Session, c connection, now time.Time) {
	s.up, s.since, s.conn = true, now, c
	s.local, s.routerID = up.Local, up.PeerID
	s.negotiated, s.withID = negotiate(s.n.Families, up)
	s.heard, s.synced = 0, false
	s.received, s.accepted = 0, 0
}

// end makes the session one that has just gone down.
func (s *session) end(now time.Time) {
	s.up, s.since, s.peer = false, now, nil
	s.negotiated, s.withID, s.synced = nil, nil, false
	s.received, s.accepted = 0, 0
	s.lost = path.Lost{}
	s.flaps++
}

// negotiate says which of the configured families both ends have offered, and in which of
// them the neighbor sends path identifiers (RFC 7911 section 4). A neighbor that does not
// know the capability of families has IPv4 (RFC 4760 section 8).
func negotiate(configured []Family, up *bmp.Session) (list, withID []Family) {
	ours, theirs := offers(up.Sent), offers(up.Received)
	none := len(theirs.families) == 0
	for _, f := range configured {
		af := bgp.RF_IPv4_UC
		if f == IPv6 {
			af = bgp.RF_IPv6_UC
		}
		if !theirs.families[af] && !(none && f == IPv4) {
			continue
		}
		list = append(list, f)
		if ours.ids[af]&bgp.BGP_ADD_PATH_RECEIVE != 0 && theirs.ids[af]&bgp.BGP_ADD_PATH_SEND != 0 {
			withID = append(withID, f)
		}
	}
	return list, withID
}

// offer is what an OPEN says of families.
type offer struct {
	families map[bgp.RouteFamily]bool
	ids      map[bgp.RouteFamily]bgp.BGPAddPathMode
}

func offers(open *bgp.BGPOpen) offer {
	o := offer{make(map[bgp.RouteFamily]bool), make(map[bgp.RouteFamily]bgp.BGPAddPathMode)}
	for _, p := range open.OptParams {
		caps, ok := p.(*bgp.OptionParameterCapability)
		if !ok {
			continue
		}
		for _, c := range caps.Capability {
			switch c := c.(type) {
			case *bgp.CapMultiProtocol:
				o.families[c.CapValue] = true
			case *bgp.CapAddPath:
				for _, t := range c.Tuples {
					o.ids[t.RouteFamily] = t.Mode
				}
			}
		}
	}
	return o
}

// dumped says whether the initial dump is in: every negotiated family has ended and all
// UPDATEs before that have come, or it has had its time: a million routes take longer than
// a neighbor may be silent. Latest is when the station had something in hand, of whomever.
//
// End-of-RIB does not come by the station, so it may overtake routes that are on their
// way. Whether all have come is told by their number; but GoBGP does not pass on an UPDATE
// whose routes all loop, nor does it count anew when a neighbor comes back while it has not
// been removed. In these cases a quiet station tells.
func (s *session) dumped(latest, now time.Time) bool {
	if !now.Before(s.syncBy) {
		return true
	}
	if !s.allEnded() {
		return false
	}
	return s.ended.counted && s.heard >= s.ended.updates || !now.Before(s.quietAt(latest))
}

// allEnded says whether End-of-RIB has come for all families.
func (s *session) allEnded() bool {
	if !s.up || s.said != s.conn {
		return false
	}
	for _, f := range s.negotiated {
		if !slices.Contains(s.ended.families, f) {
			return false
		}
	}
	return true
}

// quietAt is when the station has been quiet for long enough after End-of-RIB.
func (s *session) quietAt(latest time.Time) time.Time {
	if s.ended.latest.After(latest) {
		latest = s.ended.latest
	}
	return latest.Add(quiet)
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
		Internal: s.n.ASN == c.ASN, AllowOwnAS: s.n.AllowOwnAS, RouterID: c.RouterID,
		Loopback: s.local.Is4() && s.local.IsLoopback() && s.addr.Is4() && s.addr.IsLoopback(),
		PathID4:  slices.Contains(s.withID, IPv4), PathID6: slices.Contains(s.withID, IPv6),
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
	state := s.state
	switch {
	case s.up:
		state = stateUp
	case state == stateUp: // the station has not said so yet
		state = stateAlmostUp
	}
	return NeighborStatus{
		Name: s.n.name(), Address: s.addr, Range: s.n.Range, Role: s.n.Role, ASN: s.n.ASN,
		State: state, Since: s.since, RouterID: s.routerID, Local: s.local,
		Families: slices.Clone(s.negotiated), Synced: s.synced,
		Received: s.received, Accepted: s.accepted, Advertised: advertised, Refused: s.refused,
		Flaps: s.flaps, LastError: s.lastError, ErrorTime: s.errorTime,
	}
}
