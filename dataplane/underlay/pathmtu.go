package underlay

import (
	"net/netip"
	"slices"
	"time"
)

// PathMTU is what routers have said of the path to a VTEP. The zero value: nothing.
type PathMTU struct {
	MTU      uint16     // the largest IP packet in bytes that gets there
	Reporter netip.Addr // the router that said so last
	Reported time.Time  // when, to the second
}

// Outcome is what came of an ICMP message.
type Outcome uint8

// Outcomes. All but the first two say why a message was ignored.
const (
	Lowered   Outcome = iota // the path MTU of a VTEP is less now
	Confirmed                // it stays, and is believed for longer

	IgnoredKind      // an error of another kind
	IgnoredMalformed // too short, or with a wrong checksum
	IgnoredNotTunnel // about a packet that is no tunnel packet
	IgnoredNoDF      // about an IPv4 packet that the router should have fragmented
	IgnoredVTEP      // about a packet to an address that is no VTEP
	IgnoredSource    // about a packet from an address that no way to the VTEP has
	IgnoredSize      // about a packet that fits, or is larger than any that was sent
	IgnoredMinimum   // of less than every path carries
	IgnoredHigher    // of more than the VTEP's path MTU, which is never raised
	IgnoredOften     // the VTEP's path MTU changed too often of late
	NumOutcomes

	believable Outcome = NumOutcomes // the loop has to say
)

var outcomeNames = [NumOutcomes]string{
	"lowered", "confirmed", "other_kind", "malformed", "not_tunnel", "no_df", "unknown_vtep", "foreign_source",
	"impossible_size", "below_minimum", "not_lower", "too_often",
}

// String is the name of the outcome in metrics.
func (o Outcome) String() string {
	if o < NumOutcomes {
		return outcomeNames[o]
	}
	return "unknown"
}

const (
	// defaultPathMTUAge is from RFC 1191 section 6.3 and RFC 8201 section 5.3: a path may carry
	// more again, and ten minutes after the last report it is tried.
	defaultPathMTUAge = 10 * time.Minute

	// defaultMinMTU4 is what Linux believes at the least by default
	// (net.ipv4.route.min_pmtu): every host takes 576 bytes (RFC 791 section 3.1), and a
	// forged report of the least that RFC 791 lets a link have, 68, would choke a VTEP.
	defaultMinMTU4 = 552

	linkMin4 = 68   // RFC 791 section 3.2; RFC 1191 section 3
	linkMin6 = 1280 // RFC 8200 section 5; RFC 8201 section 4 has smaller ones discarded

	// A path MTU falls in a few steps, one for each narrower link. After changeBurst changes
	// there is one in each changeEvery, so that nobody has entries compiled all the time.
	changeEvery = time.Second
	changeBurst = 8
)

// count notes what came of a message. Any goroutine may call it.
func (u *Underlay) count(o Outcome) { u.outcomes[o].Add(1) }

// Outcomes counts the ICMP messages received since the start, by what came of them.
func (u *Underlay) Outcomes() (n [NumOutcomes]uint64) {
	for i := range n {
		n[i] = u.outcomes[i].Load()
	}
	return n
}

// heed acts on a batch of reports and says whether there is anything to publish.
func (l *loop) heed(b *reports, now time.Time) bool {
	for i := range b.list[:b.n] {
		l.u.count(l.believe(&b.list[i], now))
	}
	return len(l.check) > 0
}

// believe judges a report and, if it is true as far as can be known, lowers the path MTU.
func (l *loop) believe(r *report, now time.Time) Outcome {
	v, tracked := l.vteps[r.dst]
	if !tracked {
		return IgnoredVTEP
	}
	mtu, o := l.judge(v, r)
	switch {
	case o != believable:
		return o
	case v.learned.MTU != 0 && mtu > v.learned.MTU:
		return IgnoredHigher
	case mtu == v.learned.MTU:
		if now.Sub(v.learned.Reported) >= time.Second {
			v.learned.Reporter, v.learned.Reported = r.reporter, now
			l.check[v] = struct{}{}
		}
		return Confirmed
	case !v.mayChange(now):
		return IgnoredOften
	}
	l.cfg.Log.Info("underlay: path MTU of a VTEP is lower", "vtep", v.addr, "mtu", mtu, "before", v.learned.MTU, "reporter", r.reporter)
	v.learned = PathMTU{MTU: mtu, Reporter: r.reporter, Reported: now}
	l.lowered[v] = struct{}{}
	l.expireAt = earliest(l.expireAt, now.Add(l.cfg.PathMTUAge))
	l.check[v] = struct{}{}
	return Lowered
}

// judge holds a report against what was sent to the VTEP, and says which path MTU follows
// from it. The packet has to be one that some way could have carried, whose next link on the
// path cannot.
func (l *loop) judge(v *vtep, r *report) (mtu uint16, o Outcome) {
	largest := 0
	for _, p := range v.paths {
		if p.err == nil && p.local == r.src {
			largest = max(largest, int(p.mtu))
		}
	}
	named, least := r.mtu, linkMin6
	if r.dst.Is4() {
		least = linkMin4
		if named == 0 {
			named = plateau(r.length)
		}
	}
	switch {
	case largest == 0:
		return 0, IgnoredSource
	case r.length > largest || r.length <= named:
		return 0, IgnoredSize
	case named < least:
		return 0, IgnoredMinimum
	}
	if r.dst.Is4() {
		named = max(named, int(l.cfg.MinMTU4))
		if r.length <= named {
			return 0, IgnoredMinimum
		}
	}
	return uint16(named), believable
}

// mayChange says whether the path MTU may change now, and counts the change if so.
func (v *vtep) mayChange(now time.Time) bool {
	if v.changes.Sub(now) > (changeBurst-1)*changeEvery {
		return false
	}
	v.changes = later(v.changes, now).Add(changeEvery)
	return true
}

// expire forgets the path MTUs that no router has reported for PathMTUAge.
func (l *loop) expire(now time.Time) {
	if !due(l.expireAt, now) {
		return
	}
	l.expireAt = time.Time{}
	for v := range l.lowered {
		at := v.learned.Reported.Add(l.cfg.PathMTUAge)
		if due(at, now) {
			l.forget(v, "no report of late")
			continue
		}
		l.expireAt = earliest(l.expireAt, at)
	}
}

// forget has the MTUs of the VTEP's ways count again.
func (l *loop) forget(v *vtep, why string) {
	if v.learned.MTU == 0 {
		return
	}
	l.cfg.Log.Info("underlay: path MTU of a VTEP is forgotten", "vtep", v.addr, "mtu", v.learned.MTU, "reason", why)
	v.learned = PathMTU{}
	delete(l.lowered, v)
	l.check[v] = struct{}{}
}

// sameHops says whether two routes lead through the same next hops, in whatever order.
func sameHops(a, b []path) bool { return throughAll(a, b) && throughAll(b, a) }

// throughAll says whether b has every next hop of a.
func throughAll(a, b []path) bool {
	for _, p := range a {
		if p.err == nil && !slices.ContainsFunc(b, func(q path) bool { return q.err == nil && q.hop == p.hop }) {
			return false
		}
	}
	return true
}

// lower holds ways down to the path MTU.
func (m PathMTU) lower(ways []Way) {
	if m.MTU == 0 {
		return
	}
	for i := range ways {
		ways[i].MTU = min(ways[i].MTU, m.MTU)
	}
}
