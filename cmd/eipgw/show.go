package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// ask calls f with a client of the daemon.
func (c *cli) ask(ctx context.Context, f func(context.Context, *admin.Client) error) error {
	client := admin.NewClient(c.socket)
	defer client.Close()
	return f(ctx, client)
}

func (c *cli) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what the gateway knows and does",
		Args: func(cmd *cobra.Command, a []string) error {
			if len(a) > 0 {
				return usage("show %q: expected one of those that `eipgw show --help` lists", a[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		c.showBindings(),
		show(c, "status", "The gateway at a glance: ready or why not, sessions, table, traffic", (*admin.Client).Status, c.printStatus),
		show(c, "segments", "Segments: announced, held back, or on their way out", (*admin.Client).Segments, c.printSegments),
		show(c, "neighbors", "BGP neighbors and their sessions", (*admin.Client).Neighbors, c.printNeighbors),
		show(c, "ports", "Interfaces, queue by queue, with what they received, sent and lost", (*admin.Client).Ports, c.printPorts),
		c.showCounters(),
		show(c, "sources", "Who may claim EIPs, what they claim, and what of it is refused", (*admin.Client).Sources, c.printSources),
		show(c, "refusals", "Claims that were not accepted, latest first, and why", (*admin.Client).Refusals, c.printRefusals),
		show(c, "underlay", "VTEPs and the next hops by which they are reached", (*admin.Client).Underlay, c.printUnderlay),
	)
	return cmd
}

// show makes a command that asks for one thing and prints it.
func show[T any](c *cli, name, short string, get func(*admin.Client, context.Context) (T, error), table func(T) error) *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   name,
		Short: short,
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				v, err := get(client, ctx)
				if err != nil {
					return err
				}
				return c.print(v, func() error { return table(v) })
			})
		},
	})
}

// print writes v as JSON, or by table.
func (c *cli) print(v any, table func() error) error {
	if c.json {
		return printJSON(c.out, v)
	}
	return table()
}

func (c *cli) showBindings() *cobra.Command {
	var under string
	var limit int
	cmd := &cobra.Command{
		Use:   "bindings",
		Short: "EIPs and the virtual routers behind which they are",
		Long: `EIPs and the virtual routers behind which they are, in address order.

STATE is forwarding; partial (some tunnels of a group have no way); unresolved (no
tunnel has a way in the underlay: frames are dropped as unresolved_vtep);
programming; or refused (by the table, with the problem).`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := admin.BindingQuery{Limit: limit}
			if limit < 0 {
				return usage("--limit %d: expected 0 for all, or more", limit)
			}
			if under != "" {
				p, err := admin.ParsePrefix(under)
				if err != nil {
					return usage("--under %w", err)
				}
				q.Under = p
			}
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				return c.bindings(ctx, client, q)
			})
		},
	}
	cmd.Flags().StringVar(&under, "under", "", "only EIPs inside this prefix")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most this many; 0 is all")
	return c.jsonFlag(cmd)
}

// bindings prints what q asks for: JSON as it comes, since a million bindings need not be in
// memory for it; a table's columns are as wide as the widest cell, so that needs all.
func (c *cli) bindings(ctx context.Context, client *admin.Client, q admin.BindingQuery) (err error) {
	if !c.json {
		var list []admin.Binding
		err := client.EachBinding(ctx, q, func(b admin.Binding) bool {
			list = append(list, b)
			return true
		})
		if err != nil {
			return err
		}
		return c.printBindings(list)
	}
	l := newJSONList(c.out)
	ask := client.EachBinding(ctx, q, func(b admin.Binding) bool {
		err = l.add(b)
		return err == nil
	})
	if err := errors.Join(ask, err); err != nil {
		return err
	}
	return l.end()
}

func (c *cli) showCounters() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "counters",
		Short: "Frames received, made, sent, and dropped for each reason",
		Long: `Frames received, sent, and dropped for each reason, since the start; frames that the
gateway made, which are ICMP errors, and fragments beside a packet's first one; and what
else happened to frames. Every frame received or made is sent or dropped for exactly one
reason: the last line adds them up. A packet that was answered is among the dropped ones.

Sent means that a port took the frame. What its device then refused, with a queue
that is full or a link that has just gone down, is TX LOST in ` + "`eipgw show ports`" + `.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				v, err := client.Counters(ctx)
				if err != nil {
					return err
				}
				return c.print(v, func() error { return c.printCounters(v, all) })
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what never occurred, each with what it means")
	return c.jsonFlag(cmd)
}

func (c *cli) reloadCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again, as SIGHUP does",
		Long: `Have the daemon read its configuration file again, as SIGHUP does, and say what
came of it. Segments, neighbors, the bindings file and the log level are taken over
at runtime, and all that frames are judged by: forwarding, tunnel.dscp, tunnel.pcp
and ports[].accept-vlans. A file with mistakes, or with changes that need a restart,
is refused as a whole: the running configuration stays in force.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				r, err := client.Reload(ctx)
				if err != nil {
					return err
				}
				return c.print(r, func() error { return c.printReloaded(r) })
			})
		},
	})
}

func (c *cli) printReloaded(r admin.Reloaded) error {
	for _, w := range r.Warnings {
		fmt.Fprintln(c.err, "warning:", w)
	}
	if len(r.Changed) == 0 {
		_, err := fmt.Fprintln(c.out, "reloaded: nothing differs from what is in force")
		return err
	}
	_, err := fmt.Fprintln(c.out, "reloaded:", joinWords(r.Changed))
	return err
}
