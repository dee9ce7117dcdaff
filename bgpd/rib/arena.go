package rib

const (
	chunkBits = 12
	chunkSize = 1 << chunkBits
)

// arena holds records by index, in chunks, so that growing copies nothing and the
// garbage collector sees few objects. Index 0 is nobody's.
type arena[T any] struct {
	chunks [][]T
	free   []uint32
	used   uint32 // indexes given out ever, with 0
}

// at is the record; it stays in place for its life.
func (a *arena[T]) at(i uint32) *T { return &a.chunks[i>>chunkBits][i&(chunkSize-1)] }

// get hands out a zeroed record.
func (a *arena[T]) get() uint32 {
	if n := len(a.free); n > 0 {
		i := a.free[n-1]
		a.free = a.free[:n-1]
		return i
	}
	if a.used == 0 {
		a.used = 1
	}
	if int(a.used>>chunkBits) == len(a.chunks) {
		a.chunks = append(a.chunks, make([]T, chunkSize))
	}
	a.used++
	return a.used - 1
}

// put takes a record back. When the last one is back the memory goes too, but for one
// chunk: a queue that is empty now is so a thousand times a second.
func (a *arena[T]) put(i uint32) {
	var zero T
	*a.at(i) = zero
	a.free = append(a.free, i)
	if len(a.free) < int(a.used)-1 {
		return
	}
	if len(a.chunks) == 1 {
		a.free, a.used = a.free[:0], 0
		return
	}
	*a = arena[T]{chunks: [][]T{a.chunks[0]}}
}
