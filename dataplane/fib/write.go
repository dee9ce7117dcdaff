package fib

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
	return t.known6long
}

// cover is the longest prefix that covers k, which may be k itself, and its value.
func (t *Table) cover(k key, is4 bool) (key, Value, bool) {
	if is4 {
		return t.known4.cover(k)
	}
	if k.bits > longest6 {
		if in, v, ok := t.known6long.cover(k); ok {
			return in, v, ok
		}
		k = key{k.first(longest6), longest6}
	}
	return t.known6.cover(k)
}

// forRemoval is the lines that new prefixes leave, so that a table that is full can
// still forget some: that takes memory, too, before it gives any back.
const forRemoval = 8 * chunkLines

// room makes sure that unset of k, or set where add says so, finds the memory that
// it takes.
func (t *Table) room(k key, is4, add bool) error {
	lines := chunkLines
	if n := t.gaps(k, is4); n > 1 {
		// Each of the two ends of a gap changes one node per level. A node takes at
		// most what a dense one does; or four times what it took, and two lines for
		// each end in it.
		ends := 2 * n
		if !is4 {
			ends *= (longest6 - 16) / 8
		}
		lines += min(ends*int(classLines[class1K]), 2*ends+4*int(t.lines.inUse()/lineSize))
	}
	if !add {
		return t.lines.room(lines)
	}
	if err := t.lines.room(lines + forRemoval); err != nil {
		return err
	}
	if err := t.known4.pool.room(chunkLines); err != nil {
		return err
	}
	if !is4 && k.bits > longest6 {
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
