package path

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// Converter turns routes into claims. It remembers the attributes of the last UPDATE,
// because those that follow often share them. It belongs to one goroutine.
type Converter struct {
	now     block // what is being looked at
	broken  bool  // it ends within an attribute, or one with routes is there twice, or flags are wrong of one of those or attribute 23
	reach   multiprotocol
	unreach multiprotocol

	// What the last block came to, for one peer.
	peer *Peer
	last block
	a    Attributes
	void error // why the routes are withdrawn, or nil
	lost []byte

	// The claim, for one next hop; unless judged is false.
	judged  bool
	nextHop netip.Addr
	claim   rib.Path
	refused *refused
}

// Message is an UPDATE of one peer.
type Message struct {
	Peer *Peer
	Body []byte // without the header; nothing of it is kept
	Time time.Time
	Lost *Lost // of the session; it is brought up to date
}

// Update is what an UPDATE means to the RIB. Order within it does not matter to BGP: a
// prefix occurs in one UPDATE once. An error is something that GoBGP would not have let
// through; then nothing follows from the UPDATE.
func (c *Converter) Update(m Message) (rib.Update, error) {
	u := rib.Update{Source: m.Peer.Source}
	x, err := cutUpdate(m.Body)
	if err != nil {
		return u, err
	}
	if err := c.split(m.Peer, x.attrs); err != nil {
		return u, err
	}
	if c.broken {
		c.malformed(&u, &m, x)
		return u, nil
	}
	withdrawn := routes{x.withdrawn, 32, m.Peer.PathID4}
	announced := routes{x.announced, 32, m.Peer.PathID4}
	c.now.nlri = len(announced.list) > 0
	var counts [4]int
	for i, r := range [...]routes{announced, c.reach.routes, withdrawn, c.unreach.routes} {
		if counts[i], err = r.count(); err != nil {
			return u, err
		}
	}
	set, remove := counts[0]+counts[1], counts[2]+counts[3]
	if set > 0 {
		c.decode(m.Peer)
		if c.void != nil {
			set, remove = 0, remove+set
		}
	}
	if remove > 0 {
		u.Remove = make([]rib.PathKey, 0, remove)
	}
	c.remove(&u, &m, withdrawn)
	c.remove(&u, &m, c.unreach.routes)
	if set == 0 {
		c.remove(&u, &m, announced)
		c.remove(&u, &m, c.reach.routes)
		return u, nil
	}
	c.set(&u, &m, announced, c.a.NextHop, set)
	c.set(&u, &m, c.reach.routes, c.reach.nextHop, set)
	return u, nil
}

// split sets now, broken, reach and unreach to what a list of attributes has.
func (c *Converter) split(p *Peer, attrs []byte) error {
	c.now = block{octets: c.now.octets[:0]}
	c.reach, c.unreach, c.broken = multiprotocol{}, multiprotocol{}, false
	seen := [256]bool{}
	for len(attrs) > 0 {
		a, rest, ok := nextAttribute(attrs)
		if !ok {
			c.broken = true
			return nil
		}
		attrs = rest
		special := true
		var err error
		switch a.typ {
		case bgp.BGP_ATTR_TYPE_MP_REACH_NLRI:
			c.reach, err = cutMP(a.value, true, p)
			c.now.reach4, c.now.reach6 = c.reach.addrBits == 32, c.reach.addrBits == 128
		case bgp.BGP_ATTR_TYPE_MP_UNREACH_NLRI:
			c.unreach, err = cutMP(a.value, false, p)
		case bgp.BGP_ATTR_TYPE_TUNNEL_ENCAP:
			if c.now.tunnel == nil {
				c.now.tunnel = a.value
			}
		default:
			special = false
			c.now.octets = append(c.now.octets, a.whole...)
		}
		if special && !goodFlags(&a) {
			c.broken = true // whatever is in it
			continue
		}
		if err != nil {
			return err
		}
		c.broken = c.broken || special && seen[a.typ] && a.typ != bgp.BGP_ATTR_TYPE_TUNNEL_ENCAP
		seen[a.typ] = true
	}
	return nil
}

// decode makes c.a, c.void and c.lost those of c.now at a peer.
func (c *Converter) decode(p *Peer) {
	if c.peer == p && c.last.equal(&c.now) {
		return
	}
	c.peer, c.judged, c.lost = p, false, nil
	c.last.keep(&c.now)
	c.a, c.void = p.decode(&c.last)
	if c.a.TunnelEncap != nil && !c.last.keeping && !survives(c.a.TunnelEncap) {
		c.lost = c.a.TunnelEncap
	}
}

// judge makes c.claim and c.refused those of a next hop.
func (c *Converter) judge(nextHop netip.Addr) {
	if c.judged && c.nextHop == nextHop {
		return
	}
	c.judged, c.nextHop = true, nextHop
	a := c.a
	a.NextHop = nextHop
	c.claim, c.refused = c.peer.judge(&a)
}

// remove adds the routes of a list that has been counted to those withdrawn.
func (c *Converter) remove(u *rib.Update, m *Message, r routes) {
	for len(r.list) > 0 {
		if k, ok := r.next(); ok {
			u.Remove = append(u.Remove, k)
			m.Lost.note(k, nil)
		}
	}
}

// set adds the routes of a list that has been counted to those claimed, which will be so
// many in the end, or to those refused.
func (c *Converter) set(u *rib.Update, m *Message, r routes, nextHop netip.Addr, total int) {
	if len(r.list) == 0 {
		return
	}
	c.judge(nextHop)
	if u.Set == nil && c.refused == nil {
		u.Set = make([]rib.Path, 0, total)
	}
	for len(r.list) > 0 {
		k, ok := r.next()
		if !ok {
			u.Refused = append(u.Refused, badPrefix(m.Peer, k, m.Time))
			continue
		}
		m.Lost.note(k, c.lost)
		c.add(u, k, m.Time)
	}
}

// add adds one route.
func (c *Converter) add(u *rib.Update, k rib.PathKey, now time.Time) {
	if r := c.refused; r != nil {
		u.Refused = append(u.Refused, rib.Refusal{
			Source: u.Source, Prefix: k.Prefix, Reason: r.reason, Detail: r.detail, Time: now,
		})
		return
	}
	u.Set = append(u.Set, c.claim)
	p := &u.Set[len(u.Set)-1]
	p.Prefix, p.PathID, p.Learned = k.Prefix, k.PathID, now
}

func badPrefix(p *Peer, k rib.PathKey, now time.Time) rib.Refusal {
	return rib.Refusal{
		Source: p.Source, Reason: rib.RefuseBadPrefix, Time: now,
		Detail: fmt.Sprintf("prefix of IPv4-mapped address %s", k.Prefix),
	}
}
