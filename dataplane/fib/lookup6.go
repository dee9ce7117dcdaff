package fib

import (
	"sync/atomic"
	"unsafe"
)

// stage6 is how many IPv6 addresses go through the stages of a lookup together.
const stage6 = 64

// Lookup6 is Lookup4 for IPv6: long prefixes first, see buckets, then the trie for
// the addresses that have none.
func (r *Reader) Lookup6(dst []Addr6, out []Value) {
	out = out[:len(dst)]
	for len(dst) > stage6 {
		r.lookup6(dst[:stage6], out[:stage6])
		dst, out = dst[stage6:], out[stage6:]
	}
	r.lookup6(dst, out)
}

func (r *Reader) lookup6(dst []Addr6, out []Value) {
	var at [stage6]uint32 // bucket where to begin
	depth := uint8(atomic.LoadUint32((*uint32)(r.dir)))
	for i := range dst {
		hash := hash6(r.seed, dst[i])
		page := atomic.LoadUint32(wordAt(r.dir, uintptr(dirIndex(hash, depth&31))))
		at[i&(stage6-1)] = page + hashBucket(hash)
	}
	for i := range dst {
		out[i] = Value(probe(unsafe.Add(r.lines, uintptr(at[i&(stage6-1)])*lineSize), &dst[i]))
	}
	var todo [stage6]uint8
	n := 0
	for i := range dst {
		w := uint32(out[i])
		if w >= firstDense {
			w = step(r.lines, w, uint32(dst[i].Lo)&0xff)
			out[i] = Value(w)
		}
		if w == 0 {
			todo[n&(stage6-1)] = uint8(i)
			n++
		}
	}
	if n > 0 {
		r.short6(dst, out, todo[:n])
	}
}

// probe is the word of the block of a, from the bucket at p on: 0 when there is
// none, or when it is another single address.
func probe(p unsafe.Pointer, a *Addr6) uint32 {
	for range pageBuckets {
		k := (*bucket)(p)
		// Words first: the key behind a word that is not 0 is complete.
		w0, w1, w2 := atomic.LoadUint32(&k.word[0]), atomic.LoadUint32(&k.word[1]), atomic.LoadUint32(&k.word[2])
		lo0, lo1, lo2 := atomic.LoadUint64(&k.key[0].Lo)^a.Lo, atomic.LoadUint64(&k.key[1].Lo)^a.Lo, atomic.LoadUint64(&k.key[2].Lo)^a.Lo
		w0 &= zero(atomic.LoadUint64(&k.key[0].Hi) ^ a.Hi | lo0>>8)
		w1 &= zero(atomic.LoadUint64(&k.key[1].Hi) ^ a.Hi | lo1>>8)
		w2 &= zero(atomic.LoadUint64(&k.key[2].Hi) ^ a.Hi | lo2>>8)
		if w := w0 | w1 | w2; w != 0 {
			if w < firstDense && (lo0*uint64(w0)|lo1*uint64(w1)|lo2*uint64(w2)) != 0 {
				return 0
			}
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
func zero(x uint64) uint32 { return uint32(int64(x|-x)>>63) ^ ^uint32(0) }

// short6 walks the trie for the addresses that todo lists, one level for all, then
// the next. It uses todo up.
func (r *Reader) short6(dst []Addr6, out []Value, todo []uint8) {
	for _, i := range todo {
		out[i] = Value(atomic.LoadUint32(wordAt(r.root6, uintptr(dst[i].Hi>>48))))
	}
	for end := uint8(24); end <= longest6; end += 8 {
		n := 0
		for _, i := range todo {
			w := uint32(out[i])
			if w < firstDense {
				continue
			}
			out[i] = Value(step(r.lines, w, dst[i].byteAt(end)))
			todo[n] = i
			n++
		}
		if todo = todo[:n]; n == 0 {
			return
		}
	}
}
