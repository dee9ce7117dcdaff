package fib

import (
	"sync/atomic"
	"unsafe"
)

// Lookup4 finds the value of each address of dst, IPv4 in host byte order, and
// writes it to out, which is at least as long.
//
// It first loads all words of the root, then all of the nodes, so that the cache
// misses of a burst overlap instead of adding up. In between out holds the words.
func (r *Reader) Lookup4(dst []uint32, out []Value) {
	root, lines := r.root4, r.lines
	out = out[:len(dst)]
	for i, d := range dst {
		out[i] = Value(atomic.LoadUint32((*uint32)(unsafe.Add(root, uintptr(d>>8)<<2))))
	}
	for i, d := range dst {
		if w := uint32(out[i]); w >= firstDense {
			out[i] = Value(step(lines, w, d&0xff))
		}
	}
}
