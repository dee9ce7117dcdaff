package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

func (c *cli) whyCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "why ADDRESS",
		Short: "Explain what happens to frames for an address, and why",
		Long: `Explain what happens to frames for an address: which binding covers it, from whom
and by which part of the route, which tunnel and next hop its frames take, or why
they are not forwarded.`,
		Example: "  eipgw why 203.0.113.7",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			addr, err := admin.ParseAddr(a[0])
			if err != nil {
				return &usageError{err}
			}
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				w, err := client.Why(ctx, addr)
				if err != nil {
					return err
				}
				return c.print(w, func() error { return c.printWhy(w) })
			})
		},
	})
}

func (c *cli) printWhy(w admin.Why) error {
	var p page
	p.line("address", "%s", w.Address)
	p.line("verdict", "%s: %s", w.Verdict, w.Summary)
	if s := w.Segment; s != nil {
		p.line("segment", "%s, %s for %s", s.Prefix, s.State, c.age(s.Since))
	}
	for _, b := range w.Prefixes {
		c.whyBinding(&p, &b)
	}
	for _, t := range w.Tunnels {
		whyTunnel(&p, &t)
	}
	for _, r := range w.Refusals {
		p.line("refused", "%s from %s: %s: %s (%s times, %s ago)", r.Prefix, r.Source, r.Reason, r.Detail, count(r.Count), c.age(r.Time))
	}
	_, err := fmt.Fprint(c.out, p.b.String())
	return err
}

func (c *cli) whyBinding(p *page, b *admin.WhyEIP) {
	state := "not in force"
	if b.InForce {
		state = "in force"
	}
	if b.Problem != "" {
		state += ": " + b.Problem
	}
	p.line("binding", "%s, %s", b.Prefix, state)
	for _, k := range b.Candidates {
		mark := " "
		if k.Chosen {
			mark = "*"
		}
		from := k.Source
		if k.Router.IsValid() && k.Router.String() != k.Source {
			from += " for " + k.Router.String()
		}
		p.more("%s %s by %s: %s, learned %s ago", mark, from, k.Carrier, tunnelText(&k.Tunnel), c.age(k.Learned))
		verdict := k.Why
		if k.Refused != "" {
			verdict = "refused, " + k.Refused + ": " + k.Why
		}
		if verdict != "" {
			p.more("    %s", verdict)
		}
	}
}

func tunnelText(t *admin.Tunnel) string {
	s := fmt.Sprintf("VTEP %s VNI %d inner MAC %s", t.VTEP, t.VNI, t.InnerMAC)
	if t.Options != "" {
		s += " " + t.Options
	}
	return s
}

func whyTunnel(p *page, t *admin.WhyWay) {
	p.line("tunnel", "%s", tunnelText(&t.Tunnel))
	if t.Unresolved != "" {
		p.more("no way: %s", t.Unresolved)
	}
	for _, w := range t.Ways {
		vlan := ""
		if w.VLAN != 0 {
			vlan = fmt.Sprintf(" VLAN %d", w.VLAN)
		}
		p.more("out of %s%s to next hop %s, from %s %s; inner packets up to %d bytes", w.Port, vlan, w.DstMAC, w.Local, w.SrcMAC, w.Inner)
	}
}
