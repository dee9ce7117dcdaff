package fib

import (
	"sync/atomic"
	"unsafe"
)

// buckets is a hash table of IPv6 blocks of 256 addresses, /120, for prefixes
// longer than that: EIPs, dense or alone. A block has a word over its last 8 bits,
// see node, where 0 sends the lookup on to the trie. So an EIP that is alone costs
// one cache line, and EIPs next to each other cost what they do in IPv4.
//
// The table grows and shrinks by pages, so that no change takes long (extendible
// hashing):
//
//	directory  2^depth words, each the first line of a page, 0 for none; indexed
//	           by the first depth bits of the hash. Its region begins with four
//	           words: the depth, one that is not used, the hash's seed, low half
//	           first. The directory of depth d begins at word 4 + 2^d.
//	page       16 buckets; the next 4 bits say where to begin. Pages that hold few
//	           blocks stand in several places of the directory.
//	bucket     a cache line with three blocks, see bucket
//
// A reader begins at one bucket and goes on to the next one while a bit says that
// blocks have spilled over.
//
// Readers may be in a page at any time. So a key, once published, never changes
// and its place takes no other key: a block that goes leaves its key with word 0,
// and a page that has no room left is written anew, without what is gone.
type buckets struct {
	*arena
	dir   region
	seed  uint64
	depth uint8
	limit uint8                // of depth
	n     int                  // blocks
	pages [maxDepth + 1]uint32 // how many there are of each depth
	level level                // scratch
	live  []block              // scratch
}

// bucket is a cache line. A place with word 0 is free, or its block has gone.
type bucket struct {
	key  [bucketPlaces]Addr6
	word [bucketPlaces]uint32
	head uint32
}

const (
	bucketPlaces = 3
	pageBuckets  = 16
	maxDepth     = 24

	// pageFull is how many places of a page may be taken; beyond that, spilling
	// becomes long. A page splits when more than pageSplit of them are live.
	pageFull  = 40
	pageSplit = 32
	pageJoin  = 16 // two pages become one when they hold no more than this together

	headTaken = 1<<bucketPlaces - 1 // bit i: place i has, or had, a block
	headSpill = 1 << bucketPlaces   // some block that begins here, or passed by, lies further on
	headShift = 8                   // above: of bucket 0 the page's depth, of 1 its places taken, of 2 its live blocks
)

// A bucket is a cache line: both constants overflow when the size moves.
const (
	_ = uint(unsafe.Sizeof(bucket{}) - lineSize)
	_ = uint(lineSize - unsafe.Sizeof(bucket{}))
)

// page is pageBuckets consecutive lines.
type page [pageBuckets]bucket

// block is a key with its word.
type block struct {
	key  Addr6
	word uint32
}

// hash6 mixes the first 120 bits of an address. The seed is the table's own secret,
// so that nobody can choose addresses that meet.
func hash6(seed uint64, a Addr6) uint64 {
	x := (a.Hi ^ seed) * 0x9e3779b97f4a7c15
	x ^= x >> 32
	x = (x ^ a.Lo>>8) * 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

// dirHead is the words in front of the directories.
const dirHead = 4

// dirIndex is the word for a hash in the directory of this depth.
func dirIndex(hash uint64, depth uint8) uint32 {
	return dirHead + (1<<depth | uint32(hash>>1>>(63-depth)))
}

// hashBucket is the bucket of the page where a hash begins.
func hashBucket(hash uint64) uint32 { return uint32(hash>>36) & (pageBuckets - 1) }

// sameBlock is 0 when a and b lie in one block.
func sameBlock(a, b Addr6) uint64 { return a.Hi ^ b.Hi | (a.Lo^b.Lo)>>8 }

func newBuckets(a *arena, mem Memory, seed uint64) (*buckets, error) {
	dir, err := reserve(mem, "directory6", 4<<(maxDepth+1)+commitStep)
	if err != nil {
		return nil, err
	}
	if err := dir.commit(commitStep); err != nil {
		return nil, err
	}
	*(*uint64)(unsafe.Pointer(dir.word(2))) = seed
	return &buckets{arena: a, dir: dir, seed: seed, limit: maxDepth}, nil
}

// page is where a hash belongs; nil when the table is empty.
func (b *buckets) page(hash uint64) *page {
	if line := *b.dir.word(dirIndex(hash, b.depth)); line != 0 {
		return b.pageAt(line)
	}
	return nil
}

func (b *buckets) pageAt(line uint32) *page { return (*page)(b.at(line)) }

// find is the place of a block, live or gone; -1 if there is none.
func (b *buckets) find(a Addr6) (*bucket, int) {
	hash := hash6(b.seed, a)
	p := b.page(hash)
	if p == nil {
		return nil, -1
	}
	for i, n := hashBucket(hash), 0; n < pageBuckets; i, n = i+1, n+1 {
		k := &p[i%pageBuckets]
		for j := range k.key {
			if k.head>>j&1 != 0 && sameBlock(k.key[j], a) == 0 {
				return k, j
			}
		}
		if k.head&headSpill == 0 {
			break
		}
	}
	return nil, -1
}

// paint gives every gap of p, all of them in one block, its value. reserve has
// been called for the block.
func (b *buckets) paint(p *paint) {
	a := p.gap.lo
	k, i := b.find(a)
	old := uint32(0)
	if i >= 0 {
		old = k.word[i]
	}
	word := b.paintBlock(old, p)
	if i >= 0 {
		b.publish(k, i, word)
	} else if word != 0 {
		b.insert(block{Addr6{a.Hi, a.Lo &^ 0xff}, word})
	}
}

// paintBlock paints what is behind a block's word, and returns its word then.
func (b *buckets) paintBlock(w uint32, p *paint) uint32 {
	if p.single && w>>kindShift == kindPacked && w&withRuns == 0 {
		if to, ok := b.paintOne(w, p.gap.lo.byteAt(128), p.value); ok {
			return to
		}
	}
	if w>>kindShift == kindDense {
		b.paintDense(b.nodeAt(w), p)
		if p.tidy {
			w = b.tidy(w)
		}
		return w
	}
	b.unpack(w, &b.level.in)
	b.level.paint(p)
	return b.repack(&b.level.out, w)
}

// paintDense paints single addresses of a node.
func (b *buckets) paintDense(words unsafe.Pointer, p *paint) {
	for ; p.more; p.gap, p.more = p.rest.next() {
		for s := p.gap.lo.byteAt(128); s <= p.gap.hi.byteAt(128); s++ {
			atomic.StoreUint32(wordAt(words, uintptr(s)), p.value)
		}
	}
}

// paint makes out what in becomes when every gap of p, all of them in the node,
// gets its value. Nothing lies behind the node's slots.
func (l *level) paint(p *paint) {
	done, run := 0, 0
	l.out.n = 0
	for ; p.more; p.gap, p.more = p.rest.next() {
		from := int(p.gap.lo.byteAt(128))
		run = l.copy(run, done, from)
		l.out.add(from, p.value)
		done = int(p.gap.hi.byteAt(128)) + 1
	}
	l.copy(run, done, 256)
}
