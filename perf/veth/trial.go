package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/loadgen"
)

// trial is what one turn of a contender gave.
type trial struct {
	Contender string        `json:"contender"`
	Round     int           `json:"round"`
	Time      time.Duration `json:"time"`

	Offered  float64       `json:"offered"` // frames a second that the generator sent
	Rate     float64       `json:"rate"`    // frames a second that came out of the contender
	Received loadgen.Count `json:"received"`
	Skipped  uint64        `json:"skipped"` // frames that the generator did not send in time

	Generator cpuTime `json:"generator-cpu"`
	Worker    cpuTime `json:"worker-cpu"`

	// Shares of the time for which the threads waited for a CPU.
	GeneratorWait float64 `json:"generator-wait"`
	WorkerWait    float64 `json:"worker-wait"`

	Disturbed string   `json:"disturbed,omitempty"` // by what; such a trial does not count if there is a better one
	Notes     []string `json:"notes,omitempty"`
}

func (t trial) line() string {
	s := fmt.Sprintf("round %d  %-18s %7.3f Mpps of %6.3f offered   CPU %d %3.0f %%, CPU %d %3.0f %%", t.Round, t.Contender,
		t.Rate/1e6, t.Offered/1e6, generatorCPU, 100*t.Generator.busy(), workerCPU, 100*t.Worker.busy())
	if t.Disturbed != "" {
		s += "   disturbed: " + t.Disturbed
	}
	if len(t.Notes) > 0 {
		s += "   " + strings.Join(t.Notes, ", ")
	}
	return s
}

// oneTrial starts a contender in a topology of its own, loads it, and removes both.
func oneTrial(ctx context.Context, s settings, c contender) (_ trial, err error) {
	topo, err := newTopology(s.Arms)
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, topo.Close()) }()
	sink, err := topo.sink()
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	p, err := c.start(ctx, topo)
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	gen, err := topo.generator(s)
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, gen.Close()) }()
	b := &bench{settings: s, topology: topo, contender: c, process: p, gen: gen, sink: sink}
	if err := b.waitUntilForwarding(ctx); err != nil {
		return trial{}, err
	}
	return b.measure(ctx)
}

// bench is everything that takes part in a turn.
type bench struct {
	settings
	topology  *topology
	contender contender
	process   process
	gen       *loadgen.Generator
	sink      *loadgen.Sink
}

// patience is how long a contender may take to start.
const patience = 30 * time.Second

// waitUntilForwarding sends a few frames again and again until all of one go comes out
// as it should.
func (b *bench) waitUntilForwarding(ctx context.Context) error {
	const frames, rate = 64, 10_000
	var got loadgen.Counts
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		before, err := b.sink.Counts()
		if err != nil {
			return err
		}
		if err := b.send(ctx, loadgen.Load{Frames: frames, Rate: rate}, nil); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
		if got, err = b.sink.Counts(); err != nil {
			return err
		}
		if b.forwarded(got).Sub(b.forwarded(before)).Frames == frames {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("does not forward; at the sink came %+v", got)
}

// forwarded is the frames of the kind that the contender is to send.
func (b *bench) forwarded(c loadgen.Counts) loadgen.Count {
	if b.contender.tunnels() {
		return c.Tunneled
	}
	return c.Plain
}

// send runs the generator; it tells the number of its thread first.
func (b *bench) send(ctx context.Context, l loadgen.Load, thread chan<- int) error {
	return b.topology.wire.Do(func() error {
		if thread != nil {
			thread <- unix.Gettid()
		}
		return b.gen.Run(ctx, l)
	})
}

// reading is all counters at one moment.
type reading struct {
	at        time.Time
	cpus      [2]cpuTime
	generator threadTime
	threads   map[int]threadTime
	counts    loadgen.Counts
	sent      uint64
}

func (b *bench) read(generatorThread int) (r reading, err error) {
	own, err1 := threadTimes(unix.Getpid())
	r.generator = own[generatorThread]
	var err2, err3, err4 error
	r.threads, err2 = threadTimes(b.process.pid())
	r.cpus, err3 = cpuTimes()
	r.at = time.Now()
	r.counts, err4 = b.sink.Counts()
	r.sent = b.gen.Sent()
	return r, errors.Join(err1, err2, err3, err4)
}

// measure loads the contender and reads all counters twice.
func (b *bench) measure(ctx context.Context) (t trial, err error) {
	loaded, stop := context.WithCancel(ctx)
	done, thread := make(chan error, 1), make(chan int, 1)
	skipped := b.gen.Skipped()
	go func() { done <- b.send(loaded, loadgen.Load{Rate: b.Rate}, thread) }()
	defer func() {
		stop()
		err = errors.Join(err, <-done)
		t.Skipped = b.gen.Skipped() - skipped
	}()
	tid := <-thread
	if err := sleep(ctx, b.Warm); err != nil {
		return t, err
	}
	first, err := b.read(tid)
	if err != nil {
		return t, err
	}
	if err := b.passTime(ctx); err != nil {
		return t, err
	}
	last, err := b.read(tid)
	if err != nil {
		return t, err
	}
	t = b.compare(first, last)
	t.Notes = b.process.notes()
	return t, nil
}

// passTime waits, and takes a profile or runs a command meanwhile if told to.
func (b *bench) passTime(ctx context.Context) error {
	if b.During != "" {
		cmd := exec.CommandContext(ctx, "sh", "-c", b.During)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PID=%d", b.process.pid()))
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", b.During, err)
		}
	}
	if p, ok := b.process.(*eipgwProcess); ok && b.Profile != "" {
		return p.profile(ctx, b.Time, b.Profile)
	}
	return sleep(ctx, b.Time)
}

func (b *bench) compare(first, last reading) trial {
	d := last.at.Sub(first.at)
	t := trial{
		Time:      d,
		Offered:   float64(last.sent-first.sent) / d.Seconds(),
		Received:  b.forwarded(last.counts).Sub(b.forwarded(first.counts)),
		Generator: last.cpus[0].since(first.cpus[0]),
		Worker:    last.cpus[1].since(first.cpus[1]),
	}
	t.Rate = float64(t.Received.Frames) / d.Seconds()
	t.GeneratorWait = last.generator.since(first.generator).waited.Seconds() / d.Seconds()
	t.WorkerWait = busiest(last.threads, first.threads).waited.Seconds() / d.Seconds()
	t.Disturbed = t.disturber(b.settings)
	return t
}

// disturbance is the share of the time that somebody else had.
func (t trial) disturbance() float64 {
	return max(t.Generator.Steal, t.Worker.Steal, t.GeneratorWait, t.WorkerWait)
}

// disturber is who had more of the time than the settings allow; empty if nobody.
func (t trial) disturber(s settings) string {
	switch {
	case max(t.Generator.Steal, t.Worker.Steal) > s.Steal:
		return fmt.Sprintf("%.1f %% stolen", 100*max(t.Generator.Steal, t.Worker.Steal))
	case t.WorkerWait > s.Waiting:
		return fmt.Sprintf("worker waited %.1f %%", 100*t.WorkerWait)
	case t.GeneratorWait > s.Waiting:
		return fmt.Sprintf("generator waited %.1f %%", 100*t.GeneratorWait)
	}
	return ""
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// download copies what a URL gives to a file. The connection is made by the calling
// thread, so in its network namespace.
func download(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
