package bgpd

import (
	"fmt"
	"net/netip"
)

// hop is how the next hop of a segment is made at a neighbor.
type hop uint8

const (
	hopNone    hop = iota // there is none: the family is not announced there
	hopSession            // our end of the session
	hopService            // the service address of the segment's family
)

// service is the service address of f, or the zero Addr.
func (c *Config) service(f Family) netip.Addr {
	for _, a := range c.ServiceAddresses {
		if FamilyOf(a) == f {
			return a
		}
	}
	return netip.Addr{}
}

// hop says how segments of f get their next hop at switch n. A session address of
// the other family is one only for IPv4 over IPv6 (RFC 8950).
func (c *Config) hop(n *Neighbor, f Family) hop {
	switch {
	case c.NextHop == NextHopSession && n.family() == f:
		return hopSession
	case c.service(f).IsValid():
		return hopService
	case c.NextHop == NextHopSession && f == IPv4:
		return hopSession
	}
	return hopNone
}

// families are those that are negotiated with n.
func (c *Config) families(n *Neighbor) []Family {
	if len(n.Families) > 0 {
		return n.Families
	}
	if n.Role == VirtualRouter {
		return []Family{IPv4, IPv6}
	}
	var fs []Family
	for _, f := range []Family{IPv4, IPv6} {
		if c.hop(n, f) != hopNone {
			fs = append(fs, f)
		}
	}
	return fs
}

// CanAnnounce says why no switch could be told of segment p: none of the configured
// ones carries its family. Without any switch there is nothing to say.
func (c Config) CanAnnounce(p netip.Prefix) error {
	f, switches := FamilyOf(p.Addr()), 0
	for i := range c.Neighbors {
		n := &c.Neighbors[i]
		if n.Role != Switch {
			continue
		}
		switches++
		for _, x := range c.families(n) {
			if x == f {
				return nil
			}
		}
	}
	if switches == 0 {
		return nil
	}
	return fmt.Errorf("bgpd: segment %s: no switch takes %s; expected a service address of %s or a session over it", p, f, f)
}
