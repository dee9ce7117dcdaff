package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// Origins of a wanted segment.
const (
	originConfig = "config"
	originAdmin  = "admin"
)

// segmentSet is which segments are wanted: the file's, and on top what was added and
// withdrawn at runtime. A reload exchanges the file's part; the rest stays until the
// daemon ends. Its owner is gateway.mu.
type segmentSet struct {
	file  map[netip.Prefix]config.Segment
	admin map[netip.Prefix]*config.Segment // nil: withdrawn
}

func newSegmentSet(file []config.Segment) segmentSet {
	s := segmentSet{file: map[netip.Prefix]config.Segment{}, admin: map[netip.Prefix]*config.Segment{}}
	for _, seg := range file {
		s.file[seg.Prefix] = seg
	}
	return s
}

// clone is a copy to try a change on.
func (s segmentSet) clone() segmentSet {
	return segmentSet{file: maps.Clone(s.file), admin: maps.Clone(s.admin)}
}

// withFile is s with another file. What was withdrawn at runtime and is not in the
// file either is forgotten: should it come back into the file, it is wanted again.
func (s segmentSet) withFile(file []config.Segment) segmentSet {
	next := newSegmentSet(file)
	for p, seg := range s.admin {
		if _, there := next.file[p]; there || seg != nil {
			next.admin[p] = seg
		}
	}
	return next
}

// get is the wanted segment of a prefix, and where it is from.
func (s segmentSet) get(p netip.Prefix) (seg config.Segment, origin string, ok bool) {
	if a, there := s.admin[p]; there {
		if a == nil {
			return config.Segment{}, "", false
		}
		return *a, originAdmin, true
	}
	if seg, ok = s.file[p]; ok {
		origin = originConfig
	}
	return seg, origin, ok
}

// list is the wanted segments in address order.
func (s segmentSet) list() []config.Segment {
	all := map[netip.Prefix]bool{}
	for p := range s.file {
		all[p] = true
	}
	for p := range s.admin {
		all[p] = true
	}
	var out []config.Segment
	for _, p := range slices.SortedFunc(maps.Keys(all), netip.Prefix.Compare) {
		if seg, _, ok := s.get(p); ok {
			out = append(out, seg)
		}
	}
	return out
}

// wanted is what of them BGP has to know.
func (s segmentSet) wanted() []rib.Segment {
	var out []rib.Segment
	for _, seg := range s.list() {
		out = append(out, seg.Segment)
	}
	return out
}

// clamps says of every wanted segment whether the MSS of TCP SYNs for it is lowered;
// nil if none is. Where one lies inside another, each says it for itself.
func (s segmentSet) clamps() map[netip.Prefix]bool {
	out, some := map[netip.Prefix]bool{}, false
	for _, seg := range s.list() {
		out[seg.Prefix] = seg.ClampMSS
		some = some || seg.ClampMSS
	}
	if !some {
		return nil
	}
	return out
}

func (s segmentSet) add(seg config.Segment) { s.admin[seg.Prefix] = &seg }

// withdraw takes a segment out; it says no when it is not wanted anyway.
func (s segmentSet) withdraw(p netip.Prefix) bool {
	if _, _, ok := s.get(p); !ok {
		return false
	}
	if _, there := s.file[p]; there {
		s.admin[p] = nil
	} else {
		delete(s.admin, p)
	}
	return true
}

// overridden names the segments of the file that runtime changes hold back or alter.
func (s segmentSet) overridden() (notes []string) {
	for _, p := range slices.SortedFunc(maps.Keys(s.admin), netip.Prefix.Compare) {
		if _, there := s.file[p]; !there {
			continue
		}
		if s.admin[p] == nil {
			notes = append(notes, fmt.Sprintf("segment %s is in the file but stays withdrawn, as the admin API was told: `eipgw segment add %s` undoes that", p, p))
		} else {
			notes = append(notes, fmt.Sprintf("segment %s keeps the attributes and the MSS clamping that the admin API was given", p))
		}
	}
	return notes
}

// ChangeSegments implements admin.Gateway.
func (g *gateway) ChangeSegments(_ context.Context, c admin.SegmentChange) (admin.Plan, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, next := g.segments, g.segments.clone()
	if err := applyChange(next, c, g.cfg); err != nil {
		return admin.Plan{}, err
	}
	set := g.rib.SetSegments
	if c.DryRun {
		set = g.rib.PlanSegments
	}
	plan, err := set(next.wanted())
	if err != nil {
		return admin.Plan{}, &admin.Problem{Kind: admin.ErrInvalid, Text: err.Error()}
	}
	if !c.DryRun {
		g.segments = next
		if err := g.rules.change(func(p *ruleParts) { p.clamp = next.clamps() }); err != nil {
			return admin.Plan{}, fmt.Errorf("the segments are as they should be, but MSS clamping is not: %w", err)
		}
	}
	view := g.planView(plan, c.DryRun)
	view.Steps = append(clampSteps(before, next), view.Steps...)
	return view, nil
}

// clampSteps say of which segments that stay wanted the MSS is clamped from now on, or no
// longer. BGP knows nothing of that, so it is in none of its steps.
func clampSteps(before, next segmentSet) (steps []admin.Step) {
	for _, kind := range []struct {
		name, why string
		clamp     bool
	}{{"clamp", "TCP SYNs get an MSS that fits the tunnel", true}, {"unclamp", "TCP SYNs keep their MSS", false}} {
		var changed []netip.Prefix
		for _, seg := range next.list() {
			if old, _, ok := before.get(seg.Prefix); ok && old.ClampMSS != seg.ClampMSS && seg.ClampMSS == kind.clamp {
				changed = append(changed, seg.Prefix)
			}
		}
		if len(changed) > 0 {
			steps = append(steps, admin.Step{Kind: kind.name, After: "0s", Prefixes: changed, Why: kind.why})
		}
	}
	return steps
}

// planView is a plan as the API shows it, with a note where it has to wait.
func (g *gateway) planView(plan rib.Plan, dry bool) admin.Plan {
	out := admin.Plan{DryRun: dry, Steps: []admin.Step{}}
	for _, s := range plan.Steps {
		out.Steps = append(out.Steps, admin.Step{
			Kind: s.Kind.String(), After: s.After.Round(time.Millisecond).String(), Prefixes: s.Prefixes, Why: s.Why,
		})
	}
	if gate := g.rib.Status().Gate; !gate.Open {
		for _, r := range gate.Reasons {
			out.Notes = append(out.Notes, "nothing is announced now: "+r)
		}
	}
	return out
}

func invalid(format string, args ...any) error {
	return &admin.Problem{Kind: admin.ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

// applyChange makes c in s.
func applyChange(s segmentSet, c admin.SegmentChange, cfg *config.Config) error {
	var add []config.Segment
	withdraw := slices.Clone(c.Withdraw)
	for _, spec := range c.Add {
		seg, err := segmentOf(spec)
		if err != nil {
			return err
		}
		add = append(add, seg)
	}
	if c.Split != nil {
		parts, err := splitParts(s, *c.Split)
		if err != nil {
			return err
		}
		add, withdraw = append(add, parts...), append(withdraw, c.Split.Prefix)
	}
	if c.Merge != nil {
		whole, inside, err := mergeParts(s, *c.Merge)
		if err != nil {
			return err
		}
		add, withdraw = append(add, whole), append(withdraw, inside...)
	}
	if len(add)+len(withdraw) == 0 {
		return invalid("nothing to change: expected add, withdraw, split or merge")
	}
	for _, p := range withdraw {
		if !s.withdraw(p) {
			return &admin.Problem{Kind: admin.ErrNotFound, Text: fmt.Sprintf("%s is no wanted segment: `eipgw show segments` lists them", p)}
		}
	}
	for _, seg := range add {
		if err := cfg.CheckSegment(seg.Prefix); err != nil {
			return invalid("segment %v", err)
		}
		s.add(seg)
	}
	return nil
}

// segmentOf reads a segment of the API.
func segmentOf(spec admin.SegmentSpec) (config.Segment, error) {
	seg := config.Segment{
		Segment:  rib.Segment{Prefix: spec.Prefix, MED: spec.MED},
		ClampMSS: spec.MSSClamp != nil && *spec.MSSClamp,
	}
	if !spec.Prefix.IsValid() || spec.Prefix != spec.Prefix.Masked() || spec.Prefix.Addr().Is4In6() {
		return seg, invalid("segment %q: expected a prefix such as 203.0.113.0/24", spec.Prefix)
	}
	for _, c := range spec.Communities {
		v, err := config.ParseCommunity(c)
		if err != nil {
			return seg, invalid("segment %s: %v", spec.Prefix, err)
		}
		seg.Communities = append(seg.Communities, v)
	}
	for _, c := range spec.LargeCommunities {
		v, err := config.ParseLargeCommunity(c)
		if err != nil {
			return seg, invalid("segment %s: %v", spec.Prefix, err)
		}
		seg.LargeCommunities = append(seg.LargeCommunities, v)
	}
	return seg, nil
}
