package rib

import (
	"encoding/binary"
	"net/netip"
)

// judge says whether a path that claims a under this prefix is accepted. One that
// already is needs no room below MaxPrefixes.
func (t *table[K]) judge(n *node[K], a *attrs, accepted bool) RefuseReason {
	src := a.src
	last := n.key.last(n.bits)
	switch {
	case !t.served.covers(n.key, last):
		return RefuseOutsideSegment
	case src.policy.Allow != nil && !t.allow(src).covers(n.key, last):
		return RefuseNotAllowed
	case t.r.serves(a.tunnel[0].VTEP):
		return RefuseVTEPInSegment
	case !accepted && src.full():
		return RefuseMaxPrefixes
	default:
		return RefuseNone
	}
}

// serves says whether addr lies inside the segments. Switches route such a VTEP to
// the gateway: it would get its own tunnel packets back and encapsulate them again,
// until the innermost TTL ends that.
func (r *RIB) serves(addr netip.Addr) bool {
	if addr.Is4() {
		b := addr.As4()
		k := key4(binary.BigEndian.Uint32(b[:]))
		return r.t4.served.covers(k, k)
	}
	b := addr.As16()
	k := key6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	return r.t6.served.covers(k, k)
}

// enter gives a path its verdict and counts it. leave is its inverse.
func (t *table[K]) enter(p *path, src *source, reason RefuseReason) {
	p.reason = reason
	k := t.keyOf(p.node)
	if reason == RefuseNone {
		src.accepted++
		t.r.accept(src, k)
		return
	}
	if reason == RefuseMaxPrefixes {
		src.over++
	}
	t.r.refuse(t.r.slots[p.attr], k, reason)
}

func (t *table[K]) leave(p *path, src *source) {
	switch p.reason {
	case RefuseNone:
		src.accepted--
		if src.over > 0 && !src.roomy {
			src.roomy = true
			t.r.room = append(t.r.room, src)
		}
	case RefuseMaxPrefixes:
		src.over--
	}
}

// rejudge judges every path of one prefix again.
func (t *table[K]) rejudge(i uint32) {
	n := t.trie.nodes.at(i)
	if t.r.judging.ranks && n.flags&flagProgrammed != 0 {
		t.force(i)
	}
	for p := n.head; p != 0; p = t.paths.at(p).next {
		at := t.paths.at(p)
		a := t.r.slots[at.attr]
		reason := t.judge(n, a, at.reason == RefuseNone)
		if reason == at.reason {
			continue
		}
		t.touch(i)
		t.leave(at, a.src)
		t.enter(at, a.src, reason)
	}
}

// promote accepts paths of src that had no room, as far as there is room now.
func (t *table[K]) promote(src *source) {
	anchor := src.rings[t.family].live
	if anchor == 0 {
		return
	}
	for p := t.paths.at(anchor).succ; p != anchor && src.over > 0 && !src.full(); p = t.paths.at(p).succ {
		if at := t.paths.at(p); at.reason == RefuseMaxPrefixes {
			t.rejudge(at.node)
		}
	}
}

// rejudgeFrom judges up to n prefixes again, starting behind the given one, and
// returns the last of them; false when there are no more.
func (t *table[K]) rejudgeFrom(k K, bits uint8, begin bool, n int) (last prefixKey, more bool) {
	c := t.trie.seek(k, bits)
	for i := c.next(); i != 0; i = c.next() {
		at := t.trie.nodes.at(i)
		if !begin && at.key == k && at.bits == bits {
			continue
		}
		t.rejudge(i)
		last = at.key.pack(at.bits)
		if n--; n == 0 {
			return last, true
		}
	}
	return last, false
}

// judging is how far judging everything again has come: segments, allow-lists or
// ranks have changed.
type judging struct {
	active bool
	ranks  bool // ranks have changed: what is programmed may not be what is chosen
	begin  bool // nothing of this family has been judged
	last   prefixKey
}

func (j *judging) restart(ranks bool) {
	*j = judging{active: true, begin: true, ranks: ranks || j.active && j.ranks}
}

// rejudgeSome continues with up to n prefixes.
func (r *RIB) rejudgeSome(n int) {
	j := &r.judging
	if !j.active {
		return
	}
	var last prefixKey
	var more bool
	if !j.last.v6 {
		last, more = r.t4.rejudgeFrom(j.last.key4(), j.last.bits, j.begin, n)
		if !more {
			j.begin, j.last = true, prefixKey{v6: true}
			return
		}
	} else {
		last, more = r.t6.rejudgeFrom(j.last.key6(), j.last.bits, j.begin, n)
	}
	j.active, j.begin, j.last = more, false, last
}
