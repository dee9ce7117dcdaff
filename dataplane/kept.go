package dataplane

import "unsafe"

// What follows stores pointers without a write barrier, which needs a P. A barrier tells the garbage
// collector of the object that a pointer referred to, and of the one that it refers to now: needless
// where others refer to both all the time, or where they are not of Go's heap.

// setKept is *to = b[:len(b):len(b)] for what is kept elsewhere.
func setKept(to *[]byte, b []byte) {
	*(*bytesHeader)(unsafe.Pointer(to)) = bytesHeader{uintptr(unsafe.Pointer(unsafe.SliceData(b))), len(b), len(b)}
}

// bytesHeader is what a []byte consists of.
type bytesHeader struct {
	data     uintptr
	len, cap int
}

// frameList is a list of frames that are kept elsewhere: in bursts, in scratch.
type frameList struct {
	frames [BurstSize]uintptr
	n      int
}

// add puts a frame at the end of a list that is not full.
func (l *frameList) add(f *Frame) {
	l.frames[l.n&burstMask] = uintptr(unsafe.Pointer(f))
	l.n++
}

// take is what is in the list, until the next add; the list is empty then.
func (l *frameList) take() []*Frame {
	frames := (*[BurstSize]*Frame)(unsafe.Pointer(&l.frames))[:l.n]
	l.n = 0
	return frames
}
