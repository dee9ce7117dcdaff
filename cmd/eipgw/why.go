package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Verdicts of admin.Why.
const (
	verdictForwarded = "forwarded"
	verdictDropped   = "dropped"
	verdictNotOurs   = "not ours"
)

// Why implements admin.Gateway. What the table does is asked of the table; the RIB
// says how it came to that.
func (g *gateway) Why(addr netip.Addr, flow *admin.Flow) admin.Why {
	e := g.rib.Why(addr)
	w := admin.Why{Address: addr, Refusals: refusalViews(e.Refusals)}
	if e.Segment != nil {
		g.mu.Lock()
		want, origin, _ := g.segments.get(e.Segment.Prefix)
		g.mu.Unlock()
		s := segmentView(*e.Segment, &want, origin)
		w.Segment = &s
	}
	table, bound := g.compiler.Lookup(addr)
	for _, p := range e.Prefixes {
		w.Prefixes = append(w.Prefixes, whyPrefix(&p, bound && table.Prefix == p.Prefix))
	}
	rules, paths := g.rules.parts(), g.pathMTUs(table.Tunnels)
	for _, t := range table.Tunnels {
		v := g.whyTunnel(&t)
		v.PathMTU = paths[t.Tunnel.VTEP]
		if rules.clamped(addr) {
			for i := range v.Ways {
				v.Ways[i].MSS = clampedMSS(addr, v.Ways[i].Inner)
			}
		}
		w.Tunnels = append(w.Tunnels, v)
	}
	w.Verdict, w.Summary = judge(&e, &table, bound)
	if w.Verdict == verdictDropped {
		refusal := rules.cfg.Forwarding.Unbound
		if bound {
			refusal = rules.cfg.Forwarding.Unresolved
		}
		w.Answer = rules.answer(refusal, addr.Is4())
	}
	if flow != nil {
		w.Choice = choose(addr, *flow, &table)
	}
	return w
}

// choose computes which tunnel and way a flow takes, as workers do; nil where there is
// none to take.
func choose(to netip.Addr, f admin.Flow, table *fib.Explanation) *admin.Choice {
	var hash uint32
	ports := uint32(f.FromPort)<<16 | uint32(f.ToPort)
	if to.Is4() {
		src, dst := f.From.As4(), to.As4()
		hash = dataplane.FlowHash4(dataplane.Flow4{
			Src: binary.BigEndian.Uint32(src[:]), Dst: binary.BigEndian.Uint32(dst[:]), Ports: ports, Protocol: f.Protocol,
		})
	} else {
		hash = dataplane.FlowHash6(dataplane.Flow6{
			Src: fib.Addr6From(f.From), Dst: fib.Addr6From(to), Ports: ports, Protocol: f.Protocol,
		})
	}
	tunnel, way, ok := table.Choose(hash)
	if !ok {
		return nil
	}
	return &admin.Choice{Hash: fmt.Sprintf("0x%08x", hash), SourcePort: uint16(0xc000 | hash&0x3fff), Tunnel: tunnel, Way: way}
}

// judge says in a word and a sentence what happens.
func judge(e *rib.Explanation, table *fib.Explanation, bound bool) (verdict, summary string) {
	switch {
	case bound && table.Resolved():
		tunnels := 0
		for _, t := range table.Tunnels {
			if len(t.Ways) > 0 {
				tunnels++
			}
		}
		summary = fmt.Sprintf("%s is bound, %d of %s resolved", table.Prefix, tunnels, plural(len(table.Tunnels), "tunnel"))
		if e.Segment == nil {
			return verdictNotOurs, summary + ", but no segment covers it: its frames are the kernel's"
		}
		if e.Segment.State != rib.SegmentAnnounced {
			summary += fmt.Sprintf("; its segment is %s, so switches do not send its frames here", e.Segment.State)
		}
		return verdictForwarded, summary
	case bound:
		return verdictDropped, fmt.Sprintf("%s is bound, but the underlay knows no way to its virtual router: counted as %s", table.Prefix, dataplane.ReasonUnresolvedVTEP)
	case e.Segment == nil:
		return verdictNotOurs, "no segment covers it: its frames, should any come, are the kernel's"
	}
	return verdictDropped, fmt.Sprintf("%s; counted as %s", e.Summary, dataplane.ReasonNoBinding)
}

func whyPrefix(p *rib.PrefixState, inForce bool) admin.WhyEIP {
	v := admin.WhyEIP{Prefix: p.Prefix, InForce: inForce, Problem: p.Problem, Candidates: []admin.Candidate{}}
	for _, c := range p.Candidates {
		k := admin.Candidate{
			Source: string(c.Source), Router: c.Router, Carrier: c.Carrier.String(), Tunnel: tunnelView(c.Tunnel),
			Chosen: c.Chosen, Why: c.Why, LocalPref: c.LocalPref, ASPathLen: c.ASPathLen, MED: c.MED, Learned: c.Learned,
		}
		if c.Refused != rib.RefuseNone {
			k.Refused = c.Refused.String()
		}
		v.Candidates = append(v.Candidates, k)
	}
	return v
}

// pathMTUs are those of the tunnels' VTEPs, where there is one.
func (g *gateway) pathMTUs(tunnels []fib.TunnelState) map[netip.Addr]*admin.PathMTU {
	out := map[netip.Addr]*admin.PathMTU{}
	if len(tunnels) == 0 {
		return out
	}
	for _, s := range g.network.Status() {
		if s.PathMTU.MTU != 0 {
			out[s.VTEP] = pathMTUView(s.PathMTU)
		}
	}
	return out
}

func (g *gateway) whyTunnel(t *fib.TunnelState) admin.WhyWay {
	v := admin.WhyWay{Tunnel: tunnelView(t.Tunnel)}
	if t.Err != nil {
		v.Unresolved = t.Err.Error()
	}
	for _, w := range t.Ways {
		way := g.wayView(w.Adjacency)
		way.Inner, way.Header = w.InnerMTU, headerText(&w.Header)
		v.Ways = append(v.Ways, way)
	}
	return v
}

// headerText is what stands in front of an empty inner packet of flow hash 0: every
// byte as it goes out but the lengths and what depends on the packet.
func headerText(h *encap.Header) string {
	b := make([]byte, h.Len())
	h.Apply(b, encap.Inner{})
	return hex.EncodeToString(b)
}
