package lab

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Lab is a set of namespaces that are closed together, last made first.
type Lab struct {
	mu     sync.Mutex
	spaces []*NS
}

// NS makes a namespace that Close removes.
func (l *Lab) NS(label string) (*NS, error) {
	ns, err := New(label)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spaces = append(l.spaces, ns)
	return ns, nil
}

// Close removes all namespaces. More calls do nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, ns := range slices.Backward(l.spaces) {
		errs = append(errs, ns.Close())
	}
	l.spaces = nil
	return errors.Join(errs...)
}

// Run is for programs: it sweeps what earlier runs left, calls f with an empty Lab and
// closes that when f returns or panics. The context ends at the first SIGINT, SIGTERM or
// SIGHUP; f has to return then.
func Run(ctx context.Context, f func(context.Context, *Lab) error) (err error) {
	if _, err := Sweep(); err != nil {
		return err
	}
	signals := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) { // as it is under nohup
		signals = append(signals, unix.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	defer stop()
	var l Lab
	defer func() { err = errors.Join(err, l.Close()) }()
	return f(ctx, &l)
}

// TestLab is a Lab whose methods fail the test instead of returning an error.
type TestLab struct {
	t   TB
	lab Lab
}

// T makes a Lab for a test, closed when the test ends. It calls Need with Root and the
// conditions given.
func T(t TB, conds ...Cond) *TestLab {
	t.Helper()
	Need(t, append([]Cond{Root, Tool("nsenter")}, conds...)...)
	l := &TestLab{t: t}
	sweepOnce()
	t.Cleanup(func() {
		if err := l.lab.Close(); err != nil {
			t.Fatal(err)
		}
	})
	return l
}

var sweepOnce = sync.OnceFunc(func() { _, _ = Sweep() })

// NS makes a namespace.
func (l *TestLab) NS(label string) *NS {
	l.t.Helper()
	ns, err := l.lab.NS(label)
	l.Check(err)
	return ns
}

// Veth makes a veth pair, see the function Veth.
func (l *TestLab) Veth(a, b End, o VethOptions) {
	l.t.Helper()
	l.Check(Veth(a, b, o))
}

// Check fails the test at the first error.
func (l *TestLab) Check(errs ...error) {
	l.t.Helper()
	if err := errors.Join(errs...); err != nil {
		l.t.Fatal(err)
	}
}
