package path

import (
	"net/netip"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// malformed withdraws the routes of an UPDATE whose attributes cannot be told apart (RFC
// 7606 section 4): those that can be cut, and those that GoBGP finds, since it reads on
// where the attributes should have ended.
func (c *Converter) malformed(u *rib.Update, m *Message, x update) {
	for _, r := range [...]routes{
		{x.withdrawn, 32, m.Peer.PathID4}, {x.announced, 32, m.Peer.PathID4}, c.unreach.routes, c.reach.routes,
	} {
		if _, err := r.count(); err == nil {
			c.remove(u, m, r)
		}
	}
	for _, n := range foundByGoBGP(m.Peer, m.Body) {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			k := rib.PathKey{Prefix: p, PathID: n.PathIdentifier()}
			u.Remove = append(u.Remove, k)
			m.Lost.note(k, nil)
		}
	}
}

// foundByGoBGP lists the routes that GoBGP reads in an UPDATE.
func foundByGoBGP(p *Peer, b []byte) (list []bgp.AddrPrefixInterface) {
	defer func() {
		if recover() != nil {
			list = nil
		}
	}()
	mode := make(map[bgp.RouteFamily]bgp.BGPAddPathMode)
	if p.PathID4 {
		mode[bgp.RF_IPv4_UC] = bgp.BGP_ADD_PATH_RECEIVE
	}
	if p.PathID6 {
		mode[bgp.RF_IPv6_UC] = bgp.BGP_ADD_PATH_RECEIVE
	}
	u := new(bgp.BGPUpdate)
	_ = u.DecodeFromBytes(b, &bgp.MarshallingOption{AddPath: mode}) // it is malformed
	u = bgp.TreatAsWithdraw(u)
	for _, n := range u.WithdrawnRoutes {
		list = append(list, n)
	}
	for _, a := range u.PathAttributes {
		if a, ok := a.(*bgp.PathAttributeMpUnreachNLRI); ok {
			list = append(list, a.Value...)
		}
	}
	return list
}
