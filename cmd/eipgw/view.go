package main

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/encap"
)

// States of a binding, as admin.Binding has them.
const (
	stateForwarding  = "forwarding"
	statePartial     = "partial"
	stateUnresolved  = "unresolved"
	stateProgramming = "programming"
	stateRefused     = "refused"
)

// Bindings implements admin.Gateway. The RIB and the table are each walked once per
// page, one after the other: what changes between the two shows as programming.
func (g *gateway) Bindings(q admin.BindingQuery) admin.BindingPage {
	page := admin.BindingPage{Bindings: []admin.Binding{}}
	states, next := g.ribPage(q)
	page.Next = next
	if len(states) == 0 {
		return page
	}
	resolved := g.resolved(states[0].Prefix, states[len(states)-1].Prefix)
	for i := range states {
		b := bindingView(&states[i])
		b.State = bindingState(&states[i], resolved[b.Prefix])
		page.Bindings = append(page.Bindings, b)
	}
	return page
}

// ribPage is what the RIB knows of the prefixes that q asks for, and where the next
// page begins.
func (g *gateway) ribPage(q admin.BindingQuery) (states []rib.PrefixState, next *netip.Prefix) {
	from := q.From
	if q.Under.IsValid() && (!from.IsValid() || from.Compare(q.Under) < 0) {
		from = q.Under
	}
	g.rib.Walk(from, func(s rib.PrefixState) bool {
		switch {
		case q.Under.IsValid() && !q.Under.Overlaps(s.Prefix):
			return false // behind it: the walk is in address order
		case q.Under.IsValid() && s.Prefix.Bits() < q.Under.Bits():
			return true // covers it
		case len(s.Tunnels) == 0 && !s.Programmed:
			return true // only refused claims: those are under refusals
		case len(states) == q.Limit:
			next = &s.Prefix
			return false
		}
		states = append(states, s)
		return true
	})
	return states, next
}

// resolved is what the table holds from first to last.
func (g *gateway) resolved(first, last netip.Prefix) map[netip.Prefix]fib.BindingState {
	out := map[netip.Prefix]fib.BindingState{}
	g.compiler.Walk(first, func(b fib.BindingState) bool {
		out[b.Prefix] = b
		return b.Prefix != last && !after(b.Prefix, last)
	})
	return out
}

// after says whether a comes behind b in a walk: IPv4 first, then by address.
func after(a, b netip.Prefix) bool {
	if a.Addr().Is4() != b.Addr().Is4() {
		return b.Addr().Is4()
	}
	return b.Addr().Less(a.Addr())
}

func bindingView(s *rib.PrefixState) admin.Binding {
	b := admin.Binding{Prefix: s.Prefix, Tunnels: []admin.Tunnel{}, Problem: s.Problem, Candidates: len(s.Candidates)}
	for _, t := range s.Tunnels {
		b.Tunnels = append(b.Tunnels, tunnelView(t))
	}
	for _, c := range s.Candidates {
		if !c.Chosen {
			continue
		}
		if id := string(c.Source); !slices.Contains(b.Sources, id) {
			b.Sources = append(b.Sources, id)
		}
		if name := c.Carrier.String(); !slices.Contains(b.Carriers, name) {
			b.Carriers = append(b.Carriers, name)
		}
		if b.Learned.IsZero() || c.Learned.Before(b.Learned) {
			b.Learned = c.Learned
		}
	}
	return b
}

// bindingState puts together what the RIB and the table say of a prefix.
func bindingState(s *rib.PrefixState, b fib.BindingState) string {
	switch {
	case s.Problem != "":
		return stateRefused
	case !s.Programmed || len(b.Tunnels) == 0:
		return stateProgramming
	case b.Resolved == 0:
		return stateUnresolved
	case b.Resolved < len(b.Tunnels):
		return statePartial
	}
	return stateForwarding
}

func tunnelView(t encap.Tunnel) admin.Tunnel {
	t = t.Canonical()
	v := admin.Tunnel{
		VTEP: t.VTEP, VNI: uint32(t.VNI), Protocol: t.Protocol.String(), UDPPort: t.Port,
		InnerMAC: t.InnerDst.String(), InnerSrc: t.InnerSrc.String(),
	}
	if t.Options.Len() > 0 {
		v.Options = t.Options.String()
	}
	return v
}

// Segments implements admin.Gateway.
func (g *gateway) Segments() []admin.Segment {
	g.mu.Lock()
	set := g.segments.clone()
	g.mu.Unlock()
	out := []admin.Segment{}
	for _, s := range g.rib.Status().Segments {
		want, origin, _ := set.get(s.Prefix)
		out = append(out, segmentView(s, &want, origin))
	}
	return out
}

// segmentView is a segment as it is, beside how it is wanted, which is nothing for one on
// its way out.
func segmentView(s rib.SegmentStatus, want *config.Segment, origin string) admin.Segment {
	v := admin.Segment{
		Prefix: s.Prefix, State: s.State.String(), Origin: origin, Since: s.Since, Until: s.Until, MED: s.MED, MSSClamp: want.ClampMSS,
	}
	for _, c := range s.Communities {
		v.Communities = append(v.Communities, config.FormatCommunity(c))
	}
	for _, c := range s.LargeCommunities {
		v.LargeCommunities = append(v.LargeCommunities, config.FormatLargeCommunity(c))
	}
	return v
}

// Neighbors implements admin.Gateway.
func (g *gateway) Neighbors() []admin.Neighbor {
	out := []admin.Neighbor{}
	for _, n := range g.speaker.Neighbors() {
		v := admin.Neighbor{
			Name: n.Name, Address: n.Address, Range: n.Range, Role: n.Role.String(), ASN: n.ASN,
			State: n.State, Since: n.Since, RouterID: n.RouterID, Local: n.Local, Families: []string{}, Synced: n.Synced,
			Received: n.Received, Accepted: n.Accepted, Refused: n.Refused, Advertised: n.Advertised,
			Flaps: n.Flaps, LastError: n.LastError, ErrorTime: n.ErrorTime,
		}
		for _, f := range n.Families {
			v.Families = append(v.Families, f.String())
		}
		out = append(out, v)
	}
	return out
}

// Sources implements admin.Gateway.
func (g *gateway) Sources() []admin.Source {
	out := []admin.Source{}
	for _, s := range g.rib.Status().Sources {
		v := admin.Source{
			ID: string(s.ID), Name: g.sources.name(s.ID), Rank: s.Policy.Rank, Allow: s.Policy.Allow, MaxPrefixes: s.Policy.MaxPrefixes,
			Synced: s.Synced, Paths: s.Paths, Accepted: s.Accepted, Refused: s.Refused, NotHeld: s.NotHeld,
			Refusals: map[string]uint64{},
		}
		if v.Name == v.ID {
			v.Name = ""
		}
		for r, n := range s.Refusals {
			if n > 0 {
				v.Refusals[rib.RefuseReason(r).String()] = n
			}
		}
		out = append(out, v)
	}
	return out
}

// Refusals implements admin.Gateway.
func (g *gateway) Refusals() []admin.Refusal { return refusalViews(g.rib.Refusals()) }

func refusalViews(list []rib.Refusal) []admin.Refusal {
	out := []admin.Refusal{}
	for _, r := range list {
		out = append(out, admin.Refusal{
			Source: string(r.Source), Prefix: r.Prefix, Reason: r.Reason.String(), Detail: r.Detail, Time: r.Time, Count: r.Count,
		})
	}
	return out
}

// Underlay implements admin.Gateway.
func (g *gateway) Underlay() []admin.VTEP {
	out := []admin.VTEP{}
	for _, s := range g.network.Status() {
		v := admin.VTEP{Address: s.VTEP, State: "resolved", Since: s.Since, Ways: []admin.Way{}}
		if s.Err != nil {
			v.State = strings.TrimPrefix(s.Err.Error(), "underlay: VTEP "+s.VTEP.String()+": ") // of which one is said beside it
		}
		v.PathMTU = pathMTUView(s.PathMTU)
		for _, w := range s.Ways {
			way := g.wayView(w.Adjacency)
			way.NextHop = w.NextHop
			v.Ways = append(v.Ways, way)
		}
		out = append(out, v)
	}
	return out
}

// pathMTUView is nil where no router has reported anything.
func pathMTUView(p underlay.PathMTU) *admin.PathMTU {
	if p.MTU == 0 {
		return nil
	}
	return &admin.PathMTU{MTU: p.MTU, Reporter: p.Reporter, Reported: p.Reported}
}

func (g *gateway) wayView(a fib.Adjacency) admin.Way {
	return admin.Way{
		Port: g.portName(a.Port), SrcMAC: a.Outer.Src.String(), DstMAC: a.Outer.Dst.String(),
		VLAN: vlanText(a.Outer.VLAN), Local: a.Outer.Local, MTU: a.MTU,
	}
}

// vlanText is what the API says of tags: nothing when there are none.
func vlanText(v encap.VLAN) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}

// portName is what the configuration calls a port.
func (g *gateway) portName(id fib.PortID) string {
	if i := int(id) - 1; i >= 0 && i < len(g.ports) {
		return g.ports[i].Name
	}
	return "port " + strconv.Itoa(int(id))
}

// tableView is what the table holds.
func tableView(s fib.Stats) admin.Table {
	return admin.Table{
		IPv4: s.IPv4, IPv6: s.IPv6, Unresolved: s.Unresolved, VTEPs: s.VTEPs, Tunnels: s.Tunnels,
		UnresolvedTunnels: s.UnresolvedTunnels, Groups: s.Groups, Entries: s.Entries, Retired: s.Retired, Bytes: s.Bytes,
	}
}

// Metrics implements admin.Gateway.
func (g *gateway) Metrics() admin.Metrics {
	m := admin.Metrics{
		Status: g.Status(), Counters: g.Counters(), PollGaps: g.pollGaps(), Ports: g.Ports(), Neighbors: g.Neighbors(), Segments: g.Segments(),
	}
	for _, v := range g.network.Status() {
		m.VTEPs++
		if len(v.Ways) > 0 {
			m.VTEPsUp++
		}
		if v.PathMTU.MTU > 0 {
			m.PathMTUs++
		}
	}
	m.TooBig = map[string]uint64{}
	for o, n := range g.network.Outcomes() {
		m.TooBig[underlay.Outcome(o).String()] = n
	}
	k := g.rib.Status().Counters
	m.RIB = admin.RIBMetrics{
		Updates: k.Updates, Received: k.Received, Coalesced: k.Coalesced, Batches: k.Batches, Programs: k.Programs, Announces: k.Announces,
		Refused: map[string]uint64{},
		Lag:     admin.Histogram{Count: k.Lag.Count, Sum: k.Lag.Sum, Bounds: rib.LagBounds[:], Counts: k.Lag.Buckets[:]},
	}
	for r := rib.RefuseNone + 1; r < rib.NumRefuseReasons; r++ {
		m.RIB.Refused[r.String()] = k.Refused[r]
	}
	return m
}

// binding is the binding of exactly that prefix, or nil.
func (g *gateway) binding(p netip.Prefix) *admin.Binding {
	page := g.Bindings(admin.BindingQuery{From: p, Under: p, Limit: 1})
	if len(page.Bindings) == 0 || page.Bindings[0].Prefix != p {
		return nil
	}
	return &page.Bindings[0]
}

// sessions counts neighbors by role.
func sessions(list []bgpd.NeighborStatus, s *admin.Summary) {
	for _, n := range list {
		if !n.Address.IsValid() {
			continue // a range that nobody has connected from
		}
		up := 0
		if n.State == admin.StateEstablished {
			up = 1
		}
		switch n.Role {
		case bgpd.Switch:
			s.Switches, s.SwitchesUp = s.Switches+1, s.SwitchesUp+up
		case bgpd.VirtualRouter:
			s.VirtualRouters, s.VirtualRoutersUp = s.VirtualRouters+1, s.VirtualRoutersUp+up
		}
	}
}
