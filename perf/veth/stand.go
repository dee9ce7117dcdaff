package main

import (
	"context"
	"errors"
	"fmt"
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
	churner   *churner // nil until a turn needs it
	notes     []string // of the contender, when its turns are over
	noted     bool     // it has been asked for them

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

// passTime waits, and runs a command meanwhile if told to.
func (st *stand) passTime(ctx context.Context, d time.Duration) error {
	if st.During != "" {
		cmd := exec.CommandContext(ctx, "sh", "-c", st.During)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PID=%d", st.process.pid()))
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", st.During, err)
		}
	}
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
