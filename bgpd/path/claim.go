package path

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// Attributes is what the gateway reads of a route's path attributes.
type Attributes struct {
	NextHop    netip.Addr
	Originator netip.Addr // ORIGINATOR_ID (RFC 4456); zero: not behind a reflector

	LocalPref uint32
	ASPathLen uint16
	Origin    uint8
	MED       uint32

	LargeCommunities [][3]uint32
	TunnelEncap      []byte   // value of attribute 23; nil: absent
	EncapTypes       []uint16 // tunnel types of Encapsulation extended communities
}

// Peer is what has to be known of a session to judge its routes. It is read only.
type Peer struct {
	Source   rib.SourceID
	Address  netip.Addr   // the neighbor's end
	Own      []netip.Addr // next hops that mean the gateway: service addresses, our end of the session
	ASN      uint32       // the gateway's, first part of its large communities
	Carriers Carriers
	Profile  Profile

	// What follows decides which routes GoBGP takes, and how they are encoded.

	Internal         bool       // the neighbor is of the gateway's AS
	AllowOwnAS       uint8      // times that ASN may be in an AS path
	RouterID         netip.Addr // the gateway's
	Loopback         bool       // both ends are of IPv4 loopback, so that next hops may be, too
	PathID4, PathID6 bool       // it sends path identifiers in that family (RFC 7911)
}

// tunnelSays is what one carrier says. A zero VTEP leaves it to the next hop.
type tunnelSays struct {
	vtep   netip.Addr
	hasVNI bool
	vni    encap.VNI
}

// Judge turns attributes into a claim without prefix and path id, or says why not.
//
// The precedence is: attribute 23, large community, next hop or peer. The profile
// fills what they leave out. Two carriers that both say something, and not the
// same, refuse the route: guessing would send a tenant's packets to another.
func (p *Peer) judge(a *Attributes) (rib.Path, *refused) {
	claim := rib.Path{
		Source: p.Source, Router: p.Address,
		LocalPref: a.LocalPref, ASPathLen: a.ASPathLen, Origin: a.Origin, MED: a.MED,
	}
	if a.Originator.IsValid() {
		claim.Router = a.Originator
	}
	t := &claim.Tunnel
	var te, lc tunnelSays
	haveTE := a.TunnelEncap != nil && p.Carriers.Has(rib.CarrierTunnelEncap)
	if haveTE {
		x, r := parseTunnelEncap(a.TunnelEncap, p.Profile.Protocol)
		if r != nil {
			return claim, r
		}
		te = tunnelSays{x.Endpoint, x.HasVNI, x.VNI}
		t.Protocol, t.InnerDst, t.Port = x.Protocol, x.InnerDst, x.Port
	} else {
		var r *refused
		if t.Protocol, r = p.protocol(a.EncapTypes); r != nil {
			return claim, r
		}
	}
	haveLC := false
	if p.Carriers.Has(rib.CarrierLargeCommunity) {
		var r *refused
		if lc, haveLC, r = p.largeCommunity(a.LargeCommunities); r != nil {
			return claim, r
		}
	}
	if haveTE && haveLC {
		if r := conflict(te, lc); r != nil {
			return claim, r
		}
	}
	var says tunnelSays
	switch {
	case haveTE:
		claim.Carrier, says = rib.CarrierTunnelEncap, te
		if !says.vtep.IsValid() {
			says.vtep = lc.vtep
		}
		if !says.hasVNI {
			says.hasVNI, says.vni = lc.hasVNI, lc.vni
		}
	case haveLC:
		claim.Carrier, says = rib.CarrierLargeCommunity, lc
	}
	if !says.vtep.IsValid() {
		vtep, carrier, r := p.byNextHop(a, claim.Router)
		if r != nil {
			return claim, r
		}
		if !haveTE && !haveLC {
			if !p.Carriers.Has(carrier) {
				return claim, p.nothingSaid(carrier)
			}
			claim.Carrier = carrier
		}
		says.vtep = vtep
	}
	return claim, p.complete(t, says)
}

// nothingSaid is why a route is refused whose best carrier is one that only implies a
// VTEP, and is not believed. A profile without VNI is reason enough by itself: such a
// route could not become a tunnel if the carrier were believed, either.
func (p *Peer) nothingSaid(best rib.Carrier) *refused {
	if p.Profile.VNI == nil {
		return &refused{rib.RefuseNoVNI, "the route says no VNI that is believed, and the neighbor's profile has none"}
	}
	return &refused{rib.RefuseNoVTEP,
		fmt.Sprintf("the route has none of the carriers that are believed of this neighbor: it only has %s", best)}
}

// complete makes the tunnel of what the route says and of the profile. The profile's UDP
// port and OVN's option are those of its protocol: a route that says another one gets
// neither. Where no inner MAC is given, encap has one, which is the configured value that
// RFC 9012 section 3.2.1 asks for when the M bit is clear.
func (p *Peer) complete(t *encap.Tunnel, says tunnelSays) *refused {
	t.VTEP, t.VNI = says.vtep, says.vni
	if !says.hasVNI {
		if p.Profile.VNI == nil {
			return &refused{rib.RefuseNoVNI, "neither the route nor the neighbor's profile has a VNI"}
		}
		t.VNI = *p.Profile.VNI
	}
	if t.InnerDst.IsZero() {
		t.InnerDst = p.Profile.InnerDst
	}
	t.InnerSrc = p.Profile.InnerSrc // no carrier names it
	ours := t.Protocol == p.Profile.Protocol
	if t.Port == 0 && ours {
		t.Port = p.Profile.Port
	}
	if o := p.Profile.OVN; o != nil && ours {
		t.Options = encap.OVNOptions(o.Inport, o.Outport)
	}
	if slices.Contains(p.Own, t.VTEP) {
		return &refused{rib.RefuseBadTunnel, fmt.Sprintf("VTEP %s is the gateway itself", t.VTEP)}
	}
	if err := t.Validate(); err != nil {
		return &refused{rib.RefuseBadTunnel, err.Error()}
	}
	return nil
}

// byNextHop is the VTEP of a route that names none: the virtual router where the
// next hop is the gateway, else the next hop.
func (p *Peer) byNextHop(a *Attributes, router netip.Addr) (netip.Addr, rib.Carrier, *refused) {
	switch {
	case !a.NextHop.IsValid():
		return netip.Addr{}, 0, &refused{rib.RefuseBadAttribute, "the route has no next hop that can be read"}
	case slices.Contains(p.Own, a.NextHop):
		return router.WithZone(""), rib.CarrierPeer, nil
	}
	return a.NextHop, rib.CarrierNextHop, nil
}

// largeCommunity reads GW-ASN:VTEP:VNI. Those of other ASNs are not for us. VTEP 0
// stands for the next hop, which is how a VTEP of IPv6 is said.
func (p *Peer) largeCommunity(list [][3]uint32) (says tunnelSays, found bool, r *refused) {
	for _, c := range list {
		if c[0] != p.ASN {
			continue
		}
		if c[2] > uint32(encap.MaxVNI) {
			return says, false, &refused{rib.RefuseBadTunnel,
				fmt.Sprintf("large community %d:%d:%d: VNI %d, expected at most %d", c[0], c[1], c[2], c[2], encap.MaxVNI)}
		}
		x := tunnelSays{hasVNI: true, vni: encap.VNI(c[2])}
		if c[1] != 0 {
			x.vtep = netip.AddrFrom4([4]byte{byte(c[1] >> 24), byte(c[1] >> 16), byte(c[1] >> 8), byte(c[1])})
		}
		if found && x != says {
			return says, false, &refused{rib.RefuseConflict,
				fmt.Sprintf("two large communities: VTEP %s, VNI %d and VTEP %s, VNI %d", says.vtep, says.vni, x.vtep, x.vni)}
		}
		says, found = x, true
	}
	return says, found, nil
}

// conflict compares attribute 23 with the large community.
func conflict(te, lc tunnelSays) *refused {
	if te.vtep.IsValid() && lc.vtep.IsValid() && te.vtep != lc.vtep {
		return &refused{rib.RefuseConflict,
			fmt.Sprintf("VTEP %s in attribute 23, %s in the large community", te.vtep, lc.vtep)}
	}
	if te.hasVNI && te.vni != lc.vni {
		return &refused{rib.RefuseConflict,
			fmt.Sprintf("VNI %d in attribute 23, %d in the large community", te.vni, lc.vni)}
	}
	return nil
}

// protocol is what a route without attribute 23 is tunneled in: the profile's, unless
// Encapsulation extended communities (RFC 9012 section 4.1), which name a tunnel type
// and nothing else, say otherwise. Several are alternatives: if one of them is the
// profile's, that is it, else the first that is built.
func (p *Peer) protocol(types []uint16) (encap.Protocol, *refused) {
	found, first := false, p.Profile.Protocol
	for _, t := range types {
		x, built := protocolOf(t)
		switch {
		case !built:
		case x == p.Profile.Protocol:
			return x, nil
		case !found:
			found, first = true, x
		}
	}
	if len(types) > 0 && !found {
		return 0, notBuilt("encapsulation extended community", types[0])
	}
	return first, nil
}
