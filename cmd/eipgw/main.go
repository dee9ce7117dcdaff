package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// Exit codes, as the help of the root command documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// socketEnv names the daemon's socket where --socket does not.
const socketEnv = "EIPGW_SOCKET"

func main() {
	// Signals are each command's own affair: run handles them, the others die of them.
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// cli is what all commands share.
type cli struct {
	out, err io.Writer
	socket   string
	json     bool
	now      func() time.Time
}

// execute runs one command line and returns its exit code. An error is one line on
// stderr per thing that is wrong, and says what to do.
func execute(ctx context.Context, args []string, out, errw io.Writer) int {
	c := &cli{out: out, err: errw, now: time.Now}
	return c.execute(ctx, args)
}

func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetOut(c.out)
	root.SetErr(c.err)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintf(c.err, "eipgw: %v\n", err)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var usage *usageError
	var wrong *config.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &wrong):
		return exitUsage
	case errors.Is(err, admin.ErrUnreachable):
		return exitUnreachable
	}
	return exitFailed
}

// usageError is a command line that cannot be.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// args makes cobra's argument checks usage errors that show how it is done.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if check(cmd, a) == nil {
			return nil
		}
		how := strings.TrimSuffix(cmd.UseLine(), " [flags]")
		if len(a) == 0 {
			return usage("an argument is missing: expected `%s`", how)
		}
		return usage("%q: expected `%s`", strings.Join(a, " "), how)
	}
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "eipgw",
		Short: "EIP gateway: elastic IPs in from the physical network, by BGP, AF_XDP, Geneve and VXLAN",
		Long: `eipgw announces segments of elastic IPs (EIPs) to physical switches by BGP, learns
from virtual routers which EIP is behind them, and forwards frames for EIPs to
them in Geneve or VXLAN tunnels. Replies do not pass here.

  eipgw run -c /etc/eipgw/eipgw.yaml     the daemon
  eipgw show status                      what it does
  eipgw why 203.0.113.7                  what happens to one EIP, and why

Exit codes: 0 done; 1 failed, or the daemon refused; 2 the command line or the
configuration is wrong; 3 no daemon answers on the socket.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, a []string) error {
			if len(a) > 0 {
				return usage("unknown command %q: expected one of those that `eipgw --help` lists", a[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Version = version()
	root.SetVersionTemplate("eipgw {{.Version}}\n")
	root.Flags().Bool("version", false, "print the version")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w: `%s --help` has the flags", err, cmd.CommandPath())
	})
	socket := os.Getenv(socketEnv)
	if socket == "" {
		socket = config.DefaultSocket
	}
	root.PersistentFlags().StringVar(&c.socket, "socket", socket, "the daemon's admin socket; default also by "+socketEnv)
	root.AddCommand(
		c.runCommand(), c.validateCommand(), c.replayCommand(),
		c.showCommand(), c.whyCommand(), c.segmentCommand(), c.bindCommand(), c.unbindCommand(), c.reloadCommand(),
		c.demoCommand(), c.demoPeerCommand(), c.versionCommand(),
	)
	return root
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.out, "eipgw", version())
			return err
		},
	}
}

// version is the module's, and the commit that it was built from where that is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value
			}
		}
	}
	return v + " " + info.GoVersion
}

// jsonFlag adds --json to a command.
func (c *cli) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON instead of a table")
	return cmd
}
