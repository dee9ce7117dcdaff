package path

import (
	"bytes"
	"fmt"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// Lost remembers the attribute 23 of routes of one session that GoBGP does not hold as it
// came: it discards what it cannot take apart (RFC 7606), so nobody could tell from the
// rest. The zero value is empty. There is at most one entry for each route of the session.
type Lost struct{ values map[rib.PathKey][]byte }

// note takes the attribute of a route that has just come or gone; nil is that GoBGP holds
// everything.
func (l *Lost) note(k rib.PathKey, value []byte) {
	switch {
	case value != nil:
		if l.values == nil {
			l.values = make(map[rib.PathKey][]byte)
		}
		l.values[k] = value
	case len(l.values) > 0:
		delete(l.values, k)
	}
}

// Held is a route out of GoBGP's adj-RIB-in.
type Held struct {
	Peer       *Peer
	Prefix     []byte // octets of NLRI, without a path identifier
	IPv6       bool
	PathID     uint32
	Attributes [][]byte // whole, each
	Lost       *Lost    // of the session
	Time       time.Time
}

// Held adds to u what a route means that GoBGP has found good before; nothing if it takes
// no part in selection, such as one that loops.
func (c *Converter) Held(u *rib.Update, h Held) error {
	r := routes{list: h.Prefix, addrBits: 32}
	if h.IPv6 {
		r.addrBits = 128
	}
	n, err := r.count()
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%d prefixes, expected one", n)
	}
	k, ok := r.next()
	k.PathID = h.PathID
	if !ok {
		u.Refused = append(u.Refused, badPrefix(h.Peer, k, h.Time))
		return nil
	}
	if err := c.split(h.Peer, bytes.Join(h.Attributes, nil)); err != nil {
		return err
	}
	c.now.keeping = true
	if v, ok := h.Lost.values[k]; ok {
		c.now.tunnel = v
	}
	c.decode(h.Peer)
	if c.void != nil {
		return nil
	}
	nextHop := c.a.NextHop
	if c.now.reach4 || c.now.reach6 {
		nextHop = c.reach.nextHop
	}
	c.judge(nextHop)
	c.add(u, k, h.Time)
	return nil
}
