package fib

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
	LookupSpace   int // nodes, entries and groups: 8 GiB, at most that
	PrefixSpace   int // list of prefixes: 16 GiB, at most that
	DistinctSpace int // 4 bytes for each distinct set of tunnels: 16 MiB, at most 1 GiB
}

func (o *TableOptions) fill() error {
	for _, s := range []struct {
		name          string
		v             *int
		def, min, max int
	}{
		{"LookupSpace", &o.LookupSpace, 8 << 30, 4 << 20, 8 << 30},
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

	mu       turns // held by whoever writes
	closed   bool
	compiler bool // there is one

	mem        Memory
	lines      *arena
	ipv4       *trie
	ipv6       *trie    // prefixes up to /120
	long6      *buckets // longer ones
	slots      *slots
	known4     *rib
	known6     *rib // prefixes up to /120
	known6long *rib // longer ones
	paint      paint
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
	t.known4, t.known6, t.known6long = newRIB(prefixes), newRIB(prefixes), newRIB(prefixes)
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
