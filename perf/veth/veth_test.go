package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

// TestMain lets the test binary be the child of a contender too.
func TestMain(m *testing.M) {
	beChild()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binDir)
		os.Exit(code)
	}))
}

// fake is a contender of which only the name and the kind matter.
type fake struct {
	contender
	label string
	ref   bool
}

func (f fake) name() string    { return f.label }
func (f fake) what() string    { return "what " + f.label + " does" }
func (f fake) reference() bool { return f.ref }

func trialsOf(name string, rates ...float64) (ts []trial) {
	for i, r := range rates {
		ts = append(ts, trial{Contender: name, Round: i + 1, Rate: r, Rates: []float64{r}, Offered: 3e6, Worker: cpuTime{User: 0.25, System: 0.5, Idle: 0.25}})
	}
	return ts
}

func TestSummaryComparesWithEveryReference(t *testing.T) {
	var r report
	r.Trials = append(r.Trials, trialsOf("new", 3e6, 1e6, 2e6)...)
	r.Trials = append(r.Trials, trialsOf("slow", 0.5e6, 0.5e6, 0.5e6)...)
	r.Trials = append(r.Trials, trialsOf("fast", 1e6, 1e6, 0.8e6)...)
	r.summarize([]contender{fake{label: "new"}, fake{label: "slow", ref: true}, fake{label: "fast", ref: true}})
	require.Len(t, r.Summary, 3)
	s := r.Summary[0]
	assert.Equal(t, spread{Median: 2e6, Min: 1e6, Max: 3e6}, s.Rate)
	require.Len(t, s.Ratios, 2)
	assert.Equal(t, "slow", s.Ratios[0].Reference)
	assert.Equal(t, spread{Median: 4, Min: 2, Max: 6}, s.Ratios[0].spread)
	assert.Equal(t, spread{Median: 0.25, Min: 1.0 / 6, Max: 0.5}, s.Ratios[0].CPU, "the same share of the CPU for more frames")
	assert.Equal(t, "fast", s.Ratios[1].Reference)
	assert.InDelta(t, 2.5, s.Ratios[1].Median, 1e-9)
	assert.InDelta(t, 0.75*1e9/2e6, s.NsPerFrame, 1e-9)
	assert.Empty(t, r.Summary[2].Ratios, "a reference is compared with nothing")
	text := r.markdown()
	assert.Contains(t, text, "| new | 2.000 [1.000, 3.000] | 375 |")
	assert.Contains(t, text, "| Ratio of rates, turn by turn | to slow | to fast |\n|---|---|---|\n| new | **4.000** [2.000, 6.000] | **2.500** [1.000, 3.000] |\n")
}

func TestTurnsAddUp(t *testing.T) {
	s := settings{Steal: 0.01, Waiting: 0.02}
	at := func(frames uint64, steal, wait float64) turn {
		return turn{
			time: time.Second, sent: 2 * frames, hostile: frames / 2, skipped: 1,
			received: loadgen.Count{Frames: frames, Bytes: 60 * frames},
			worker:   cpuTime{User: 50, Idle: 50}, generator: cpuTime{System: 100 * (1 - steal), Steal: 100 * steal}, workerWait: wait,
		}
	}
	got := sum([]turn{at(1000, 0, 0), at(4000, 0.05, 0), at(3000, 0, 0.04)}, nil, s)
	assert.InDelta(t, 3000, got.Rate, 1e-9)
	assert.Equal(t, []float64{1000, 4000, 3000}, got.Rates)
	assert.InDelta(t, 4500, got.Offered, 1e-9)
	assert.InDelta(t, 1500, got.Hostile, 1e-9)
	assert.InDelta(t, 1/1.5, got.Arrived, 1e-9)
	assert.Equal(t, loadgen.Count{Frames: 8000, Bytes: 480_000}, got.Received)
	assert.EqualValues(t, 3, got.Skipped)
	assert.InDelta(t, 0.5, got.Worker.busy(), 1e-9)
	assert.InDelta(t, 0.05/3, got.Generator.Steal, 1e-9)
	assert.Equal(t, 2, got.Disturbed)
	assert.Equal(t, []string{"5.0 % stolen", "worker waited 4.0 %"}, got.By)
	assert.Empty(t, at(1000, 0.01, 0.02).disturber(s))
	late := at(1000, 0, 0)
	late.skipped = 500
	assert.Equal(t, "generator sent 20.0 % too few", late.disturber(s))
	assert.InDelta(t, 0.2, late.disturbance(), 1e-9)
}

func TestMedian(t *testing.T) {
	assert.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	assert.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
}

func TestShareOfCPU(t *testing.T) {
	earlier := cpuTime{User: 10, System: 20, SoftIRQ: 30, Idle: 40, Steal: 50}
	now := cpuTime{User: 12, System: 23, SoftIRQ: 31, Idle: 43, Steal: 51}
	assert.Equal(t, cpuTime{User: 0.2, System: 0.3, SoftIRQ: 0.1, Idle: 0.3, Steal: 0.1}, now.since(earlier).shares())
	assert.Zero(t, now.since(now).shares())
	assert.Equal(t, now, earlier.plus(now.since(earlier)))
}

func TestBusiestThread(t *testing.T) {
	earlier := map[int]threadTime{1: {ran: time.Minute}, 2: {ran: time.Second, waited: time.Second}}
	now := map[int]threadTime{1: {ran: time.Minute}, 2: {ran: 3 * time.Second, waited: 4 * time.Second}, 3: {ran: time.Second}}
	assert.Equal(t, threadTime{ran: 2 * time.Second, waited: 3 * time.Second}, busiest(now, earlier))
}

func TestOwnAccounts(t *testing.T) {
	threads, err := threadTimes(os.Getpid())
	require.NoError(t, err)
	assert.Contains(t, threads, os.Getpid())
	_, err = threadTimes(1 << 30)
	assert.ErrorContains(t, err, "is gone")
	m := thisMachine()
	assert.NotContains(t, m.CPU, "?")
	assert.Positive(t, m.CPUs)
	assert.Regexp(t, `^\d+\.\d+`, m.Kernel)
}

func TestCommandLine(t *testing.T) {
	s, err := parse([]string{"-rounds", "7", "-arms", "2", "-contenders", "testpmd,eipgw"})
	require.NoError(t, err)
	assert.Equal(t, 7, s.Rounds)
	chosen, err := choose(contenders(s), s.selected)
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	assert.Equal(t, "testpmd", chosen[0].name())
	all, err := choose(contenders(s), "")
	require.NoError(t, err)
	assert.Len(t, all, len(contenders(s)))
	_, err = choose(all, "nobody")
	assert.ErrorContains(t, err, `"nobody"`)
	for _, bad := range [][]string{{"-arms", "3"}, {"-eips", "0"}, {"-rounds", "0"}, {"-turns", "0"}, {"more"}} {
		_, err := parse(bad)
		assert.Error(t, err, "%v", bad)
	}
	assert.ErrorContains(t, (&eipgw{exe: "/no/such/file"}).missing(), "make build")
	assert.NoError(t, (&eipgw{settings: settings{EIPs: 256}, exe: os.Args[0]}).missing())
}

func TestCommandLineOfFloods(t *testing.T) {
	s, err := parse([]string{"-hostile", "unbound,all", "-share", "0.6", "-eips", "256", "-rate", "1000"})
	require.NoError(t, err)
	cs := contenders(s)
	require.Len(t, cs, 3)
	quiet, unbound, all := cs[0], cs[1], cs[2]
	assert.True(t, quiet.reference())
	assert.False(t, unbound.reference())
	assert.Zero(t, quiet.traffic().mix.Share())
	assert.InDelta(t, 1000, quiet.traffic().total(), 1e-9)
	for _, c := range []contender{unbound, all} {
		assert.InDelta(t, 0.6, c.traffic().mix.Share(), 1e-9)
		assert.InDelta(t, 2500, c.traffic().total(), 1e-6, "1000 ordinary frames are 0.4 of them")
	}
	m := all.traffic().mix
	assert.InDelta(t, 0.2, m.TTL, 1e-9)
	assert.Equal(t, "100.0.1.0", m.FirstUnbound.String())
	assert.Equal(t, 1<<24-256, m.Unbounds)
	assert.Equal(t, unbound.traffic().mix.Unbound, unbound.traffic().mix.Share())
	for _, bad := range [][]string{{"ddos"}, {"ttl,"}, {"ttl", "-share", "1"}, {"ttl", "-share", "0"}, {"ttl", "-load", "0"},
		{"ttl", "-eips", "16777216"}, {"ttl", "-against", "bin/other"}} {
		_, err := parse(append([]string{"-hostile"}, bad...))
		assert.Error(t, err, "%v", bad)
	}
}

func TestReportOfFloods(t *testing.T) {
	r := report{Settings: settings{Hostile: "ttl"}}
	for i, name := range []string{"quiet", "ttl"} {
		ts := trialsOf(name, 1e6, 0.98e6)
		for j := range ts {
			ts[j].Offered, ts[j].Hostile, ts[j].Arrived = 1e6, float64(i)*2e6, ts[j].Rate/1e6
		}
		r.Trials = append(r.Trials, ts...)
	}
	r.summarize([]contender{fake{label: "quiet", ref: true}, fake{label: "ttl"}})
	text := r.markdown()
	assert.Contains(t, text, "| quiet | 1.000 | 0.000 | 99.00 [98.00, 100.00] |\n| ttl | 1.000 | 2.000 | 99.00 [98.00, 100.00] |\n")
	assert.Contains(t, text, "| ttl | **1.000** [1.000, 1.000] |")
}

// binDir is where build has made the binary; TestMain removes it.
var binDir string

// build makes an eipgw binary, once for all tests.
func build(t *testing.T) string {
	exe, err := buildOnce()
	require.NoError(t, err)
	return exe
}

var buildOnce = sync.OnceValues(func() (exe string, err error) {
	if binDir, err = os.MkdirTemp("", "eipgw-veth-"); err != nil {
		return "", err
	}
	exe = filepath.Join(binDir, "eipgw")
	if out, err := exec.Command("go", "build", "-o", exe, "github.com/eipgw/eipgw/cmd/eipgw").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

// A round with two real gateways, slow enough for any machine: what comes of it is
// plausible, and nothing is left.
func TestRound(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	exe := build(t)
	for _, arms := range []int{1, 2} {
		s := settings{
			Arms: arms, EIPs: 16, Size: 64, Rate: 5000, Turns: 2, Retries: 1, Steal: 1, Waiting: 1,
			Warm: 300 * time.Millisecond, Time: time.Second, // a busy machine may do nothing for long
			Loads: []float64{0.5}, TimedTurns: 2, TimedTime: 500 * time.Millisecond, Idle: 50 * time.Millisecond,
		}
		ts, err := round(t.Context(), s, []contender{&eipgw{settings: s, label: "one", exe: exe}, &eipgw{settings: s, label: "two", exe: exe}})
		require.NoError(t, err)
		require.Len(t, ts, 2)
		for _, got := range ts {
			assert.Len(t, got.Rates, 2)
			assert.Positive(t, got.Rate)
			assert.Equal(t, got.Received.Frames*(46+64), got.Received.Bytes, "46 bytes of IP and the tunnel header")
			assert.InDelta(t, 1, got.Worker.busy()+got.Worker.Idle+got.Worker.Steal, 1e-9)
			require.Len(t, got.Latencies, 1)
			l := got.Latencies[0]
			assert.Zero(t, l.Lost)
			assert.Positive(t, l.P50)
			assert.LessOrEqual(t, l.P50, l.P999)
			require.NotNil(t, got.Idle)
			assert.GreaterOrEqual(t, got.Idle.Contender, 0.0)
			assert.Contains(t, got.line(), "idle ")
		}
	}
}

// The same with a flood beside the ordinary frames: only those are tunneled.
func TestRoundWithFloods(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	s := settings{
		Arms: 1, EIPs: 16, Size: 64, Rate: 5000, Turns: 1, Retries: 0, Steal: 1, Waiting: 1,
		Warm: 300 * time.Millisecond, Time: time.Second, Hostile: "all", Share: 0.75, Exe: build(t),
	}
	ts, err := round(t.Context(), s, contenders(s))
	require.NoError(t, err)
	require.Len(t, ts, 2)
	quiet, flooded := ts[0], ts[1]
	assert.Zero(t, quiet.Hostile)
	assert.Positive(t, flooded.Rate)
	assert.InDelta(t, 3, flooded.Hostile/flooded.Offered, 0.1)
	for _, got := range ts {
		assert.Equal(t, got.Received.Frames*(46+64), got.Received.Bytes)
		require.Len(t, got.Resident, 1)
		assert.Greater(t, got.Resident[0], 1024)
		assert.Contains(t, got.line(), " RSS ")
	}
	notes := strings.Join(flooded.Notes, "\n")
	for _, reason := range []string{"no_binding ", "ttl_expired ", "bad_ipv4_header ", "bad_ipv4_checksum ", "made "} {
		assert.Contains(t, notes, reason)
	}
	assert.NotContains(t, strings.Join(quiet.Notes, "\n"), "made ")
}
