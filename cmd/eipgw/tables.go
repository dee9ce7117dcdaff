package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// joinWords is a list for a line of text.
func joinWords(s []string) string { return strings.Join(s, ", ") }

// joinPrefixes is a list of prefixes for a table: the first few, and how many more.
func joinPrefixes(ps []netip.Prefix) string {
	const most = 3
	words := make([]string, 0, most+1)
	for i, p := range ps {
		if i == most && len(ps) > most+1 {
			words = append(words, fmt.Sprintf("and %d more", len(ps)-most))
			break
		}
		words = append(words, p.String())
	}
	return joinWords(words)
}

func (c *cli) printBindings(list []admin.Binding) error {
	t := newTable("EIP", "VTEP", "TUNNEL", "VNI>", "STATE", "SOURCE", "CARRIER", "AGE>")
	for _, b := range list {
		state := b.State
		if b.Problem != "" {
			state += ": " + b.Problem
		}
		for i, tunnel := range b.Tunnels {
			if i > 0 {
				t.row(blank, tunnel.VTEP, tunnel.Protocol, tunnel.VNI, blank, blank, blank, blank)
				continue
			}
			t.row(b.Prefix, tunnel.VTEP, tunnel.Protocol, tunnel.VNI, state, joinWords(b.Sources), joinWords(b.Carriers), c.age(b.Learned))
		}
		if len(b.Tunnels) == 0 {
			t.row(b.Prefix, "", "", "", state, joinWords(b.Sources), joinWords(b.Carriers), c.age(b.Learned))
		}
	}
	return t.print(c.out, "no bindings")
}

func (c *cli) printSegments(list []admin.Segment) error {
	t := newTable("SEGMENT", "STATE", "FOR>", "ORIGIN", "MED>", "MSS", "COMMUNITIES")
	for _, s := range list {
		med := ""
		if s.MED != nil {
			med = strconv.FormatUint(uint64(*s.MED), 10)
		}
		origin := s.Origin
		if !s.Until.IsZero() {
			origin = strings.TrimSpace(origin + " until " + length(s.Until.Sub(c.now())) + " from now")
		}
		mss := ""
		if s.MSSClamp {
			mss = "clamped"
		}
		t.row(s.Prefix, s.State, c.age(s.Since), origin, med, mss, joinWords(append(append([]string{}, s.Communities...), s.LargeCommunities...)))
	}
	return t.print(c.out, "no segments: `eipgw segment add PREFIX`, or segments in the configuration")
}

func (c *cli) printNeighbors(list []admin.Neighbor) error {
	t := newTable("NEIGHBOR", "NAME", "ROLE", "ASN>", "STATE", "FOR>", "RECEIVED>", "ACCEPTED>", "REFUSED>", "ADVERTISED>", "FLAPS>", "LAST ERROR")
	for _, n := range list {
		name := n.Name
		if addr := admin.NeighborName(&n); name == addr || name == n.Range.String() {
			name = ""
		}
		problem := n.LastError
		if problem != "" && !n.ErrorTime.IsZero() {
			problem += ", " + c.age(n.ErrorTime) + " ago"
		}
		t.row(admin.NeighborName(&n), name, n.Role, n.ASN, n.State, c.age(n.Since),
			n.Received, n.Accepted, n.Refused, n.Advertised, n.Flaps, problem)
	}
	return t.print(c.out, "no neighbors")
}

func (c *cli) printPorts(list []admin.Port) error {
	t := newTable("PORT", "QUEUE>", "WORKER", "STATE", "MODE", "MAC", "MTU>", "VLAN>", "RX FRAMES>", "RX BYTES>", "TX FRAMES>", "TX BYTES>", "RX MISSED>", "TX LOST>")
	var notes strings.Builder
	for _, p := range list {
		state := p.State
		if state != admin.StateUp {
			state = "DOWN"
			fmt.Fprintf(&notes, "%s queue %d is down: %s\n", p.Name, p.Queue, p.State)
		}
		if l := p.Lane; l != nil && l.On {
			fmt.Fprintf(&notes, "%s: of these, fast lane: received %s, sent %s, lost %s frames\n", p.Name, count(l.Rx.Packets), count(l.Tx.Packets), count(l.Lost))
		}
		for _, note := range p.Notes {
			fmt.Fprintf(&notes, "%s: %s\n", p.Name, note)
		}
		t.row(p.Name, p.Queue, p.Worker, state, p.Mode, p.MAC, p.MTU, p.VLAN,
			count(p.Rx.Packets), size(p.Rx.Bytes), count(p.Tx.Packets), size(p.Tx.Bytes), count(p.RxMissed), count(p.TxLost))
	}
	if err := t.print(c.out, "no ports"); err != nil {
		return err
	}
	_, err := fmt.Fprint(c.out, notes.String())
	return err
}

func (c *cli) printCounters(v admin.Counters, all bool) error {
	titles := []string{"WHAT", "FRAMES>", "BYTES>"}
	if all {
		titles = append(titles, "MEANING")
	}
	t := newTable(titles...)
	t.row("received", count(v.Received.Packets), count(v.Received.Bytes), "frames that came in")
	if l := v.Lane; l != nil {
		t.row("  by the fast lane", count(l.Received.Packets), count(l.Received.Bytes), "of these, forwarded in the kernel")
	}
	events := func(word string, made bool) {
		for _, e := range v.Events {
			if e.Made == made && (all || e.Packets > 0) {
				t.row(word+" "+e.Event, count(e.Packets), blank, e.Doc)
			}
		}
	}
	events("made", true)
	t.row("sent", count(v.Sent.Packets), count(v.Sent.Bytes), "frames that ports took to be sent, tunnel headers included")
	dropped := uint64(0)
	for _, d := range v.Drops {
		dropped += d.Packets
		if all || d.Packets > 0 {
			t.row("drop "+d.Reason, count(d.Packets), count(d.Bytes), d.Doc)
		}
	}
	events("event", false)
	if err := t.print(c.out, ""); err != nil {
		return err
	}
	verdict := "adds up"
	if missing := int64(v.Received.Packets + v.Made - v.Sent.Packets - dropped); missing != 0 {
		verdict = fmt.Sprintf("DOES NOT ADD UP: %d frames unaccounted for", missing)
	}
	_, err := fmt.Fprintf(c.out, "\nreceived %s + made %s = sent %s + dropped %s: %s\n",
		count(v.Received.Packets), count(v.Made), count(v.Sent.Packets), count(dropped), verdict)
	return err
}

func (c *cli) printSources(list []admin.Source) error {
	t := newTable("SOURCE", "NAME", "RANK>", "SYNCED", "CLAIMS>", "ACCEPTED>", "REFUSED>", "NOT HELD>", "MAX>", "MAY CLAIM")
	for _, s := range list {
		allow := "every segment"
		if s.Allow != nil {
			allow = joinPrefixes(s.Allow)
		}
		if s.Allow != nil && len(s.Allow) == 0 {
			allow = "nothing"
		}
		limit := ""
		if s.MaxPrefixes > 0 {
			limit = strconv.Itoa(s.MaxPrefixes)
		}
		t.row(s.ID, s.Name, s.Rank, yesNo(s.Synced), s.Paths, s.Accepted, s.Refused, s.NotHeld, limit, allow)
	}
	return t.print(c.out, "no sources")
}

func (c *cli) printRefusals(list []admin.Refusal) error {
	t := newTable("SOURCE", "EIP", "REASON", "TIMES>", "AGO>", "DETAIL")
	for _, r := range list {
		t.row(r.Source, r.Prefix, r.Reason, r.Count, c.age(r.Time), r.Detail)
	}
	return t.print(c.out, "nothing was refused")
}

func (c *cli) printUnderlay(list []admin.VTEP) error {
	t := newTable("VTEP", "STATE", "PORT", "NEXT HOP", "NEXT HOP MAC", "SOURCE", "VLAN>", "MTU>", "PATH MTU>", "REPORTER", "AGE>")
	for _, v := range list {
		if len(v.Ways) == 0 {
			t.row(v.Address, v.State)
		}
		for i, w := range v.Ways {
			first, state := v.Address.String(), v.State
			if i > 0 {
				first, state = blank, blank
			}
			hop := ""
			if w.NextHop.IsValid() {
				hop = w.NextHop.String()
			}
			path, reporter, age := "", "", ""
			if m := v.PathMTU; m != nil {
				path, reporter, age = strconv.Itoa(int(m.MTU)), m.Reporter.String(), c.age(m.Reported)
			}
			if i > 0 {
				path, reporter, age = blank, blank, blank
			}
			t.row(first, state, w.Port, hop, w.DstMAC, w.Local, w.VLAN, w.MTU, path, reporter, age)
		}
	}
	return t.print(c.out, "no VTEPs: no binding names one")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
