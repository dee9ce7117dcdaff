package dataplane

import "github.com/eipgw/eipgw/encap"

// scratch is the frames of a worker that no port lends: fragments. They live from being
// made to the next Tx, which copies them.
type scratch struct {
	frames [BurstSize]Frame
	used   int
}

// newScratch allocates the buffers, each for the largest frame that a port of this MTU
// sends. A port's list of frames to send is as long, so more would seldom be used.
func newScratch(mtu int) *scratch {
	s := new(scratch)
	size := (mtu + encap.MaxLen + 63) &^ 63 // whole cache lines
	slab := make([]byte, size*len(s.frames))
	for i := range s.frames {
		s.frames[i].Attach(slab[i*size:(i+1)*size:(i+1)*size], 0, 0)
	}
	return s
}

// split sends a frame in fragments, behind what is queued already. There may be more of
// them than scratch frames, and more than the port's list holds: what is queued is sent
// then, all that came before them first.
func (w *Worker) split(f *Frame) {
	q := w.byID[f.Out]
	for s := w.fw.Fragments(f); ; {
		if w.scratch.used == len(w.scratch.frames) {
			w.sendAll()
		}
		to := &w.scratch.frames[w.scratch.used]
		if !s.Next(to) {
			return
		}
		w.scratch.used++
		w.queue(q, to)
	}
}
