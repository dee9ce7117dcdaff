package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/cmd/internal/task"
)

// stopExtra is how much longer than its linger time a graceful stop may take.
const stopExtra = 10 * time.Second

func (c *cli) runCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run the gateway until SIGTERM or SIGINT",
		Long: `Run the gateway: open the ports, learn bindings, announce segments, forward.

SIGHUP reads the configuration again; a file with mistakes, or with changes that need
a restart, leaves the running one in force and says so in the log and in show status.
SIGTERM and SIGINT withdraw every segment, go on forwarding for stop.linger, and stop;
a second one stops at once. Readiness is told to systemd (Type=notify).

It needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK, or root, and
CAP_NET_BIND_SERVICE for BGP's port 179; CAP_SYS_NICE lets pinned workers go before
other threads on their CPUs. Unless the environment says otherwise GOMAXPROCS is the
number of CPUs, but 4 at least and 2 more than there are workers, and GOGC is 400.`,
		Example: "  eipgw run -c /etc/eipgw/eipgw.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), file)
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "/etc/eipgw/eipgw.yaml", "configuration file")
}

func (c *cli) run(ctx context.Context, file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log := newLogger(c.err, cfg.Log.Format, level)
	for _, w := range cfg.Warnings {
		log.Warn("configuration", "warning", w.String())
	}
	chooseRuntime(os.Getenv, runtime.NumCPU(), cfg.Ports[0].Queues).apply()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	g, err := newGateway(cfg, gatewayOptions{File: file, Parts: realParts(), Log: log, Level: level})
	if err != nil {
		return err
	}
	log.Info("eipgw starts", "version", version(), "config", file, "pid", os.Getpid())
	return g.serve(ctx, signals)
}

func newLogger(w io.Writer, format config.Format, level *slog.LevelVar) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == config.FormatJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// serve runs all parts until a signal or ctx ends them, and closes them.
func (g *gateway) serve(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks := append(g.tasks(), task.Loop("signals", func(ctx context.Context) error {
		defer cancel()
		return g.obey(ctx, signals)
	}))
	err := task.Run(ctx, g.ready, tasks...)
	err = errors.Join(err, g.close())
	if err == nil {
		g.log.Info("eipgw has stopped")
	}
	return err
}

// ready is called once every part works.
func (g *gateway) ready() {
	g.log.Info("eipgw is ready", "ports", len(g.devices), "workers", len(g.workers))
	g.notify(daemon.SdNotifyReady)
}

func (g *gateway) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		g.log.Warn("systemd was not told", "state", state, "problem", err)
	}
}

// obey does what signals say. It returns when the gateway is to end: after a graceful
// stop, or at once when ctx ends or a second signal tells it to.
func (g *gateway) obey(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-signals:
			if s != unix.SIGHUP {
				g.log.Info("stopping: segments are withdrawn", "signal", s.String(), "linger", g.linger())
				return g.stop(ctx, signals)
			}
			g.notify(daemon.SdNotifyReloading + "\n" + monotonic())
			_, _ = g.Reload(ctx) // it has logged what came of it
			g.notify(daemon.SdNotifyReady)
		}
	}
}

// monotonic is what systemd wants beside RELOADING=1 (Type=notify-reload).
func monotonic() string {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return ""
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", ts.Nano()/1000)
}

func (g *gateway) linger() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cfg.Stop.Linger
}

// stop withdraws, lingers, and returns; at once on a second signal.
func (g *gateway) stop(ctx context.Context, signals <-chan os.Signal) error {
	g.notify(daemon.SdNotifyStopping)
	ctx, cancel := context.WithTimeout(ctx, g.linger()+stopExtra)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- g.rib.Stop(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				g.log.Warn("stopped before everything was withdrawn", "left", err)
			}
			return nil
		case s := <-signals:
			if s == unix.SIGHUP {
				continue
			}
			g.log.Warn("stopping at once: a second signal", "signal", s.String())
			cancel()
		}
	}
}
