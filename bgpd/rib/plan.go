package rib

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// StepKind is what one step of a plan does.
type StepKind uint8

// Kinds of steps.
const (
	StepProgram   StepKind = iota // program bindings and widen what the ports redirect
	StepAnnounce                  // announce segments that the switches do not have
	StepChange                    // announce segments again with other attributes
	StepWithdraw                  // withdraw segments
	StepUnprogram                 // take bindings out and narrow what the ports redirect
)

var stepNames = [...]string{"program", "announce", "change", "withdraw", "unprogram"}

// String is the kind's name in tables and JSON.
func (k StepKind) String() string {
	if int(k) >= len(stepNames) {
		return "unknown"
	}
	return stepNames[k]
}

// MarshalText makes JSON carry the name.
func (k StepKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Step is one step of a plan.
type Step struct {
	Kind     StepKind
	After    time.Duration // from the start of the plan, at the earliest
	Prefixes []netip.Prefix
	Why      string // for people
}

// Plan is the order in which a change of segments is carried out, such that no
// address that was covered and stays wanted is ever without a route.
type Plan struct {
	Steps []Step

	// Held says why nothing is announced at the moment: the plan's announcements wait
	// until that is over. Empty when the gate is open.
	Held []string
}

// String is one line for each step: "+2s withdraw 203.0.113.0/24: covered by ...".
func (p Plan) String() string {
	var b strings.Builder
	for _, h := range p.Held {
		fmt.Fprintf(&b, "held: %s\n", h)
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "+%s %s %s: %s\n", s.After, s.Kind, join(s.Prefixes), s.Why)
	}
	if len(p.Steps) == 0 {
		b.WriteString("nothing to do\n")
	}
	return b.String()
}

// Timing is how long a plan waits.
type Timing struct {
	Settle time.Duration // see Config
	Linger time.Duration
}

// PlanChange returns the plan that leads from one set of segments, announced for
// long, to another.
func PlanChange(from, to []Segment, t Timing) (Plan, error) {
	if err := checkSegments(from); err != nil {
		return Plan{}, err
	}
	if err := checkSegments(to); err != nil {
		return Plan{}, err
	}
	start := time.Unix(0, 0)
	c := &choreography{settle: t.Settle, linger: t.Linger, segments: map[netip.Prefix]*segment{}}
	c.want(from)
	c.announced(from, start.Add(-t.Settle))
	return c.plan(to, start), nil
}

// plan runs a copy ahead, with an open gate and instant programming, and notes
// what it does.
func (c *choreography) plan(want []Segment, start time.Time) Plan {
	var p Plan
	sim := c.clone()
	served := sim.served()
	sim.want(want)
	ready := func(netip.Prefix) bool { return true }
	sent := c.clone()
	for now, more := start, true; more; {
		expire := sim.expire(now)
		after := now.Sub(start)
		was := served
		served = sim.served()
		p.add(StepUnprogram, after, minus(was, served), "withdrawn, and lingered")
		p.add(StepProgram, after, minus(served, was), "before it is announced")

		set, wake := sim.next(now, ready)
		changed := sim.steps(&p, after, sent, set)
		sim.announced(set, now)
		sent.want(set)
		sent.announced(set, now)
		if changed {
			continue // what follows may be due at the same time
		}
		now = earlier(expire, wake)
		more = !now.IsZero()
	}
	return p
}

// steps notes how set differs from what was sent before.
func (c *choreography) steps(p *Plan, after time.Duration, sent *choreography, set []Segment) (changed bool) {
	var add, change []netip.Prefix
	stays := map[netip.Prefix]bool{}
	for _, s := range set {
		stays[s.Prefix] = true
		switch old := sent.segments[s.Prefix]; {
		case old == nil || !old.announced:
			add = append(add, s.Prefix)
		case !old.Segment.equal(s):
			change = append(change, s.Prefix)
		}
	}
	var gone []netip.Prefix
	for _, s := range sent.sorted() {
		if s.announced && !stays[s.Prefix] {
			gone = append(gone, s.Prefix)
		}
	}
	p.add(StepAnnounce, after, add, c.whyAnnounce(add))
	p.add(StepChange, after, change, "other attributes")
	for _, g := range gone {
		p.add(StepWithdraw, after, []netip.Prefix{g}, c.whyWithdraw(g))
	}
	return len(add)+len(change)+len(gone) > 0
}

func (p *Plan) add(kind StepKind, after time.Duration, prefixes []netip.Prefix, why string) {
	if len(prefixes) > 0 {
		p.Steps = append(p.Steps, Step{Kind: kind, After: after, Prefixes: prefixes, Why: why})
	}
}

// whyAnnounce names what is announced still and will go because of add.
func (c *choreography) whyAnnounce(add []netip.Prefix) string {
	var going []netip.Prefix
	for _, s := range c.sorted() {
		if s.announced && !s.wanted && slices.ContainsFunc(add, s.Prefix.Overlaps) {
			going = append(going, s.Prefix)
		}
	}
	if len(going) == 0 {
		return "new"
	}
	return "before " + join(going) + " goes"
}

// whyWithdraw says who covers p from now on.
func (c *choreography) whyWithdraw(p netip.Prefix) string {
	var by []netip.Prefix
	for _, s := range c.sorted() {
		if s.wanted && s.Prefix.Overlaps(p) {
			by = append(by, s.Prefix)
		}
	}
	if len(by) == 0 {
		return "no longer wanted, and nothing that is covers it"
	}
	k := keyOf(p)
	v4, v6 := splitSpans(by)
	if k.v6 && v6.covers(k.key6(), k.key6().last(k.bits)) || !k.v6 && v4.covers(k.key4(), k.key4().last(k.bits)) {
		return "covered by " + join(by)
	}
	return "covered by " + join(by) + ", the rest is no longer wanted"
}

// minus lists what is in a and not in b.
func minus(a, b []netip.Prefix) []netip.Prefix {
	in := make(map[netip.Prefix]bool, len(b))
	for _, p := range b {
		in[p] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(p netip.Prefix) bool { return in[p] })
}

func join(prefixes []netip.Prefix) string {
	s := make([]string, len(prefixes))
	for i, p := range prefixes {
		s[i] = p.String()
	}
	return strings.Join(s, ", ")
}
