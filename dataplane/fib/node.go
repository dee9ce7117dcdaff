package fib

import (
	"math/bits"
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
// A dense node is 256 words. A packed one fits 256 words into one, two or four
// lines:
//
//	bytes  0..31   256 bits: bit b%64 of 64-bit word b/64 is for address byte b
//	       32..35  byte q: how many bits are set in the 64-bit words before word q
//	       36..    words: 7, 23 or 55 of them
//
// Where r is 0, a bit marks an address that has a word of its own, the first after
// word 0 belonging to the lowest marked address; word 0 is for all others. Where r
// is 1, a bit says that here the word changes: address b has the word whose number
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

	packedRanks = 32 // byte offset of the counts in a packed node
	packedWords = 36 // byte offset of its words
)

// maxPacked is the most words in a packed node; more make it dense. A dense node
// becomes a packed one again at maxRepacked, so that one binding that comes and
// goes does not turn it back and forth.
const (
	maxPacked   = 55
	maxRepacked = 40
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
		return atomic.LoadUint32(wordAt(a.base, uintptr(locate(a.base, w, b))))
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

// majority is the word that most addresses have, and how many have another. When
// no word has more than half of them it is any word.
func (r *runs) majority() (uint32, int) {
	word, lead := r.word[0], 0
	for i := range r.n {
		size := r.end(i) - int(r.start[i]) + 1
		switch {
		case r.word[i] == word:
			lead += size
		case lead >= size:
			lead -= size
		default:
			word, lead = r.word[i], size-lead
		}
	}
	others := 256
	for i := range r.n {
		if r.word[i] == word {
			others -= r.end(i) - int(r.start[i]) + 1
		}
	}
	return word, others
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
		p := a.nodeAt(w)
		words := (*[maxPacked]uint32)(unsafe.Add(p, packedWords))
		if w&withRuns != 0 {
			r.unpackRuns((*[4]uint64)(p), words)
		} else {
			r.unpackMarks((*[4]uint64)(p), words)
		}
	}
}

func (r *runs) unpackMarks(m *[4]uint64, words *[maxPacked]uint32) {
	next := 0 // the first address that has no run yet
	for q, n := 0, 1; q < 4; q++ {
		for left := m[q]; left != 0; left &= left - 1 {
			b := q<<6 + bits.TrailingZeros64(left)
			if b > next {
				r.add(next, words[0])
			}
			r.add(b, words[n])
			next = b + 1
			n++
		}
	}
	if next < 256 {
		r.add(next, words[0])
	}
}

func (r *runs) unpackRuns(m *[4]uint64, words *[maxPacked]uint32) {
	r.add(0, words[0])
	for q, n := 0, 1; q < 4; q++ {
		for left := m[q]; left != 0; left &= left - 1 {
			r.add(q<<6+bits.TrailingZeros64(left), words[n])
			n++
		}
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

// packed is the content of a packed node.
type packed struct {
	form uint32 // withRuns, or 0
	n    int    // words
	bits [4]uint64
	word [256]uint32
}

// pack chooses the packed form that needs fewer words. n is then at most 256.
func (p *packed) pack(r *runs) {
	p.bits = [4]uint64{}
	most, others := r.majority()
	if others+1 <= r.n {
		p.form, p.n = 0, 1
		p.word[0] = most
		for i := range r.n {
			if r.word[i] == most {
				continue
			}
			for b := int(r.start[i]); b <= r.end(i); b++ {
				p.bits[b>>6] |= 1 << (b & 63)
				p.word[p.n&255] = r.word[i]
				p.n++
			}
		}
		return
	}
	p.form, p.n = withRuns, r.n
	p.word[0] = r.word[0]
	for i := 1; i < r.n; i++ {
		p.bits[r.start[i]>>6] |= 1 << (r.start[i] & 63)
		p.word[i] = r.word[i]
	}
}

// ranksOf counts the bits before each 64-bit word.
func ranksOf(m [4]uint64) (r [4]uint8) {
	for q := range 3 {
		r[q+1] = r[q] + uint8(bits.OnesCount64(m[q]))
	}
	return r
}

// packedSize is the s of the smallest packed node that holds n words.
func packedSize(n int) uint32 {
	switch {
	case n <= 7:
		return 0
	case n <= 23:
		return 1
	}
	return 2
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
	if r.n > 2*maxPacked+1 { // more runs than that many marks can make
		p.n = 256
	} else {
		p.pack(r)
	}
	wasDense := old>>kindShift == kindDense
	if p.n > maxPacked || wasDense && p.n > maxRepacked {
		return a.makeDense(r, old)
	}
	s := packedSize(p.n)
	if old>>kindShift == kindPacked && old&(withRuns|sizeMask) == p.form|s {
		if node := a.nodeAt(old); *(*[4]uint64)(node) == p.bits {
			storeWords(unsafe.Add(node, packedWords), p.word[:p.n])
			return old
		}
	}
	w := a.newPacked(p.form, s, p.bits)
	copy(a.packedWords(w)[:p.n:p.n], p.word[:p.n])
	if isNode(old) {
		a.retire(old)
	}
	return w
}

// newPacked makes a packed node whose words are still to be filled in.
func (a *arena) newPacked(form, s uint32, m [4]uint64) uint32 {
	line := a.alloc(class64 + class(s))
	p := a.at(line)
	*(*[4]uint64)(p) = m
	*(*[4]uint8)(unsafe.Add(p, packedRanks)) = ranksOf(m)
	return firstPacked | line<<lineShift | form | s
}

// packedWords is the words of a packed node, those of the largest size.
func (a *arena) packedWords(w uint32) *[maxPacked]uint32 {
	return (*[maxPacked]uint32)(unsafe.Add(a.nodeAt(w), packedWords))
}

// paintOne is repack for one slot of a packed node with marks that stays one of the
// same size. It says when it is not that simple.
func (a *arena) paintOne(w, b, value uint32) (uint32, bool) {
	p, words := a.nodeAt(w), a.packedWords(w)
	m := *(*[4]uint64)(p)
	ranks := (*[4]uint8)(unsafe.Add(p, packedRanks))
	q, bit := b>>6&3, uint64(1)<<(b&63)
	at := 1 + int(ranks[q]) + bits.OnesCount64(m[q]&(bit-1)) // b's word, or where it goes
	n := 1 + int(ranks[3]) + bits.OnesCount64(m[3])
	marked, mark := m[q]&bit != 0, value != words[0]
	if marked == mark {
		if mark {
			atomic.StoreUint32(&words[at], value)
		}
		return w, true
	}
	to := n + 1
	if marked {
		to = n - 1
	}
	if to < 3 || to > maxPacked || packedSize(to) != w&sizeMask {
		return w, false
	}
	m[q] ^= bit
	is := a.newPacked(0, w&sizeMask, m)
	into := a.packedWords(is)
	copy(into[:at], words[:at])
	if mark {
		into[at] = value
		copy(into[at+1:to], words[at:n])
	} else {
		copy(into[at:to], words[at+1:n])
	}
	a.retire(w)
	return is, true
}

// makeDense is repack for a node that is dense then.
func (a *arena) makeDense(r *runs, old uint32) uint32 {
	words := &a.packed.word
	for i := range r.n {
		for b := int(r.start[i]); b <= r.end(i); b++ {
			words[b] = r.word[i]
		}
	}
	if old>>kindShift == kindDense {
		storeWords(a.nodeAt(old), words[:])
		return old
	}
	line := a.alloc(class1K)
	*(*[256]uint32)(a.at(line)) = *words
	if isNode(old) {
		a.retire(old)
	}
	return firstDense | line<<lineShift
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
