package fib

import (
	"errors"
	"sync/atomic"
	"unsafe"
)

// Reader is one worker's view of a table. Only that worker calls its methods.
// Nothing in it blocks, waits for the writer, or allocates.
type Reader struct {
	_     [128]byte
	began atomic.Uint64 // when the burst began, 0 outside; the writer polls it
	_     [120]byte

	t     *Table
	root4 unsafe.Pointer
	root6 unsafe.Pointer
	lines unsafe.Pointer
	slots unsafe.Pointer
	dir   unsafe.Pointer
	seed  uint64
}

// NewReader adds a reader. Close ends it.
func (t *Table) NewReader() (*Reader, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errors.New("fib: new reader: table is closed")
	}
	r := &Reader{
		t:     t,
		root4: t.ipv4.root.base,
		root6: t.ipv6.root.base,
		lines: t.lines.base,
		slots: t.slots.words.base,
		dir:   t.long6.dir.base,
		seed:  t.long6.seed,
	}
	t.epochs.add(r)
	return r, nil
}

// Close ends the reader, and its burst if it is in one. Twice is harmless.
func (r *Reader) Close() { r.t.epochs.remove(r) }

// Begin starts a burst: what Lookup4, Lookup6 and Entry return from here on stays
// valid until End. Lookups belong between the two.
func (r *Reader) Begin() { r.began.Store(r.t.epochs.now.Load()) }

// End ends the burst. Outside of Begin and End a reader holds nothing back.
func (r *Reader) End() { r.began.Store(0) }

// Entries finds the entries of values, up to 64 of them: out[i] is what Entry is for
// values[i], whatever the flow's hash. Where that depends on the hash, bit i of the result
// is set, and Entry has to be asked. It touches each entry's two lines, so that the cache
// misses of a burst overlap.
//
// Entries are memory that the garbage collector knows nothing of, so it is not told of these
// pointers either: they are stored as numbers, without a write barrier.
func (r *Reader) Entries(values []Value, out []*Entry) (several uint64) {
	slots, lines := r.slots, r.lines
	out = out[:len(values)]
	for i, v := range values {
		w := atomic.LoadUint32(wordAt(slots, uintptr(v)))
		if w-1 >= firstGroup-1 { // 0 too
			*(*uintptr)(unsafe.Pointer(&out[i])) = 0
			if w != 0 {
				several |= 1 << (i & 63)
			}
			continue
		}
		e := unsafe.Add(lines, uintptr(w)*lineSize)
		atomic.LoadUint32((*uint32)(e))
		atomic.LoadUint32((*uint32)(unsafe.Add(e, lineSize)))
		*(*uintptr)(unsafe.Pointer(&out[i])) = uintptr(e)
	}
	return several
}

// Entry is the entry that a flow takes: of the tunnels that v names, the resolved
// one with the highest Score for the flow's hash, and of several ways to its VTEP
// the one with the highest WayScore. nil says that no tunnel is resolved, or that v
// is 0. The entry is valid until End.
func (r *Reader) Entry(v Value, hash uint32) *Entry {
	w := atomic.LoadUint32(wordAt(r.slots, uintptr(v)))
	if w-1 >= firstGroup-1 { // 0 too
		return choose(r.lines, w, hash)
	}
	return (*Entry)(unsafe.Add(r.lines, uintptr(w)*lineSize))
}
