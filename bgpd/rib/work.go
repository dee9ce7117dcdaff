package rib

import (
	"net/netip"
	"slices"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// batch is what one turn of Run does to the tables. Its slices are reused.
type batch struct {
	ops     []op
	side    []op // of prefixes that are applied out of turn
	changes []fib.Binding
	refs    []change // of the same index
	times   []int64  // when each prefix was queued
}

// change says which node a binding of the batch is for, and what its choice means.
type change struct {
	v6   bool
	node uint32
}

// work does one batch: take from the queue, change tables, program, note the
// outcome. It returns whether there is more to do.
func (r *RIB) work(now time.Time) (more bool) {
	b := &r.batch
	b.changes, b.refs, b.times = b.changes[:0], b.refs[:0], b.times[:0]
	t := r.queue.take(batchPrefixes, b.ops[:0])
	b.ops = t.ops

	r.mu.Lock()
	if !r.retryAt.IsZero() && !now.Before(r.retryAt) {
		r.programAgain()
	}
	r.applyTaken(t)
	r.reap()
	r.rejudgeSome(judgePrefixes)
	r.promote()
	r.t4.decide(b)
	r.t6.decide(b)
	r.mu.Unlock()

	var rep fib.Report
	var err error
	if len(b.changes) > 0 {
		rep, err = r.cfg.Programmer.Apply(b.changes)
	}

	r.mu.Lock()
	r.finish(rep, err, now)
	r.t4.sweep()
	r.t6.sweep()
	r.noteSynced(now)
	more = len(r.dooming) > 0 || r.judging.active
	r.mu.Unlock()
	r.freed = r.queue.release(r.freed)
	for _, f := range r.firsts {
		r.logFirst(f)
	}
	r.firsts = r.firsts[:0]
	return more || len(b.ops) > 0
}

// applyTaken applies what has left the queue, a prefix at a time.
func (r *RIB) applyTaken(t taken) {
	r.slots = t.slots
	for _, v := range t.voided {
		r.doom(v)
	}
	for ops := t.ops; len(ops) > 0; {
		n := 1
		for n < len(ops) && ops[n].key == ops[0].key {
			n++
		}
		if k := ops[0].key; k.v6 {
			r.t6.apply(k.key6(), k.bits, ops[:n])
		} else {
			r.t4.apply(k.key4(), k.bits, ops[:n])
		}
		r.batch.times = append(r.batch.times, ops[0].at)
		ops = ops[n:]
	}
}

// applyQueued applies what the queue holds for one prefix, out of turn.
func (r *RIB) applyQueued(k prefixKey) {
	t := r.queue.takePrefix(k, r.batch.side[:0])
	r.batch.side = t.ops
	r.applyTaken(t)
}

// doom notes that everything is void that a source has claimed before this epoch.
func (r *RIB) doom(v voided) {
	src := v.src
	src.tableEpoch = v.epoch
	src.syncedAt = time.Time{}
	src.notHeld = 0
	r.t4.doom(src)
	r.t6.doom(src)
	if !slices.Contains(r.dooming, src) {
		r.dooming = append(r.dooming, src)
	}
}

// reap takes out paths of sources that became void, up to a batch of them. While it
// does, further sources may become void.
func (r *RIB) reap() {
	todo, left := r.dooming, batchPrefixes
	r.dooming = nil
	for _, src := range todo {
		if left > 0 {
			left -= r.t4.reap(src, left)
		}
		if left > 0 {
			left -= r.t6.reap(src, left)
		}
		switch {
		case src.rings[0].doomed != 0 || src.rings[1].doomed != 0:
			if !slices.Contains(r.dooming, src) {
				r.dooming = append(r.dooming, src)
			}
		case src.gone && src.paths == 0:
			r.t4.forget(src)
			r.t6.forget(src)
		}
	}
}

// promote accepts claims of sources that have room again.
func (r *RIB) promote() {
	for _, src := range r.room {
		src.roomy = false
		r.t4.promote(src)
		r.t6.promote(src)
	}
	r.room = r.room[:0]
}

// programAgain has everything programmed that could not be when the Programmer
// failed.
func (r *RIB) programAgain() {
	retry := r.retry
	r.retry, r.retryAt = map[prefixKey]bool{}, time.Time{}
	for k := range retry {
		if k.v6 {
			r.t6.forceKey(k.key6(), k.bits)
		} else {
			r.t4.forceKey(k.key4(), k.bits)
		}
	}
}

func (t *table[K]) forceKey(k K, bits uint8) { t.force(t.trie.insert(k, bits)) }

// decide chooses anew for every touched prefix and adds what changed to the batch.
func (t *table[K]) decide(b *batch) {
	for _, c := range t.touched {
		n := t.trie.nodes.at(c.node)
		after := t.choose(n.head)
		t.flag(n, flagGroup, len(after.many) > 1, &t.r.counters.Groups)
		t.flag(n, flagContested, t.contested(n.head), &t.r.counters.Contested)
		if !c.force && after.equal(c.before) {
			continue
		}
		tunnels := after.tunnels()
		if len(tunnels) == 0 && n.flags&flagProgrammed == 0 && !c.force {
			delete(t.r.problems, n.key.pack(n.bits))
			continue
		}
		b.changes = append(b.changes, fib.Binding{Prefix: n.key.pack(n.bits).prefix(), Tunnels: tunnels})
		b.refs = append(b.refs, change{v6: t.family == 1, node: c.node})
	}
}

// flag sets or clears a flag of a node and counts the nodes that have it.
func (t *table[K]) flag(n *node[K], flag uint8, on bool, count *int) {
	switch {
	case on && n.flags&flag == 0:
		n.flags |= flag
		*count++
	case !on && n.flags&flag != 0:
		n.flags &^= flag
		*count--
	}
}

// sweep ends the batch: nodes that hold nothing any more go.
func (t *table[K]) sweep() {
	for _, c := range t.touched {
		n := t.trie.nodes.at(c.node)
		n.flags &^= flagTouched
		if n.head == 0 && n.flags == 0 {
			t.trie.remove(n.key, n.bits)
		}
	}
	t.touched = t.touched[:0]
}

// finish notes what became of the batch's bindings.
func (r *RIB) finish(rep fib.Report, err error, now time.Time) {
	b := &r.batch
	if err != nil {
		r.log.Error("programming failed, trying again", "bindings", len(b.changes), "after", retryAfter, "err", err)
		r.counters.ProgramErrors++
		for i := range b.changes {
			r.retry[keyOf(b.changes[i].Prefix)] = true
		}
		r.retryAt = now.Add(retryAfter)
		return
	}
	refused := make(map[netip.Prefix]error, len(rep.Refused))
	for _, f := range rep.Refused {
		refused[f.Prefix] = f.Err
	}
	for i, c := range b.refs {
		bound := len(b.changes[i].Tunnels) > 0
		if len(refused) > 0 && refused[b.changes[i].Prefix] != nil {
			r.misfit(b.changes[i], refused[b.changes[i].Prefix])
			continue
		}
		if len(r.problems) > 0 {
			delete(r.problems, keyOf(b.changes[i].Prefix))
		}
		if c.v6 {
			r.t6.flag(r.t6.trie.nodes.at(c.node), flagProgrammed, bound, &r.counters.Programmed)
		} else {
			r.t4.flag(r.t4.trie.nodes.at(c.node), flagProgrammed, bound, &r.counters.Programmed)
		}
	}
	r.counters.Programs += uint64(len(b.changes))
	if len(b.times) > 0 {
		r.counters.Batches++
		r.counters.Lag.observe(b.times, r.elapsed())
	}
}

// misfit notes a binding that the Programmer has refused; the old one is in force.
func (r *RIB) misfit(b fib.Binding, err error) {
	k := keyOf(b.Prefix)
	r.problems[k] = err.Error()
	src, id := (*source)(nil), SourceID("")
	if c := r.candidates(k); len(c) > 0 {
		id = c[0].Source
		src = r.sources[id]
	}
	r.refusals.add(src, Refusal{Source: id, Prefix: b.Prefix, Reason: RefuseProgram, Detail: err.Error()})
}

// noteSynced marks sources whose initial dump is programmed to the last prefix.
func (r *RIB) noteSynced(now time.Time) {
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.syncing) == 0 || !r.retryAt.IsZero() {
		return
	}
	applied := q.applied()
	q.syncing = slices.DeleteFunc(q.syncing, func(src *source) bool {
		if !src.syncAsked {
			return true // became void before it was in
		}
		if src.syncTurn > applied {
			return false
		}
		if src.syncedAt.IsZero() {
			src.syncedAt = now
			r.log.Info("source synced", "source", src.id, "paths", src.paths, "accepted", src.accepted)
		}
		return true
	})
}

// observe counts the lag of every prefix of a batch, which was queued at times.
func (l *Lag) observe(times []int64, now int64) {
	l.Last = time.Duration(now - slices.Min(times))
	l.Max = max(l.Max, l.Last)
	l.Count += uint64(len(times))
	for _, at := range times {
		d := time.Duration(now - at)
		l.Sum += d
		i := 0
		for i < len(LagBounds) && d > LagBounds[i] {
			i++
		}
		l.Buckets[i]++
	}
}
