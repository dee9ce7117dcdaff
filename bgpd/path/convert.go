package path

import (
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// Converter turns routes into claims. It remembers the attributes of the last
// route, because the routes of one UPDATE share them. It belongs to one goroutine.
type Converter struct {
	peer  *Peer
	attrs []*anypb.Any
	a     Attributes
	err   error

	claim   rib.Path
	refused *refused

	suspects []Suspect
}

// Suspect is a route that was refused only because it may have lost an attribute 23
// on its way here.
type Suspect struct {
	Key rib.PathKey
	Sec int64 // when GoBGP received it; if it was said again and is the same, for the first time
}

// Batch is one batch of routes of one peer.
type Batch struct {
	Peer  *Peer
	Paths []*api.Path
	Time  time.Time

	// Discarded says whether a route that was received in the second sec may have
	// lost a malformed attribute 23 on its way here. It is asked for routes whose
	// tunnel would be guessed. Nil is never.
	Discarded func(k rib.PathKey, sec int64) bool
}

// Update is what the batch means to the RIB. Order within it does not matter to
// BGP: a prefix occurs in one UPDATE once.
func (c *Converter) Update(b Batch) rib.Update {
	u := rib.Update{Source: b.Peer.Source}
	c.suspects = c.suspects[:0]
	for _, p := range b.Paths {
		prefix, err := decodePrefix(p.GetNlri())
		switch {
		case err != nil:
			u.Refused = append(u.Refused, rib.Refusal{
				Source: b.Peer.Source, Reason: rib.RefuseBadPrefix, Detail: err.Error(), Time: b.Time,
			})
		case p.IsWithdraw:
			u.Remove = append(u.Remove, rib.PathKey{Prefix: prefix, PathID: p.Identifier})
		default:
			c.set(&u, &b, p, prefix)
		}
	}
	return u
}

func (c *Converter) set(u *rib.Update, b *Batch, p *api.Path, prefix netip.Prefix) {
	c.judge(b.Peer, p.Pattrs)
	r := c.refused
	if r == nil && b.Discarded != nil && c.guessed() {
		k, sec := rib.PathKey{Prefix: prefix, PathID: p.Identifier}, p.GetAge().GetSeconds()
		if b.Discarded(k, sec) {
			r = &refused{rib.RefuseBadAttribute,
				"received at the time of a malformed attribute 23, which the BGP library drops without saying from which route"}
			c.suspects = append(c.suspects, Suspect{k, sec})
		}
	}
	if r != nil {
		u.Refused = append(u.Refused, rib.Refusal{
			Source: b.Peer.Source, Prefix: prefix, Reason: r.reason, Detail: r.detail, Time: b.Time,
		})
		return
	}
	if u.Set == nil {
		u.Set = make([]rib.Path, 0, len(b.Paths))
	}
	claim := c.claim
	claim.Prefix, claim.PathID, claim.Learned = prefix, p.Identifier, b.Time
	u.Set = append(u.Set, claim)
}

// Suspects lists what the last Update has refused for Batch.Discarded. It is valid
// until the next.
func (c *Converter) Suspects() []Suspect { return c.suspects }

// guessed says whether the claim is what the profile makes of a route that names no
// tunnel, where an attribute 23 could have named another.
func (c *Converter) guessed() bool {
	return c.claim.Carrier >= rib.CarrierNextHop && c.peer.Carriers.Has(rib.CarrierTunnelEncap)
}

// judge makes c.claim and c.refused those of attrs at peer.
func (c *Converter) judge(peer *Peer, attrs []*anypb.Any) {
	known := c.peer == peer && c.attrs != nil && sameAttributes(c.attrs, attrs)
	if known {
		nh, ok := nextHopOf(attrs)
		if !ok || nh == c.a.NextHop {
			return
		}
	}
	c.peer, c.attrs = peer, attrs
	if c.a, c.err = decodeAttributes(attrs); c.err != nil {
		c.refused = &refused{rib.RefuseBadAttribute, c.err.Error()}
		return
	}
	c.claim, c.refused = peer.judge(&c.a)
}

// nextHopOf finds the next hop in MP_REACH_NLRI, if there is one.
func nextHopOf(attrs []*anypb.Any) (netip.Addr, bool) {
	for _, x := range attrs {
		if x.TypeUrl == urlMPReach {
			return decodeNextHop(x.Value), true
		}
	}
	return netip.Addr{}, false
}
