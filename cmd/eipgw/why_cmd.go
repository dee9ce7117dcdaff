package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// protocols whose flows are told apart by ports.
var protocols = map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58}

// flowFlags describe one flow.
type flowFlags struct {
	from, protocol string
	port           uint16
}

func (c *cli) whyCommand() *cobra.Command {
	var f flowFlags
	cmd := &cobra.Command{
		Use:   "why ADDRESS",
		Short: "Explain what happens to frames for an address, and why",
		Long: `Explain what happens to frames for an address: which binding covers it, from whom
and by which part of the route, which tunnel and next hop its frames take, or why
they are not forwarded. With --from, also which of several tunnels and next hops one
flow takes; every gateway chooses the same.`,
		Example: "  eipgw why 203.0.113.7\n  eipgw why 203.0.113.7 --from 198.51.100.1:40000 --port 443",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			addr, err := admin.ParseAddr(a[0])
			if err != nil {
				return &usageError{err}
			}
			flow, err := f.flow(addr)
			if err != nil {
				return err
			}
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				w, err := client.Why(ctx, addr, flow)
				if err != nil {
					return err
				}
				return c.print(w, func() error { return c.printWhy(w) })
			})
		},
	}
	cmd.Flags().StringVar(&f.from, "from", "", "source ADDRESS, or ADDRESS:PORT, of a flow")
	cmd.Flags().Uint16Var(&f.port, "port", 0, "its destination port")
	cmd.Flags().StringVar(&f.protocol, "protocol", "tcp", "tcp, udp, sctp, icmp, icmpv6 or a number")
	return c.jsonFlag(cmd)
}

// flow is the flow that the flags describe; nil where they describe none.
func (f *flowFlags) flow(to netip.Addr) (*admin.Flow, error) {
	if f.from == "" {
		return nil, nil
	}
	out := admin.Flow{ToPort: f.port}
	if ap, err := netip.ParseAddrPort(f.from); err == nil {
		out.From, out.FromPort = ap.Addr().Unmap(), ap.Port()
	} else if out.From, err = admin.ParseAddr(f.from); err != nil {
		return nil, usage("--from %q: expected ADDRESS or ADDRESS:PORT, such as 198.51.100.1:40000 or [2001:db8::1]:40000", f.from)
	}
	if out.From.Is4() != to.Is4() {
		return nil, usage("--from %s: expected an address of the family of %s", f.from, to)
	}
	var known bool
	if out.Protocol, known = protocols[f.protocol]; !known {
		n, err := strconv.ParseUint(f.protocol, 10, 8)
		if err != nil {
			return nil, usage("--protocol %q: expected tcp, udp, sctp, icmp, icmpv6, or 0 to 255", f.protocol)
		}
		out.Protocol = uint8(n)
	}
	switch out.Protocol {
	case 6, 17, 132, 136:
	default: // has no ports, see dataplane.FlowHash4
		out.FromPort, out.ToPort = 0, 0
	}
	return &out, nil
}

func (c *cli) printWhy(w admin.Why) error {
	var p page
	p.line("address", "%s", w.Address)
	p.line("verdict", "%s: %s", w.Verdict, w.Summary)
	if w.Answer != "" {
		p.line("answer", "%s", w.Answer)
	}
	if s := w.Segment; s != nil {
		clamp := ""
		if s.MSSClamp {
			clamp = ", MSS clamped"
		}
		p.line("segment", "%s, %s for %s%s", s.Prefix, s.State, c.age(s.Since), clamp)
	}
	for _, b := range w.Prefixes {
		c.whyBinding(&p, &b)
	}
	for i, t := range w.Tunnels {
		chosen := -1
		if w.Choice != nil && w.Choice.Tunnel == i {
			chosen = w.Choice.Way
		}
		whyTunnel(&p, &t, chosen)
		if m := t.PathMTU; m != nil {
			p.more("path MTU %d, reported by %s %s ago", m.MTU, m.Reporter, c.age(m.Reported))
		}
	}
	if k := w.Choice; k != nil {
		p.line("flow", "takes the way marked *; hash %s, outer UDP source port %d", k.Hash, k.SourcePort)
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
	s := fmt.Sprintf("VTEP %s VNI %d by %s inner MAC %s", t.VTEP, t.VNI, t.Protocol, t.InnerMAC)
	if t.Options != "" {
		s += " " + t.Options
	}
	return s
}

// whyTunnel prints a tunnel and its ways; chosen is the one that the flow takes, or -1.
func whyTunnel(p *page, t *admin.WhyWay, chosen int) {
	p.line("tunnel", "%s", tunnelText(&t.Tunnel))
	if t.Unresolved != "" {
		p.more("no way: %s", t.Unresolved)
	}
	for i, w := range t.Ways {
		mark, vlan := "  ", ""
		if i == chosen {
			mark = "* "
		}
		if w.VLAN != "" {
			vlan = " VLAN " + w.VLAN
		}
		mss := ""
		if w.MSS != 0 {
			mss = fmt.Sprintf(", TCP MSS clamped to %d", w.MSS)
		}
		p.more("%sout of %s%s to next hop %s, from %s %s; inner packets up to %d bytes%s", mark, w.Port, vlan, w.DstMAC, w.Local, w.SrcMAC, w.Inner, mss)
	}
}
