package rib

import "github.com/eipgw/eipgw/encap"

// path is one claim as it is held: 32 bytes.
type path struct {
	attr       uint32 // what is claimed, see attrTable; holds a reference
	pathID     uint32
	learned    uint32 // see RIB.stamp
	next       uint32 // of the same prefix
	node       uint32 // of the prefix
	prev, succ uint32 // of the same source, a ring
	epoch      uint16 // of its source, the low bits, when it was said last
	reason     RefuseReason
}

// Flags of a trie node.
const (
	flagProgrammed uint8 = 1 << iota // the forwarding table has a binding
	flagTouched                      // in table.touched
	flagGroup                        // what is chosen has several tunnels
	flagContested                    // several sources claim it with different tunnels
)

// table holds the paths of one family. Run's goroutine alone changes it, under the
// RIB's lock.
type table[K key[K]] struct {
	r       *RIB
	family  int // index of source.rings
	allow   func(*source) spans[K]
	served  spans[K] // segments inside which claims are accepted, and VTEPs are not
	trie    trie[K]
	paths   arena[path]
	touched []touched // prefixes of this batch
}

// touched is a prefix that a batch may have changed, and what was chosen before.
type touched struct {
	node   uint32
	before choice
	force  bool // program it in any case
}

func (t *table[K]) keyOf(i uint32) prefixKey {
	n := t.trie.nodes.at(i)
	return n.key.pack(n.bits)
}

// touch notes that the node may change in this batch. It comes before the change.
func (t *table[K]) touch(i uint32) {
	n := t.trie.nodes.at(i)
	if n.flags&flagTouched == 0 {
		n.flags |= flagTouched
		t.touched = append(t.touched, touched{node: i, before: t.choose(n.head)})
	}
}

// force has the node programmed whether or not the batch changes it.
func (t *table[K]) force(i uint32) {
	t.touch(i)
	for j := len(t.touched) - 1; ; j-- {
		if t.touched[j].node == i {
			t.touched[j].force = true
			return
		}
	}
}

// apply does what the queue holds for one prefix.
func (t *table[K]) apply(k K, bits uint8, ops []op) {
	i := t.trie.findNear(k, bits)
	for j := range ops {
		o := &ops[j]
		if o.attr == 0 || o.src.gone {
			t.r.freed = append(t.r.freed, o.attr)
			if i == 0 {
				continue
			}
			if p := t.lookup(i, o); p != 0 {
				t.touch(i)
				t.drop(p)
			}
			continue
		}
		if i == 0 {
			i = t.trie.insert(k, bits)
		}
		t.set(i, o)
	}
	if i != 0 {
		t.touch(i) // takes the node out again when nothing was held
	}
}

// lookup finds the path that o speaks of, 0 when it is not held.
func (t *table[K]) lookup(node uint32, o *op) uint32 {
	p := t.trie.nodes.at(node).head
	for p != 0 {
		at := t.paths.at(p)
		if at.pathID == o.pathID && t.r.slots[at.attr].src == o.src {
			break
		}
		p = at.next
	}
	return p
}

// set holds what o claims, and takes over its reference.
func (t *table[K]) set(node uint32, o *op) {
	t.touch(node)
	if p := t.lookup(node, o); p != 0 {
		t.replace(p, o)
		return
	}
	if !o.src.canHold() {
		o.src.notHeld++
		t.r.freed = append(t.r.freed, o.attr)
		t.r.refuse(t.r.slots[o.attr], o.key, RefuseMaxPrefixes)
		return
	}
	p := t.paths.get()
	n := t.trie.nodes.at(node)
	if n.head == 0 {
		t.r.counters.Prefixes++
	}
	*t.paths.at(p) = path{attr: o.attr, pathID: o.pathID, learned: o.learned, next: n.head, node: node, epoch: uint16(o.epoch)}
	n.head = p
	t.link(p, t.ring(o.src, false))
	o.src.paths++
	t.r.counters.Paths++
	t.enter(t.paths.at(p), o.src, t.judge(n, t.r.slots[o.attr], false))
}

// replace changes what a held path claims, and judges it again: another tunnel may
// be refused, or accepted.
func (t *table[K]) replace(p uint32, o *op) {
	at := t.paths.at(p)
	t.unlink(p)
	t.link(p, t.ring(o.src, false))
	t.r.freed = append(t.r.freed, at.attr)
	at.epoch = uint16(o.epoch)
	changed := at.attr != o.attr
	if changed {
		at.attr, at.learned = o.attr, o.learned
	}
	a := t.r.slots[at.attr]
	switch reason := t.judge(t.trie.nodes.at(at.node), a, at.reason == RefuseNone); {
	case reason != at.reason:
		t.leave(at, o.src)
		t.enter(at, o.src, reason)
	case reason == RefuseNone:
		t.r.accept(o.src, o.key)
	case changed:
		t.r.refuse(a, o.key, reason)
	}
}

// drop takes a path out. Its node has been touched.
func (t *table[K]) drop(p uint32) {
	at := t.paths.at(p)
	src := t.r.slots[at.attr].src
	head := &t.trie.nodes.at(at.node).head
	link := head
	for *link != p {
		link = &t.paths.at(*link).next
	}
	if *link = at.next; *head == 0 {
		t.r.counters.Prefixes--
	}
	t.unlink(p)
	t.leave(at, src)
	src.paths--
	t.r.counters.Paths--
	t.r.freed = append(t.r.freed, at.attr)
	t.paths.put(p)
}

// ring is the anchor of one of the source's two lists.
func (t *table[K]) ring(src *source, doomed bool) uint32 {
	anchor := &src.rings[t.family].live
	if doomed {
		anchor = &src.rings[t.family].doomed
	}
	if *anchor == 0 {
		*anchor = t.paths.get()
		at := t.paths.at(*anchor)
		at.prev, at.succ = *anchor, *anchor
	}
	return *anchor
}

func (t *table[K]) link(p, anchor uint32) {
	at, a := t.paths.at(p), t.paths.at(anchor)
	at.prev, at.succ = a.prev, anchor
	t.paths.at(a.prev).succ = p
	a.prev = p
}

func (t *table[K]) unlink(p uint32) {
	at := t.paths.at(p)
	t.paths.at(at.prev).succ = at.succ
	t.paths.at(at.succ).prev = at.prev
}

// doom moves everything that src claims to its list of the doomed, whatever the
// number.
func (t *table[K]) doom(src *source) {
	if src.rings[t.family].live == 0 {
		return
	}
	from, to := t.paths.at(src.rings[t.family].live), t.paths.at(t.ring(src, true))
	first, last := from.succ, from.prev
	if first == src.rings[t.family].live {
		return
	}
	from.prev, from.succ = src.rings[t.family].live, src.rings[t.family].live
	anchor := src.rings[t.family].doomed
	t.paths.at(to.prev).succ, t.paths.at(first).prev = first, to.prev
	t.paths.at(last).succ, to.prev = anchor, last
}

// reap takes up to n doomed paths out and returns how many it has. What the queue
// holds for the same prefixes is applied along, so that a prefix which another
// source claims meanwhile moves without a gap.
func (t *table[K]) reap(src *source, n int) int {
	anchor := src.rings[t.family].doomed
	if anchor == 0 {
		return 0
	}
	done := 0
	for ; done < n && t.paths.at(anchor).succ != anchor; done++ {
		p := t.paths.at(anchor).succ
		node := t.paths.at(p).node
		t.touch(node)
		t.r.applyQueued(t.keyOf(node))
		switch {
		case t.paths.at(anchor).succ != p:
		case t.paths.at(p).epoch == uint16(src.tableEpoch): // said again before the rest became void
			t.unlink(p)
			t.link(p, t.ring(src, false))
		default:
			t.drop(p)
		}
	}
	if t.paths.at(anchor).succ == anchor {
		t.paths.put(anchor)
		src.rings[t.family].doomed = 0
	}
	return done
}

// forget frees what a source without paths still holds.
func (t *table[K]) forget(src *source) {
	if live := src.rings[t.family].live; live != 0 {
		t.paths.put(live)
		src.rings[t.family].live = 0
	}
}

// tunnels is what a choice programs; none removes the prefix.
func (c choice) tunnels() []encap.Tunnel {
	if c.one != nil {
		return c.one.tunnel[:]
	}
	return c.many
}
