package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// page writes lines of a heading and text, aligned.
type page struct {
	b strings.Builder
}

func (p *page) line(heading, format string, args ...any) {
	fmt.Fprintf(&p.b, "%-10s  %s\n", heading, fmt.Sprintf(format, args...))
}

// more continues the line above.
func (p *page) more(format string, args ...any) { p.line("", format, args...) }

func (c *cli) printStatus(s admin.Status) error {
	var p page
	p.line("eipgw", "%s, pid %d, up %s", s.Version, s.PID, c.age(s.Started))
	c.statusReady(&p, &s)
	c.statusConfig(&p, &s)
	u := &s.Summary
	p.line("segments", "%d announced of %d wanted", u.SegmentsAnnounced, u.SegmentsWanted)
	p.line("neighbors", "switches %d up of %d, virtual routers %d up of %d", u.SwitchesUp, u.Switches, u.VirtualRoutersUp, u.VirtualRouters)
	t := &s.Table
	p.line("bindings", "%s IPv4, %s IPv6, %s unresolved", count(t.IPv4), count(t.IPv6), count(t.Unresolved))
	if s.Bindings.Path != "" {
		p.more("%s of them from %s, read %s ago", count(s.Bindings.Bindings), s.Bindings.Path, c.age(s.Bindings.Loaded))
		if s.Bindings.Error != "" {
			p.more("the file as it is now is NOT in force: %s", s.Bindings.Error)
		}
	}
	p.line("claims", "%s for %s EIPs, %s refused so far, %s waiting to be programmed",
		count(u.Paths), count(u.Prefixes), count(u.Refused), count(u.Queued))
	p.line("table", "%s tunnels to %s VTEPs, %s groups, %s entries, %s", count(t.Tunnels), count(t.VTEPs), count(t.Groups), count(t.Entries), size(t.Bytes))
	p.line("lag", "claim to forwarding: last %s, most %s", u.ProgramLagLast, u.ProgramLagMax)
	for i, w := range s.Workers {
		c.statusWorker(&p, i, &w)
	}
	statusRules(&p, &s.Rules)
	p.line("frames", "received %s, made %s, sent %s, dropped %s", count(u.RxPackets), count(u.MadePackets), count(u.TxPackets), count(u.DropPackets))
	_, err := fmt.Fprint(c.out, p.b.String())
	return err
}

func (c *cli) statusReady(p *page, s *admin.Status) {
	if s.Ready {
		p.line("ready", "yes")
	} else {
		p.line("ready", "NO: %s", strings.Join(s.Reasons, "; "))
	}
	for _, h := range s.Health {
		switch {
		case !h.OK:
			p.more("%s: %s, for %s", h.Name, h.Reason, c.age(h.Since))
		case h.Held:
			p.more("%s: good again for %s, not trusted yet", h.Name, c.age(h.Since))
		}
	}
}

func (c *cli) statusConfig(p *page, s *admin.Status) {
	p.line("config", "%s, in force for %s", s.Config.File, c.age(s.Config.Loaded))
	if s.Config.Refused != "" {
		p.more("the file as of %s ago is NOT in force:", c.age(s.Config.Tried))
		for _, line := range strings.Split(s.Config.Refused, "\n") {
			p.more("  %s", line)
		}
	}
	for _, w := range s.Config.Warnings {
		p.more("warning: %s", w)
	}
}

func (c *cli) statusWorker(p *page, i int, w *admin.Worker) {
	heading := ""
	if i == 0 {
		heading = "workers"
	}
	where := "not pinned"
	if w.CPU >= 0 {
		where = fmt.Sprintf("CPU %d", w.CPU)
	}
	if w.Outside {
		where += ", outside of the runtime"
	}
	state := "polls"
	if w.Stalled {
		state = "STALLED: last polled " + c.age(w.LastPoll) + " ago"
	}
	p.line(heading, "%s: %s, %s", w.Name, where, state)
	if w.PollGaps.Count > 0 {
		p.more("polls at most %s apart, but for one in 10,000; longest gap %s", w.PollGaps.P9999, w.PollGaps.Max)
	}
}

func statusRules(p *page, r *admin.Rules) {
	p.line("rules", "unbound %s, unresolved %s, oversize %s, martians %s, tiny fragments %s", r.Unbound, r.Unresolved, r.Oversize, r.Martians, r.TinyFragments)
	p.more("DSCP %s, PCP %s, MSS clamped in %s, fast lane %s", r.DSCP, r.PCP, plural(r.Clamped, "segment"), r.FastLane)
	p.more("ICMP errors %s, to one source prefix %s", limit(r.ICMP.Rate, r.ICMP.Burst), limit(r.ICMP.SourceRate, r.ICMP.SourceBurst))
	for _, port := range r.Ports {
		var from []string
		for _, a := range []netip.Addr{port.ICMPSource4, port.ICMPSource6} {
			if a.IsValid() {
				from = append(from, a.String())
			}
		}
		if len(from) == 0 {
			from = []string{"nothing, there is no address"}
		}
		vlans := "any VLAN"
		if port.AcceptVLANs != nil {
			vlans = "VLAN " + joinWords(port.AcceptVLANs)
		}
		p.more("%s: answers from %s; takes %s", port.Port, strings.Join(from, " and "), vlans)
	}
}

func limit(rate, burst int) string {
	if rate == 0 {
		return "without limit"
	}
	return fmt.Sprintf("at most %s/s, %s at once", count(rate), count(burst))
}
