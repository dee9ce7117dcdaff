package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/encap"
)

// bindFlags describe the tunnels of a binding.
type bindFlags struct {
	vteps              []string
	vniGiven           bool
	vni, port          uint32
	innerMAC, innerSrc string
	protocol, ovn      string
}

func (c *cli) bindCommand() *cobra.Command {
	var f bindFlags
	cmd := &cobra.Command{
		Use:   "bind PREFIX --vtep ADDRESS --vni NUMBER",
		Short: "Bind an EIP to a virtual router at runtime, before all other sources",
		Long: `Bind an EIP, or a prefix of EIPs, to a virtual router. The binding comes before what
neighbors and the bindings file say, replaces an earlier one of the same prefix, and
shows what is in force then. Several --vtep make a group: each flow takes one.

The binding lasts until unbind or until the daemon ends. Writing it to the bindings
file is left to you: there is no --persist.`,
		Example: `  eipgw bind 203.0.113.7 --vtep 10.0.2.11 --vni 5001
  eipgw bind 203.0.113.8 --vtep 10.0.2.11 --vtep 10.0.2.12 --vni 5001 --inner-mac 02:00:00:00:0a:01 --ovn 2,1
  eipgw bind 203.0.113.9 --vtep 10.0.2.13 --vni 5001 --protocol vxlan`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			f.vniGiven = cmd.Flags().Changed("vni")
			b, err := f.bind(a[0])
			if err != nil {
				return err
			}
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				bound, err := client.Bind(ctx, b)
				if err != nil {
					return err
				}
				return c.print(bound, func() error { return c.printBound(b.Prefix, bound) })
			})
		},
	}
	cmd.Flags().StringSliceVar(&f.vteps, "vtep", nil, "the virtual router's tunnel address; may be repeated")
	cmd.Flags().Uint32Var(&f.vni, "vni", 0, "virtual network identifier, 0 to 16777215")
	cmd.Flags().StringVar(&f.protocol, "protocol", "geneve", "tunnel protocol: geneve or vxlan")
	cmd.Flags().Uint32Var(&f.port, "udp-port", 0, "UDP destination port; default 6081 for Geneve, 4789 for VXLAN")
	cmd.Flags().StringVar(&f.innerMAC, "inner-mac", "", "inner Ethernet destination: the virtual router's own")
	cmd.Flags().StringVar(&f.innerSrc, "inner-src-mac", "", "inner Ethernet source")
	cmd.Flags().StringVar(&f.ovn, "ovn", "", "INPORT,OUTPORT: tunnel keys for OVN's Geneve option")
	return c.jsonFlag(cmd)
}

// bind makes the request.
func (f *bindFlags) bind(prefix string) (b admin.Bind, err error) {
	if b.Prefix, err = admin.ParsePrefix(prefix); err != nil {
		return b, &usageError{err}
	}
	if len(f.vteps) == 0 || !f.vniGiven {
		return b, usage("expected --vtep ADDRESS and --vni NUMBER: which tunnel leads to the virtual router")
	}
	if f.vni > 1<<24-1 {
		return b, usage("--vni %d: expected 0 to 16777215", f.vni)
	}
	if f.port > 65535 {
		return b, usage("--udp-port %d: expected 1 to 65535", f.port)
	}
	if _, err := encap.ParseProtocol(f.protocol); err != nil {
		return b, usage("--protocol %q: expected geneve or vxlan", f.protocol)
	}
	ovn, err := f.ovnPorts()
	if err != nil {
		return b, err
	}
	for _, v := range f.vteps {
		vtep, err := netip.ParseAddr(v)
		if err != nil {
			return b, usage("--vtep %q: expected an IP address such as 10.0.2.11", v)
		}
		b.Tunnels = append(b.Tunnels, admin.BindTunnel{
			VTEP: vtep, VNI: &f.vni, Protocol: f.protocol, UDPPort: uint16(f.port), InnerMAC: f.innerMAC, InnerSrc: f.innerSrc, OVN: ovn,
		})
	}
	return b, nil
}

func (f *bindFlags) ovnPorts() (*admin.OVN, error) {
	if f.ovn == "" {
		return nil, nil
	}
	in, out, ok := strings.Cut(f.ovn, ",")
	inport, err1 := strconv.ParseUint(in, 10, 15)
	outport, err2 := strconv.ParseUint(out, 10, 16)
	if !ok || err1 != nil || err2 != nil {
		return nil, usage("--ovn %q: expected INPORT,OUTPORT such as 2,1", f.ovn)
	}
	return &admin.OVN{Inport: uint16(inport), Outport: uint16(outport)}, nil
}

func (c *cli) unbindCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "unbind PREFIX",
		Short:   "Remove a binding that bind has made",
		Long:    "Remove a binding that bind has made. What neighbors or the bindings file say of the\nEIP holds again; it is shown.",
		Example: "  eipgw unbind 203.0.113.7",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			p, err := admin.ParsePrefix(a[0])
			if err != nil {
				return &usageError{err}
			}
			return c.ask(cmd.Context(), func(ctx context.Context, client *admin.Client) error {
				bound, err := client.Unbind(ctx, p)
				if err != nil {
					return err
				}
				return c.print(bound, func() error { return c.printBound(p, bound) })
			})
		},
	})
}

func (c *cli) printBound(p netip.Prefix, bound admin.Bound) error {
	for _, n := range bound.Notes {
		fmt.Fprintln(c.err, "note:", n)
	}
	if bound.Binding == nil {
		_, err := fmt.Fprintf(c.out, "%s is bound to nothing\n", p)
		return err
	}
	return c.printBindings([]admin.Binding{*bound.Binding})
}
