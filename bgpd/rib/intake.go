package rib

// Update takes what a source says. It never waits for programming: what is said is
// queued, and of several words on the same claim that wait together only the last
// is kept. Update keeps neither u nor its slices.
func (r *RIB) Update(u Update) {
	r.intake(u.Source, func(in *intake) { in.take(&u) })
}

// intake has say put into the queue what a source says.
func (r *RIB) intake(id SourceID, say func(in *intake)) {
	in := intake{r: r, q: r.queue, id: id, now: r.elapsed()}
	in.run(say)
	for _, f := range in.firsts {
		r.logFirst(f)
	}
}

func (in *intake) run(say func(in *intake)) {
	in.lock()
	defer in.unlock()
	in.q.updates++
	if in.src = in.r.sources[in.id]; in.src != nil {
		in.epoch = in.src.epoch
	}
	say(in)
	in.q.kick()
}

func (in *intake) take(u *Update) {
	if in.src == nil {
		for i := range u.Set {
			in.set(&u.Set[i])
		}
		return
	}
	if u.RemoveAll {
		in.src.syncAsked = false
		in.epoch++
	}
	for _, k := range u.Remove {
		in.remove(k)
	}
	for i := range u.Set {
		in.set(&u.Set[i])
	}
	for _, f := range u.Refused {
		f.Source = u.Source
		in.refuse(f)
	}
	if u.RemoveAll { // now that the rest is queued: what is said again never goes
		in.q.void(in.src)
	}
	if u.Synced {
		in.src.syncAsked, in.src.syncTurn = true, in.q.turn
		in.q.syncing = append(in.q.syncing, in.src)
	}
}

// intake puts one update into the queue. It lets go of the lock now and then.
type intake struct {
	r     *RIB
	q     *queue
	id    SourceID
	src   *source // nil: nobody has added it
	epoch uint32  // of what is said
	now   int64
	left  int // claims until the lock is let go

	last *Path // of which attr is the interned rest; only prefix and path ID of it may change
	attr uint32

	firsts []Refusal // to be logged when the lock is let go
}

func (in *intake) lock() {
	in.q.mu.Lock()
	in.left = updateChunk
}

func (in *intake) unlock() {
	in.q.attrs.release(in.attr)
	in.attr, in.last = 0, nil
	in.q.mu.Unlock()
}

func (in *intake) tick() {
	in.q.received++
	if in.left--; in.left == 0 {
		in.unlock()
		in.lock()
	}
}

func (in *intake) remove(k PathKey) {
	if in.src == nil {
		return
	}
	in.tick()
	if p, ok := cleanPrefix(k.Prefix); ok {
		in.q.put(op{key: keyOf(p), src: in.src, pathID: k.PathID, epoch: in.epoch, at: in.now})
	}
}

func (in *intake) set(p *Path) {
	in.tick()
	if in.src == nil {
		in.refuse(Refusal{
			Source: in.id, Prefix: p.Prefix, Reason: RefuseUnknownSource,
			Detail: "no source of this name is configured",
		})
		return
	}
	prefix, ok := cleanPrefix(p.Prefix)
	if !ok {
		in.refuse(Refusal{Source: in.src.id, Prefix: p.Prefix, Reason: RefuseBadPrefix, Detail: "expected an IPv4 or IPv6 prefix"})
		return
	}
	if in.last != p && (in.last == nil || !in.last.same(p)) {
		if err := p.Tunnel.Validate(); err != nil {
			in.refuse(Refusal{Source: in.src.id, Prefix: prefix, Reason: RefuseBadTunnel, Detail: err.Error()})
			return
		}
		in.q.attrs.release(in.attr)
		in.attr, in.last = in.q.attrs.intern(p.attrs(in.src)), p
	}
	in.q.attrs.refs[in.attr]++
	learned := uint32(in.now / int64(stampUnit))
	if !p.Learned.IsZero() {
		learned = in.r.stamp(p.Learned)
	}
	in.q.put(op{key: keyOf(prefix), src: in.src, attr: in.attr, pathID: p.PathID, learned: learned, epoch: in.epoch, at: in.now})
}

// refuse lists what is the claim's own fault. Whatever is held under the same key stays.
func (in *intake) refuse(f Refusal) {
	if in.r.refusals.add(in.src, f) {
		in.firsts = append(in.firsts, f)
	}
}
