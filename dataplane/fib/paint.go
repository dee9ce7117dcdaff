package fib

// paint is one change to a trie: every gap gets value. The gaps are the addresses
// that a prefix covers, less those that longer prefixes in it cover. No prefix is
// in a gap, so all of it ends up with one value, whatever was there before.
type paint struct {
	value uint32
	cover Addr6 // last address of the prefix
	gap   span  // the next gap, or what is left of it
	more  bool  // whether there is one
	tidy  bool  // something goes away: look for nodes that have become simpler
	rest  gaps

	single bool // the prefix is one address
}

// span is the addresses from lo to hi, both included.
type span struct{ lo, hi Addr6 }

// grid cuts addresses into the slots of a root or a node: end is the bit up to
// which it resolves them, mask has a one for each bit that it resolves itself.
type grid struct {
	end  uint8
	mask uint32
}

func (g grid) slot(a Addr6) uint32 {
	if g.end <= 64 {
		return uint32(a.Hi>>(64-g.end)) & g.mask
	}
	return uint32(a.Lo>>(128-g.end)) & g.mask
}

// span is the addresses of the slot in which a lies.
func (g grid) span(a Addr6) span { return span{a.first(g.end), a.last(g.end)} }

// deeper is the grid of a node behind one slot.
func (g grid) deeper() grid { return grid{end: g.end + 8, mask: 0xff} }

// begin makes p give value to what k covers and r has no longer prefix for; where
// single says so k is one address, so there can be none.
func (p *paint) begin(r *rib, k key, value Value, single bool) {
	p.value, p.cover = uint32(value), k.last(k.bits)
	if p.single = single; single {
		p.gap, p.more, p.rest.done = span{k.Addr6, p.cover}, true, true
		return
	}
	p.rest = newGaps(r, k)
	p.gap, p.more = p.rest.next()
}

// in says whether there is something left to paint in s.
func (p *paint) in(s span) bool { return p.more && !s.hi.less(p.gap.lo) }

// advance goes on to what lies after hi.
func (p *paint) advance(hi Addr6) {
	switch {
	case !hi.less(p.gap.hi):
		p.gap, p.more = p.rest.next()
	case !hi.less(p.gap.lo):
		p.gap.lo = hi.next()
	}
}

// stroke is what to paint next in a node: whole slots, or a part of one.
type stroke struct {
	from, to uint32
	last     Addr6 // last address of slot to, where whole
	whole    bool
}

// run is the next stroke in a node.
func (p *paint) run(node span, g grid) stroke {
	from := g.slot(p.gap.lo)
	if s := g.span(p.gap.lo); p.gap.lo != s.lo || p.gap.hi.less(s.hi) {
		return stroke{from: from, to: from}
	}
	hi := p.gap.hi
	if node.hi.less(hi) {
		hi = node.hi
	}
	if s := g.span(hi); hi != s.hi {
		hi = s.lo.prev()
	}
	return stroke{from: from, to: g.slot(hi), last: hi, whole: true}
}

// gaps yields what a prefix covers and no longer prefix in it does, in order.
type gaps struct {
	r    *rib
	k    key
	at   Addr6 // what lies before has been dealt with
	done bool
	c    cursor // the first prefix in k that does not lie before at
}

func newGaps(r *rib, k key) gaps {
	g := gaps{r: r, k: k, at: k.Addr6}
	if longest, ok := r.length(128); !ok || longest <= k.bits {
		return g
	}
	g.c = r.seek(k)
	if in, _, ok := r.get(&g.c); ok && in == k {
		r.next(&g.c)
	}
	return g
}

func (g *gaps) next() (span, bool) {
	end := g.k.last(g.k.bits)
	for !g.done {
		in, _, ok := g.r.get(&g.c)
		if !ok || !g.k.covers(in) {
			g.done = true
			return span{g.at, end}, true
		}
		gap := span{g.at, in.Addr6.prev()}
		found := g.at.less(in.Addr6)
		g.skip(in)
		if found {
			return gap, true
		}
	}
	return span{}, false
}

// skip goes past a prefix and all those in it.
func (g *gaps) skip(in key) {
	last := in.last(in.bits)
	if last == g.k.last(g.k.bits) {
		g.done = true
		return
	}
	g.at = last.next()
	g.r.next(&g.c)
	if after, _, ok := g.r.get(&g.c); ok && after.less(key{Addr6: g.at}) {
		g.c = g.r.seek(key{Addr6: g.at})
	}
}
