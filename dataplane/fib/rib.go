package fib

import "unsafe"

// rib knows every prefix with its value, in order: a B+ tree in off-heap pages, so
// that the garbage collector does not see a million prefixes. It tells what to
// restore when a prefix goes, which prefixes lie in another, and lists them. Only
// the writer uses it; readers never see it.
type rib struct {
	pool   *pool
	root   uint32
	height int       // of the tree; 1 is a single leaf
	n      int       // prefixes
	of     [129]int  // of each length
	some   [3]uint64 // bit b: of[b] is not 0
}

// ribFanout is how many records a page has.
const ribFanout = 84

// ribPage is 2 KiB. In a leaf a record is a prefix and its value. In an inner page
// it is a page below and the smallest key that may be found in it; the first
// record's key is not looked at.
type ribPage struct {
	n          uint32
	prev, next uint32 // neighboring leaves; 0 is none
	_          uint32
	hi, lo     [ribFanout]uint64
	rest       [ribFanout]ribRest
}

type ribRest struct {
	what uint32 // value, or page below
	bits uint8
}

// The page fits its block: the constant overflows when it does not.
const _ = uint(class2KSize - unsafe.Sizeof(ribPage{}))

const class2KSize = 2048

func newRIB(p *pool) *rib { return &rib{pool: p} }

func (r *rib) page(i uint32) *ribPage { return (*ribPage)(r.pool.at(i)) }

func (p *ribPage) key(i int) key { return key{Addr6{p.hi[i], p.lo[i]}, p.rest[i].bits} }

// search is the number of records of p, from record from on, whose key is at most k,
// plus from.
func (p *ribPage) search(k key, from int) int {
	n := min(int(p.n), ribFanout)
	for from < n {
		m := int(uint(from+n) >> 1)
		hi := p.hi[m]
		after := hi > k.Hi
		if hi == k.Hi {
			after = k.less(p.key(m))
		}
		if after {
			n = m
		} else {
			from = m + 1
		}
	}
	return from
}

func (p *ribPage) insert(i int, k key, what uint32) {
	n := int(p.n)
	copy(p.hi[i+1:n+1], p.hi[i:n])
	copy(p.lo[i+1:n+1], p.lo[i:n])
	copy(p.rest[i+1:n+1], p.rest[i:n])
	p.hi[i], p.lo[i], p.rest[i] = k.Hi, k.Lo, ribRest{what, k.bits}
	p.n++
}

func (p *ribPage) remove(i int) {
	n := int(p.n)
	copy(p.hi[i:n-1], p.hi[i+1:n])
	copy(p.lo[i:n-1], p.lo[i+1:n])
	copy(p.rest[i:n-1], p.rest[i+1:n])
	p.n--
}

// take appends the records of q from i on to p, and removes them from q.
func (p *ribPage) take(q *ribPage, i int) {
	m, n := int(q.n)-i, int(p.n)
	copy(p.hi[n:n+m], q.hi[i:i+m])
	copy(p.lo[n:n+m], q.lo[i:i+m])
	copy(p.rest[n:n+m], q.rest[i:i+m])
	p.n += uint32(m)
	q.n = uint32(i)
}

// ribPath is the way from the root to a leaf: the page at each level, and the
// record in it that leads on.
type ribPath [8]struct {
	page uint32
	at   int
}

// descend finds the leaf where k belongs; the last element's at is search's result.
func (r *rib) descend(k key, path *ribPath) *ribPage {
	i := r.root
	for level := 0; ; level++ {
		p := r.page(i)
		if level == r.height-1 {
			path[level].page, path[level].at = i, p.search(k, 0)
			return p
		}
		at := p.search(k, 1) - 1
		path[level].page, path[level].at = i, at
		i = p.rest[at].what
	}
}

// put gives a prefix a value, and returns the one that it had, 0 if none. room has
// been asked for.
func (r *rib) put(k key, v Value) Value {
	if r.height == 0 {
		r.root, r.height = r.newPage(), 1
	}
	var path ribPath
	p := r.descend(k, &path)
	at := path[r.height-1].at
	if at > 0 && p.key(at-1) == k {
		old := Value(p.rest[at-1].what)
		p.rest[at-1].what = uint32(v)
		return old
	}
	r.count(k.bits, 1)
	r.insert(&path, r.height-1, at, k, uint32(v))
	return 0
}

// count keeps account of a prefix that comes or goes.
func (r *rib) count(bits uint8, by int) {
	r.n += by
	r.of[bits] += by
	if bit := uint64(1) << (bits & 63); r.of[bits] == 0 {
		r.some[bits>>6] &^= bit
	} else {
		r.some[bits>>6] |= bit
	}
}

// insert puts a record in the page at a level of path, which splits if it is full.
func (r *rib) insert(path *ribPath, level, at int, k key, what uint32) {
	p := r.page(path[level].page)
	if p.n < ribFanout {
		p.insert(at, k, what)
		return
	}
	i := r.newPage()
	q := r.page(i)
	leaf := level == r.height-1
	if leaf {
		q.prev, q.next = path[level].page, p.next
		if q.next != 0 {
			r.page(q.next).prev = i
		}
		p.next = i
	}
	// Records that come in order leave full pages behind.
	half := ribFanout / 2
	if at == ribFanout && (!leaf || q.next == 0) {
		half = ribFanout
	}
	q.take(p, half)
	if at > half || at == ribFanout {
		q.insert(at-half, k, what)
	} else {
		p.insert(at, k, what)
	}
	r.link(path, level, q.key(0), i)
}

// link tells the level above of a new page, right of the one in path.
func (r *rib) link(path *ribPath, level int, first key, page uint32) {
	if level > 0 {
		r.insert(path, level-1, path[level-1].at+1, first, page)
		return
	}
	root := r.newPage()
	p := r.page(root)
	p.insert(0, key{}, r.root)
	p.insert(1, first, page)
	r.root = root
	r.height++
}

// delete forgets a prefix, and returns the value that it had, 0 if none.
func (r *rib) delete(k key) Value {
	if r.height == 0 {
		return 0
	}
	var path ribPath
	p := r.descend(k, &path)
	at := path[r.height-1].at - 1
	if at < 0 || p.key(at) != k {
		return 0
	}
	v := Value(p.rest[at].what)
	p.remove(at)
	r.count(k.bits, -1)
	r.shrink(&path, r.height-1)
	return v
}

// shrink takes the page at a level of path out when it is empty, and joins it with
// a neighbor under the same parent when both are small.
func (r *rib) shrink(path *ribPath, level int) {
	if level == 0 {
		r.shrinkRoot()
		return
	}
	i := path[level].page
	p := r.page(i)
	up, at := r.page(path[level-1].page), path[level-1].at
	switch {
	case p.n == 0:
		if level == r.height-1 {
			r.unlink(p)
		}
		r.pool.release(i)
		up.remove(at)
	case p.n > ribFanout/4:
		return
	case at+1 < int(up.n) && r.page(up.rest[at+1].what).n+p.n <= ribFanout*3/4:
		r.join(up, at, level)
	case at > 0 && r.page(up.rest[at-1].what).n+p.n <= ribFanout*3/4:
		r.join(up, at-1, level)
	default:
		return
	}
	r.shrink(path, level-1)
}

// shrinkRoot takes levels with a single page below out, and an empty leaf.
func (r *rib) shrinkRoot() {
	for p := r.page(r.root); p.n == 1 && r.height > 1; p = r.page(r.root) {
		i := r.root
		r.root, r.height = p.rest[0].what, r.height-1
		r.pool.release(i)
	}
	if r.n == 0 {
		r.pool.release(r.root)
		r.root, r.height = 0, 0
	}
}

// unlink takes a leaf out of the chain of leaves.
func (r *rib) unlink(p *ribPage) {
	if p.prev != 0 {
		r.page(p.prev).next = p.next
	}
	if p.next != 0 {
		r.page(p.next).prev = p.prev
	}
}

// join moves the records of the page behind record at+1 of up into the page
// behind record at.
func (r *rib) join(up *ribPage, at, level int) {
	i := up.rest[at+1].what
	p, q := r.page(up.rest[at].what), r.page(i)
	if level == r.height-1 {
		r.unlink(q)
	} else {
		q.hi[0], q.lo[0], q.rest[0].bits = up.hi[at+1], up.lo[at+1], up.rest[at+1].bits
	}
	p.take(q, 0)
	r.pool.release(i)
	up.remove(at + 1)
}

func (r *rib) newPage() uint32 {
	i := r.pool.alloc(class2K)
	p := r.page(i)
	p.n, p.prev, p.next = 0, 0, 0
	return i
}
