package bgpd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// announceRetry is the pause after GoBGP has refused a route.
const announceRetry = time.Second

// Announce hands over the whole set of segments that the switches are to have from
// now on; nil or empty withdraws everything. It does not wait for the switches. The
// latest set wins. What is new is announced before what is no longer wanted is
// withdrawn.
func (s *Speaker) Announce(want []rib.Segment) error {
	seen := make(map[netip.Prefix]bool, len(want))
	for _, g := range want {
		switch {
		case !g.Prefix.IsValid() || g.Prefix != g.Prefix.Masked() || g.Prefix.Addr().Is4In6():
			return fmt.Errorf("bgpd: announce %s: expected a prefix without bits behind its length", g.Prefix)
		case seen[g.Prefix]:
			return fmt.Errorf("bgpd: announce %s: it is there twice", g.Prefix)
		}
		seen[g.Prefix] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseDone {
		return errors.New("bgpd: announce: the speaker has stopped")
	}
	s.want, s.agenda.announce = make([]rib.Segment, len(want)), true
	for i, g := range want {
		s.want[i] = copySegment(g)
	}
	s.wake()
	return nil
}

// announce makes what GoBGP announces equal to want. It runs on the goroutine of
// Run. GoBGP sends a session that comes up later all that it has.
func (s *Speaker) announce(want []rib.Segment) {
	s.mu.Lock()
	cfg := s.cfg
	s.mu.Unlock()
	wanted := make(map[netip.Prefix]bool, len(want))
	var failed error
	for _, g := range want {
		wanted[g.Prefix] = true
		if old, ok := s.told[g.Prefix]; ok && sameSegment(old, g) {
			continue
		}
		if _, err := s.lib.AddPath(context.Background(), &api.AddPathRequest{Path: apiPath(g)}); err != nil {
			failed = fmt.Errorf("announce %s: %w", g.Prefix, err)
			break // withdraw nothing that may be covered by it
		}
		s.told[g.Prefix] = g
		if err := cfg.CanAnnounce(g.Prefix); err != nil {
			s.log.Warn(err.Error())
		}
	}
	for p, g := range s.told {
		if failed != nil {
			break
		}
		if wanted[p] {
			continue
		}
		if err := s.lib.DeletePath(context.Background(), &api.DeletePathRequest{Path: apiPath(g)}); err != nil {
			failed = fmt.Errorf("withdraw %s: %w", p, err)
			continue
		}
		delete(s.told, p)
	}
	told := make(map[Family]uint64, 2)
	for p := range s.told {
		told[FamilyOf(p.Addr())]++
	}
	s.mu.Lock()
	s.advertised = told
	if failed != nil {
		s.agenda.retry = time.Now().Add(announceRetry)
	}
	s.mu.Unlock()
	if failed != nil {
		s.log.Error("bgpd: announcing failed, it is tried again", "error", failed)
	}
}

func copySegment(g rib.Segment) rib.Segment {
	g.Communities, g.LargeCommunities = slices.Clone(g.Communities), slices.Clone(g.LargeCommunities)
	if g.MED != nil {
		med := *g.MED
		g.MED = &med
	}
	return g
}

func sameSegment(a, b rib.Segment) bool {
	return slices.Equal(a.Communities, b.Communities) && slices.Equal(a.LargeCommunities, b.LargeCommunities) &&
		(a.MED == b.MED || a.MED != nil && b.MED != nil && *a.MED == *b.MED)
}

// Next hops that no neighbor ever sees: the export policy puts the real one in.
// The addresses are for discarding (RFC 6666) and for documentation (RFC 5737).
var placeholder = map[Family]string{IPv4: "192.0.2.1", IPv6: "100::1"}

// apiPath is a segment in GoBGP's words.
func apiPath(g rib.Segment) *api.Path {
	f := FamilyOf(g.Prefix.Addr())
	nlri := pack(&api.IPAddressPrefix{Prefix: g.Prefix.Addr().String(), PrefixLen: uint32(g.Prefix.Bits())})
	attrs := []*anypb.Any{pack(&api.OriginAttribute{Origin: 0})} // IGP
	if f == IPv4 {
		attrs = append(attrs, pack(&api.NextHopAttribute{NextHop: placeholder[f]}))
	} else {
		attrs = append(attrs, pack(&api.MpReachNLRIAttribute{
			Family: apiFamily[f], NextHops: []string{placeholder[f]}, Nlris: []*anypb.Any{nlri},
		}))
	}
	if g.MED != nil {
		attrs = append(attrs, pack(&api.MultiExitDiscAttribute{Med: *g.MED}))
	}
	if len(g.Communities) > 0 {
		attrs = append(attrs, pack(&api.CommunitiesAttribute{Communities: g.Communities}))
	}
	if len(g.LargeCommunities) > 0 {
		m := &api.LargeCommunitiesAttribute{}
		for _, c := range g.LargeCommunities {
			m.Communities = append(m.Communities, &api.LargeCommunity{GlobalAdmin: c[0], LocalData1: c[1], LocalData2: c[2]})
		}
		attrs = append(attrs, pack(m))
	}
	return &api.Path{Family: apiFamily[f], Nlri: nlri, Pattrs: attrs}
}

// pack wraps a message. Only one that cannot be encoded at all fails, which none of
// GoBGP's is; GoBGP would refuse the empty result.
func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		return &anypb.Any{}
	}
	return a
}
