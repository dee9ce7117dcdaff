package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// runtimeOnly is said in every help that it is true of.
const runtimeOnly = `The change is made at runtime and lasts until the daemon ends; a reload keeps it.
Writing it to the configuration is left to you: there is no --persist.`

func (c *cli) segmentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "segment",
		Short: "Announce and withdraw segments at runtime",
		Long: `Announce and withdraw segments at runtime. Every change is carried out in an order in
which no address that stays wanted is ever without a route: bindings are programmed
before a segment is announced, a covering or more specific route stands before what
it replaces goes. --dry-run shows the plan and changes nothing.

` + runtimeOnly,
		Args: func(cmd *cobra.Command, a []string) error {
			if len(a) > 0 {
				return usage("segment %q: expected add, withdraw, split or merge", a[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.segmentAdd(), c.segmentWithdraw(), c.segmentSplit(), c.segmentMerge())
	return cmd
}

// attributes are the flags of what a route carries, and of how its packets are forwarded.
type attributes struct {
	communities, large []string
	med                string
	clamp              bool
	given              func(flag string) bool
}

func (a *attributes) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&a.communities, "community", nil, "community such as 64512:100 or no-export; may be repeated")
	cmd.Flags().StringSliceVar(&a.large, "large-community", nil, "large community such as 64512:1:2; may be repeated")
	cmd.Flags().StringVar(&a.med, "med", "", "MED; default none")
	cmd.Flags().BoolVar(&a.clamp, "mss-clamp", false, "lower the MSS of TCP SYNs to what fits the tunnel")
	a.given = cmd.Flags().Changed
}

func (a *attributes) spec(p netip.Prefix) (admin.SegmentSpec, error) {
	s := admin.SegmentSpec{Prefix: p, Communities: a.communities, LargeCommunities: a.large}
	if a.med != "" {
		n, err := strconv.ParseUint(a.med, 10, 32)
		if err != nil {
			return s, usage("--med %q: expected 0 to 4294967295", a.med)
		}
		med := uint32(n)
		s.MED = &med
	}
	if a.given("mss-clamp") {
		s.MSSClamp = &a.clamp
	}
	return s, nil
}

func prefixes(words []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(words))
	for _, w := range words {
		p, err := admin.ParsePrefix(w)
		if err != nil {
			return nil, &usageError{err}
		}
		out = append(out, p)
	}
	return out, nil
}

// change makes a command around one SegmentChange.
func (c *cli) change(cmd *cobra.Command, build func(a []string) (admin.SegmentChange, error)) *cobra.Command {
	var dry bool
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show the plan, change nothing")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		change, err := build(a)
		if err != nil {
			return err
		}
		change.DryRun = dry
		return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
			plan, err := client.ChangeSegments(ctx, change)
			if err != nil {
				return err
			}
			return c.print(plan, func() error { return c.printPlan(plan) })
		})
	}
	return c.jsonFlag(cmd)
}

func (c *cli) segmentAdd() *cobra.Command {
	var attrs attributes
	var withdraw []string
	cmd := &cobra.Command{
		Use:     "add PREFIX...",
		Short:   "Announce segments, or announce them with other attributes",
		Long:    "Announce segments, or announce them with other attributes, and withdraw others in\nthe same step. A segment that is wanted already has what is said here then, and nothing\nelse: attributes and MSS clamping that are not given are gone.\n\n" + runtimeOnly,
		Example: "  eipgw segment add 198.51.100.0/24 --community 64512:100\n  eipgw segment add 198.51.100.0/23 --withdraw 198.51.100.0/24 --dry-run",
		Args:    args(cobra.MinimumNArgs(1)),
	}
	attrs.flags(cmd)
	cmd.Flags().StringSliceVar(&withdraw, "withdraw", nil, "segment to withdraw in the same change; may be repeated")
	return c.change(cmd, func(a []string) (change admin.SegmentChange, err error) {
		add, err := prefixes(a)
		if err != nil {
			return change, err
		}
		for _, p := range add {
			spec, err := attrs.spec(p)
			if err != nil {
				return change, err
			}
			change.Add = append(change.Add, spec)
		}
		change.Withdraw, err = prefixes(withdraw)
		return change, err
	})
}

func (c *cli) segmentWithdraw() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "withdraw PREFIX...",
		Short: "Withdraw segments; their bindings go once the switches had time",
		Long: `Withdraw segments. Their bindings stay programmed for the linger time, so that frames
under way still arrive, and go then.

` + runtimeOnly,
		Example: "  eipgw segment withdraw 198.51.100.0/24",
		Args:    args(cobra.MinimumNArgs(1)),
	}
	return c.change(cmd, func(a []string) (change admin.SegmentChange, err error) {
		change.Withdraw, err = prefixes(a)
		return change, err
	})
}

func (c *cli) segmentSplit() *cobra.Command {
	var into int
	cmd := &cobra.Command{
		Use:     "split PREFIX --into LENGTH",
		Short:   "Replace a segment by its parts of a prefix length, attributes kept",
		Example: "  eipgw segment split 203.0.113.0/24 --into 26",
		Args:    args(cobra.ExactArgs(1)),
	}
	cmd.Flags().IntVar(&into, "into", 0, "prefix length of the parts")
	return c.change(cmd, func(a []string) (change admin.SegmentChange, err error) {
		p, err := prefixes(a)
		if err != nil {
			return change, err
		}
		if into <= p[0].Bits() || into > p[0].Addr().BitLen() {
			return change, usage("--into %d: expected %d to %d", into, p[0].Bits()+1, p[0].Addr().BitLen())
		}
		change.Split = &admin.Split{Prefix: p[0], Length: into}
		return change, nil
	})
}

func (c *cli) segmentMerge() *cobra.Command {
	var attrs attributes
	cmd := &cobra.Command{
		Use:   "merge PREFIX",
		Short: "Announce a segment in place of all segments inside it",
		Long: `Announce a segment in place of all segments inside it. Without flags it takes over
their attributes and their MSS clamping, if they all have the same.`,
		Example: "  eipgw segment merge 203.0.113.0/24",
		Args:    args(cobra.ExactArgs(1)),
	}
	attrs.flags(cmd)
	return c.change(cmd, func(a []string) (change admin.SegmentChange, err error) {
		p, err := prefixes(a)
		if err != nil {
			return change, err
		}
		spec, err := attrs.spec(p[0])
		change.Merge = &spec
		return change, err
	})
}

func (c *cli) printPlan(plan admin.Plan) error {
	title := "plan, under way"
	if plan.DryRun {
		title = "plan, nothing is changed"
	}
	if len(plan.Steps) == 0 {
		title = "nothing to do: this is how it is already"
	}
	_, err := fmt.Fprintln(c.out, title)
	if len(plan.Steps) > 0 {
		t := newTable("STEP>", "AFTER>", "DO", "SEGMENTS", "WHY")
		for i, s := range plan.Steps {
			t.row(i+1, s.After, s.Kind, joinPrefixes(s.Prefixes), s.Why)
		}
		err = errors.Join(err, t.print(c.out, ""))
	}
	for _, n := range plan.Notes {
		fmt.Fprintln(c.err, "note:", n)
	}
	return err
}
