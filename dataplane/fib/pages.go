package fib

import (
	"errors"
	"sync/atomic"
)

var errPageFull = errors.New("fib: no room in the table of long IPv6 prefixes: too many addresses with the same hash")

// reserve makes sure that block a, if it is new, can be inserted.
func (b *buckets) reserve(a Addr6) error {
	if _, i := b.find(a); i >= 0 {
		return nil
	}
	hash := hash6(b.seed, a)
	for {
		p := b.page(hash)
		switch {
		case p == nil:
			line := b.newPage(0)
			b.pages[0]++
			b.point(hash, 0, line)
		case p.count(headPlaces) < pageFull:
			return nil
		case p.count(headLive) <= pageSplit || p.count(headDepth) == b.limit && p.count(headLive) < pageFull:
			b.rewrite(hash, p)
		case p.count(headDepth) == b.limit:
			return errPageFull
		default:
			if err := b.split(hash, p); err != nil {
				return err
			}
		}
	}
}

// insert adds a block that find does not know. reserve has made room.
func (b *buckets) insert(k block) {
	p := b.page(hash6(b.seed, k.key))
	b.place(p, k)
	b.n++
}

// place puts a block into a page that has room, and publishes it with its word.
func (b *buckets) place(p *page, k block) {
	i := hashBucket(hash6(b.seed, k.key))
	for p[i].head&headTaken == headTaken {
		atomic.StoreUint32(&p[i].head, p[i].head|headSpill)
		i = (i + 1) % pageBuckets
	}
	at := &p[i]
	j := 0
	for at.head>>j&1 != 0 {
		j++
	}
	atomic.StoreUint64(&at.key[j].Hi, k.key.Hi)
	atomic.StoreUint64(&at.key[j].Lo, k.key.Lo)
	atomic.StoreUint32(&at.head, at.head|1<<j)
	atomic.StoreUint32(&at.word[j], k.word)
	p.add(headPlaces, 1)
	p.add(headLive, 1)
}

// publish gives a block another word: 0 makes it gone, any other brings it back if
// it was.
func (b *buckets) publish(k *bucket, i int, word uint32) {
	old, a := k.word[i], k.key[i]
	if old == word {
		return
	}
	atomic.StoreUint32(&k.word[i], word)
	if old != 0 && word != 0 {
		return
	}
	hash := hash6(b.seed, a)
	p := b.page(hash)
	if word != 0 {
		p.add(headLive, 1)
		b.n++
		return
	}
	p.add(headLive, -1)
	b.n--
	b.join(hash)
}

// rewrite makes a page anew, without what is gone.
func (b *buckets) rewrite(hash uint64, p *page) {
	depth := p.count(headDepth)
	old := b.line(hash)
	line := b.newPage(depth)
	b.live = b.collect(b.live[:0], p)
	for _, k := range b.live {
		b.place(b.pageAt(line), k)
	}
	b.point(hash, depth, line)
	b.retireLine(old)
}

// split shares a page's blocks out to two.
func (b *buckets) split(hash uint64, p *page) error {
	depth := p.count(headDepth)
	if depth == b.depth {
		if err := b.double(); err != nil {
			return err
		}
	}
	old := b.line(hash)
	half := [2]uint32{b.newPage(depth + 1), b.newPage(depth + 1)}
	b.live = b.collect(b.live[:0], p)
	for _, k := range b.live {
		b.place(b.pageAt(half[hash6(b.seed, k.key)>>(63-depth)&1]), k)
	}
	bit := uint64(1) << (63 - depth)
	b.point(hash&^bit, depth+1, half[0])
	b.point(hash|bit, depth+1, half[1])
	b.pages[depth]--
	b.pages[depth+1] += 2
	b.retireLine(old)
	return nil
}

// join makes one page of two while they hold few blocks, and halves the directory
// when it can.
func (b *buckets) join(hash uint64) {
	for {
		p := b.page(hash)
		depth := p.count(headDepth)
		if depth == 0 {
			break
		}
		other := hash ^ 1<<(64-depth)
		q := b.page(other)
		if q.count(headDepth) != depth || p.count(headLive)+q.count(headLive) > pageJoin {
			break
		}
		oldP, oldQ, line := b.line(hash), b.line(other), b.newPage(depth-1)
		b.live = b.collect(b.collect(b.live[:0], p), q)
		for _, k := range b.live {
			b.place(b.pageAt(line), k)
		}
		b.point(hash, depth-1, line)
		b.pages[depth] -= 2
		b.pages[depth-1]++
		b.retireLine(oldP)
		b.retireLine(oldQ)
	}
	for b.depth > 0 && b.pages[b.depth] == 0 {
		b.halve()
	}
	if b.n == 0 {
		old := b.line(hash)
		b.point(hash, 0, 0)
		b.pages[0]--
		b.retireLine(old)
	}
}

// collect appends the live blocks of a page.
func (b *buckets) collect(to []block, p *page) []block {
	for i := range p {
		for j, word := range p[i].word {
			if word != 0 {
				to = append(to, block{p[i].key[j], word})
			}
		}
	}
	return to
}

func (b *buckets) newPage(depth uint8) uint32 {
	line := b.alloc(class1K)
	p := b.pageAt(line)
	*p = page{}
	p.add(headDepth, int(depth))
	return line
}

// line is the page where a hash belongs.
func (b *buckets) line(hash uint64) uint32 { return *b.dir.word(dirIndex(hash, b.depth)) }

// point makes a page the one of all hashes that share their first depth bits with
// hash.
func (b *buckets) point(hash uint64, depth uint8, line uint32) {
	from := dirIndex(hash>>(64-depth)<<(64-depth), b.depth)
	for i := from; i < from+1<<(b.depth-depth); i++ {
		atomic.StoreUint32(b.dir.word(i), line)
	}
}

// double makes the directory distinguish one more bit.
func (b *buckets) double() error {
	if err := b.dir.commit(4 * (dirHead + 4<<b.depth)); err != nil {
		return err
	}
	for i := uint32(1) << b.depth; i < 2<<b.depth; i++ {
		line := *b.dir.word(dirHead + i)
		atomic.StoreUint32(b.dir.word(dirHead+2*i), line)
		atomic.StoreUint32(b.dir.word(dirHead+2*i+1), line)
	}
	b.setDepth(b.depth + 1)
	return nil
}

// halve makes the directory distinguish one bit less.
func (b *buckets) halve() {
	for i := uint32(1) << (b.depth - 1); i < 1<<b.depth; i++ {
		atomic.StoreUint32(b.dir.word(dirHead+i), *b.dir.word(dirHead + 2*i))
	}
	b.setDepth(b.depth - 1)
}

func (b *buckets) setDepth(depth uint8) {
	b.depth = depth
	atomic.StoreUint32(b.dir.word(0), uint32(depth))
}

// A page's own counts stand in the heads of its first buckets.
const (
	headDepth  = 0
	headPlaces = 1 // taken
	headLive   = 2 // blocks that are not gone
)

func (p *page) count(what int) uint8 { return uint8(p[what].head >> headShift) }

func (p *page) add(what, n int) {
	atomic.StoreUint32(&p[what].head, p[what].head+uint32(int32(n)<<headShift))
}
