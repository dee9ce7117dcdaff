package fib

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"
)

// trie maps addresses to values: a root of 2^rootBits words, then nodes that
// resolve 8 bits each. Every slot of every node holds the value of the longest
// prefix that covers it, so a lookup never backs up.
//
//	IPv4: root of 24 bits, then one node
//	IPv6: root of 16 bits, then up to 13 nodes; prefixes up to /120, see buckets for longer ones
//
// The table's writer owns all but what lies in the regions.
type trie struct {
	*arena
	root     region
	rootBits uint8
	touched  []uint64  // bit per page of the root that holds or held something
	levels   [14]level // scratch, by depth of recursion
}

type level struct{ in, out runs }

func newTrie(a *arena, mem Memory, name string, rootBits uint8) (*trie, error) {
	root, err := reserve(mem, name, 4<<rootBits)
	if err != nil {
		return nil, err
	}
	if err := root.commit(4 << rootBits); err != nil {
		return nil, err
	}
	return &trie{arena: a, root: root, rootBits: rootBits, touched: make([]uint64, max(1, 1<<rootBits/pageWords/64))}, nil
}

// pageWords is how many words of the root lie in a page.
const pageWords = 1024

// reset gives the memory of an empty root back.
func (t *trie) reset() {
	if !slices.ContainsFunc(t.touched, func(w uint64) bool { return w != 0 }) {
		return
	}
	t.root.mem.Discard(t.root.buf)
	clear(t.touched)
}

// paint gives every gap of p its value.
func (t *trie) paint(p *paint) {
	g := grid{end: t.rootBits, mask: 1<<t.rootBits - 1}
	all := span{hi: hostBits(0)}
	if p.more && !t.dry {
		t.note(g.slot(p.gap.lo), g.slot(p.cover))
	}
	t.paintArray(t.root.base, all, g, p)
}

// note remembers that slots from from to to hold something.
func (t *trie) note(from, to uint32) {
	for page := from / pageWords; page <= to/pageWords; page++ {
		t.touched[page>>6] |= 1 << (page & 63)
	}
}

// paintArray paints the part of p that lies in node, whose slots are words that
// stay where they are.
func (t *trie) paintArray(words unsafe.Pointer, node span, g grid, p *paint) {
	for p.in(node) {
		r := p.run(node, g)
		if r.whole {
			for s := r.from; s <= r.to; s++ {
				t.publish(wordAt(words, uintptr(s)), p.value)
			}
			p.advance(r.last)
			continue
		}
		at := wordAt(words, uintptr(r.from))
		old := *at
		if w := t.paintNode(old, g.span(p.gap.lo), g.deeper(), p); w != old && !t.dry {
			atomic.StoreUint32(at, w)
		}
	}
}

// publish gives a slot a value, and puts away what was behind it.
func (t *trie) publish(at *uint32, value uint32) {
	if old := *at; old != value && !t.dry {
		atomic.StoreUint32(at, value)
		t.retireTree(old)
	}
}

// paintNode paints the part of p that lies in node, which w names and p covers in
// part, and returns the word that names it now.
func (t *trie) paintNode(w uint32, node span, g grid, p *paint) uint32 {
	if w>>kindShift == kindDense && !(t.dry && p.tidy) { // in a dry run tidy sees no change
		t.paintArray(t.nodeAt(w), node, g, p)
		if p.tidy {
			w = t.tidy(w)
		}
		return w
	}
	if p.single && w>>kindShift == kindPacked && w&withRuns == 0 {
		if to, ok := t.paintOne(w, g.slot(p.gap.lo), p.value); ok {
			p.more = false
			return to
		}
	}
	var (
		l    = &t.levels[g.end>>3-3]
		done = 0     // how many slots out has
		run  = 0     // the run of in where the next one lies, or one before it
		open = false // whether in and out are filled
	)
	for p.in(node) {
		r, word := p.run(node, g), p.value
		if !r.whole {
			child := t.behind(w, r.from)
			if word = t.paintNode(child, g.span(p.gap.lo), g.deeper(), p); word == child {
				continue
			}
		}
		if !open {
			t.unpack(w, &l.in)
			l.out.n, open = 0, true
		}
		run = l.copy(run, done, int(r.from))
		if r.whole {
			t.retireSlots(&l.in, run, int(r.to))
			p.advance(r.last)
		}
		l.out.add(int(r.from), word)
		done = int(r.to) + 1
	}
	if !open {
		return w
	}
	l.copy(run, done, 256)
	return t.repack(&l.out, w)
}

// copy appends the slots [from, to) of in to out, and returns the run of in that
// slot to lies in. run is the one that from lies in, or one before it.
func (l *level) copy(run, from, to int) int {
	for run < l.in.n && l.in.end(run) < from {
		run++
	}
	for ; from < to; run++ {
		end := l.in.end(run)
		l.out.add(from, l.in.word[run])
		if end >= to {
			return run
		}
		from = end + 1
	}
	return run
}

// retireSlots puts away what is behind the slots of r from the beginning of run up
// to slot to. Only single slots have something behind them.
func (a *arena) retireSlots(r *runs, run, to int) {
	for ; run < r.n && int(r.start[run]) <= to; run++ {
		a.retireTree(r.word[run])
	}
}

// tidy packs a dense node that no longer needs to be one.
func (a *arena) tidy(w uint32) uint32 {
	if !a.simple(w) {
		return w
	}
	r := &a.scratch
	a.unpack(w, r)
	return a.repack(r, w)
}

// quarterChanges is how often the word changes at most from one address to the next in a quarter of a
// node that can be packed: a quarter lies in one line, which has word 0 and 12 more, and each stands for
// a run, or for a single address, with a change before it and one behind. One more change may lie before the quarter.
const quarterChanges = 2*12 + 1

// simple says whether a dense node has few enough runs that it may be packed again.
func (a *arena) simple(w uint32) bool {
	words := (*[256]uint32)(a.nodeAt(w))
	all, last := 0, words[0]
	for q := 0; q < len(words); q += 64 {
		changes := 0
		for _, w := range words[q : q+64] {
			if w != last {
				changes++
			}
			last = w
		}
		if all += changes; changes > quarterChanges || all > 2*maxWords {
			return false
		}
	}
	return true
}

// inUse is the bytes of the root's pages that hold or held something.
func (t *trie) inUse() (n uint64) {
	for _, w := range t.touched {
		n += uint64(bits.OnesCount64(w))
	}
	return n * pageWords * 4
}
