package task

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Task is a part of the daemon with a life of its own.
type Task interface {
	// Run works until ctx ends and then returns nil; or it returns early, with the
	// error that makes the daemon stop, or with nil when its work is done.
	Run(ctx context.Context) error

	// Ready is closed once the task does its work. A task that returns without
	// ever having been ready does not hold the others back.
	Ready() <-chan struct{}

	// String names the task in errors and logs.
	String() string
}

// Run runs tasks until all have returned, and returns the first error, prefixed
// with its task's name. The end of ctx is no error. ready, where it is not nil, is
// called once from another goroutine when every task is ready; it is not called any
// more after a task has failed or ctx has ended.
func Run(ctx context.Context, ready func(), tasks ...Task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	ended := make([]chan struct{}, len(tasks))
	for i, t := range tasks {
		ended[i] = make(chan struct{})
		group.Go(func() error {
			defer close(ended[i])
			if err := t.Run(ctx); err != nil && !stopped(ctx, err) {
				cancel() // before ended is closed: the watcher must not take a failure for work done
				return fmt.Errorf("%s: %w", t, err)
			}
			return nil
		})
	}
	if ready != nil {
		group.Go(func() error {
			for i, t := range tasks {
				select {
				case <-t.Ready():
				case <-ended[i]:
				case <-ctx.Done():
					return nil
				}
			}
			if ctx.Err() == nil {
				ready()
			}
			return nil
		})
	}
	return group.Wait()
}

// stopped says whether err only tells that ctx has ended.
func stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// Func is a task made of a function. run calls ready once it does its work; calling
// it again is harmless.
func Func(name string, run func(ctx context.Context, ready func()) error) Task {
	return &fn{name: name, run: run, ready: make(chan struct{})}
}

// Loop is a task that is ready as soon as it runs.
func Loop(name string, run func(ctx context.Context) error) Task {
	return Func(name, func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	})
}

type fn struct {
	name  string
	run   func(ctx context.Context, ready func()) error
	ready chan struct{}
	once  sync.Once
}

func (f *fn) Run(ctx context.Context) error {
	return f.run(ctx, func() { f.once.Do(func() { close(f.ready) }) })
}

func (f *fn) Ready() <-chan struct{} { return f.ready }
func (f *fn) String() string         { return f.name }
