package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/eipset"
)

// burst is how many keys are looked up at a time.
const burst = 64

type settings struct {
	rounds int
	turn   time.Duration
	eips   int
	groups int
	sets   []string
}

func parse(args []string) (settings, error) {
	var s settings
	var sets string
	f := flag.NewFlagSet("lpm", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 20, "how many turns each contender has")
	f.DurationVar(&s.turn, "turn", 100*time.Millisecond, "about how long a turn takes")
	f.IntVar(&s.eips, "eips", eipset.Million, "EIPs that are bound; a multiple of the burst, 64")
	f.IntVar(&s.groups, "groups", 1<<18, "leave rte_lpm out where EIPs lie in more /24s: it takes 1 KiB for each")
	f.StringVar(&sets, "sets", "", "which sets of EIPs, separated by commas; all of them unless given")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 || s.rounds < 1 || s.turn <= 0 || s.eips < burst || s.eips%burst != 0 {
		return s, fmt.Errorf("expected rounds and turn > 0, eips a multiple of %d, and no arguments", burst)
	}
	if sets == "" {
		for _, set := range eipset.Sets {
			s.sets = append(s.sets, set.Name)
		}
		return s, nil
	}
	s.sets = strings.Split(sets, ",")
	for _, name := range s.sets {
		if _, ok := eipset.Named(name); !ok {
			return s, fmt.Errorf("-sets: no set named %q", name)
		}
	}
	return s, nil
}

func main() {
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(s, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpm:", err)
		os.Exit(1)
	}
}

// run compares the contenders on each set.
func run(s settings, to io.Writer) error {
	rte, err := build()
	if err != nil {
		return err
	}
	defer rte.remove()
	runtime.LockOSThread() // threadTime is this thread's
	defer runtime.UnlockOSThread()
	header(to)
	for _, name := range s.sets {
		cs, err := contenders(s, rte, eipset.Must(name))
		if err == nil {
			err = takeTurns(cs, s)
		}
		if err == nil {
			report(to, name, cs)
		}
		for _, c := range cs {
			err = errors.Join(err, c.close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// contender is something that looks keys up.
type contender struct {
	name   string
	look   func(bursts int) (time.Duration, error) // looks that many bursts up, going on where it ended before
	close  func() error
	bursts int       // of a turn
	turns  []float64 // ns per lookup
}

// takeTurns has the contenders take turns until each has had all of its own.
func takeTurns(cs []*contender, s settings) error {
	for _, c := range cs {
		if err := c.prepare(s); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for range s.rounds {
		for _, c := range cs {
			_, err := c.look(c.bursts / 4) // another one has filled the caches
			took, again := c.look(c.bursts)
			if err = errors.Join(err, again); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.turns = append(c.turns, float64(took.Nanoseconds())/float64(c.bursts*burst))
		}
		slices.Reverse(cs)
	}
	if s.rounds%2 == 1 {
		slices.Reverse(cs)
	}
	return nil
}

// prepare looks all keys up once and finds out how many bursts a turn has.
func (c *contender) prepare(s settings) error {
	all := s.eips / burst
	took, err := c.look(all)
	if err != nil {
		return err
	}
	c.bursts = max(1, int(float64(all)*s.turn.Seconds()/took.Seconds()))
	return nil
}

// threadTime is how long the calling thread has run, not counting the time that others had
// its CPU. rtelpm.c reads the same clock.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // the clock is always there
	}
	return time.Duration(ts.Nano())
}
