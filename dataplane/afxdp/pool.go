package afxdp

// pool holds the chunk addresses of free frames. The one freed last goes out first:
// its bytes are the likeliest to be in a cache. The port's worker owns it.
type pool struct {
	chunks []uint32 // chunks[:n] are free
	n      int
}

// newPool makes a pool that holds all frames.
func newPool(g geometry) pool {
	p := pool{chunks: make([]uint32, g.frames), n: g.frames}
	for i := range p.chunks {
		p.chunks[i] = uint32((g.frames - 1 - i) * g.size)
	}
	return p
}

// get takes a frame out; the caller has looked at n.
func (p *pool) get() uint32 {
	p.n--
	return p.chunks[p.n]
}

// put gives a frame back. It panics when there are more than ever existed: somebody
// gave one back twice.
func (p *pool) put(chunk uint32) {
	p.chunks[p.n] = chunk
	p.n++
}
