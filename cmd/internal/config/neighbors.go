package config

import (
	"fmt"
	"slices"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// name is what a neighbor is called in messages.
func name(n *bgpd.Neighbor) string {
	switch {
	case n.Name != "":
		return n.Name
	case n.Range.IsValid():
		return n.Range.String()
	}
	return n.Address.String()
}

func (k checker) neighbors() {
	for i := range k.c.Neighbors {
		n, key := &k.c.Neighbors[i], fmt.Sprintf("neighbors[%d]", i)
		k.neighborNamed(n, key)
		k.neighborTwice(i, key)
		if n.Role == 0 {
			k.missing(key+".role", "switch or virtual-router")
		}
		if n.ASN == 0 {
			k.missing(key+".asn", "the neighbor's AS number")
		}
		if n.Hops != 0 && n.TTLSecurity != 0 {
			k.bad(key+".ttl-security", "%d: expected either ttl-security or multihop", n.TTLSecurity)
		}
		if n.Keepalive > n.HoldTime/2 {
			k.bad(key+".keepalive", "%v: expected at most half of the hold time %v", n.Keepalive, n.HoldTime)
		}
		if n.Range.IsValid() {
			n.Passive = true // whoever is not known beforehand cannot be dialed
		}
		switch n.Role {
		case bgpd.Switch:
			k.switchOnly(key)
		case bgpd.VirtualRouter:
			k.virtualRouter(n, key)
		}
	}
}

func (k checker) neighborNamed(n *bgpd.Neighbor, key string) {
	switch {
	case n.Address.IsValid() && n.Range.IsValid():
		k.bad(key+".range", "%s: expected either address or range", n.Range)
	case !n.Address.IsValid() && !n.Range.IsValid() && !k.has(key+".address") && !k.has(key+".range"):
		k.bad(key, "expected address, or range for neighbors that connect from any address of it")
	}
	if n.Range.IsValid() && n.Role == bgpd.Switch {
		k.bad(key+".range", "%s: expected address: a switch is named one by one, for it gets all announcements", n.Range)
	}
}

// neighborTwice finds neighbors that two entries name.
func (k checker) neighborTwice(i int, key string) {
	n := k.c.Neighbors[i]
	for j, m := range k.c.Neighbors {
		name := fmt.Sprintf("neighbors[%d]", j)
		switch {
		case j == i:
		case n.Address.IsValid() && n.Address == m.Address && j < i:
			if n.Role != m.Role {
				k.bad(key+".address", "%s is %s already, as a %s: expected one role per neighbor", n.Address, name, m.Role)
				continue
			}
			k.bad(key+".address", "%s is %s already", n.Address, name)
		case n.Address.IsValid() && m.Range.IsValid() && m.Range.Contains(n.Address) && n.Role != m.Role:
			k.bad(key+".address", "%s lies inside the range %s of %s, which is a %s: expected one role per neighbor", n.Address, m.Range, name, m.Role)
		case n.Range.IsValid() && m.Range.IsValid() && n.Range.Overlaps(m.Range) && j < i:
			k.bad(key+".range", "%s overlaps the range %s of %s", n.Range, m.Range, name)
		}
	}
}

// switchOnly reports what only virtual routers have.
func (k checker) switchOnly(key string) {
	for _, only := range []string{"allow", "max-prefixes", "carriers", "profile"} {
		if k.has(key + "." + only) {
			k.bad(key+"."+only, "only for the role virtual-router: nothing is learned from a switch")
		}
	}
}

func (k checker) virtualRouter(n *bgpd.Neighbor, key string) {
	if n.MaxPrefixes == 0 {
		n.MaxPrefixes = defaultMaxPrefixes
	}
	switch {
	case n.Allow == nil:
		k.warn(key+".allow", "not set: %s may claim every EIP of every segment", name(n))
	case len(n.Allow) == 0:
		k.warn(key+".allow", "empty: nothing that %s says is accepted", name(n))
	}
	for i, p := range n.Allow {
		if p.Bits() > 0 && !overlapsAny(p, k.c.Segments) {
			k.warn(fmt.Sprintf("%s.allow[%d]", key, i), "%s has no address in common with any segment: nothing of it is accepted", p)
		}
	}
	k.carriers(n, key)
	o := n.Profile.OVN
	if o != nil && o.Outport == 0 {
		k.missing(key+".profile.ovn.outport", "the tunnel key of the router-type port of the external switch")
	}
	if o != nil && n.Profile.Protocol != encap.Geneve {
		k.bad(key+".profile.ovn", "only with protocol geneve: %s has no options", n.Profile.Protocol)
	}
}

// carriers fills in those that can work, and reports those that can't.
func (k checker) carriers(n *bgpd.Neighbor, key string) {
	if n.Carriers == nil {
		n.Carriers = []rib.Carrier{rib.CarrierTunnelEncap, rib.CarrierLargeCommunity}
		if n.Profile.VNI != nil {
			n.Carriers = append(n.Carriers, rib.CarrierNextHop)
			if len(k.c.Gateway.ServiceAddresses) > 0 {
				n.Carriers = append(n.Carriers, rib.CarrierPeer)
			}
		}
		return
	}
	if len(n.Carriers) == 0 {
		k.bad(key+".carriers", "nothing: expected one or more of tunnel-encap, large-community, next-hop, peer")
	}
	for i, c := range n.Carriers {
		at := fmt.Sprintf("%s.carriers[%d]", key, i)
		if (c == rib.CarrierNextHop || c == rib.CarrierPeer) && n.Profile.VNI == nil {
			k.bad(at, "%s: expected profile.vni as well, for the route names none", c)
		}
		if c == rib.CarrierPeer && len(k.c.Gateway.ServiceAddresses) == 0 {
			k.bad(at, "peer: expected gateway.service-addresses as well, which such routes have as next hop")
		}
	}
	// Order carries no meaning: best carrier first, always.
	slices.Sort(n.Carriers)
}
