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

// room makes sure that unset of k, or set to v where that is not 0, finds the memory that
// it takes.
func (t *Table) room(k key, is4 bool, v Value) error {
	extra := chunkLines
	if v != 0 {
		extra += forRemoval
	}
	if err := t.paintRoom(k, is4, v, extra); err != nil || v == 0 {
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

// paintRoom makes sure that painting finds its memory, and extra lines beside. It asks for
// what is enough in any case; where there is not as much, for what it takes exactly, which
// costs as much time as painting.
func (t *Table) paintRoom(k key, is4 bool, v Value, extra int) error {
	if is4 && k.bits == 32 || k.bits == 128 {
		return t.lines.room(extra)
	}
	err := t.lines.room(extra + t.mostLines(k, is4))
	if err == nil || !is4 && k.bits > longest6 {
		return err
	}
	return t.lines.room(extra + t.dryPaint(k, is4, v))
}

// mostLines is a bound of the lines that painting k takes. Each of the two ends of a gap
// changes one node per level. A node takes at most what a dense one does; or eight times what
// it took, and four lines for each end in it: so many runs, two for each end, that a packed
// node may not have room for them fill most of a dense one.
func (t *Table) mostLines(k key, is4 bool) int {
	r, ends := t.rib(k, is4), 2
	if longest, ok := r.length(128); ok && longest > k.bits {
		ends = 2 * (r.n + 1) // there are no more gaps than prefixes, and one
	}
	if !is4 {
		ends *= (longest6 - 16) / 8
	}
	return min(ends*int(classLines[class1K]), 4*ends+8*int(t.lines.inUse()/lineSize))
}

// dryPaint is how many lines it would take to set k to v, or to unset it where v is 0. It
// changes nothing.
func (t *Table) dryPaint(k key, is4 bool, v Value) int {
	p, on, r := &t.paint, t.ipv6, t.rib(k, is4)
	if is4 {
		on = t.ipv4
	}
	p.tidy = v == 0 || r.find(k) != 0
	if v == 0 {
		_, v, _ = r.outer(k)
	}
	p.begin(r, k, v, false)
	t.lines.dry, t.lines.need = true, 0
	on.paint(p)
	t.lines.dry = false
	return t.lines.need
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

// paintNeighbors paints IPv4 addresses that follow each other, all in one /24; the changes hold the
// values that they had.
func (t *Table) paintNeighbors(chs []change, v Value) {
	p := &t.paint
	some := false
	p.tidy = false
	for i := range chs {
		p.tidy = p.tidy || chs[i].value != 0
		some = some || chs[i].value != v
	}
	if some {
		last := chs[len(chs)-1].last(32)
		p.value, p.cover, p.single = uint32(v), last, len(chs) == 1
		p.gap, p.more, p.rest = span{chs[0].Addr6, last}, true, gaps{done: true}
		t.ipv4.paint(p)
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
	if f := t.epochs.outside(); f != nil && t.lines.bin.len() > 0 {
		f.awaited(t.lines.bin.newest())
	}
}

// settle waits for the reader outside of this process if much waits for it. The caller
// does not hold mu.
func (t *Table) settle() {
	f := t.epochs.outside()
	if f == nil {
		return
	}
	when := uint64(0)
	t.mu.Lock()
	if !t.closed && t.lines.bin.len() > maxWaiting {
		when = t.lines.bin.newest()
	}
	t.mu.Unlock()
	if when > 0 {
		f.wait(when)
	}
}

// maxWaiting is how many retired blocks may wait for a Foreign between two batches of a
// large change set.
const maxWaiting = changeBatch / 8
