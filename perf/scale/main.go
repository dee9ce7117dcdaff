package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
)

// settings are what the command line says.
type settings struct {
	rounds  int
	routes  int
	tunnels int
	exe     string
	other   string
	only    string
	profile string
	workers string
	gaps    bool
	phase   time.Duration
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 3, "turns of each contender")
	f.IntVar(&s.routes, "routes", 1_000_000, "/32 routes that BIRD announces")
	f.IntVar(&s.tunnels, "tunnels", 1000, "VTEPs with a VNI each that they are spread over")
	f.StringVar(&s.exe, "eipgw", "bin/eipgw", "the eipgw binary")
	f.StringVar(&s.other, "against", "", "another eipgw binary: the contender eipgw-other")
	f.StringVar(&s.only, "only", "", "a single contender: eipgw, eipgw-other or gobgp")
	f.StringVar(&s.profile, "profile", "", "write CPU profiles of eipgw's and GoBGP's last turns into this directory; they slow them down")
	f.StringVar(&s.workers, "workers", "", "the section workers of eipgw's configuration; {cpus: [1]} unless given, with -gaps {cpus: [1], idle: busy}")
	f.BoolVar(&s.gaps, "gaps", false, "poll gaps of a busy worker of eipgw instead, while all kinds of things go on")
	f.DurationVar(&s.phase, "phase", 10*time.Second, "how long each of them goes on")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.rounds < 1, s.routes < 1, s.routes > maxRoutes, s.tunnels < 1, s.tunnels > maxTunnels:
		return s, fmt.Errorf("expected rounds > 0, routes from 1 to %d, tunnels from 1 to %d", maxRoutes, maxTunnels)
	}
	if s.workers == "" {
		s.workers = "{cpus: [1]}"
		if s.gaps {
			s.workers = "{cpus: [1], idle: busy}"
		}
	}
	return s, nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == gobgpChild {
		if err := serveGoBGP(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "scale:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 2 && os.Args[1] == spinChild {
		if err := spinFor(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "scale:", err)
			os.Exit(1)
		}
		return
	}
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = lab.Run(context.Background(), func(ctx context.Context, l *lab.Lab) error { return run(ctx, l, s) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// run makes the turns and reports.
func run(ctx context.Context, l *lab.Lab, s settings) error {
	cs, err := contenders(s)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "eipgw-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(os.Stderr, "bird reads %d routes\n", s.routes)
	st, err := newStand(ctx, l, s, dir)
	if err != nil {
		return err
	}
	defer st.close()
	if s.gaps {
		at, err := gapDir(dir)
		if err != nil {
			return err
		}
		return runGaps(ctx, st, at)
	}
	var turns []turn
	for n := 1; n <= s.rounds; n++ {
		for _, c := range cs {
			at := filepath.Join(dir, fmt.Sprintf("%s-%d", c.name(), n))
			if err := os.Mkdir(at, 0o755); err != nil {
				return err
			}
			t, err := st.turn(ctx, c, at, n == s.rounds)
			if err != nil {
				return fmt.Errorf("turn %d of %s: %w", n, c.name(), err)
			}
			fmt.Fprintln(os.Stderr, t.line())
			turns = append(turns, t)
		}
	}
	fmt.Print(markdown(s, turns))
	return nil
}
