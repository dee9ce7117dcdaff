package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// contender takes the routes.
type contender interface {
	name() string
	start(ctx context.Context, st *stand, dir string) (process, error)
}

// process is a contender that runs.
type process interface {
	pid() int
	times() (up, done time.Time, err error) // zero: not yet
	check(ctx context.Context, routes int) error
	profile(ctx context.Context, d time.Duration) error // writes one into the directory of -profile
	stop() error
}

func contenders(s settings) ([]contender, error) {
	all := []contender{&eipgw{label: "eipgw", exe: s.exe}}
	if s.other != "" {
		all = append(all, &eipgw{label: "eipgw-other", exe: s.other})
	}
	all = append(all, gobgp{})
	if s.only == "" {
		return all, nil
	}
	for _, c := range all {
		if c.name() == s.only {
			return []contender{c}, nil
		}
	}
	return nil, fmt.Errorf("no contender is called %q", s.only)
}

// turn is what one process has needed for all routes.
type turn struct {
	name string
	took time.Duration // session up until all routes are in
	cpu  time.Duration // of all its threads in that time, since its start
	rss  int           // KiB, the most until then
	rest int           // KiB, a moment later
	lost float64       // share of all CPUs that the hypervisor and others' processes took meanwhile
}

func (t turn) line() string {
	return fmt.Sprintf("%-12s %6.2f s, %6.2f s of CPU, %5d MiB at most, %5d MiB after; %.0f %% of the CPUs were others'",
		t.name, t.took.Seconds(), t.cpu.Seconds(), t.rss>>10, t.rest>>10, 100*t.lost)
}

const (
	turnLimit = 5 * time.Minute
	settle    = 3 * time.Second

	profileTime = 20 * time.Second // from before the session is up
)

// turn starts a contender, has BIRD tell it everything, and ends it.
func (st *stand) turn(ctx context.Context, c contender, dir string, last bool) (t turn, err error) {
	t.name = c.name()
	p, err := c.start(ctx, st, dir)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if last && st.settings.profile != "" {
		profiled := make(chan error, 1)
		go func() { profiled <- p.profile(ctx, profileTime) }()
		defer func() { err = errors.Join(err, <-profiled) }()
	}
	before, err := readCPUs()
	if err != nil {
		return t, err
	}
	if err := st.enable(ctx); err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, st.disable(ctx)) }()
	err = poll(ctx, turnLimit, "all routes", func() (bool, error) {
		up, done, err := p.times()
		t.took = done.Sub(up)
		return !up.IsZero() && !done.IsZero(), err
	})
	if err != nil {
		return t, err
	}
	now, err := readCPUs()
	if err != nil {
		return t, err
	}
	if t.cpu, err = cpuOf(p.pid()); err != nil {
		return t, err
	}
	bird, err := cpuOf(st.bird.PID())
	if err != nil {
		return t, err
	}
	t.lost = now.lost(before, t.cpu+bird-st.birdTime)
	st.birdTime = bird
	if t.rss, err = memory(p.pid(), "VmHWM"); err != nil {
		return t, err
	}
	if err := p.check(ctx, st.routes); err != nil {
		return t, err
	}
	time.Sleep(settle)
	t.rest, err = memory(p.pid(), "VmRSS")
	return t, err
}

// tick is the unit of /proc: USER_HZ is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpuOf is what a process has used of the CPUs, user and system (proc_pid_stat(5)).
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// memory is a line of /proc/PID/status, in KiB.
func memory(pid int, line string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + line + `:\s*(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("/proc/%d/status has no %s", pid, line)
	}
	return strconv.Atoi(string(m[1]))
}

// cpus is the first line of /proc/stat (proc_stat(5)).
type cpus struct{ busy, idle, steal time.Duration }

func readCPUs() (c cpus, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return c, err
	}
	var name string
	var user, nice, system, idle, iowait, irq, softirq, steal time.Duration
	if _, err := fmt.Sscan(string(text), &name, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return c, fmt.Errorf("/proc/stat: %w", err)
	}
	return cpus{busy: (user + nice + system + irq + softirq) * tick, idle: (idle + iowait) * tick, steal: steal * tick}, nil
}

// lost is the share of all CPUs' time that was neither idle nor ours.
func (c cpus) lost(since cpus, ours time.Duration) float64 {
	busy, steal, idle := c.busy-since.busy, c.steal-since.steal, c.idle-since.idle
	return max(0, float64(busy+steal-ours)) / float64(max(1, busy+steal+idle))
}
