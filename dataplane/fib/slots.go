package fib

import (
	"errors"
	"sync/atomic"
	"unsafe"
)

// slots holds the word that each value stands for, so that a change in the
// underlay rewrites one word and not a million prefixes:
//
//	31 30 29                                      0
//	+----+-----------------------------------------+
//	|  0 |  first line of an entry; 0: unresolved  |
//	|  2 |  first line of a group of tunnels       |
//	|  3 |  first line of a group of ways          |
//	+----+-----------------------------------------+
//
// The table's writer owns all but the words.
type slots struct {
	words region
	next  Value   // the first that has never been taken
	free  []Value // taken before, and released
}

const (
	kindGroup = 2
	kindWays  = 3

	firstGroup = kindGroup << kindShift
	groupLine  = 1<<kindShift - 1
)

var errSlots = errors.New("fib: too many distinct tunnels and groups of tunnels")

func newSlots(mem Memory, size int) (*slots, error) {
	words, err := reserve(mem, "slots", size)
	if err != nil {
		return nil, err
	}
	if err := words.commit(1); err != nil { // value 0 can be asked for, and is nothing
		return nil, err
	}
	return &slots{words: words, next: 1}, nil
}

// take is a value that nothing stands for; its word is 0.
func (s *slots) take() (Value, error) {
	if n := len(s.free); n > 0 {
		v := s.free[n-1]
		s.free = s.free[:n-1]
		return v, nil
	}
	if int(s.next)*4 >= len(s.words.buf) {
		return 0, errSlots
	}
	if err := s.words.commit(int(s.next+1) * 4); err != nil {
		return 0, err
	}
	s.next++
	return s.next - 1, nil
}

// publish makes v stand for w.
func (s *slots) publish(v Value, w uint32) { atomic.StoreUint32(s.words.word(uint32(v)), w) }

// release takes a value back that no reader can have any more.
func (s *slots) release(v Value) {
	s.publish(v, 0)
	s.free = append(s.free, v)
}

// inUse is the bytes of the words that stand for something.
func (s *slots) inUse() uint64 { return uint64(int(s.next)-1-len(s.free)) * 4 }

// A group is a count, a word that is not used, and for each member its seed and its
// word. Nothing changes it once readers can see it.
const (
	groupHead   = 8
	groupMember = 8
)

type member struct{ seed, word uint32 }

// newGroup writes a group, and returns its line.
func (a *arena) newGroup(members []member) uint32 {
	c := class64
	for int(classLines[c])*lineSize < groupHead+groupMember*len(members) {
		c++
	}
	line := a.alloc(c)
	p := a.at(line)
	*(*[2]uint32)(p) = [2]uint32{uint32(len(members))}
	copy(unsafe.Slice((*member)(unsafe.Add(p, groupHead)), len(members)), members)
	return line
}

// choose is the entry of a flow behind a word that is not an entry's.
func choose(lines unsafe.Pointer, w, hash uint32) *Entry {
	if w>>kindShift == kindGroup {
		w = best(lines, w, hash)
	}
	if w>>kindShift == kindWays {
		w = best(lines, w, wayHash(hash))
	}
	if w == 0 {
		return nil
	}
	return (*Entry)(unsafe.Add(lines, uintptr(w)*lineSize))
}

// best is the word of the member with the highest score.
func best(lines unsafe.Pointer, w, hash uint32) uint32 {
	p := unsafe.Add(lines, uintptr(w&groupLine)*lineSize)
	n := *(*uint32)(p)
	p = unsafe.Add(p, groupHead)
	m := *(*member)(p)
	word, high := m.word, Score(hash, m.seed)
	for i := uint32(1); i < n && i < MaxTunnels; i++ {
		p = unsafe.Add(p, groupMember)
		m = *(*member)(p)
		if s := Score(hash, m.seed); s > high {
			word, high = m.word, s
		}
	}
	return word
}
