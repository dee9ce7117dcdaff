package rib

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// life is the start and end of Run, and who waits for its turns.
type life struct {
	mu      sync.Mutex
	started bool
	done    chan struct{} // closed when Run has ended
	waiters []waiter
}

// waiter is one Flush.
type waiter struct {
	turn uint64 // of the newest prefix when it was called
	done chan struct{}
}

// Run works until ctx is done or Stop has finished, and returns nil then. A
// canceled ctx ends it at once and leaves announcements and bindings as they are.
func (r *RIB) Run(ctx context.Context) error {
	r.life.mu.Lock()
	if r.life.started {
		r.life.mu.Unlock()
		return errors.New("rib: Run called twice")
	}
	r.life.started = true
	r.life.mu.Unlock()
	defer close(r.life.done)

	r.mu.Lock()
	r.gate.deadline = time.Now().Add(r.cfg.InitialWait)
	r.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		asked := r.asked()
		more := r.work(time.Now())
		wake := r.reconcile(time.Now())
		r.answer(asked)
		if r.finished() {
			return nil
		}
		if more {
			continue
		}
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
		}
		select {
		case <-ctx.Done():
		case <-r.queue.wake:
		case <-timer.C:
		}
	}
	return nil
}

// reconcile brings filter and announcements closer to what is wanted, and returns
// when to come back if nothing else happens; zero for never.
func (r *RIB) reconcile(now time.Time) (wake time.Time) {
	wake = r.serve(now)
	r.filter(now)
	for {
		set, changed, at := r.due(now)
		wake = earlier(wake, at)
		if !changed {
			r.announceAt = time.Time{}
		}
		if !changed || !r.announce(set, now) {
			return earlier(wake, earlier(r.filterAt, r.announceAt))
		}
		now = time.Now()
		wake = earlier(wake, r.serve(now)) // what was withdrawn lingers from now on
	}
}

// serve lets segments go that have lingered.
func (r *RIB) serve(now time.Time) (wake time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wake = earlier(r.segments.expire(now), r.retryAt)
	r.follow()
	return wake
}

// follow decides inside which segments claims are accepted, and VTEPs are not. When
// that changes everything is judged again. The caller holds mu.
func (r *RIB) follow() {
	served := r.segments.served()
	if slices.Equal(served, r.served) {
		return
	}
	r.served = served
	r.t4.served, r.t6.served = splitSpans(served)
	r.judging.restart(false)
	r.queue.kick()
}

// filter tells the ports what to redirect, once everything inside is programmed,
// or everything outside is not any more.
func (r *RIB) filter(now time.Time) {
	r.mu.RLock()
	due := !r.judging.active && r.retryAt.IsZero() && !slices.Equal(r.served, r.filtered)
	served := r.served
	r.mu.RUnlock()
	if !due {
		r.filterAt = time.Time{}
		return
	}
	if now.Before(r.filterAt) {
		return
	}
	var err error
	if r.cfg.Filter != nil {
		err = r.cfg.Filter.SetSegments(slices.Clone(served))
	}
	r.filterAt = r.again(err, "filter", len(served), now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.counters.FilterErrors++
		return
	}
	r.filtered = served
}

// again logs what failed and says when to call it again; zero when it did not fail.
func (r *RIB) again(err error, what string, segments int, now time.Time) time.Time {
	if err == nil {
		return time.Time{}
	}
	r.log.Error(what+" failed, trying again", "segments", segments, "after", retryAfter, "err", err)
	return now.Add(retryAfter)
}

// due returns the set to be announced and whether it differs from what was sent.
func (r *RIB) due(now time.Time) (set []Segment, changed bool, wake time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cfg.WhenEmpty {
		r.gate.set(Health{Name: healthBindings, OK: r.counters.Programmed > 0, Reason: "no binding is programmed"}, now)
	}
	waiting := r.waiting()
	if !r.gate.opened && !r.gate.waits(now, waiting) {
		r.gate.opened = true
		r.log.Info("initial dumps are in, or the wait for them is over", "sources", len(r.sources))
	}
	reasons, wake := r.gate.look(now, waiting)
	if open := len(reasons) == 0; open != r.open {
		r.open = open
		r.log.Info("gate", "open", open, "reasons", reasons)
	}
	if r.open {
		r.gate.used = true
		var at time.Time
		set, at = r.segments.next(now, r.ready)
		wake = earlier(wake, at)
	}
	return set, !slices.EqualFunc(set, r.sent, Segment.equal), wake
}

// ready says whether frames for the segment are redirected and its bindings
// programmed. Being redirected alone does not tell: the segment may be wanted again
// after its bindings have gone and before the filter was narrowed.
func (r *RIB) ready(p netip.Prefix) bool {
	if r.judging.active || !r.retryAt.IsZero() {
		return false
	}
	_, found := slices.BinarySearchFunc(r.filtered, p, netip.Prefix.Compare)
	return found
}

// announce hands the set over, and says whether the speaker has taken it.
func (r *RIB) announce(set []Segment, now time.Time) bool {
	if now.Before(r.announceAt) {
		return false
	}
	var err error
	if r.cfg.Announcer != nil {
		err = r.cfg.Announcer.Announce(slices.Clone(set))
	}
	r.announceAt = r.again(err, "announcing", len(set), now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.counters.AnnounceErrors++
		return false
	}
	r.counters.Announces++
	r.segments.announced(set, time.Now())
	r.sent = set
	r.log.Info("announced", "segments", len(set))
	return true
}

// Stop withdraws every segment, waits for Linger, takes every binding out, and
// ends Run. When ctx is done first it returns an error that says what is left; Run
// goes on trying until its own context ends it.
func (r *RIB) Stop(ctx context.Context) error {
	r.life.mu.Lock()
	started := r.life.started
	r.life.mu.Unlock()
	r.mu.Lock()
	r.gate.stopping = true
	r.segments.want(nil)
	r.mu.Unlock()
	if !started {
		return nil
	}
	r.queue.kick()
	select {
	case <-r.life.done:
		return nil
	case <-ctx.Done():
		r.mu.RLock()
		defer r.mu.RUnlock()
		return fmt.Errorf("rib: stop: %d segments announced, %d bindings programmed still: %w",
			len(r.sent), r.counters.Programmed, ctx.Err())
	}
}

// finished says whether Stop has nothing left to do.
func (r *RIB) finished() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.gate.stopping && len(r.sent) == 0 && len(r.segments.segments) == 0 &&
		len(r.served) == 0 && len(r.filtered) == 0 && !r.judging.active && r.counters.Programmed == 0
}

// Flush waits until everything that was said before is programmed, and filter and
// announcements have been brought up to date once, as far as that was due.
func (r *RIB) Flush(ctx context.Context) error {
	w := waiter{done: make(chan struct{})}
	r.queue.mu.Lock()
	w.turn = r.queue.turn
	r.queue.mu.Unlock()
	r.life.mu.Lock()
	r.life.waiters = append(r.life.waiters, w)
	r.life.mu.Unlock()
	r.queue.kick()
	select {
	case <-w.done:
		return nil
	case <-r.life.done:
		return errors.New("rib: flush: Run has ended")
	case <-ctx.Done():
		return fmt.Errorf("rib: flush: %w", ctx.Err())
	}
}

// asked takes the waiters that came before this turn of Run.
func (r *RIB) asked() []waiter {
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	w := r.life.waiters
	r.life.waiters = nil
	return w
}

// answer lets those waiters go for whom this turn has done everything, and keeps
// the others for the next one.
func (r *RIB) answer(asked []waiter) {
	if len(asked) == 0 {
		return
	}
	r.queue.mu.Lock()
	applied := r.queue.applied()
	idle := len(r.queue.voided) == 0
	r.queue.mu.Unlock()
	r.mu.RLock()
	idle = idle && len(r.dooming) == 0 && !r.judging.active && r.retryAt.IsZero()
	r.mu.RUnlock()
	var keep []waiter
	for _, w := range asked {
		if idle && w.turn <= applied {
			close(w.done)
		} else {
			keep = append(keep, w)
		}
	}
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	r.life.waiters = append(r.life.waiters, keep...)
}
