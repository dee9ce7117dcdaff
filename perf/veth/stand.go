package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/loadgen"
)

// stand is a contender that runs, in a topology of its own, with generator and sink.
// Between its turns its process is stopped: most contenders poll, and would take the CPU
// from the one whose turn it is.
type stand struct {
	settings
	contender contender
	topology  *topology
	sink      *loadgen.Sink
	process   process
	gen       *loadgen.Generator
	traffic   traffic

	closers []func() error
}

// open starts a contender and returns when it forwards.
func open(ctx context.Context, s settings, c contender) (_ *stand, err error) {
	st := &stand{settings: s, contender: c, traffic: c.traffic()}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.close())
		}
	}()
	if st.topology, err = newTopology(s.Arms); err != nil {
		return nil, err
	}
	st.closers = append(st.closers, st.topology.Close)
	if st.sink, err = st.topology.sink(); err != nil {
		return nil, err
	}
	st.closers = append(st.closers, st.sink.Close)
	if st.process, err = c.start(ctx, st.topology); err != nil {
		return nil, err
	}
	st.closers = append(st.closers, st.process.stop)
	if st.gen, err = st.topology.generator(s, st.traffic); err != nil {
		return nil, err
	}
	st.closers = append(st.closers, st.gen.Close)
	if err := st.waitUntilForwarding(ctx); err != nil {
		return nil, err
	}
	return st, st.freeze()
}

// close ends the contender and removes everything, the last made first.
func (st *stand) close() error {
	var errs []error
	if st.process != nil {
		_ = st.thaw() // it may have ended by itself
	}
	for i := len(st.closers) - 1; i >= 0; i-- {
		errs = append(errs, st.closers[i]())
	}
	return errors.Join(errs...)
}

func (st *stand) freeze() error { return unix.Kill(st.process.pid(), unix.SIGSTOP) }
func (st *stand) thaw() error   { return unix.Kill(st.process.pid(), unix.SIGCONT) }

// patience is how long a contender may take to start, and perEIP what it may take longer for
// each EIP.
const (
	patience = 30 * time.Second
	perEIP   = 200 * time.Microsecond
)

// waitUntilForwarding sends a few frames again and again until all ordinary ones of one go
// come out as they should.
func (st *stand) waitUntilForwarding(ctx context.Context) error {
	const frames, rate = 64, 10_000
	var got loadgen.Counts
	for end := time.Now().Add(patience + time.Duration(st.traffic.eips)*perEIP); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		before, err := st.sink.Counts()
		if err != nil {
			return err
		}
		hostile := st.gen.Hostile()
		if err := st.send(ctx, loadgen.Load{Frames: frames, Rate: rate}, nil); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
		if got, err = st.sink.Counts(); err != nil {
			return err
		}
		if st.forwarded(got).Sub(st.forwarded(before)).Frames == frames-(st.gen.Hostile()-hostile) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("does not forward; at the sink came %+v", got)
}

// forwarded is the frames of the kind that the contender is to send.
func (st *stand) forwarded(c loadgen.Counts) loadgen.Count {
	if st.contender.tunnels() {
		return c.Tunneled
	}
	return c.Plain
}

// send runs the generator; it tells the number of its thread first.
func (st *stand) send(ctx context.Context, l loadgen.Load, thread chan<- int) error {
	return st.topology.wire.Do(func() error {
		if thread != nil {
			thread <- unix.Gettid()
		}
		return st.gen.Run(ctx, l)
	})
}

// reading is all counters at one moment.
type reading struct {
	at        time.Time
	cpus      [2]cpuTime
	generator threadTime
	threads   map[int]threadTime
	counts    loadgen.Counts

	sent, hostile, skipped uint64
}

func (st *stand) read(generatorThread int) (r reading, err error) {
	own, err1 := threadTimes(unix.Getpid())
	r.generator = own[generatorThread]
	var err2, err3, err4 error
	r.threads, err2 = threadTimes(st.process.pid())
	r.cpus, err3 = cpuTimes()
	r.at = time.Now()
	r.counts, err4 = st.sink.Counts()
	r.sent, r.hostile, r.skipped = st.gen.Sent(), st.gen.Hostile(), st.gen.Skipped()
	return r, errors.Join(err1, err2, err3, err4)
}

// turn lets the contender run, loads it, and reads all counters twice.
func (st *stand) turn(ctx context.Context) (t turn, err error) {
	if err := st.thaw(); err != nil {
		return t, err
	}
	loaded, stop := context.WithCancel(ctx)
	done, thread := make(chan error, 1), make(chan int, 1)
	go func() { done <- st.send(loaded, loadgen.Load{Rate: st.traffic.total()}, thread) }()
	defer func() {
		stop()
		err = errors.Join(err, <-done, st.freeze())
	}()
	tid := <-thread
	if err := sleep(ctx, st.Warm); err != nil {
		return t, err
	}
	first, err := st.read(tid)
	if err != nil {
		return t, err
	}
	if err := st.passTime(ctx); err != nil {
		return t, err
	}
	last, err1 := st.read(tid)
	t = st.compare(first, last)
	var err2 error
	t.resident, err2 = residentKiB(st.process.pid())
	return t, errors.Join(err1, err2)
}

func (st *stand) compare(first, last reading) turn {
	d := last.at.Sub(first.at)
	waited := func(now, earlier threadTime) float64 { return now.since(earlier).waited.Seconds() / d.Seconds() }
	return turn{
		time: d, sent: last.sent - first.sent, hostile: last.hostile - first.hostile, skipped: last.skipped - first.skipped,
		received:      st.forwarded(last.counts).Sub(st.forwarded(first.counts)),
		generator:     last.cpus[0].since(first.cpus[0]),
		worker:        last.cpus[1].since(first.cpus[1]),
		generatorWait: waited(last.generator, first.generator),
		workerWait:    waited(busiest(last.threads, first.threads), threadTime{}),
	}
}

// passTime waits, and takes a profile or runs a command meanwhile if told to.
func (st *stand) passTime(ctx context.Context) error {
	if st.During != "" {
		cmd := exec.CommandContext(ctx, "sh", "-c", st.During)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PID=%d", st.process.pid()))
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", st.During, err)
		}
	}
	if p, ok := st.process.(*eipgwProcess); ok && st.Profile != "" {
		return p.profile(ctx, st.Time, st.Profile)
	}
	return sleep(ctx, st.Time)
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
