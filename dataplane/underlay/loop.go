package underlay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// drainTime bounds how long events are gathered before they are acted on.
const drainTime = 2 * time.Millisecond

// batch is what the reader hands to the loop.
type batch struct {
	events []event
	err    error
}

// Run keeps the answers of Resolve current until ctx ends, then joins its goroutines, frees
// the sockets and returns nil. It can be called once.
func (u *Underlay) Run(ctx context.Context) error {
	if u.running.Swap(true) {
		return errors.New("underlay: Run was called before, or Close")
	}
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan batch)
	var reader sync.WaitGroup
	reader.Go(func() { u.read(ctx, batches) })
	for _, s := range u.errors {
		reader.Go(func() { u.hear(ctx, s) })
	}

	err := newLoop(u).run(ctx, batches)
	cancel()
	err = errors.Join(err, u.kernel.close(), u.closeErrors())
	reader.Wait()
	if err = errors.Join(err, u.release()); err != nil {
		return fmt.Errorf("underlay: %w", err)
	}
	return nil
}

// read hands over what the kernel tells, until the kernel is closed or fails.
func (u *Underlay) read(ctx context.Context, to chan<- batch) {
	for {
		events, err := u.kernel.receive()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		select {
		case to <- batch{events, err}:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, errOverrun) {
			return
		}
	}
}

// vtep is a tracked VTEP. The loop owns it.
type vtep struct {
	addr  netip.Addr
	paths []path // next hops of its route; one that only has an error when there is no route

	learned PathMTU
	changes time.Time // when the changes of it are paid off, one in each changeEvery
}

// loop is the one goroutine that talks to the kernel and writes results.
type loop struct {
	view
	u *Underlay
	k kernel

	vteps map[netip.Addr]*vtep
	order []netip.Addr // the keys of vteps, sorted; nil when they changed
	hops  map[neighborKey]*hop

	ask   map[*vtep]struct{} // whose route has to be asked for
	check map[*vtep]struct{} // whose ways have to be worked out again

	lowered  map[*vtep]struct{} // those with a learned path MTU
	expireAt time.Time          // not later than the first of them is to be forgotten; zero: none

	sources map[neighborKey]netip.Addr // found in this round of asking, by next hop

	syncAt  time.Time // links and neighbors are to be read; zero: they are known
	askAt   time.Time // not before this, after the kernel did not answer
	askAll  schedule
	failing bool // the last request was not answered
}

func newLoop(u *Underlay) *loop {
	return &loop{
		view: view{
			cfg:       u.cfg,
			links:     map[int]link{},
			ports:     map[int]Port{},
			neighbors: map[neighborKey]neighbor{},
		},
		u:     u,
		k:     u.kernel,
		vteps: map[netip.Addr]*vtep{},
		hops:  map[neighborKey]*hop{},
		ask:   map[*vtep]struct{}{},
		check: map[*vtep]struct{}{},

		lowered: map[*vtep]struct{}{},
		sources: map[neighborKey]netip.Addr{},
		syncAt:  time.Now(),
	}
}

func (l *loop) run(ctx context.Context, batches <-chan batch) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-batches:
			if err := l.take(b); err != nil {
				return err
			}
			if err := l.drain(batches); err != nil {
				return err
			}
		case b := <-l.u.reports:
			if !l.heed(&b, time.Now()) {
				continue
			}
		case <-l.u.wake:
		case <-timer.C:
		}
		l.turn()
		timer.Reset(time.Until(l.next()))
	}
}

// drain takes what else is there already, for so long as drainTime.
func (l *loop) drain(batches <-chan batch) error {
	for deadline := time.Now().Add(drainTime); time.Now().Before(deadline); {
		select {
		case b := <-batches:
			if err := l.take(b); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// turn brings everything up to date with what is known now and tells what changed.
func (l *loop) turn() {
	now := time.Now()
	if due(l.syncAt, now) {
		l.sync(now)
	}
	l.takeTracks()
	if !l.syncAt.IsZero() {
		return // nothing can be resolved before links and neighbors are known
	}
	if l.askAll.due(now) {
		l.askForAll(now)
	} else if !l.askAt.After(now) {
		l.askRoutes(now)
	}
	l.actOnHops(now)
	l.expire(now)
	l.publish()
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// next is when turn has something to do without being told.
func (l *loop) next() time.Time {
	if !l.syncAt.IsZero() {
		return l.syncAt
	}
	at := l.askAll.next() // never zero once all is read: there is a round now and then
	if len(l.ask) > 0 {
		at = earliest(at, l.askAt)
	}
	at = earliest(at, l.expireAt)
	for _, h := range l.hops {
		at = earliest(at, h.due)
	}
	return at
}

// earliest ignores a zero time, which is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// takeTracks adds and removes VTEPs.
func (l *loop) takeTracks() {
	for _, t := range l.u.takeTracks() {
		v, known := l.vteps[t.vtep]
		switch {
		case t.on && !known:
			v = &vtep{addr: t.vtep}
			l.vteps[t.vtep] = v
			l.ask[v] = struct{}{}
			l.order = nil
		case !t.on && known:
			l.setPaths(v, nil)
			delete(l.vteps, t.vtep)
			delete(l.ask, v)
			delete(l.check, v)
			l.order = nil
		}
	}
}

// publish works out the ways of the VTEPs to check and calls OnChange.
func (l *loop) publish() {
	var changed []netip.Addr
	for v := range l.check {
		ways, err := l.ways(v.paths, l.hops)
		v.learned.lower(ways)
		if l.u.publish(v.addr, result{ways: ways, path: v.learned, err: err}) {
			changed = append(changed, v.addr)
			l.cfg.Log.Debug("VTEP changed", "vtep", v.addr, "ways", len(ways), "reason", err)
		}
	}
	clear(l.check)
	if len(changed) > 0 {
		slices.SortFunc(changed, netip.Addr.Compare)
		l.cfg.OnChange(changed)
	}
}
