package fib

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// lineSize is the unit of a pool: a cache line.
const lineSize = 64

// class is a size of block that a pool hands out. Blocks are aligned to their size.
type class uint8

const (
	class64    class = iota
	class128         //
	class256         //
	class512         //
	class1K          //
	class2K          //
	classEntry       // 128 bytes; entries keep to themselves, so that they stay close together
	numClasses
)

var classLines = [numClasses]uint32{1, 2, 4, 8, 16, 32, entrySize / lineSize}

// chunkLines is how many lines a chunk has; a chunk holds blocks of one class.
const chunkLines = 1024

// chunk is the bookkeeping of 64 KiB of a pool.
type chunk struct {
	free       [chunkLines / 64]uint64 // bit b: block b is free
	n          uint32                  // free blocks
	class      class
	prev, next int32 // in the list of its class's chunks with free blocks; -1 ends it
}

// pool hands out blocks of a region by the index of their first line. What keeps
// account of them lies beside the region, which holds nothing but blocks. The
// table's writer owns it.
type pool struct {
	region
	chunks  []chunk
	spare   []int32            // chunks that belong to no class
	partial [numClasses]int32  // heads of the lists of chunks with free blocks
	blocks  [numClasses]uint32 // blocks in use
	poison  bool
}

// keepSpare is how many unused chunks stay backed by memory.
const keepSpare = 32

// poisonWord fills freed blocks where poisoning is on. As a table word it is a
// direct value, far above any that is given out.
const poisonWord = 0x2badbeef

func newPool(r region, poison bool) *pool {
	p := &pool{region: r, poison: poison}
	for c := range p.partial {
		p.partial[c] = -1
	}
	return p
}

// room makes sure that the blocks allocated next find memory, as long as they have
// no more lines than this together.
func (p *pool) room(lines int) error {
	need := len(p.chunks) - len(p.spare) + (lines+chunkLines-1)/chunkLines + int(numClasses)
	return p.commit(need * chunkLines * lineSize)
}

// alloc returns a block of class c, with whatever bytes it had. It panics where
// room has not been asked for.
func (p *pool) alloc(c class) uint32 {
	i := p.partial[c]
	if i < 0 {
		i = p.addChunk(c)
	}
	k := &p.chunks[i]
	var b uint32
	for w := range k.free {
		if k.free[w] != 0 {
			b = uint32(w<<6 + bits.TrailingZeros64(k.free[w]))
			k.free[w] &= k.free[w] - 1
			break
		}
	}
	if k.n--; k.n == 0 {
		p.unlink(i)
	}
	p.blocks[c]++
	return uint32(i)*chunkLines + b*classLines[c]
}

// release takes a block back.
func (p *pool) release(line uint32) {
	i := int32(line / chunkLines)
	k := &p.chunks[i]
	size := classLines[k.class]
	b := line % chunkLines / size
	if k.free[b>>6]>>(b&63)&1 != 0 {
		panic(fmt.Sprintf("fib: line %d of region %q freed twice", line, p.name))
	}
	if p.poison {
		words := unsafe.Slice((*uint32)(p.at(line)), size*lineSize/4)
		for w := range words {
			words[w] = poisonWord
		}
	}
	k.free[b>>6] |= 1 << (b & 63)
	p.blocks[k.class]--
	k.n++
	switch k.n {
	case 1:
		p.link(i)
	case chunkLines / size:
		p.retireChunk(i)
	}
}

// at is the address of a line.
func (p *pool) at(line uint32) unsafe.Pointer { return unsafe.Add(p.base, uintptr(line)*lineSize) }

// inUse is the bytes of all blocks in use.
func (p *pool) inUse() uint64 {
	var lines uint64
	for c, n := range p.blocks {
		lines += uint64(n) * uint64(classLines[c])
	}
	return lines * lineSize
}

func (p *pool) addChunk(c class) int32 {
	var i int32
	if n := len(p.spare); n > 0 {
		i, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		if (len(p.chunks)+1)*chunkLines*lineSize > p.committed {
			panic(fmt.Sprintf("fib: region %q: block allocated without room", p.name))
		}
		i = int32(len(p.chunks))
		p.chunks = append(p.chunks, chunk{})
	}
	k := &p.chunks[i]
	k.class, k.n = c, chunkLines/classLines[c]
	for w := range k.free {
		k.free[w] = 0
	}
	for b := range k.n {
		k.free[b>>6] |= 1 << (b & 63)
	}
	p.link(i)
	return i
}

// retireChunk makes a chunk without blocks in use available to every class.
func (p *pool) retireChunk(i int32) {
	p.unlink(i)
	p.spare = append(p.spare, i)
	if len(p.spare) > keepSpare && !p.poison {
		const size = chunkLines * lineSize
		p.mem.Discard(p.buf[int(i)*size : (int(i)+1)*size])
	}
}

func (p *pool) link(i int32) {
	k := &p.chunks[i]
	k.prev, k.next = -1, p.partial[k.class]
	if k.next >= 0 {
		p.chunks[k.next].prev = i
	}
	p.partial[k.class] = i
}

func (p *pool) unlink(i int32) {
	k := &p.chunks[i]
	if k.prev >= 0 {
		p.chunks[k.prev].next = k.next
	} else {
		p.partial[k.class] = k.next
	}
	if k.next >= 0 {
		p.chunks[k.next].prev = k.prev
	}
}
