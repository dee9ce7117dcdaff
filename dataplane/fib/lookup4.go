package fib

import (
	"sync/atomic"
	"unsafe"
)

// stage is how many addresses go through the stages of a lookup together: as many
// as a 64-bit set has bits.
const stage = 64

// Lookup4 finds the value of each address of dst, IPv4 in host byte order, and
// writes it to out, which is at least as long. In between out holds words.
//
// A lookup is up to two loads from anywhere in memory, the second of which needs what
// the first brought. Each stage makes one of them for all addresses, in a loop
// short enough that the processor has many under way: so the cache misses of a
// burst overlap instead of adding up. Where all nodes are dense that is all there is to
// do; else nodes are fetched ahead of the second stage, whose loop is long then.
func (r *Reader) Lookup4(dst []uint32, out []Value) {
	out = out[:len(dst)]
	for len(dst) > stage {
		r.lookup4(dst[:stage], out[:stage])
		dst, out = dst[stage:], out[stage:]
	}
	r.lookup4(dst, out)
}

func (r *Reader) lookup4(dst []uint32, out []Value) {
	if len(dst) == 0 || len(out) < len(dst) {
		return
	}
	root, lines := r.root4, r.lines
	out = out[:len(dst)]
	if lookupDense(root, lines, &dst[0], &out[0], len(dst)) {
		return
	}
	prefetchNodes(lines, &out[0], (*byte)(unsafe.Pointer(&dst[0])), 4, len(dst))
	for i, d := range dst {
		w := uint32(out[i])
		switch {
		case w < firstDense:
			continue
		case w >= firstSingle:
			w = single(w, d&0xff)
		case w < firstPacked:
			w = atomic.LoadUint32(inDense(lines, w, d&0xff))
		default:
			w = atomic.LoadUint32(inPacked(lines, w, d&0xff))
		}
		out[i] = Value(w)
	}
}

// lookupDenseGo writes the root's word of each address to out and, where no word is packed
// or single, puts what dense nodes have in its place. It says whether that was so.
func lookupDenseGo(root, lines unsafe.Pointer, dst []uint32, out []Value) bool {
	out = out[:len(dst)]
	some := uint32(0)
	for i, d := range dst {
		w := atomic.LoadUint32(wordAt(root, uintptr(d>>8)))
		some |= w
		out[i] = Value(w)
	}
	if some >= firstPacked {
		return false
	}
	for i, d := range dst {
		if w := uint32(out[i]); w >= firstDense {
			out[i] = Value(atomic.LoadUint32(inDense(lines, w, d&0xff)))
		}
	}
	return true
}

// single is the word behind a single word for address byte b.
func single(w, b uint32) uint32 {
	other := (w>>singleShift ^ b) & 0xff
	return w & singleValue & uint32(int32(other-1)>>31)
}

// locate is the word that node w has for address byte b, see node.
func locate(lines unsafe.Pointer, w, b uint32) *uint32 {
	if w < firstPacked {
		return inDense(lines, w, b)
	}
	return inPacked(lines, w, b)
}

// inDense is locate for a dense node.
func inDense(lines unsafe.Pointer, w, b uint32) *uint32 {
	return (*uint32)(unsafe.Add(lines, uintptr(w&lineMask)<<3+uintptr(b)<<2))
}

// inPacked is locate for a packed node.
func inPacked(lines unsafe.Pointer, w, b uint32) *uint32 {
	s := w & sizeMask
	p := unsafe.Add(lines, uintptr(w&lineMask)<<3+uintptr(b<<s>>8)<<6)
	q, words := uintptr(b>>6&(3>>s)), uintptr(32>>s)
	bits := *(*uint64)(unsafe.Add(p, q<<3))
	n := uint32(*(*uint8)(unsafe.Add(p, words+q))) + ones(bits&(2<<(b&63)-1))
	own := uint32(bits>>(b&63))&1 | w>>2&1 // 0 for an address that is not marked: it has word 0
	return (*uint32)(unsafe.Add(p, words+4+uintptr(n&-own)<<2))
}

// touch loads the line of node w where locate will look, for it to be in the cache then.
func touch(lines unsafe.Pointer, w, b uint32) {
	s := w & sizeMask
	if w < firstPacked {
		s = 4 // 16 lines
	}
	atomic.LoadUint32((*uint32)(unsafe.Add(lines, uintptr(w&lineMask)<<3+uintptr(b<<s>>8)<<6)))
}

// ones is bits.OnesCount64 without its test for what the processor can do: here
// that costs more than it gains.
func ones(x uint64) uint32 {
	x -= x >> 1 & 0x5555555555555555
	x = x&0x3333333333333333 + x>>2&0x3333333333333333
	x = (x + x>>4) & 0x0f0f0f0f0f0f0f0f
	return uint32(x * 0x0101010101010101 >> 56)
}
