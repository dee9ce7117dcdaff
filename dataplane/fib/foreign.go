package fib

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Foreign stands for readers outside of this process that show no epochs: programs in
// the kernel that read the table's regions in place. All that is known of them is that
// each of their runs ends, and how to wait for that.
//
// For the writer a Foreign is a reader whose burst began before the last wait for all
// runs: what was taken out of the table since then is kept. A goroutine of its own waits
// for them whenever something is kept, and then has it freed.
type Foreign struct {
	t           *Table
	synchronize func() error
	began       atomic.Uint64
	wake        chan struct{} // has room for one
	stop        chan struct{}
	ended       chan struct{}
	once        sync.Once

	mu   sync.Mutex // guards err
	cond *sync.Cond // a wait for all runs has ended, or there will be none
	err  error      // of the last
}

// NewForeign adds a reader outside of this process, before any of its runs. synchronize
// returns once every run that was under way when it was called has ended; it may take
// long. While it fails nothing is freed, see Err. Close ends the reader. A table has one
// at the most.
func (t *Table) NewForeign(synchronize func() error) (*Foreign, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &Foreign{t: t, synchronize: synchronize, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	f.cond = sync.NewCond(&f.mu)
	f.began.Store(t.epochs.now.Add(1))
	switch {
	case t.closed:
		return nil, errors.New("fib: new foreign reader: table is closed")
	case !t.epochs.setForeign(nil, f):
		return nil, errors.New("fib: new foreign reader: there is one already")
	}
	go f.run()
	return f, nil
}

// Close ends the reader, after the last of its runs: whoever starts them has made sure
// that there are no new ones. It returns why that could not be waited for; then the
// reader stays, and what it may hold with it. Twice is harmless.
func (f *Foreign) Close() error {
	f.once.Do(func() { close(f.stop) })
	<-f.ended
	if err := f.synchronize(); err != nil {
		return fmt.Errorf("fib: close foreign reader: %w", err)
	}
	f.t.epochs.setForeign(f, nil)
	return nil
}

// Err is why the last wait for all runs failed, nil if it did not.
func (f *Foreign) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// run waits for the reader's runs whenever there is something to free after it.
func (f *Foreign) run() {
	defer close(f.ended)
	for {
		select {
		case <-f.stop:
			f.note(nil)
			return
		case <-f.wake:
		}
		now := f.t.epochs.now.Add(1)
		err := f.synchronize()
		if err == nil {
			f.began.Store(now)
		}
		f.note(err)
		if err != nil {
			f.pause()
		}
		f.t.mu.Lock()
		if !f.t.closed {
			f.t.reclaim() // which wakes the next round if something came meanwhile
		}
		f.t.mu.Unlock()
	}
}

// retryAfter is how long a failed wait for all runs is not tried again.
const retryAfter = 100 * time.Millisecond

// pause lets some time pass, or none if the reader is closed.
func (f *Foreign) pause() {
	t := time.NewTimer(retryAfter)
	defer t.Stop()
	select {
	case <-f.stop:
	case <-t.C:
	}
}

// note keeps how the last wait went, and wakes who waits for it.
func (f *Foreign) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.cond.Broadcast()
}

// awaited says that something taken out at this time waits for the reader, which is
// looked after.
func (f *Foreign) awaited(when uint64) {
	if when < f.began.Load() {
		return
	}
	select {
	case f.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// wait blocks until what was taken out at this time is no longer held, or the reader is
// closed, or it cannot be waited for.
func (f *Foreign) wait(when uint64) {
	f.awaited(when)
	f.mu.Lock()
	defer f.mu.Unlock()
	for when >= f.began.Load() && f.err == nil && !f.stopped() {
		f.cond.Wait()
	}
}

func (f *Foreign) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}
