package fib

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Packed nodes, see node.go for how they look.

// line is one line of a packed node of size s: its bits, counts and words, in places
// that depend on s.
type line struct {
	p unsafe.Pointer
	s uint32
}

// lineOf is line j of a packed node.
func lineOf(node unsafe.Pointer, s uint32, j int) line {
	return line{unsafe.Add(node, j*lineSize), s & sizeMask}
}

// span is how many addresses a line of size s has, groups how many 64-bit words of bits,
// room how many words.
func (l line) span() int   { return 256 >> l.s }
func (l line) groups() int { return 4 >> l.s }
func (l line) room() int   { return roomOf(l.s) }

func roomOf(s uint32) int { return (lineSize - 4 - 32>>s) / 4 }

func (l line) bits(q int) *uint64 { return (*uint64)(unsafe.Add(l.p, q*8)) }
func (l line) rank(q int) *uint8  { return (*uint8)(unsafe.Add(l.p, 32>>l.s+q)) }
func (l line) word(i int) *uint32 { return (*uint32)(unsafe.Add(l.p, 32>>l.s+4+4*i)) }
func (l line) words() []uint32    { return unsafe.Slice(l.word(0), l.room()) }
func (l line) count(before int) int { // bits set before address before of the line
	n, q := 0, 0
	for ; before >= 64; before -= 64 {
		n += bits.OnesCount64(*l.bits(q))
		q++
	}
	if before > 0 {
		n += bits.OnesCount64(*l.bits(q) & (1<<before - 1))
	}
	return n
}

// setRanks counts the bits before each 64-bit word.
func (l line) setRanks() {
	n := 0
	for q := range 4 {
		*l.rank(q) = uint8(n)
		if q < l.groups() {
			n += bits.OnesCount64(*l.bits(q))
		}
	}
}

// unpackPacked is unpack for a packed node.
func (a *arena) unpackPacked(w uint32, r *runs) {
	for j := range 1 << (w & sizeMask) {
		l := lineOf(a.nodeAt(w), w, j)
		from := j * l.span()
		if w&withRuns != 0 {
			l.unpackRuns(from, r)
		} else {
			l.unpackMarks(from, r)
		}
	}
}

func (l line) unpackMarks(from int, r *runs) {
	next := 0 // the first address that has no run yet
	for q, n := 0, 1; q < l.groups(); q++ {
		for left := *l.bits(q); left != 0; left &= left - 1 {
			b := q<<6 + bits.TrailingZeros64(left)
			if b > next {
				r.add(from+next, *l.word(0))
			}
			r.add(from+b, *l.word(n))
			next = b + 1
			n++
		}
	}
	if next < l.span() {
		r.add(from+next, *l.word(0))
	}
}

func (l line) unpackRuns(from int, r *runs) {
	r.add(from, *l.word(0))
	for q, n := 0, 1; q < l.groups(); q++ {
		for left := *l.bits(q); left != 0; left &= left - 1 {
			r.add(from+q<<6+bits.TrailingZeros64(left), *l.word(n))
			n++
		}
	}
}

// packed is the content of a packed node before it is one.
type packed struct {
	form uint32 // withRuns, or 0
	size uint32 // s
	n    [1 << maxSize]int
	bits [4]uint64 // of all 256 addresses
	word [1 << maxSize][13]uint32
}

// pack finds the smallest packed node that r fits into, marks before runs; false when
// there is none. Into the largest it fits with some room to spare where the node was dense,
// so that one binding that comes and goes does not turn it back and forth.
func (p *packed) pack(r *runs, wasDense bool) bool {
	if r.n > 2*maxWords {
		return false
	}
	for p.size = 0; p.size <= maxSize; p.size++ {
		room := roomOf(p.size)
		if wasDense && p.size == maxSize {
			room -= slack
		}
		if p.marks(r, room) || p.runs(r, room) {
			return true
		}
	}
	return false
}

// marks tries marks, in as many lines as p has, with so many words to a line at most.
func (p *packed) marks(r *runs, room int) bool {
	p.form, p.bits = 0, [4]uint64{}
	span, i := 256>>p.size, 0
	for j := range 1 << p.size {
		from, to := j*span, (j+1)*span
		for r.end(i) < from {
			i++
		}
		most, others := r.majority(i, from, to)
		if others >= room {
			return false
		}
		word := &p.word[j]
		word[0], p.n[j] = most, 1
		for k := i; k < r.n && int(r.start[k]) < to; k++ {
			if r.word[k] == most {
				continue
			}
			for b := max(int(r.start[k]), from); b <= min(r.end(k), to-1); b++ {
				p.bits[b>>6] |= 1 << (b & 63)
				word[p.n[j]] = r.word[k]
				p.n[j]++
			}
		}
	}
	return true
}

// runs is marks for runs.
func (p *packed) runs(r *runs, room int) bool {
	p.form, p.bits = withRuns, [4]uint64{}
	span, i := 256>>p.size, 0
	for j := range 1 << p.size {
		from, to := j*span, (j+1)*span
		for r.end(i) < from {
			i++
		}
		word := &p.word[j]
		word[0], p.n[j] = r.word[i], 1
		for k := i + 1; k < r.n && int(r.start[k]) < to; k++ {
			if int(r.start[k]) == from {
				word[0] = r.word[k]
				continue
			}
			if p.n[j] == room {
				return false
			}
			p.bits[r.start[k]>>6] |= 1 << (r.start[k] & 63)
			word[p.n[j]] = r.word[k]
			p.n[j]++
		}
	}
	return true
}

// majority is the word that most of the addresses [from, to) have, and how many have
// another; run i is the one that from lies in. When no word has more than half of them it
// is any word.
func (r *runs) majority(i, from, to int) (uint32, int) {
	word, lead := r.word[i], 0
	for k := i; k < r.n && int(r.start[k]) < to; k++ {
		size := min(r.end(k), to-1) - max(int(r.start[k]), from) + 1
		switch {
		case r.word[k] == word:
			lead += size
		case lead >= size:
			lead -= size
		default:
			word, lead = r.word[k], size-lead
		}
	}
	others := to - from
	for k := i; k < r.n && int(r.start[k]) < to; k++ {
		if r.word[k] == word {
			others -= min(r.end(k), to-1) - max(int(r.start[k]), from) + 1
		}
	}
	return word, others
}

// sameBits says whether a packed node of p's form and size has p's bits.
func (p *packed) sameBits(node unsafe.Pointer) bool {
	for j := range 1 << p.size {
		l := lineOf(node, p.size, j)
		for q := range l.groups() {
			if *l.bits(q) != p.bits[j*l.groups()+q] {
				return false
			}
		}
	}
	return true
}

// store publishes the words one by one, those that change.
func (p *packed) store(node unsafe.Pointer) {
	for j := range 1 << p.size {
		storeWords(unsafe.Pointer(lineOf(node, p.size, j).word(0)), p.word[j][:p.n[j]])
	}
}

// newPacked makes a node of p.
func (a *arena) newPacked(p *packed) uint32 {
	at := a.newNode(class64 + class(p.size))
	for j := range 1 << p.size {
		if a.dry {
			break
		}
		l := lineOf(a.at(at), p.size, j)
		for q := range l.groups() {
			*l.bits(q) = p.bits[j*l.groups()+q]
		}
		l.setRanks()
		copy(l.words(), p.word[j][:p.n[j]])
	}
	return firstPacked | at<<lineShift&lineMask | p.form | p.size
}

// fewMarks is how many marks a node of each size has at most that may fit into something
// smaller.
var fewMarks = [maxSize + 1]int{1, 6, 20}

// paintOne is repack for one slot of a packed node with marks that stays one of the
// same size. It says when it is not that simple.
func (a *arena) paintOne(w, b, value uint32) (uint32, bool) {
	s, node := w&sizeMask, a.nodeAt(w)
	j := int(b << s >> 8)
	l := lineOf(node, s, j)
	at := int(b) & (l.span() - 1) // b in the line
	q, bit := at>>6, uint64(1)<<(at&63)
	i := 1 + l.count(at) // b's word, or where it goes
	n := 1 + l.count(l.span())
	marked, mark := *l.bits(q)&bit != 0, value != *l.word(0)
	switch {
	case marked && mark:
		atomic.StoreUint32(l.word(i), value)
		return w, true
	case marked == mark:
		return w, true
	case mark && n == l.room(), marked && a.marksOf(w)-1 <= fewMarks[min(s, maxSize)]:
		return w, false
	}
	line := a.alloc(class64 + class(s))
	into := a.at(line)
	size := lineSize << s
	copy(unsafe.Slice((*byte)(into), size), unsafe.Slice((*byte)(node), size))
	l = lineOf(into, s, j)
	*l.bits(q) ^= bit
	l.setRanks()
	words := l.words()
	if mark {
		copy(words[i+1:n+1], words[i:n])
		words[i] = value
	} else {
		copy(words[i:n-1], words[i+1:n])
	}
	a.retire(w)
	return firstPacked | line<<lineShift | s, true
}

// marksOf is how many bits a packed node has set.
func (a *arena) marksOf(w uint32) int {
	n := 0
	for j := range 1 << (w & sizeMask) {
		l := lineOf(a.nodeAt(w), w, j)
		n += l.count(l.span())
	}
	return n
}
