package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/perf/demo"
	"github.com/eipgw/eipgw/perf/peers"
)

// peerCommandName is the hidden command that demo runs its embedded switches and
// virtual routers by.
const peerCommandName = "demo-peer"

func (c *cli) demoCommand() *cobra.Command {
	o := demo.Options{Out: c.out}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the gateway's main job on a network in namespaces, and check it",
		Long: `Makes network namespaces with two switches, a gateway, two virtual routers and a
client, runs the gateway's main job in them, says what happens and checks it.
Needs root. Everything is removed at the end, also on Ctrl-C; nothing outside of the
namespaces is touched. Exit code 0 only if every check held.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("where is this program: %w", err)
			}
			o.Exe, o.Peer = exe, []string{exe, peerCommandName}
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Switch, "switch", demo.Embedded, "both switches: "+demo.Embedded+" or "+demo.RealSwitch)
	cmd.Flags().StringVar(&o.Router, "router", demo.Embedded, "both virtual routers: "+demo.Embedded+" or "+demo.RealRouter)
	return cmd
}

func (c *cli) demoPeerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    peerCommandName + " KIND CONFIG",
		Short:  "Be a switch or a virtual router of the demo",
		Hidden: true,
		Args:   args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return peers.Main(cmd.Context(), a[0], a[1], cmd.InOrStdin(), c.out)
		},
	}
}
