package afxdp

import (
	"errors"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
)

// jumbo is what a port has beside its socket when frames may be longer than a chunk. The
// kernel passes such a frame as a chain: a descriptor for each chunk, all but
// the last marked XDP_PKT_CONTD. What is received is copied together:
//
//	RX ring: │ chunk, CONTD │ chunk, CONTD │ chunk │
//	                └──────────────┴───────────┴────► buffer: │ headroom │ frame │
//
// and what is sent is copied apart again. The port's worker owns it.
type jumbo struct {
	memory []byte // the buffers, one behind the other
	size   int    // bytes of one, headroom included
	free   pool   // offsets of the free ones

	// The chain that is being put together. It may end in a later Rx than it began.
	open bool   // its last chunk has not come yet
	lost bool   // it is too long; its buffer is free again
	at   uint32 // its buffer
	end  int    // of what is in the buffer
}

// jumboMark in a frame's Cookie says that the rest of it is the offset of a jumbo buffer.
// No chunk has such an address.
const jumboMark = 1 << 63

// jumboBuffers is how many buffers one burst needs at most. It takes BurstSize chunks
// out of the RX ring: two or more for each frame, but for one that began in the burst before
// and one that will end in the next.
const jumboBuffers = dataplane.BurstSize/2 + 1

// newJumbo makes buffers for packets of up to mtu bytes.
func newJumbo(mtu int) *jumbo {
	const line = 64 // a frame starts on a cache line, as it does in a chunk
	size := (headroom + linkOverhead + mtu + line - 1) &^ (line - 1)
	j := &jumbo{memory: make([]byte, jumboBuffers*size), size: size}
	j.reset()
	return j
}

// reset makes every buffer free and forgets the chain that has begun.
func (j *jumbo) reset() {
	j.free = newPool(geometry{frames: jumboBuffers, size: j.size})
	j.open, j.lost = false, false
}

// add copies a chunk's bytes behind those that the open chain has; it begins one if none
// is open.
func (j *jumbo) add(data []byte) {
	if !j.open {
		j.open, j.lost, j.at, j.end = true, false, j.free.get(), headroom
	}
	switch {
	case j.lost:
	case len(data) > j.size-j.end:
		j.lost = true
		j.free.put(j.at)
	default:
		j.end += copy(j.buffer(j.at)[j.end:], data)
	}
}

func (j *jumbo) buffer(at uint32) []byte { return j.memory[at : int(at)+j.size : int(at)+j.size] }

// finish makes f the frame of the open chain, which ends here; false says that it was
// too long and is lost.
func (j *jumbo) finish(f *dataplane.Frame) bool {
	j.open = false
	if j.lost {
		return false
	}
	f.AttachKept(j.buffer(j.at), headroom, j.end-headroom)
	f.Cookie = jumboMark | uint64(j.at)
	return true
}

// rxJumbo is Rx where frames may be chains: it takes n descriptors out of the RX ring. A
// frame in one chunk stays where it is. A chain's chunks are free at once, also those of
// one that is lost, so that no burst without a frame leaves the FILL ring empty.
func (p *Port) rxJumbo(b *dataplane.Burst, n int) (int, error) {
	s, j := p.s, p.jumbo
	chains, lost := uint64(0), uint64(0)
	for range n {
		d := s.rx.take()
		at := d.Addr & p.offset
		chunk := d.Addr - at
		more := d.Options&unix.XDP_PKT_CONTD != 0
		f := &b.F[b.N]
		if !more && !j.open {
			f.AttachKept(s.umem[chunk:chunk+p.offset+1], int(at), int(d.Len))
			f.Cookie, f.In = chunk, p.info.ID
			b.N++
			continue
		}
		j.add(s.umem[d.Addr : d.Addr+uint64(d.Len)])
		p.pool.put(uint32(chunk))
		switch {
		case more:
		case j.finish(f):
			f.In = p.info.ID
			b.N++
			chains++
		default:
			lost++
		}
	}
	s.rx.release()
	p.refill()
	if chains > 0 {
		p.counters.jumbo.Add(chains)
	}
	if lost > 0 {
		p.counters.rxTooLong.Add(lost)
	}
	if !p.proven && !p.prove(b) {
		return 0, p.mend()
	}
	return b.N, nil
}

// giveBack is the part of Release that tells jumbo buffers from chunks. Tx never takes a
// jumbo buffer, it copies.
func (p *Port) giveBack(b *dataplane.Burst) {
	for i := range b.F[:b.N] {
		switch f := &b.F[i]; {
		case f.Cookie&jumboMark != 0:
			p.jumbo.free.put(uint32(f.Cookie))
		case !f.Taken:
			p.pool.put(uint32(f.Cookie))
		}
	}
}

// txJumbo is Tx where frames may be longer than a chunk.
func (p *Port) txJumbo(frames []*dataplane.Frame) int {
	took, copied := 0, uint64(0)
	for _, f := range frames {
		if !p.enqueue(f) {
			break
		}
		took++
		if !f.Taken {
			copied++
		}
	}
	p.s.tx.publish()
	if copied > 0 {
		p.counters.copied.Add(copied)
	}
	return took
}

// enqueue puts one frame into the TX ring, all of it or nothing; false says that there is
// no room. A frame in this port's chunks goes as it is, any other is copied into as many
// chunks as it needs, at most jumboChunks: the kernel takes 17.
func (p *Port) enqueue(f *dataplane.Frame) bool {
	s, n := p.s, f.Len()
	chunks := 1 + (n-1)/s.size
	switch {
	case n > p.longest: // waiting does not make it shorter
		p.counters.tooLong.Add(1)
		return true
	case s.unused() < chunks && (p.collect() == 0 || s.unused() < chunks):
		return false
	case owns(s.umem, f.Buffer()):
		s.tx.put(xdp.Desc{Addr: f.Cookie + uint64(f.Offset()), Len: uint32(n)})
		f.Taken = true
		return true
	case p.pool.n < chunks && (p.collect() == 0 || p.pool.n < chunks):
		return false
	}
	for rest := f.Bytes(); len(rest) > 0; {
		d := xdp.Desc{Addr: uint64(p.pool.get())}
		d.Len = uint32(copy(s.umem[d.Addr:d.Addr+p.offset+1], rest))
		if rest = rest[d.Len:]; len(rest) > 0 {
			d.Options = unix.XDP_PKT_CONTD
		}
		s.tx.put(d)
	}
	return true
}

// unused is how many slots of the TX ring belong to no frame that is still to be sent. Where
// chains are sent that is what may be filled: a kernel that has taken a part of a
// chain out of the ring goes back to its beginning when the device is busy, and reads
// those slots again.
func (s *socket) unused() int { return s.ring() - int(s.tx.next-s.comp.next) }

// unsent is how many frames in the TX ring the kernel has not taken.
func (s *socket) unsent() (frames uint64) {
	for n := s.tx.pending(); n > 0; n-- {
		if at(s.tx.slots, (s.tx.next-n)&s.tx.mask).Options&unix.XDP_PKT_CONTD == 0 {
			frames++
		}
	}
	return frames
}

// chainsRefused is the errno of a bind that may have failed because chains were asked for, else 0:
// an older kernel does not know the flag, a driver may not have them in zero-copy mode.
func chainsRefused(err error) unix.Errno {
	for _, errno := range []unix.Errno{unix.EINVAL, unix.EOPNOTSUPP} {
		if errors.Is(err, errno) {
			return errno
		}
	}
	return 0
}
