// Package fibtest helps tests that need a table: a resolver that is a map.
package fibtest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Resolver is a fib.Resolver that knows what Set told it. The zero value knows
// nothing. It panics where the compiler breaks the rules of Track and Untrack.
type Resolver struct {
	mu      sync.Mutex
	ways    map[netip.Addr][]fib.Adjacency
	tracked map[netip.Addr]bool
}

// Set makes adjs the ways to vtep; none makes it unresolved. The test calls
// Compiler.Refresh after.
func (r *Resolver) Set(vtep netip.Addr, adjs ...fib.Adjacency) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ways == nil {
		r.ways = map[netip.Addr][]fib.Adjacency{}
	}
	if len(adjs) == 0 {
		delete(r.ways, vtep)
		return
	}
	r.ways[vtep] = slices.Clone(adjs)
}

// Resolve returns what Set said.
func (r *Resolver) Resolve(vtep netip.Addr) ([]fib.Adjacency, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	adjs, ok := r.ways[vtep]
	if !ok {
		return nil, fmt.Errorf("fibtest: no way to VTEP %s", vtep)
	}
	return adjs, nil
}

// Track notes that vtep is tracked.
func (r *Resolver) Track(vtep netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracked[vtep] {
		panic(fmt.Sprintf("fibtest: VTEP %s tracked twice", vtep))
	}
	if r.tracked == nil {
		r.tracked = map[netip.Addr]bool{}
	}
	r.tracked[vtep] = true
}

// Untrack notes that vtep is not tracked any more.
func (r *Resolver) Untrack(vtep netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.tracked[vtep] {
		panic(fmt.Sprintf("fibtest: VTEP %s untracked but not tracked", vtep))
	}
	delete(r.tracked, vtep)
}

// Tracked lists the tracked VTEPs, in order.
func (r *Resolver) Tracked() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Keys(r.tracked), netip.Addr.Compare)
}

// Adjacency is a way out of port for a VTEP of local's family, MTU 1500, with made
// up Ethernet addresses whose last byte is host.
func Adjacency(port fib.PortID, local netip.Addr, host byte) fib.Adjacency {
	return fib.Adjacency{Port: port, MTU: 1500, Outer: encap.Outer{
		Src:   encap.MAC{0x02, 0, 0, 0, 0xaa, byte(port)},
		Dst:   encap.MAC{0x02, 0, 0, 0, 0xbb, host},
		Local: local,
	}}
}
