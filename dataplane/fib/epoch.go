package fib

import (
	"math"
	"sync"
	"sync/atomic"
)

// epochs tells the writer what readers may still hold. Time is a counter that the
// writer advances, and the goroutine of a Foreign. A reader inside a burst shows the time at which the burst
// began, outside it shows 0. What was taken out of the table at time t may be
// freed once every reader shows 0 or more than t:
//
//	writer                            reader
//	unpublish x                       Begin: show now
//	note (x, now)                     load from the table ...
//	advance now                       End: show 0
//	free x if all show 0 or > noted
//
// Go's atomics are sequentially consistent. So either the writer sees what Begin
// showed, and keeps x, or Begin comes after the writer looked, thus after x was
// unpublished, and the burst cannot find x.
//
// A Foreign shows the time at which the last wait for all its runs began: what was
// noted before was unpublished before, so no run that began since has found it.
type epochs struct {
	_   [128]byte
	now atomic.Uint64
	_   [120]byte

	mu      sync.Mutex // of readers; a burst never takes it
	readers []*Reader
	foreign *Foreign
}

func (e *epochs) add(r *Reader) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readers = append(e.readers, r)
}

func (e *epochs) remove(r *Reader) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.readers {
		if e.readers[i] == r {
			e.readers = append(e.readers[:i], e.readers[i+1:]...)
			return
		}
	}
}

func (e *epochs) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.readers)
	if e.foreign != nil {
		n++
	}
	return n
}

// setForeign replaces the reader outside of this process, if it is was.
func (e *epochs) setForeign(was, is *Foreign) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.foreign != was {
		return false
	}
	e.foreign = is
	return true
}

// outside is the reader outside of this process, or nil.
func (e *epochs) outside() *Foreign {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.foreign
}

// oldest advances time and returns when the oldest burst began: what was noted
// before that time is free.
func (e *epochs) oldest() uint64 {
	e.now.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	t := uint64(math.MaxUint64)
	for _, r := range e.readers {
		if began := r.began.Load(); began != 0 {
			t = min(t, began)
		}
	}
	if e.foreign != nil {
		t = min(t, e.foreign.began.Load())
	}
	return t
}

// retired is a block, or a slot, that readers may still hold.
type retired struct {
	when uint64
	what uint32 // line, or slot
	slot bool
}

// bin holds what was taken out of the table until no reader can hold it. The
// table's writer owns it.
type bin struct {
	queue []retired // in order of when
	head  int       // the first that is not yet freed
}

func (b *bin) add(r retired) { b.queue = append(b.queue, r) }

func (b *bin) len() int { return len(b.queue) - b.head }

// newest is when the last was taken out; there is one.
func (b *bin) newest() uint64 { return b.queue[len(b.queue)-1].when }

// empty hands everything noted before oldest to free, and forgets it.
func (b *bin) empty(oldest uint64, free func(retired)) {
	for b.head < len(b.queue) && b.queue[b.head].when < oldest {
		free(b.queue[b.head])
		b.head++
	}
	switch {
	case b.head == len(b.queue):
		b.head = 0
		if cap(b.queue) > 1<<16 {
			b.queue = nil
		} else {
			b.queue = b.queue[:0]
		}
	case b.head > len(b.queue)/2:
		b.queue = b.queue[:copy(b.queue, b.queue[b.head:])]
		b.head = 0
	}
}
