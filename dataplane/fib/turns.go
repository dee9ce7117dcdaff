package fib

import "sync"

// turns is a mutex that whoever unlocks it and locks it again at once does not keep
// from those who wait: the next in turn waits with turn locked, and everybody else
// behind it.
type turns struct{ turn, held sync.Mutex }

// Lock waits for its turn.
func (t *turns) Lock() {
	t.turn.Lock()
	t.held.Lock()
	t.turn.Unlock()
}

// Unlock lets the next one in.
func (t *turns) Unlock() { t.held.Unlock() }
