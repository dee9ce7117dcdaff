package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
)

// settings are what the command line says; they go into the results.
type settings struct {
	Rounds  int           `json:"rounds"`
	Turns   int           `json:"turns"`
	Warm    time.Duration `json:"warm-up"`
	Time    time.Duration `json:"time"`
	EIPs    int           `json:"eips"`
	Size    int           `json:"frame-size"` // with FCS
	Arms    int           `json:"arms"`
	Rate    float64       `json:"rate"`              // frames a second that are offered; 0: as many as possible
	Hostile string        `json:"hostile,omitempty"` // floods, see floods
	Share   float64       `json:"hostile-share"`
	Load    float64       `json:"load"`
	Retries int           `json:"retries"`
	Steal   float64       `json:"largest-steal"`
	Waiting float64       `json:"largest-wait"`
	Series  string        `json:"series,omitempty"`
	Points  []float64     `json:"points,omitempty"` // that the series goes through

	Loads      []float64     `json:"loads,omitempty"` // shares of a contender's rate at which frames are timed
	TimedTurns int           `json:"timed-turns"`
	TimedTime  time.Duration `json:"timed-time"`
	Idle       time.Duration `json:"idle"`

	Exe      string `json:"-"`
	Against  string `json:"-"`
	Out      string `json:"-"`
	Profile  string `json:"-"` // a directory
	During   string `json:"-"`
	Port     string `json:"eipgw-port,omitempty"`
	TestPMD  string `json:"testpmd-args,omitempty"`
	selected string
}

// numbers is an option that is a list of numbers above 0, or 0 where zero says so.
type numbers struct {
	list *[]float64
	zero bool
}

// String implements flag.Value.
func (n numbers) String() string {
	if n.list == nil {
		return ""
	}
	var words []string
	for _, x := range *n.list {
		words = append(words, strconv.FormatFloat(x, 'g', -1, 64))
	}
	return strings.Join(words, ",")
}

// Set implements flag.Value.
func (n numbers) Set(s string) error {
	*n.list = nil
	if s == "" {
		return nil
	}
	for _, word := range strings.Split(s, ",") {
		x, err := strconv.ParseFloat(word, 64)
		if err != nil || !(x > 0 || n.zero && x == 0) || x > 1e9 {
			return fmt.Errorf("%q: expected numbers above 0, separated by commas", word)
		}
		*n.list = append(*n.list, x)
	}
	return nil
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
	f.StringVar(&s.Series, "series", "", "what to go through, one of "+strings.Join(allSeries, ", ")+"; each has defaults of its own")
	f.Var(numbers{&s.Points, true}, "points", "numbers of EIPs or changes a second that the series goes through")
	f.Var(numbers{&s.Loads, false}, "loads", "shares of each contender's own rate at which its delays are measured; default 0.5,0.8")
	f.IntVar(&s.TimedTurns, "timed-turns", 4, "turns of each contender in a round at each of these loads")
	f.DurationVar(&s.TimedTime, "timed-time", 300*time.Millisecond, "how long it is measured in such a turn")
	f.DurationVar(&s.Idle, "idle", 2*time.Second, "how long a contender is watched without traffic in a round; 0: not at all")
	f.IntVar(&s.Retries, "retries", 5, "how many times a disturbed turn is repeated")
	f.Float64Var(&s.Steal, "steal", 0.01, "share of a CPU that the hypervisor may take before a turn counts as disturbed")
	f.Float64Var(&s.Waiting, "waiting", 0.02, "share of the time that worker or generator may wait for their CPUs before it does")
	f.StringVar(&s.Exe, "eipgw", "bin/eipgw", "the eipgw binary")
	f.StringVar(&s.Against, "against", "", "another eipgw binary: the contender eipgw-other, and the reference")
	f.StringVar(&s.Out, "out", "", "write tables, JSON and plots to this directory")
	f.StringVar(&s.Profile, "profile", "", "only run eipgw under load, and write profiles of it to this directory")
	f.StringVar(&s.During, "during", "", "a shell command that is run, and waited for, while it is counted, with PID set to the contender's")
	f.StringVar(&s.Port, "port", "", "more keys of eipgw's ports, such as 'frames: 1024'")
	f.StringVar(&s.TestPMD, "testpmd", "", "more arguments of testpmd, such as '--burst=64'")
	f.StringVar(&s.selected, "contenders", "", "which to run, separated by commas; all of them unless given")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := s.takeSeries(given); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.Rounds < 1, s.Turns < 1, s.Time <= 0, s.EIPs < 1, s.EIPs > maxEIPs, s.Arms != 1 && s.Arms != 2, s.Rate < 0:
		return s, fmt.Errorf("expected rounds, turns and time > 0, eips from 1 to %d, arms 1 or 2, rate >= 0", maxEIPs)
	case s.TimedTurns < 1, s.TimedTime <= 0, s.Idle < 0, slices.ContainsFunc(s.Loads, func(x float64) bool { return x > 1 }):
		return s, errors.New("expected timed-turns and timed-time > 0, idle >= 0, loads up to 1")
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
	cs, err := s.entrants()
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
	if s.Profile != "" {
		return profileOf(ctx, s, cs[0])
	}
	r := report{Machine: thisMachine(), Command: "go run ./perf/veth " + strings.Join(os.Args[1:], " "), Settings: s}
	r.Settings.Rounds, err = rounds(ctx, s, cs, &r.Trials)
	if r.Settings.Rounds == 0 {
		return err
	}
	r.summarize(cs) // an error does not take back what the rounds before it have shown
	fmt.Print(r.markdown())
	if s.Out != "" {
		err = errors.Join(err, r.write(s.Out))
	}
	return err
}

// rounds adds the trials of s.Rounds rounds, or until one fails, and returns how many there were.
func rounds(ctx context.Context, s settings, cs []contender, trials *[]trial) (n int, err error) {
	for n = range s.Rounds {
		ts, err := round(ctx, s, cs)
		if err != nil {
			return n, fmt.Errorf("round %d: %w", n+1, err)
		}
		for _, t := range ts {
			t.Round = n + 1
			fmt.Fprintln(os.Stderr, t.line())
			*trials = append(*trials, t)
		}
	}
	return s.Rounds, nil
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
