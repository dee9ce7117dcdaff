package bgpd

import (
	"context"
	"net/netip"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
)

// NeighborStatus is what there is to say of one neighbor. A range has one of its own,
// with State "listening" and no address, which counts for neighbors that are gone.
type NeighborStatus struct {
	Name    string       `json:"name"`
	Address netip.Addr   `json:"address"`
	Range   netip.Prefix `json:"range"` // that a dynamic neighbor came from
	Role    Role         `json:"role"`
	ASN     uint32       `json:"asn"`

	State    string     `json:"state"` // idle, active, opensent, openconfirm, established, listening
	Since    time.Time  `json:"since"` // when the session came up or went down
	RouterID netip.Addr `json:"router_id"`
	Local    netip.Addr `json:"local"`
	Families []Family   `json:"families"` // negotiated
	Synced   bool       `json:"synced"`   // the initial dump is in

	Received   uint64 `json:"received"`   // routes that the neighbor announces now
	Accepted   uint64 `json:"accepted"`   // of them, without those dropped for a loop
	Advertised uint64 `json:"advertised"` // segments announced to it now
	Refused    uint64 `json:"refused"`    // routes that could not be turned into claims, since the start

	Flaps     uint64    `json:"flaps"` // sessions lost since the start
	LastError string    `json:"last_error,omitempty"`
	ErrorTime time.Time `json:"error_time"`
}

// How long Neighbors waits for the speaker, and for how long it is content with
// what it read last: counting walks GoBGP's tables in GoBGP's one loop.
const (
	statusWait = time.Second
	statusAge  = time.Second
)

// Neighbors tells the state of every neighbor, in order of configuration. It waits
// for the speaker for at most a second, then answers with what it last knew.
func (s *Speaker) Neighbors() []NeighborStatus {
	s.mu.Lock()
	stale := s.phase == phaseRunning && time.Since(s.counted) > statusAge
	s.mu.Unlock()
	if stale {
		ctx, cancel := context.WithTimeout(context.Background(), statusWait)
		defer cancel()
		s.do(ctx, s.count)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]NeighborStatus, 0, len(s.sessions))
	for i := range s.cfg.Neighbors {
		n := &s.cfg.Neighbors[i]
		if !n.Range.IsValid() {
			if ses := s.sessions[n.Address]; ses != nil { // it comes right after its configuration
				list = append(list, ses.status(s.advertisedTo(ses)))
			}
			continue
		}
		list = append(list, s.rangeStatus(n)...)
	}
	return list
}

// rangeStatus is the range itself, and everybody who has come from it, by address.
// Caller holds mu.
func (s *Speaker) rangeStatus(n *Neighbor) []NeighborStatus {
	gone := session{n: n, state: stateListening, tally: s.ranges[n.Range]}
	list := []NeighborStatus{gone.status(0)}
	for _, ses := range s.sessions {
		if ses.dynamic && ses.n.Range == n.Range {
			list = append(list, ses.status(s.advertisedTo(ses)))
		}
	}
	slices.SortFunc(list[1:], func(a, b NeighborStatus) int { return a.Address.Compare(b.Address) })
	return list
}

// advertisedTo counts the segments that a neighbor has. Caller holds mu.
func (s *Speaker) advertisedTo(ses *session) uint64 {
	if !ses.up || ses.n.Role != Switch {
		return 0
	}
	var n uint64
	for _, f := range ses.negotiated {
		if s.cfg.hop(ses.n, f) != hopNone {
			n += s.advertised[f]
		}
	}
	return n
}

// count reads what only GoBGP knows. It runs on the goroutine of Run.
func (s *Speaker) count() {
	var peers []*api.Peer
	err := s.lib.ListPeer(context.Background(), &api.ListPeerRequest{}, func(p *api.Peer) { peers = append(peers, p) })
	if err != nil {
		s.log.Warn("bgpd: list neighbors", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted = time.Now()
	for _, p := range peers {
		ses := s.sessions[addrOrZero(p.GetState().GetNeighborAddress())]
		if ses == nil || !ses.up {
			continue
		}
		ses.received, ses.accepted = 0, 0
		for _, f := range p.AfiSafis {
			ses.received += f.GetState().GetReceived()
			ses.accepted += f.GetState().GetAccepted()
		}
	}
}
