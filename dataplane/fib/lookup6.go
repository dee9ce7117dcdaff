package fib

import (
	"sync/atomic"
	"unsafe"
)

// Lookup6 is Lookup4 for IPv6: long prefixes first, see buckets, then the trie for
// the addresses that have none.
func (r *Reader) Lookup6(dst []Addr6, out []Value) {
	if len(dst) == 0 {
		return
	}
	out = out[:len(dst)]
	for len(dst) > stage {
		r.lookup6(dst[:stage], out[:stage])
		dst, out = dst[stage:], out[stage:]
	}
	r.lookup6(dst, out)
}

func (r *Reader) lookup6(dst []Addr6, out []Value) {
	r.long6(dst, out)
	var todo [stage]uint8
	n := 0
	for i := range out {
		todo[n&(stage-1)] = uint8(i)
		if out[i] == 0 {
			n++
		}
	}
	if n > 0 {
		r.short6(dst, out, todo[:n])
	}
}

// long6 finds the values of prefixes longer than /120.
func (r *Reader) long6(dst []Addr6, out []Value) {
	if len(dst) == 0 {
		return
	}
	lines := r.lines
	out = out[:len(dst)]
	depth := uint8(atomic.LoadUint32((*uint32)(r.dir))) & 31
	for i := range dst {
		hash := hash6(r.seed, dst[i])
		page := atomic.LoadUint32(wordAt(r.dir, uintptr(dirIndex(hash, depth))))
		out[i] = Value(page + hashBucket(hash))
	}
	for i := range out {
		atomic.LoadUint32((*uint32)(unsafe.Add(lines, uintptr(out[i])*lineSize)))
	}
	found := false // whether out has a node's word
	for i := range dst {
		w := probe(unsafe.Add(lines, uintptr(out[i])*lineSize), &dst[i])
		if w >= firstSingle {
			w = single(w, uint32(dst[i].Lo)&0xff)
		}
		found = found || w >= firstDense
		out[i] = Value(w)
	}
	if !found {
		return
	}
	prefetchNodes(lines, &out[0], (*byte)(unsafe.Pointer(&dst[0].Lo)), int(unsafe.Sizeof(dst[0])), len(dst))
	for i := range dst {
		if w := uint32(out[i]); w >= firstDense {
			out[i] = Value(atomic.LoadUint32(locate(lines, w, uint32(dst[i].Lo)&0xff)))
		}
	}
}

// probe is the word of the block of a, from the bucket at p on; 0 when there is
// none.
func probe(p unsafe.Pointer, a *Addr6) uint32 {
	for range pageBuckets {
		k := (*bucket)(p)
		// Words first: the key behind a word that is not 0 is complete.
		w0, w1, w2 := atomic.LoadUint32(&k.word[0]), atomic.LoadUint32(&k.word[1]), atomic.LoadUint32(&k.word[2])
		w0 &= zero(atomic.LoadUint64(&k.key[0].Hi) ^ a.Hi | (atomic.LoadUint64(&k.key[0].Lo)^a.Lo)>>8)
		w1 &= zero(atomic.LoadUint64(&k.key[1].Hi) ^ a.Hi | (atomic.LoadUint64(&k.key[1].Lo)^a.Lo)>>8)
		w2 &= zero(atomic.LoadUint64(&k.key[2].Hi) ^ a.Hi | (atomic.LoadUint64(&k.key[2].Lo)^a.Lo)>>8)
		if w := w0 | w1 | w2; w != 0 {
			return w
		}
		if atomic.LoadUint32(&k.head)&headSpill == 0 {
			return 0
		}
		// The bucket after the last of a page is its first.
		if p = unsafe.Add(p, lineSize); uintptr(p)&(pageBuckets*lineSize-1) == 0 {
			p = unsafe.Add(p, -pageBuckets*lineSize)
		}
	}
	return 0
}

// zero is all ones when x is 0, and 0 when it is not.
func zero(x uint64) uint32 { return ^uint32(int64(x|-x) >> 63) }

// short6 walks the trie for the addresses that todo lists, one level for all, then
// the next. It uses todo up.
func (r *Reader) short6(dst []Addr6, out []Value, todo []uint8) {
	lines := r.lines
	for _, i := range todo {
		out[i] = Value(atomic.LoadUint32(wordAt(r.root6, uintptr(dst[i].Hi>>48))))
	}
	for end := uint8(24); end <= longest6; end += 8 {
		n := 0
		for _, i := range todo {
			switch w := uint32(out[i]); {
			case w < firstDense:
			case w < firstSingle:
				touch(lines, w, dst[i].byteAt(end))
				todo[n] = i
				n++
			default:
				out[i] = Value(single(w, dst[i].byteAt(end)))
			}
		}
		if todo = todo[:n]; n == 0 {
			return
		}
		for _, i := range todo {
			out[i] = Value(atomic.LoadUint32(locate(lines, uint32(out[i]), dst[i].byteAt(end))))
		}
	}
}
