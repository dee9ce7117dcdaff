package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

func TestDelaysOfTurnsAddUp(t *testing.T) {
	s := settings{Steal: 0.01, Waiting: 0.02}
	var quick, slow loadgen.Delays
	for range 990 {
		quick.Add(10 * time.Microsecond)
	}
	for range 10 {
		slow.Add(time.Millisecond)
	}
	l := latencyOf([]turn{
		{time: time.Second, sent: 1000, delays: quick, all: 1100, worker: cpuTime{User: 50, Idle: 50}},
		{time: time.Second, sent: 3000, delays: slow, all: 3100, lost: 7, skipped: 5, worker: cpuTime{User: 100}, changes: 8, workerWait: 1},
	}, s)
	assert.InDelta(t, 2000, l.Offered, 1e-9)
	assert.EqualValues(t, 1000, l.Count)
	assert.EqualValues(t, 4200, l.Sent)
	assert.EqualValues(t, 7, l.Lost)
	assert.EqualValues(t, 5, l.Skipped)
	assert.Equal(t, 1, l.Disturbed)
	assert.InDelta(t, 4, l.Changes, 1e-9)
	assert.InDelta(t, 0.75, l.Worker.User, 1e-9)
	assert.InEpsilon(t, 10e3, l.P50, 1.0/32)
	assert.InEpsilon(t, 10e3, l.P90, 1.0/32)
	assert.InEpsilon(t, 1e6, l.P99, 1.0/32)
	assert.InEpsilon(t, 1e6, l.Longest, 1.0/32)
}

// report of two contenders, two rounds each, with everything that a report may have.
func fullReport(series string, cs ...contender) *report {
	r := report{Command: "veth", Machine: machine{CPU: "CPU", CPUs: 2, Hypervisor: "virtual machine", Kernel: "6.18"}}
	r.Settings = settings{
		Rounds: 2, Turns: 1, Warm: time.Second, Time: time.Second, EIPs: 256, Size: 64, Arms: 1, Series: series,
		Loads: []float64{0.5, 0.8}, TimedTurns: 4, TimedTime: time.Second,
	}
	for i, c := range cs {
		for round := range 2 {
			rate := 1e6 * float64(1+i) * (1 + 0.1*float64(round))
			tr := trialsOf(c.name(), rate)[0]
			tr.Round, tr.Changes = round+1, 1000*churnOf(c)
			tr.Generator = cpuTime{System: 0.6, SoftIRQ: 0.4}
			tr.Idle = &idle{Contender: 0.01 * float64(round)}
			for n, load := range r.Settings.Loads {
				us := 1e3 * float64((1+i)*(1+round)*(1+n))
				tr.Latencies = append(tr.Latencies, latency{
					Load: load, Offered: load * rate, Count: 1000, Sent: 1100, Lost: uint64(i), Skipped: 11, P50: 5 * us, P90: 8 * us, P99: 10 * us, P999: 20 * us, Longest: 50 * us,
				})
			}
			r.Trials = append(r.Trials, tr)
		}
	}
	r.summarize(cs)
	return &r
}

// The tables are those of testdata/report.md, which says all that a report can say.
func TestReportIsTheGoldenOne(t *testing.T) {
	c := fake{label: "eipgw"}
	r := fullReport(seriesChurn, variant{contender: c, label: "eipgw, 0 changes/s", base: true}, variant{contender: c, label: "eipgw, 10k changes/s", x: 10e3, churn: 10e3})
	const golden = "testdata/report.md"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(r.markdown()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), r.markdown())
}

// Every kind of run draws its plot, which is XML and names what it shows, and writes its tables.
func TestReportsAreWritten(t *testing.T) {
	c := fake{label: "eipgw"}
	plain := []contender{c, fake{label: "testpmd & more", ref: true}}
	eips := []contender{variant{contender: c, label: "eipgw, 1k EIPs", x: 1e3, base: true}, variant{contender: c, label: "eipgw, 10M EIPs", x: 1e7}}
	churn := []contender{variant{contender: c, label: "eipgw, 0 changes/s", base: true}, variant{contender: c, label: "eipgw, 10k changes/s", x: 1e4, churn: 1e4}}
	for name, run := range map[string]struct {
		series string
		cs     []contender
		shows  []string
	}{
		"rates":   {"", plain, []string{"eipgw", "testpmd & more"}},
		"eips":    {seriesEIPs, eips, []string{"eipgw", "10M", "EIPs"}},
		"churn":   {seriesChurn, churn, []string{"eipgw, 10k changes/s"}},
		"latency": {seriesLatency, plain, []string{"eipgw p50", "testpmd & more p99", "Mpps offered"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "results")
			r := fullReport(run.series, run.cs...)
			require.NoError(t, r.write(dir))
			texts := textsOf(t, filepath.Join(dir, name+".svg"))
			for _, s := range run.shows {
				assert.Contains(t, texts, s)
			}
			md, err := os.ReadFile(filepath.Join(dir, name+".md"))
			require.NoError(t, err)
			assert.Equal(t, r.markdown(), string(md))
			js, err := os.ReadFile(filepath.Join(dir, name+".json"))
			require.NoError(t, err)
			var back report
			require.NoError(t, json.Unmarshal(js, &back))
			assert.Equal(t, r.Trials, back.Trials)
		})
	}
	nothing := fullReport("", plain...)
	for i := range nothing.Trials {
		nothing.Trials[i] = trialsOf(nothing.Trials[i].Contender, 0)[0]
	}
	nothing.Summary, nothing.Settings.Loads = nil, nil
	nothing.summarize(plain)
	require.NoError(t, nothing.write(t.TempDir()), "contenders that forwarded nothing")
	dir := t.TempDir()
	require.NoError(t, fullReport(seriesSoak, churn...).write(dir))
	assert.NoFileExists(t, filepath.Join(dir, "soak.svg"))
	assert.FileExists(t, filepath.Join(dir, "soak.md"))
}

// textsOf are the texts in an SVG.
func textsOf(t *testing.T, file string) (texts []string) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
			var s string
			require.NoError(t, d.DecodeElement(&s, &start))
			texts = append(texts, s)
		}
	}
}

// A gateway at a low rate: every frame that is sent comes out of its tunnel with its time.
func TestTimedTurn(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	s := settings{Arms: 1, EIPs: 16, Size: 64, Warm: 10 * time.Millisecond, Steal: 1, Waiting: 1}
	st, err := open(t.Context(), s, &eipgw{settings: s, label: "one", exe: build(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.close()) }()
	counts, err := st.sink.Counts()
	require.NoError(t, err)
	got, err := st.turn(t.Context(), load{rate: 5000, timed: true, time: time.Second})
	require.NoError(t, err)
	assert.Zero(t, got.lost, "of %d", got.all)
	assert.Positive(t, got.all)
	assert.Positive(t, got.delays.Count())
	assert.LessOrEqual(t, got.delays.Count(), got.all)
	after, err := st.sink.Counts()
	require.NoError(t, err)
	delays, err := st.sink.Delays()
	require.NoError(t, err)
	assert.Equal(t, got.all, after.Tunneled.Sub(counts.Tunneled).Frames)
	assert.Equal(t, got.all, delays.Count())

	_, err = st.turn(t.Context(), load{rate: 5000, time: 50 * time.Millisecond})
	require.NoError(t, err)
	again, err := st.sink.Delays()
	require.NoError(t, err)
	assert.Equal(t, delays, again, "frames of other turns have no time")
}

// The gateway itself counts what a churner has changed.
func TestChurnReachesTheTable(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	s := settings{Arms: 1, EIPs: 2*tunnelBlock + 300, Size: 64}
	st, err := open(t.Context(), s, &eipgw{settings: s, label: "one", exe: build(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.close()) }()
	require.NoError(t, st.thaw())
	for _, rate := range []float64{500, 50_000} {
		c, err := st.churn(t.Context(), rate)
		require.NoError(t, err)
		first, err := c.programmed()
		require.NoError(t, err)
		assert.GreaterOrEqual(t, first.n, float64(s.EIPs), "all have been moved once")
		require.Eventually(t, func() bool {
			now, err := c.programmed()
			require.NoError(t, err)
			return now.n >= first.n+2*tunnelBlock && now.since(first) > 0
		}, 30*time.Second, 10*time.Millisecond)
		require.NoError(t, c.stop())
	}
	none, err := st.churn(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, none.stop())
}

// Bindings change while frames go through, and none is lost.
func TestRoundWithChurn(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	s := settings{
		Arms: 1, EIPs: 300, Size: 64, Rate: 5000, Turns: 1, Steal: 1, Waiting: 1, Series: seriesChurn,
		Warm: 500 * time.Millisecond, Time: 2 * time.Second, // a busy machine may do nothing for long
		Loads: []float64{0.5}, TimedTurns: 1, TimedTime: time.Second,
	}
	c := &eipgw{settings: s, label: "one", exe: build(t)}
	ts, err := round(t.Context(), s, []contender{
		variant{contender: c, label: "rest", base: true}, variant{contender: c, label: "churn", churn: 1000, x: 1000},
	})
	require.NoError(t, err)
	require.Len(t, ts, 2)
	rest, churn := ts[0], ts[1]
	assert.Equal(t, "churn", churn.Contender)
	assert.Zero(t, rest.Changes)
	for _, tr := range ts {
		require.Len(t, tr.Latencies, 1)
		assert.Zero(t, tr.Latencies[0].Lost)
		assert.Positive(t, tr.Latencies[0].P50)
	}
}

// More EIPs than come from a file are bound through the API.
func TestManyEIPsAreBoundThroughTheAPI(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	s := settings{Arms: 1, EIPs: mostFromFile + 1, Size: 64}
	st, err := open(t.Context(), s, &eipgw{settings: s, label: "many", exe: build(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.close()) }()
	require.NoError(t, st.thaw())
	n, err := st.process.(*eipgwProcess).metric(t.Context(), "eipgw_rib_prefixes")
	require.NoError(t, err)
	assert.InDelta(t, mostFromFile+1, n, 0)
}

func TestProfilesAreWritten(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("go"), lab.Tool("nsenter"), lab.That(preconditions))
	dir := filepath.Join(t.TempDir(), "profiles")
	s := settings{Arms: 1, EIPs: 16, Size: 64, Time: time.Second, Profile: dir}
	require.NoError(t, profileOf(t.Context(), s, &eipgw{settings: s, label: "one", exe: build(t)}))
	for _, p := range profiles {
		info, err := os.Stat(filepath.Join(dir, p.file))
		require.NoError(t, err)
		assert.Positive(t, info.Size(), p.file)
	}
	assert.Contains(t, textsOf(t, filepath.Join(dir, "cpu.svg")), "CPU time of eipgw under load")
	svg, err := os.ReadFile(filepath.Join(dir, "cpu.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(svg), "dataplane.(*Worker).round:", "the worker, which is outside of the runtime")
}
