package rib

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// segment is a prefix that is wanted, or was and is on its way out.
type segment struct {
	Segment   // as wanted; as it was last wanted once it is on its way out
	wanted    bool
	announced bool
	since     time.Time // of announced, either way; zero when it never was
}

// choreography is the order in which segments come and go. It is a plain value
// that knows neither switches nor clocks: the RIB carries out what it says, and
// a plan is the same code run ahead on a copy.
//
// Its rules: what is new is announced first. What is no longer wanted goes when every
// wanted segment that overlaps it, covering or more specific, has been announced
// for the settling time. Bindings of a segment stay for the lingering time after it
// is withdrawn. So an address that stays wanted always has a route, however often
// the wanted set changes in between.
type choreography struct {
	settle, linger time.Duration
	segments       map[netip.Prefix]*segment
}

func (c *choreography) clone() *choreography {
	d := &choreography{settle: c.settle, linger: c.linger, segments: map[netip.Prefix]*segment{}}
	for p, s := range c.segments {
		copied := *s
		d.segments[p] = &copied
	}
	return d
}

// want replaces the wanted set. The segments have been checked.
func (c *choreography) want(want []Segment) {
	for _, s := range c.segments {
		s.wanted = false
	}
	for _, w := range want {
		s := c.segments[w.Prefix]
		if s == nil {
			s = &segment{}
			c.segments[w.Prefix] = s
		}
		s.Segment, s.wanted = w, true
	}
}

// sorted lists the segments in address order.
func (c *choreography) sorted() []*segment {
	return slices.SortedFunc(maps.Values(c.segments), func(a, b *segment) int { return a.Prefix.Compare(b.Prefix) })
}

// wanted lists the wanted segments in address order.
func (c *choreography) wanted() []Segment {
	var out []Segment
	for _, s := range c.sorted() {
		if s.wanted {
			out = append(out, s.Segment)
		}
	}
	return out
}

// served lists the prefixes whose bindings are programmed and whose frames the
// ports redirect: everything wanted, announced or lingering.
func (c *choreography) served() []netip.Prefix {
	return slices.SortedFunc(maps.Keys(c.segments), netip.Prefix.Compare)
}

// expire forgets segments that have lingered, and returns when the next one will
// have; zero when none lingers.
func (c *choreography) expire(now time.Time) (wake time.Time) {
	for p, s := range c.segments {
		if s.wanted || s.announced {
			continue
		}
		if s.since.IsZero() || !now.Before(s.since.Add(c.linger)) {
			delete(c.segments, p)
			continue
		}
		wake = earlier(wake, s.since.Add(c.linger))
	}
	return wake
}

// next returns what is to be announced now, in address order, and when to ask
// again if nothing else happens; zero for never. ready says whether a segment's
// bindings are programmed.
func (c *choreography) next(now time.Time, ready func(netip.Prefix) bool) (set []Segment, wake time.Time) {
	for _, s := range c.sorted() {
		switch {
		case s.wanted:
			if s.announced || ready(s.Prefix) {
				set = append(set, s.Segment)
			}
		case s.announced:
			settled, at := c.settled(s.Prefix, now)
			if !settled {
				set = append(set, s.Segment)
				wake = earlier(wake, at)
			}
		}
	}
	return set, wake
}

// settled says whether everything wanted that overlaps p has been announced for
// the settling time, and if not, when it will have; zero where that hangs on more
// than time.
func (c *choreography) settled(p netip.Prefix, now time.Time) (bool, time.Time) {
	var at time.Time
	for _, w := range c.segments {
		if !w.wanted || !w.Prefix.Overlaps(p) {
			continue
		}
		if !w.announced {
			return false, time.Time{}
		}
		if due := w.since.Add(c.settle); due.After(at) {
			at = due
		}
	}
	return !at.After(now), at
}

// announced notes that the switches are being told of exactly this set.
func (c *choreography) announced(set []Segment, now time.Time) {
	in := make(map[netip.Prefix]bool, len(set))
	for _, s := range set {
		in[s.Prefix] = true
	}
	for p, s := range c.segments {
		if s.announced != in[p] {
			s.announced, s.since = in[p], now
		}
	}
}

// state is how far a segment has come, since when and until when at the earliest.
func (c *choreography) state(s *segment, open bool, now time.Time) SegmentStatus {
	st := SegmentStatus{Segment: s.Segment, Since: s.since}
	switch {
	case s.wanted && s.announced:
		st.State = SegmentAnnounced
	case s.wanted && open:
		st.State = SegmentProgramming
	case s.wanted:
		st.State = SegmentHeld
	case s.announced:
		st.State = SegmentReplaced
		_, st.Until = c.settled(s.Prefix, now)
	default:
		st.State, st.Until = SegmentLingering, s.since.Add(c.linger)
	}
	return st
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// checkSegments refuses a set that cannot be announced. Overlapping is fine.
func checkSegments(want []Segment) error {
	seen := make(map[netip.Prefix]bool, len(want))
	for _, s := range want {
		p, ok := cleanPrefix(s.Prefix)
		switch {
		case !ok:
			return fmt.Errorf("rib: segment %s: expected an IPv4 or IPv6 prefix", s.Prefix)
		case p != s.Prefix:
			return fmt.Errorf("rib: segment %s has bits beyond its length, expected %s", s.Prefix, p)
		case seen[p]:
			return fmt.Errorf("rib: segment %s is named twice, expected each prefix once", p)
		}
		seen[p] = true
	}
	return nil
}

// equal says whether two segments are announced alike.
func (s Segment) equal(o Segment) bool {
	return s.Prefix == o.Prefix && slices.Equal(s.Communities, o.Communities) &&
		slices.Equal(s.LargeCommunities, o.LargeCommunities) &&
		(s.MED == nil) == (o.MED == nil) && (s.MED == nil || *s.MED == *o.MED)
}

func (s Segment) clone() Segment {
	s.Communities, s.LargeCommunities = slices.Clone(s.Communities), slices.Clone(s.LargeCommunities)
	if s.MED != nil {
		med := *s.MED
		s.MED = &med
	}
	return s
}
