package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
)

// settings are what the command line says; they go into the results.
type settings struct {
	Rounds   int           `json:"rounds"`
	Turns    int           `json:"turns"`
	Warm     time.Duration `json:"warm-up"`
	Time     time.Duration `json:"time"`
	EIPs     int           `json:"eips"`
	Size     int           `json:"frame-size"` // with FCS
	Arms     int           `json:"arms"`
	Rate     float64       `json:"rate"`              // frames a second that are offered; 0: as many as possible
	Hostile  string        `json:"hostile,omitempty"` // floods, see floods
	Share    float64       `json:"hostile-share"`
	Load     float64       `json:"load"`
	Retries  int           `json:"retries"`
	Steal    float64       `json:"largest-steal"`
	Waiting  float64       `json:"largest-wait"`
	Exe      string        `json:"-"`
	Against  string        `json:"-"`
	Out      string        `json:"-"`
	Profile  string        `json:"-"`
	During   string        `json:"-"`
	Port     string        `json:"eipgw-port,omitempty"`
	TestPMD  string        `json:"testpmd-args,omitempty"`
	selected string
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("veth", flag.ContinueOnError)
	f.IntVar(&s.Rounds, "rounds", 10, "how many times contenders are started afresh")
	f.IntVar(&s.Turns, "turns", 6, "turns of each contender in a round")
	f.DurationVar(&s.Warm, "warm", 100*time.Millisecond, "how long traffic runs in a turn before it is counted")
	f.DurationVar(&s.Time, "time", 300*time.Millisecond, "how long it is counted")
	f.IntVar(&s.EIPs, "eips", 256, "destinations, and bindings of eipgw")
	f.IntVar(&s.Size, "size", 64, "bytes of a frame, its FCS of 4 bytes included")
	f.IntVar(&s.Arms, "arms", 1, "1: frames leave by the interface that they came in by; 2: by another")
	f.Float64Var(&s.Rate, "rate", 0, "frames a second that are offered; 0: as many as the generator can")
	f.StringVar(&s.Hostile, "hostile", "", "floods, separated by commas, each beside ordinary frames at a fixed rate: "+strings.Join(floods, ", "))
	f.Float64Var(&s.Share, "share", 0.5, "share of hostile frames among all in a flood")
	f.Float64Var(&s.Load, "load", 0.6, "rate of ordinary frames with -hostile, unless -rate says it: this share of the highest")
	f.IntVar(&s.Retries, "retries", 5, "how many times a disturbed turn is repeated")
	f.Float64Var(&s.Steal, "steal", 0.01, "share of a CPU that the hypervisor may take before a turn counts as disturbed")
	f.Float64Var(&s.Waiting, "waiting", 0.02, "share of the time that worker or generator may wait for their CPUs before it does")
	f.StringVar(&s.Exe, "eipgw", "bin/eipgw", "the eipgw binary")
	f.StringVar(&s.Against, "against", "", "another eipgw binary: the contender eipgw-other, and the reference")
	f.StringVar(&s.Out, "out", "", "write FILE.json and FILE.md")
	f.StringVar(&s.Profile, "profile", "", "write a CPU profile of eipgw, under load, to this file")
	f.StringVar(&s.During, "during", "", "a shell command that is run, and waited for, while it is counted, with PID set to the contender's")
	f.StringVar(&s.Port, "port", "", "more keys of eipgw's ports, such as 'frames: 1024'")
	f.StringVar(&s.TestPMD, "testpmd", "", "more arguments of testpmd, such as '--burst=64'")
	f.StringVar(&s.selected, "contenders", "", "which to run, separated by commas; all of them unless given")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.Rounds < 1, s.Turns < 1, s.Time <= 0, s.EIPs < 1, s.EIPs > maxEIPs, s.Arms != 1 && s.Arms != 2, s.Rate < 0:
		return s, fmt.Errorf("expected rounds, turns and time > 0, eips from 1 to %d, arms 1 or 2, rate >= 0", maxEIPs)
	}
	return s, s.checkHostile()
}

func main() {
	beChild()
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = lab.Run(context.Background(), func(ctx context.Context, _ *lab.Lab) error { return run(ctx, s) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "veth:", err)
		os.Exit(1)
	}
}

// run makes the rounds and reports.
func run(ctx context.Context, s settings) error {
	if err := preconditions(); err != nil {
		return err
	}
	if s.Hostile != "" && s.Rate == 0 {
		rate, most, err := calibrate(ctx, s)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, most.line())
		s.Rate = rate
	}
	cs, err := choose(contenders(s), s.selected)
	if err != nil {
		return err
	}
	for _, c := range cs {
		if err := c.missing(); err != nil {
			return fmt.Errorf("%s: %w", c.name(), err)
		}
	}
	undo, err := reserveHugePages(cs)
	if err != nil {
		return err
	}
	defer undo()
	r := report{Machine: thisMachine(), Command: "go run ./perf/veth " + strings.Join(os.Args[1:], " "), Settings: s}
	for n := 1; n <= s.Rounds; n++ {
		ts, err := round(ctx, s, cs)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		for _, t := range ts {
			t.Round = n
			fmt.Fprintln(os.Stderr, t.line())
			r.Trials = append(r.Trials, t)
		}
	}
	r.summarize(cs)
	fmt.Print(r.markdown())
	if s.Out == "" {
		return nil
	}
	return r.write(s.Out)
}

func choose(all []contender, names string) ([]contender, error) {
	if names == "" {
		return all, nil
	}
	var chosen []contender
	for _, n := range strings.Split(names, ",") {
		found := false
		for _, c := range all {
			if c.name() == n {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no contender is called %q", n)
		}
	}
	return chosen, nil
}
