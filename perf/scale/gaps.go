package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pollGaps is a histogram of poll gaps: how many up to each bound. 0 is no bound.
type pollGaps map[time.Duration]uint64

func (g pollGaps) since(earlier pollGaps) pollGaps {
	d := pollGaps{}
	for b, n := range g {
		if n -= earlier[b]; n > 0 {
			d[b] = n
		}
	}
	return d
}

func (g pollGaps) count() (n uint64) {
	for _, c := range g {
		n += c
	}
	return n
}

// over counts gaps of buckets that lie above a bound as a whole.
func (g pollGaps) over(bound time.Duration) (n uint64) {
	for b, c := range g {
		if b == 0 || b > bound*5/4 {
			n += c
		}
	}
	return n
}

// quantile is the bound of the bucket in which the share q of all gaps ends.
func (g pollGaps) quantile(q float64) string {
	bounds := make([]time.Duration, 0, len(g))
	for b := range g {
		bounds = append(bounds, b)
	}
	slices.SortFunc(bounds, func(a, b time.Duration) int {
		switch {
		case a == b:
			return 0
		case a == 0 || b != 0 && a > b:
			return 1
		}
		return -1
	})
	left := int64(q * float64(g.count()))
	for i, b := range bounds {
		if left -= int64(g[b]); left <= 0 || i == len(bounds)-1 {
			if b == 0 {
				return "more than a second"
			}
			return b.String()
		}
	}
	return "none"
}

// gaps are the worker's so far.
func (p *eipgwProcess) gaps(ctx context.Context) (pollGaps, error) {
	var c struct {
		Workers []struct {
			PollGaps struct {
				Buckets []struct {
					UpTo  string `json:"up_to"`
					Count uint64
				}
			} `json:"poll_gaps"`
		}
	}
	if err := p.Show(ctx, &c, "show", "counters"); err != nil {
		return nil, err
	}
	g := pollGaps{}
	for _, b := range c.Workers[0].PollGaps.Buckets {
		var d time.Duration
		if b.UpTo != "" {
			var err error
			if d, err = time.ParseDuration(b.UpTo); err != nil {
				return nil, err
			}
		}
		g[d] = b.Count
	}
	return g, nil
}

// phase is something that goes on beside a busy worker for a while.
type phase struct {
	name string
	what string
	work func(ctx context.Context) error // again and again; nil: nothing
}

// runGaps loads eipgw with all routes and shows its worker's poll gaps while this or
// that goes on, before and after them those of a bare loop in a process of its own.
func runGaps(ctx context.Context, st *stand, dir string) error {
	cpus, err := elsewhere(st.bird.PID())
	if err != nil {
		return err
	}
	bare := phase{name: "bare loop", what: "another process, eipgw is not there"}
	g, err := st.spin(ctx)
	if err != nil {
		return err
	}
	fmt.Println("| | gaps a second | 99.9 % up to | 99.99 % | 99.999 % | all | over 100 µs a second | over 1 ms | turns |\n|---|---|---|---|---|---|---|---|---|")
	row(bare, g, st.phase, 0)
	p, err := (&eipgw{exe: st.exe, cpus: cpus}).run(ctx, st, dir)
	if err != nil {
		return err
	}
	err = errors.Join(gapPhases(ctx, st, p), p.stop())
	if err != nil {
		return err
	}
	if g, err = st.spin(ctx); err != nil {
		return err
	}
	row(bare, g, st.phase, 0)
	return nil
}

func row(p phase, g pollGaps, took time.Duration, turns int) {
	s := took.Seconds()
	fmt.Printf("| %s | %.0f | %s | %s | %s | %s | %.1f | %.2f | %d |\n", p.name, float64(g.count())/s,
		g.quantile(0.999), g.quantile(0.9999), g.quantile(0.99999), g.quantile(1),
		float64(g.over(100*time.Microsecond))/s, float64(g.over(time.Millisecond))/s, turns)
}

func gapPhases(ctx context.Context, st *stand, p *eipgwProcess) error {
	empty := phase{name: "empty table"}
	if err := measure(ctx, st, p, empty); err != nil {
		return err
	}
	begin, err := p.gaps(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := st.enable(ctx); err != nil {
		return err
	}
	err = poll(ctx, turnLimit, "all routes", func() (bool, error) {
		_, done, err := p.times()
		return !done.IsZero(), err
	})
	if err != nil {
		return err
	}
	end, err := p.gaps(ctx)
	if err != nil {
		return err
	}
	row(phase{name: "learning all routes"}, end.since(begin), time.Since(start), 1)
	if err := p.check(ctx, st.routes); err != nil {
		return err
	}
	collect := func(ctx context.Context) error {
		resp, err := st.get(ctx, "/debug/pprof/heap?gc=1")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	variant := 0
	churn := func(ctx context.Context) error {
		variant = 1 - variant
		if err := st.bird.Configure(ctx, birdConfig(st.routesFile, variant, true)); err != nil {
			return err
		}
		return st.exported(ctx)
	}
	show := func(ctx context.Context) error {
		out, err := p.Run(ctx, "show", "bindings", "--json")
		if n := strings.Count(out, `"prefix"`); err == nil && n != st.routes {
			err = fmt.Errorf("show bindings has %d, expected %d", n, st.routes)
		}
		return err
	}
	for _, ph := range []phase{
		{name: "at rest"},
		{name: "garbage collections", work: collect},
		{name: "all routes anew, all tunnels other ones", work: churn},
		{name: "`show bindings --json`", work: show},
		{name: "at rest again"},
	} {
		if err := measure(ctx, st, p, ph); err != nil {
			return fmt.Errorf("%s: %w", ph.name, err)
		}
	}
	return nil
}

// measure counts gaps for the time of a phase, and until its last turn has ended.
func measure(ctx context.Context, st *stand, p *eipgwProcess, ph phase) error {
	begin, err := p.gaps(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	var failed error
	turns := 0
	var wg sync.WaitGroup
	if ph.work != nil {
		wg.Go(func() {
			for failed == nil && time.Since(start) < st.phase {
				failed = ph.work(ctx)
				turns++
			}
		})
	}
	time.Sleep(st.phase)
	wg.Wait()
	took := time.Since(start)
	end, err := p.gaps(ctx)
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	row(ph, end.since(begin), took, turns)
	return nil
}

// exported waits until BIRD has nothing more to send: its session's buffers are empty when
// the count of exported updates has stood still.
func (st *stand) exported(ctx context.Context) error {
	last, still := "", 0
	return poll(ctx, turnLimit, "bird has sent all", func() (bool, error) {
		out, err := st.bird.Birdc(ctx, "show", "protocols", "all", protocol)
		_, now, _ := strings.Cut(out, "Export updates:")
		now, _, _ = strings.Cut(now, "\n")
		if still++; now != last {
			last, still = now, 0
		}
		return still > 25, err
	})
}

// spin runs the bare loop on the worker's CPU.
func (st *stand) spin(ctx context.Context) (pollGaps, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := st.gateway.Command(ctx, "taskset", "-c", strconv.Itoa(workerCPU), exe, spinChild, st.phase.String())
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("bare loop: %w", err)
	}
	g := pollGaps{}
	for line := range strings.Lines(string(out)) {
		var bound time.Duration
		var n uint64
		if _, err := fmt.Sscan(line, (*int64)(&bound), &n); err != nil {
			return nil, err
		}
		g[bound] = n
	}
	return g, nil
}

// gapDir is the directory of the gateway of runGaps.
func gapDir(dir string) (string, error) {
	d := filepath.Join(dir, "gaps")
	return d, os.Mkdir(d, 0o755)
}
