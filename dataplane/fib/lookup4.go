package fib

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// stage is how many addresses go through the stages of a lookup together: as many
// as a 64-bit set has bits.
const stage = 64

// Lookup4 finds the value of each address of dst, IPv4 in host byte order, and
// writes it to out, which is at least as long. In between out holds words.
//
// A lookup is up to three loads from anywhere in memory, each of which needs what
// the one before brought. Each stage makes one of them for all addresses, in a loop
// short enough that the processor has many under way: so the cache misses of a
// burst overlap instead of adding up.
func (r *Reader) Lookup4(dst []uint32, out []Value) {
	out = out[:len(dst)]
	for len(dst) > stage {
		r.lookup4(dst[:stage], out[:stage])
		dst, out = dst[stage:], out[stage:]
	}
	r.lookup4(dst, out)
}

func (r *Reader) lookup4(dst []uint32, out []Value) {
	root, lines := r.root4, r.lines
	out = out[:len(dst)]
	for i, d := range dst {
		out[i] = Value(atomic.LoadUint32(wordAt(root, uintptr(d>>8))))
	}
	for i := range out {
		touch(lines, uint32(out[i]))
	}
	var nodes uint64 // bit i: out[i] is not a value, but where in lines it stands
	for i, d := range dst {
		switch w := uint32(out[i]); {
		case w < firstDense:
		case w < firstPacked:
			out[i] = Value(w&lineMask<<1 + d&0xff)
			nodes |= 1 << (i & 63)
		case w < firstSingle:
			out[i] = Value(locate(lines, w, d&0xff))
			nodes |= 1 << (i & 63)
		default:
			out[i] = Value(single(w, d&0xff))
		}
	}
	for ; nodes != 0; nodes &= nodes - 1 {
		i := bits.TrailingZeros64(nodes)
		out[i] = Value(atomic.LoadUint32(wordAt(lines, uintptr(out[i]))))
	}
}

// touch loads the first line of the node that w names, if it is a packed one, for
// locate to find it in the cache.
func touch(lines unsafe.Pointer, w uint32) {
	packed := uint32(int32(w&^(w<<1)) >> 31) // all ones, or 0: then line 0, which is always there
	atomic.LoadUint32((*uint32)(unsafe.Add(lines, uintptr(w&lineMask&packed)<<3)))
}

// single is the word behind a single word for address byte b.
func single(w, b uint32) uint32 {
	other := (w>>singleShift ^ b) & 0xff
	return w & singleValue & uint32(int32(other-1)>>31)
}

// locate is which word of lines node w has for address byte b, see node.
func locate(lines unsafe.Pointer, w, b uint32) uint32 {
	at := w & lineMask << 1
	if w < firstPacked {
		return at + b
	}
	p := unsafe.Add(lines, uintptr(at)<<2)
	q := uintptr(b >> 6 & 3)
	word := *(*uint64)(unsafe.Add(p, q<<3))
	n := uint32(*(*uint8)(unsafe.Add(p, packedRanks+q))) + ones(word&(2<<(b&63)-1))
	own := uint32(word>>(b&63))&1 | w>>2&1 // 0 for an address that is not marked: it has word 0
	return at + packedWords/4 + n&-own
}

// ones is bits.OnesCount64 without its test for what the processor can do: here
// that costs more than it gains.
func ones(x uint64) uint32 {
	x -= x >> 1 & 0x5555555555555555
	x = x&0x3333333333333333 + x>>2&0x3333333333333333
	x = (x + x>>4) & 0x0f0f0f0f0f0f0f0f
	return uint32(x * 0x0101010101010101 >> 56)
}
