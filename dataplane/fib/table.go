package fib

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// Value is what the table holds for an address. 0 is no binding; any other names
// the tunnels of a binding, see Reader.Entry. Bindings with equal tunnels have
// equal values.
type Value uint32

// TableOptions are the choices in a table. The zero value is a good table.
type TableOptions struct {
	HugePages bool   // ask the kernel for transparent huge pages (MADV_HUGEPAGE)
	Poison    bool   // overwrite freed memory, so that a reader that still holds it shows; for tests
	Memory    Memory // nil is anonymous memory of this process

	// Address space set aside, in bytes; memory is taken as content needs it. 0 is
	// the default. A table that has used it up refuses bindings.
	LookupSpace   int // nodes, entries and groups: 16 GiB, at most that
	PrefixSpace   int // list of prefixes: 16 GiB, at most that
	DistinctSpace int // 4 bytes for each distinct set of tunnels: 16 MiB, at most 1 GiB
}

func (o *TableOptions) fill() error {
	for _, s := range []struct {
		name          string
		v             *int
		def, min, max int
	}{
		{"LookupSpace", &o.LookupSpace, 16 << 30, 4 << 20, 16 << 30},
		{"PrefixSpace", &o.PrefixSpace, 16 << 30, 4 << 20, 16 << 30},
		{"DistinctSpace", &o.DistinctSpace, 16 << 20, 1 << 16, 1 << 30},
	} {
		if *s.v == 0 {
			*s.v = s.def
		}
		if *s.v < s.min || *s.v > s.max || *s.v%(1<<16) != 0 {
			return fmt.Errorf("fib: new table: %s is %d bytes, want a multiple of 64 KiB from %d to %d", s.name, *s.v, s.min, s.max)
		}
	}
	return nil
}

// Table is the lookup table that workers read, each by a Reader of its own, and
// that one Compiler writes. Its regions, by name:
//
//	root4        2^24 words, see trie
//	root6        2^16 words, see trie
//	directory6   words, see buckets
//	slots        words: the entry or group that each Value stands for, see slots
//	lines        nodes and pages, entries and groups, in units of 64 bytes
//	prefixes     what only the writer reads, see rib
type Table struct {
	epochs epochs

	mu       sync.Mutex // held by whoever writes
	closed   bool
	compiler bool // there is one

	mem     Memory
	lines   *arena
	ipv4    *trie
	ipv6    *trie    // prefixes up to /120
	long6   *buckets // longer ones
	slots   *slots
	known4  *rib
	known6  *rib // prefixes up to /120
	known6l *rib // longer ones
	paint   paint
}

// NewTable makes an empty table. Close gives its memory back.
func NewTable(o TableOptions) (_ *Table, err error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	mem := o.Memory
	if mem == nil {
		if mem, err = anonymousMemory(o.HugePages); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, mem.Close())
		}
	}()
	t := &Table{mem: mem}
	t.epochs.now.Store(1)
	lines, err := openPool(mem, "lines", o.LookupSpace, o.Poison)
	if err != nil {
		return nil, err
	}
	t.lines = &arena{pool: lines, epochs: &t.epochs}
	if t.ipv4, err = newTrie(t.lines, mem, "root4", 24); err != nil {
		return nil, err
	}
	if t.ipv6, err = newTrie(t.lines, mem, "root6", 16); err != nil {
		return nil, err
	}
	if t.long6, err = newBuckets(t.lines, mem, rand.Uint64()); err != nil {
		return nil, err
	}
	if t.slots, err = newSlots(mem, o.DistinctSpace); err != nil {
		return nil, err
	}
	prefixes, err := openPool(mem, "prefixes", o.PrefixSpace, o.Poison)
	if err != nil {
		return nil, err
	}
	t.known4, t.known6, t.known6l = newRIB(prefixes), newRIB(prefixes), newRIB(prefixes)
	return t, nil
}

// openPool makes a pool whose line 0 is never handed out: 0 stands for none.
func openPool(mem Memory, name string, size int, poison bool) (*pool, error) {
	r, err := reserve(mem, name, size)
	if err != nil {
		return nil, err
	}
	p := newPool(r, poison)
	if err := p.room(1); err != nil {
		return nil, err
	}
	p.alloc(class1K)
	p.blocks[class1K] = 0
	return p, nil
}

// Close gives the table's memory back. It fails while a reader is open. Twice is
// harmless.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	if n := t.epochs.count(); n > 0 {
		return fmt.Errorf("fib: close table: %d readers are still open", n)
	}
	t.closed = true
	return t.mem.Close()
}

// longest6 is the length up to which IPv6 prefixes are in the trie.
const longest6 = 120

// rib is where a prefix is known.
func (t *Table) rib(k key, is4 bool) *rib {
	switch {
	case is4:
		return t.known4
	case k.bits <= longest6:
		return t.known6
	}
	return t.known6l
}

// cover is the longest prefix that covers k, which may be k itself, and its value.
func (t *Table) cover(k key, is4 bool) (key, Value, bool) {
	if is4 {
		return t.known4.cover(k)
	}
	if k.bits > longest6 {
		if in, v, ok := t.known6l.cover(k); ok {
			return in, v, ok
		}
		k = key{k.first(longest6), longest6}
	}
	return t.known6.cover(k)
}

// forRemoval is the lines that new prefixes leave, so that a table that is full can
// still forget some: that takes memory, too.
const forRemoval = 8 * chunkLines

// room makes sure that unset of k, or set where add says so, finds the memory that
// it takes.
func (t *Table) room(k key, is4, add bool) error {
	lines := chunkLines
	if add {
		lines += forRemoval
	}
	if n := t.gaps(k, is4); n > 1 {
		// Each end of a gap changes one node per level. A node of m ends takes no
		// more than 1+m lines.
		perGap := 4
		if !is4 {
			perGap = 2 * 2 * (longest6 - 16) / 8
		}
		lines += n * perGap
	}
	if err := t.lines.room(lines); err != nil {
		return err
	}
	if err := t.known4.pool.room(chunkLines); err != nil {
		return err
	}
	if add && !is4 && k.bits > longest6 {
		return t.long6.reserve(k.Addr6)
	}
	return nil
}

// gaps counts what paint would paint.
func (t *Table) gaps(k key, is4 bool) int {
	if is4 && k.bits == 32 || k.bits == 128 {
		return 1
	}
	n := 0
	g := newGaps(t.rib(k, is4), k)
	for _, more := g.next(); more; _, more = g.next() {
		n++
	}
	return n
}

// set binds a prefix, and returns the value that it had, 0 if none. room has been
// called for it.
func (t *Table) set(k key, is4 bool, v Value) Value {
	r := t.rib(k, is4)
	old := r.put(k, v)
	if old != v {
		t.paintIn(r, k, is4, v, old != 0)
	}
	return old
}

// unset forgets a prefix, and returns the value that it had, 0 if none. room has
// been called for it. What the prefix covered goes to the next shorter one.
func (t *Table) unset(k key, is4 bool) Value {
	r := t.rib(k, is4)
	old := r.delete(k)
	if old != 0 {
		_, v, _ := r.outer(k)
		t.paintIn(r, k, is4, v, true)
	}
	return old
}

func (t *Table) paintIn(r *rib, k key, is4 bool, v Value, tidy bool) {
	p := &t.paint
	p.tidy = tidy
	p.begin(r, k, v, is4 && k.bits == 32 || k.bits == 128)
	switch {
	case !p.more:
	case is4:
		t.ipv4.paint(p)
	case k.bits <= longest6:
		t.ipv6.paint(p)
	default:
		t.long6.paint(p)
	}
}

// trim gives the memory of roots back that hold nothing.
func (t *Table) trim() {
	if t.known4.n == 0 {
		t.ipv4.reset()
	}
	if t.known6.n == 0 {
		t.ipv6.reset()
	}
}

// reclaim frees what no reader can hold any more.
func (t *Table) reclaim() {
	if t.lines.bin.len() == 0 {
		return
	}
	t.lines.bin.empty(t.epochs.oldest(), func(r retired) {
		if r.slot {
			t.slots.release(Value(r.what))
		} else {
			t.lines.release(r.what)
		}
	})
}
