package fib

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// A table word says what lies behind one slot of a root, a node, or a hash bucket:
//
//	31 30 29                                      2 1 0
//	+----+----------------------------------------+---+
//	|  0 |                  value                     |  direct: 0 is no binding
//	|  1 |          first line                    | 0 |  dense node
//	|  2 |          first line                    | s |  marked node, 64<<s bytes
//	|  3 |          first line                    | s |  runs node, 64<<s bytes
//	+----+----------------------------------------+---+
//
// A node resolves 8 more bits of the address, to a word each. A dense node is 256
// words. The packed ones fit 256 words into one to four cache lines:
//
//	bytes  0..31   256 bits: bit b%64 of 64-bit word b/64 is for address byte b
//	       32..35  byte q: how many bits are set in the 64-bit words before word q
//	       36..    words: 7, 23 or 55 of them
//
// In a marked node a bit says that its address has a word of its own, the first
// after word 0 belonging to the lowest marked address; word 0 is for the others. In
// a runs node a bit says that here the word changes: address b has the word whose
// number is the count of bits set up to b. Marked suits single addresses, runs
// suits prefixes. Either way it takes one popcount, of 64 bits.
//
// A word that readers can see changes by one atomic store. The bits never change
// once readers can see them: a node of another shape is made, and takes the place
// of the old one by one store.
const (
	kindShift = 30

	kindDirect = 0
	kindDense  = 1
	kindMarked = 2
	kindRuns   = 3

	maxValue = 1<<kindShift - 1

	// lineMask keeps the line number of a word, still times four: shifted left by
	// 4 it is the byte offset of the line.
	lineMask = maxValue &^ 3

	firstDense  = kindDense << kindShift
	firstMarked = kindMarked << kindShift
	firstRuns   = kindRuns << kindShift

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

// step is the word for address byte b in the node that w names.
func step(lines unsafe.Pointer, w, b uint32) uint32 {
	return atomic.LoadUint32(wordAt(lines, uintptr(locate(lines, w, b))))
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

// unpack fills r from the node that w names, or from w alone where it is direct.
func (a *arena) unpack(w uint32, r *runs) {
	r.n = 0
	p := unsafe.Add(a.base, uintptr(w&lineMask)<<4)
	switch w >> kindShift {
	case kindDirect:
		r.add(0, w)
	case kindDense:
		words := (*[256]uint32)(p)
		for b := range words {
			r.add(b, words[b])
		}
	case kindMarked:
		m, words := (*[4]uint64)(p), (*[maxPacked]uint32)(unsafe.Add(p, packedWords))
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
	case kindRuns:
		m, words := (*[4]uint64)(p), (*[maxPacked]uint32)(unsafe.Add(p, packedWords))
		r.add(0, words[0])
		for q, n := 0, 1; q < 4; q++ {
			for left := m[q]; left != 0; left &= left - 1 {
				r.add(q<<6+bits.TrailingZeros64(left), words[n])
				n++
			}
		}
	}
}

// packed is the content of a packed node.
type packed struct {
	kind uint32
	n    int // words
	bits [4]uint64
	word [256]uint32
}

// pack chooses the packed form that needs fewer words. n is then at most 256.
func (p *packed) pack(r *runs) {
	p.bits = [4]uint64{}
	most, others := r.majority()
	if others+1 <= r.n {
		p.kind, p.n = kindMarked, 1
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
	p.kind, p.n = kindRuns, r.n
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

// repack makes the node that old names, or old itself where it is direct, hold r,
// and returns the word that names it now. It writes in place where only words
// change; otherwise it retires old's node, whose place the caller gives to the new
// word. One run is no node, unless keep says so.
func (a *arena) repack(r *runs, old uint32, keep bool) uint32 {
	if r.n == 1 && !keep {
		if old >= firstDense {
			a.retire(old)
		}
		return r.word[0]
	}
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
	if old>>kindShift == p.kind && old&3 == s {
		if node := unsafe.Add(a.base, uintptr(old&lineMask)<<4); *(*[4]uint64)(node) == p.bits {
			storeWords(unsafe.Add(node, packedWords), p.word[:p.n])
			return old
		}
	}
	line := a.alloc(class64 + class(s))
	node := a.at(line)
	*(*[4]uint64)(node) = p.bits
	*(*[4]uint8)(unsafe.Add(node, packedRanks)) = ranksOf(p.bits)
	copy((*[maxPacked]uint32)(unsafe.Add(node, packedWords))[:p.n:p.n], p.word[:p.n])
	if old >= firstDense {
		a.retire(old)
	}
	return p.kind<<kindShift | line<<2 | s
}

// paintOne is repack for one slot of a marked node that stays one of the same size.
// It says when it is not that simple.
func (a *arena) paintOne(w, b, value uint32) (uint32, bool) {
	p := unsafe.Add(a.base, uintptr(w&lineMask)<<4)
	m := *(*[4]uint64)(p)
	ranks := (*[4]uint8)(unsafe.Add(p, packedRanks))
	words := (*[maxPacked]uint32)(unsafe.Add(p, packedWords))
	q, bit := b>>6&3, uint64(1)<<(b&63)
	at := int(ranks[q]) + bits.OnesCount64(m[q]&(bit-1)) // words before b's own, without word 0
	n := int(ranks[3]) + bits.OnesCount64(m[3])
	marked, mark := m[q]&bit != 0, value != words[0]
	switch {
	case marked && mark:
		atomic.StoreUint32(&words[at+1], value)
		return w, true
	case !marked && !mark:
		return w, true
	case mark:
		n++
	default:
		n--
	}
	if n < 2 || n >= maxPacked || packedSize(n+1) != w&3 {
		return w, false
	}
	line := a.alloc(class64 + class(w&3))
	m[q] ^= bit
	to := a.at(line)
	*(*[4]uint64)(to) = m
	*(*[4]uint8)(unsafe.Add(to, packedRanks)) = ranksOf(m)
	into := (*[maxPacked]uint32)(unsafe.Add(to, packedWords))
	copy(into[:at+1], words[:at+1])
	if mark {
		into[at+1] = value
		copy(into[at+2:n+1], words[at+1:n])
	} else {
		copy(into[at+1:n+1], words[at+2:n+2])
	}
	a.retire(w)
	return firstMarked | line<<2 | w&3, true
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
		storeWords(unsafe.Add(a.base, uintptr(old&lineMask)<<4), words[:])
		return old
	}
	line := a.alloc(class1K)
	*(*[256]uint32)(a.at(line)) = *words
	if old >= firstDense {
		a.retire(old)
	}
	return firstDense | line<<2
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
func (a *arena) retire(w uint32) { a.retireLine(w & lineMask >> 2) }

// retireTree puts away the node that w names, if it names one, and all behind it.
func (a *arena) retireTree(w uint32) {
	if w < firstDense {
		return
	}
	var r runs
	a.unpack(w, &r)
	for _, child := range r.word[:r.n] {
		a.retireTree(child)
	}
	a.retire(w)
}
