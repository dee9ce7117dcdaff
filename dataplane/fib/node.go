package fib

import (
	"sync/atomic"
	"unsafe"
)

// A table word says what lies behind one slot of a root, a node, or a bucket:
//
//	31 30 29       22 21                        3 2 1 0
//	+----+-----------------------------------------+
//	|  0 |                  value                  |  direct: 0 is no binding
//	|  1 |              line                 |  0  |  dense node
//	|  2 |              line                 |r| s |  packed node, 64<<s bytes
//	|  3 | address byte |          value           |  single
//	+----+-----------------------------------------+
//
// A node resolves 8 more bits of the address, to a word each; line is the number of
// its first line. A single word stands for the most frequent node of all where EIPs
// are sparse: one address has a value, the 255 others have 0.
//
// A dense node is 256 words, 16 lines. A packed one fits 256 words into one, two or
// four lines. Whatever its size, one line is all that a lookup needs: line j of a node
// of 1<<s lines holds everything of the addresses from j*(256>>s) on:
//
//	bytes  0..          256>>s bits: bit b%64 of 64-bit word b/64 is for the line's address b
//	       32>>s..      byte q: how many bits are set in the 64-bit words before word q
//	       (32>>s)+4..  words: 7, 11 or 13 of them
//
// Where r is 0, a bit marks an address that has a word of its own, the first after
// word 0 belonging to the line's lowest marked address; word 0 is for all others. Where
// r is 1, a bit says that here the word changes: address b has the word whose number
// is the count of bits set up to b. Marks suit single addresses, runs suit
// prefixes. Either way it takes one popcount, of 64 bits.
//
// A word that readers can see changes by one atomic store. The bits never change
// once readers can see them: a node of another shape is made, and takes the place
// of the old one by one store.
const (
	kindShift = 30

	kindDirect = 0
	kindDense  = 1
	kindPacked = 2
	kindSingle = 3

	firstDense  = kindDense << kindShift
	firstPacked = kindPacked << kindShift
	firstSingle = kindSingle << kindShift

	// lineMask keeps the line number of a word, times eight: shifted left by 3 it
	// is the byte offset of the line, shifted left by 1 the number of its first word.
	lineMask  = 1<<kindShift - 8
	lineShift = 3 // of the line number
	withRuns  = 1 << 2
	sizeMask  = 3

	singleShift = 22 // of the address byte
	singleValue = 1<<singleShift - 1

	maxSize  = 2      // the largest s of a packed node
	maxWords = 4 * 13 // and the most words in one
	slack    = 3      // see fits
)

// isNode says whether a word names a node.
func isNode(w uint32) bool { return w >= firstDense && w < firstSingle }

// nodeAt is the address of the node that w names.
func (a *arena) nodeAt(w uint32) unsafe.Pointer {
	return unsafe.Add(a.base, uintptr(w&lineMask)<<3)
}

// behind is the word for address byte b behind word w.
func (a *arena) behind(w, b uint32) uint32 {
	switch {
	case isNode(w):
		return atomic.LoadUint32(locate(a.base, w, b))
	case w >= firstSingle:
		return single(w, b)
	}
	return w
}

// runs is a node unpacked: run i begins at address byte start[i] and has word[i].
// Neighboring runs have different words.
type runs struct {
	n     int
	start [256]uint8
	word  [256]uint32
}

// add appends a run.
func (r *runs) add(start int, w uint32) {
	if r.n > 0 && r.word[r.n-1] == w {
		return
	}
	r.start[r.n], r.word[r.n] = uint8(start), w
	r.n++
}

// end is the last address byte of run i.
func (r *runs) end(i int) int {
	if i+1 < r.n {
		return int(r.start[i+1]) - 1
	}
	return 255
}

// unpack fills r with the words behind w.
func (a *arena) unpack(w uint32, r *runs) {
	r.n = 0
	switch w >> kindShift {
	case kindDirect:
		r.add(0, w)
	case kindSingle:
		b := int(w >> singleShift & 0xff)
		if b > 0 {
			r.add(0, 0)
		}
		r.add(b, w&singleValue)
		if b < 255 {
			r.add(b+1, 0)
		}
	case kindDense:
		for b, word := range (*[256]uint32)(a.nodeAt(w)) {
			r.add(b, word)
		}
	case kindPacked:
		a.unpackPacked(w, r)
	}
}

// single is the word that says the same as r, if it is that simple.
func (r *runs) single() (uint32, bool) {
	if r.n > 3 {
		return 0, false
	}
	w := uint32(0)
	for i := range r.n {
		switch {
		case r.word[i] == 0:
		case w != 0 || r.word[i] > singleValue || r.end(i) != int(r.start[i]):
			return 0, false
		default:
			w = firstSingle | uint32(r.start[i])<<singleShift | r.word[i]
		}
	}
	return w, w != 0
}

// repack returns a word behind which is r. old is the word whose place it takes:
// if that names a node, the node is changed where only words change, and retired
// otherwise.
func (a *arena) repack(r *runs, old uint32) uint32 {
	w, simple := r.single()
	if r.n == 1 && r.word[0] < firstDense {
		w, simple = r.word[0], true
	}
	if !simple {
		return a.repackNode(r, old)
	}
	if isNode(old) {
		a.retire(old)
	}
	return w
}

func (a *arena) repackNode(r *runs, old uint32) uint32 {
	p := &a.packed
	if !p.pack(r, old>>kindShift == kindDense) {
		return a.makeDense(r, old)
	}
	if old>>kindShift == kindPacked && old&(withRuns|sizeMask) == p.form|p.size && p.sameBits(a.nodeAt(old)) {
		if !a.dry {
			p.store(a.nodeAt(old))
		}
		return old
	}
	w := a.newPacked(p)
	if isNode(old) {
		a.retire(old)
	}
	return w
}

// makeDense is repack for a node that is dense then.
func (a *arena) makeDense(r *runs, old uint32) uint32 {
	words := &a.dense
	for i := range r.n {
		for b := int(r.start[i]); b <= r.end(i); b++ {
			words[b] = r.word[i]
		}
	}
	if old>>kindShift == kindDense {
		if !a.dry {
			storeWords(a.nodeAt(old), words[:])
		}
		return old
	}
	line := a.newNode(class1K)
	if !a.dry {
		*(*[256]uint32)(a.at(line)) = *words
	}
	if isNode(old) {
		a.retire(old)
	}
	return firstDense | line<<lineShift&lineMask
}

// storeWords publishes words one by one, those that change.
func storeWords(at unsafe.Pointer, words []uint32) {
	for i, w := range words {
		if p := wordAt(at, uintptr(i)); *p != w {
			atomic.StoreUint32(p, w)
		}
	}
}

// retire puts away the node that w names, not what lies behind it.
func (a *arena) retire(w uint32) { a.retireLine(w & lineMask >> lineShift) }

// retireTree puts away the node that w names, if it names one, and all behind it.
func (a *arena) retireTree(w uint32) {
	if !isNode(w) {
		return
	}
	var r runs
	a.unpack(w, &r)
	for _, child := range r.word[:r.n] {
		a.retireTree(child)
	}
	a.retire(w)
}
