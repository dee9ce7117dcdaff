package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/bgpd/static"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

func (c *cli) validateCommand() *cobra.Command {
	var file string
	var example bool
	cmd := &cobra.Command{
		Use:   "validate -c FILE",
		Short: "Check a configuration, and the bindings file that it names",
		Long: `Check a configuration, and the bindings file that it names, and list every mistake
with file, line, key, the value, and what was expected. Nothing is opened and no
privilege is needed. Warnings are what is possible but probably not meant.`,
		Example: "  eipgw validate -c /etc/eipgw/eipgw.yaml\n  eipgw validate --example > eipgw.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if example {
				_, err := fmt.Fprint(c.out, config.Example())
				return err
			}
			return c.validate(file)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&example, "example", false, "print a commented configuration with every key, and check nothing")
	return cmd
}

func (c *cli) validate(file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(c.err, "warning:", w)
	}
	bindings := ""
	if cfg.Bindings.File != "" {
		list, err := static.Load(cfg.Bindings.File)
		if err != nil {
			return &usageError{err}
		}
		bindings = ", " + plural(len(list), "static binding")
	}
	_, err = fmt.Fprintf(c.out, "%s is good: %s, %s, %s%s\n", file,
		plural(len(cfg.Ports), "port"), plural(len(cfg.Segments), "segment"), plural(len(cfg.Neighbors), "neighbor"), bindings)
	return err
}
