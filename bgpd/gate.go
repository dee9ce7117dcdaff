package bgpd

import "sync"

// gate lets GoBGP's goroutines in, which nobody can wait for, until it is closed.
type gate struct {
	mu     sync.RWMutex
	closed bool
}

// pass runs f unless the gate is closed.
func (g *gate) pass(f func()) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.closed {
		f()
	}
}

// close waits for those inside, and lets nobody in any more.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}
