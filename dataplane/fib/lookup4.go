package fib

import (
	"sync/atomic"
	"unsafe"
)

func (r *Reader) Lookup4(dst []uint32, out []Value) {
	root, lines := r.root4, r.lines
	out = out[:len(dst)]
	for i, d := range dst {
		out[i] = Value(atomic.LoadUint32((*uint32)(unsafe.Add(root, uintptr(d>>8)<<2))))
	}
	for i, d := range dst {
		touch(lines, uint32(out[i]), d&0xff)
	}
	for i, d := range dst {
		if w := uint32(out[i]); w >= firstDense {
			out[i] = Value(step(lines, w, d&0xff))
		}
	}
}

// touch loads what step will, and does nothing with it.
func touch(lines unsafe.Pointer, w, b uint32) {
	k := w >> kindShift
	off := uintptr(w&lineMask) << 4 & -uintptr(k>>1|k&1)
	off += uintptr(b<<2) & -uintptr(k&1&^(k>>1))
	atomic.LoadUint32((*uint32)(unsafe.Add(lines, off)))
}
