package rib

import "sync"

// op is the latest word of a source on one claim.
type op struct {
	key     prefixKey
	src     *source
	attr    uint32 // what is claimed, 0 withdraws; holds a reference
	pathID  uint32
	learned uint32 // see RIB.stamp
	epoch   uint32 // of the source, or its next one when an update that voids is under way
	at      int64  // when it was queued, see RIB.elapsed; a later word keeps the earlier time

	next uint32 // of the same prefix

	// Of the prefix's first op only: its neighbors in the order of arrival, and
	// its number in that order.
	older, newer uint32
	turn         uint64
}

// queue holds what sources have said and Run has not applied yet: by prefix, and
// of each claim only the last word, so that it never grows beyond the number of
// distinct claims. Prefixes leave in the order in which they came, each with all its
// claims: a withdrawal of one source and a new claim of another that wait together are
// applied together. Locks are held for microseconds; nobody waits for programming.
type queue struct {
	mu    sync.Mutex
	attrs attrTable // guarded by mu
	index map[prefixKey]uint32
	ops   arena[op]
	peak  int // most prefixes since the index was made

	oldest, newest uint32 // prefixes, by their first op
	turn           uint64 // of the newest prefix

	voided  []*source // sources whose claims became void since the last take
	syncing []*source // sources that have ended their initial dump, not known to tables yet

	updates, received, coalesced uint64 // see Counters
	wake                         chan struct{}
}

func newQueue() *queue {
	return &queue{attrs: newAttrTable(), index: map[prefixKey]uint32{}, wake: make(chan struct{}, 1)}
}

// kick wakes Run up.
func (q *queue) kick() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// put queues one op, or replaces the earlier word on the same claim. The caller
// holds mu.
func (q *queue) put(o op) {
	head := q.index[o.key]
	for i := head; i != 0; i = q.ops.at(i).next {
		at := q.ops.at(i)
		if at.src == o.src && at.pathID == o.pathID {
			q.attrs.release(at.attr)
			at.attr, at.learned, at.epoch = o.attr, o.learned, o.epoch
			q.coalesced++
			return
		}
	}
	i := q.ops.get()
	if head != 0 {
		first := q.ops.at(head)
		o.next, first.next = first.next, i
		*q.ops.at(i) = o
		return
	}
	q.turn++
	o.older, o.turn = q.newest, q.turn
	*q.ops.at(i) = o
	if q.newest != 0 {
		q.ops.at(q.newest).newer = i
	} else {
		q.oldest = i
	}
	q.newest = i
	q.index[o.key] = i
	q.peak = max(q.peak, len(q.index))
}

// void makes everything that src has said so far void, queued or applied, but for
// what is of the next epoch already. The caller holds mu.
func (q *queue) void(src *source) {
	src.epoch++
	q.voided = append(q.voided, src)
}

// takeOne moves all ops of one prefix to buf. The caller holds mu.
func (q *queue) takeOne(head uint32, buf []op) []op {
	first := q.ops.at(head)
	delete(q.index, first.key)
	if first.older != 0 {
		q.ops.at(first.older).newer = first.newer
	} else {
		q.oldest = first.newer
	}
	if first.newer != 0 {
		q.ops.at(first.newer).older = first.older
	} else {
		q.newest = first.older
	}
	for i := head; i != 0; {
		o := *q.ops.at(i)
		if o.attr != 0 && int32(o.epoch-o.src.epoch) < 0 {
			q.attrs.release(o.attr) // said before everything became void
			o.attr = 0
		}
		buf = append(buf, o)
		q.ops.put(i)
		i = o.next
	}
	return buf
}

// taken is what leaves the queue at once.
type taken struct {
	ops    []op     // those of one prefix together
	voided []voided // sources whose claims became void
	slots  []*attrs // by the indexes in ops
}

// voided says that everything is void that src has said in earlier epochs.
type voided struct {
	src   *source
	epoch uint32
}

// take takes the ops of up to n prefixes, in buf.
func (q *queue) take(n int, buf []op) taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; n > 0 && q.oldest != 0; n-- {
		buf = q.takeOne(q.oldest, buf)
	}
	if len(q.index) == 0 && q.peak > 1<<16 { // maps never shrink
		q.index, q.peak = map[prefixKey]uint32{}, 0
	}
	return q.leave(buf)
}

// takePrefix takes the ops of one prefix, if any wait, in buf.
func (q *queue) takePrefix(k prefixKey, buf []op) taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	if head := q.index[k]; head != 0 {
		buf = q.takeOne(head, buf)
	}
	return q.leave(buf)
}

func (q *queue) leave(ops []op) taken {
	t := taken{ops: ops, slots: q.attrs.slots}
	for _, src := range q.voided {
		t.voided = append(t.voided, voided{src, src.epoch})
	}
	q.voided = q.voided[:0]
	return t
}

// release gives references back and empties the list.
func (q *queue) release(attrs []uint32) []uint32 {
	if len(attrs) == 0 {
		return attrs
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range attrs {
		q.attrs.release(i)
	}
	return attrs[:0]
}

// applied is the turn up to which every prefix has been taken. The caller holds mu.
func (q *queue) applied() uint64 {
	if q.oldest == 0 {
		return q.turn
	}
	return q.ops.at(q.oldest).turn - 1
}
