package task

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait is a task that works until it is told to stop and notes that it has.
func wait(name string, ended *atomic.Int32) Task {
	return Loop(name, func(ctx context.Context) error {
		<-ctx.Done()
		ended.Add(1)
		return ctx.Err()
	})
}

func TestFirstErrorStopsAllAndAllAreJoined(t *testing.T) {
	cause := errors.New("the queue is bound already")
	var ended atomic.Int32
	err := Run(context.Background(), nil,
		wait("a", &ended),
		Loop("worker 0", func(context.Context) error { return cause }),
		wait("b", &ended),
	)
	require.ErrorIs(t, err, cause)
	assert.EqualError(t, err, "worker 0: the queue is bound already")
	assert.EqualValues(t, 2, ended.Load(), "Run returned before every task had")
}

func TestEndOfContextIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended atomic.Int32
	err := Run(ctx, cancel, wait("a", &ended), wait("b", &ended))
	assert.NoError(t, err)
	assert.EqualValues(t, 2, ended.Load())
}

func TestAnErrorWhileStoppingIsReported(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cause := errors.New("sessions did not close")
	err := Run(ctx, cancel, Loop("speaker", func(ctx context.Context) error {
		<-ctx.Done()
		return cause
	}))
	assert.ErrorIs(t, err, cause)
}

func TestReadyIsSaidOnceAllAre(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := make(chan struct{})
	var said, firstReady atomic.Int32
	err := Run(ctx,
		func() {
			said.Add(1)
			assert.EqualValues(t, 1, firstReady.Load(), "ready before the first task was")
			cancel()
		},
		Func("slow", func(ctx context.Context, ready func()) error {
			<-first
			firstReady.Store(1)
			ready()
			ready()
			<-ctx.Done()
			return nil
		}),
		Func("done at once", func(context.Context, func()) error { close(first); return nil }),
	)
	assert.NoError(t, err)
	assert.EqualValues(t, 1, said.Load())
}

func TestReadyIsNotSaidAfterAFailure(t *testing.T) {
	err := Run(context.Background(), func() { assert.Fail(t, "said ready") },
		Func("never ready", func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil }),
		Loop("fails", func(context.Context) error { return errors.New("no privilege") }),
	)
	assert.EqualError(t, err, "fails: no privilege")

	err = Run(context.Background(), func() { assert.Fail(t, "said ready") },
		Func("fails at once", func(context.Context, func()) error { return errors.New("no privilege") }))
	assert.EqualError(t, err, "fails at once: no privilege")
}
