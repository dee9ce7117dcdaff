package fib

import (
	"math/bits"
	"net/netip"
)

// cursor is a place in a rib. Changes to the rib make it invalid.
type cursor struct {
	page uint32
	at   int
}

// seek is the place of the first prefix that is not before k.
func (r *rib) seek(k key) cursor {
	if r.height == 0 {
		return cursor{}
	}
	var path ribPath
	p := r.descend(k, &path)
	c := cursor{path[r.height-1].page, path[r.height-1].at}
	if c.at > 0 && p.key(c.at-1) == k {
		c.at--
	}
	return c
}

// get is the prefix at c and its value; false at the end.
func (r *rib) get(c *cursor) (key, Value, bool) {
	for c.page != 0 {
		p := r.page(c.page)
		if c.at < int(p.n) {
			return p.key(c.at), Value(p.rest[c.at].what), true
		}
		c.page, c.at = p.next, 0
	}
	return key{}, 0, false
}

func (r *rib) next(c *cursor) { c.at++ }

// floor is the last prefix that is not after k, and its value.
func (r *rib) floor(k key) (key, Value, bool) {
	if r.height == 0 {
		return key{}, 0, false
	}
	var path ribPath
	p := r.descend(k, &path)
	at := path[r.height-1].at - 1
	for at < 0 {
		if p.prev == 0 {
			return key{}, 0, false
		}
		p = r.page(p.prev)
		at = int(p.n) - 1
	}
	return p.key(at), Value(p.rest[at].what), true
}

// find is the value of exactly k, 0 if it is not known.
func (r *rib) find(k key) Value {
	if in, v, ok := r.floor(k); ok && in == k {
		return v
	}
	return 0
}

// cover is the longest prefix that covers k, which may be k itself.
//
// The prefixes that cover k come before it, the longest last. So if the last one
// before k does not cover it, no prefix does that is longer than the bits that the
// two share: the search goes on from there, at a length that exists.
func (r *rib) cover(k key) (key, Value, bool) {
	for n := k.bits; ; {
		var ok bool
		if n, ok = r.length(n); !ok {
			return key{}, 0, false
		}
		in, v, ok := r.floor(key{k.first(n), n})
		if !ok || in.covers(k) {
			return in, v, ok
		}
		n = in.common(k.Addr6)
	}
}

// length is the greatest length up to n that some prefix has.
func (r *rib) length(n uint8) (uint8, bool) {
	for i := int(n >> 6); i >= 0; i-- {
		some := r.some[i]
		if i == int(n>>6) {
			some &= 2<<(n&63) - 1
		}
		if some != 0 {
			return uint8(i<<6 + bits.Len64(some) - 1), true
		}
	}
	return 0, false
}

// outer is the longest prefix that covers k and is shorter.
func (r *rib) outer(k key) (key, Value, bool) {
	if k.bits == 0 {
		return key{}, 0, false
	}
	return r.cover(key{k.first(k.bits - 1), k.bits - 1})
}

// walk lists a table's prefixes in order. Changes make it invalid.
type walk struct {
	t  *Table
	c4 cursor
	c6 [2]cursor // of known6 and known6long
}

// walk begins at the first prefix that is not before from, or the first after it.
func (t *Table) walk(from netip.Prefix, with bool) *walk {
	w := &walk{t: t, c4: t.known4.seek(key{}), c6: [2]cursor{t.known6.seek(key{}), t.known6long.seek(key{})}}
	if !from.IsValid() {
		return w
	}
	k, is4 := keyOf(from)
	if is4 {
		w.c4 = t.known4.seek(k)
	} else {
		w.c4 = cursor{}
		w.c6 = [2]cursor{t.known6.seek(k), t.known6long.seek(k)}
	}
	if !with {
		w.skip(from)
	}
	return w
}

func (w *walk) skip(from netip.Prefix) {
	at := *w
	if p, _, ok := w.next(); ok && p != from {
		*w = at
	}
}

// next is the prefix at the place, and goes on to the one after it.
func (w *walk) next() (netip.Prefix, Value, bool) {
	if k, v, ok := w.t.known4.get(&w.c4); ok {
		w.t.known4.next(&w.c4)
		return k.prefix(true), v, true
	}
	k, v, ok := w.t.known6.get(&w.c6[0])
	if l, u, found := w.t.known6long.get(&w.c6[1]); found && (!ok || l.less(k)) {
		w.t.known6long.next(&w.c6[1])
		return l.prefix(false), u, true
	}
	w.t.known6.next(&w.c6[0])
	if !ok {
		return netip.Prefix{}, 0, false
	}
	return k.prefix(false), v, ok
}
