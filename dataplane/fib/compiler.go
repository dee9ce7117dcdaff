package fib

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// Compiler turns bindings into a table's content. It is the table's only writer;
// any goroutine may call its methods, which run one at a time and never wait for
// readers.
//
// It calls its resolver from within, so whoever calls the compiler holds no lock
// that the resolver takes.
type Compiler struct {
	t *Table
	r Resolver

	sets    []*set                   // by value
	groups  map[string]*set          // those of several tunnels, by all their identities
	tunnels map[encap.Tunnel]*tunnel // by their canonical form
	vteps   map[netip.Addr]*vtep

	unresolved        int // bindings
	unresolvedTunnels int
	entries           int

	changes []change // scratch of applyBatch
	sorter  sorter
}

// NewCompiler makes the compiler of a table. A table has one; a second one is a
// mistake, and panics.
func NewCompiler(t *Table, r Resolver) *Compiler {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.compiler {
		panic("fib: new compiler: the table has one already")
	}
	t.compiler = true
	return &Compiler{
		t: t, r: r,
		groups:  map[string]*set{},
		tunnels: map[encap.Tunnel]*tunnel{},
		vteps:   map[netip.Addr]*vtep{},
	}
}

// Apply puts changes into force, each of them at once for readers; several of one
// prefix in their order, a large set otherwise in the order of addresses. What
// cannot be is left out, reported with its reason, and leaves the old binding in
// force. Removing what is not bound is no fault and not reported. The error says
// that the table is closed.
//
// Others get their turn in the middle of a large set. With a Foreign it waits there, too,
// for what it has replaced to be freed: its memory may be small.
func (c *Compiler) Apply(changes []Binding) (Report, error) {
	var rep Report
	for {
		n := min(len(changes), changeBatch)
		if err := c.applyBatch(changes[:n], &rep, len(changes)); err != nil {
			return rep, err
		}
		if changes = changes[n:]; len(changes) == 0 {
			return rep, nil
		}
		c.t.settle()
	}
}

func checkPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("fib: prefix is not valid, want an address and a length")
	case p.Addr().Is4In6():
		return fmt.Errorf("fib: prefix %s is IPv4-mapped IPv6, want IPv4", p)
	case p != p.Masked():
		return fmt.Errorf("fib: prefix %s has bits set beyond its length, want %s", p, p.Masked())
	}
	return nil
}

// Refresh resolves VTEPs again whose ways in the underlay may have changed, and
// puts what comes out into force for every binding that names them.
func (c *Compiler) Refresh(vteps []netip.Addr) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.closed {
		return
	}
	for _, addr := range vteps {
		c.refresh(addr)
	}
	c.t.reclaim()
}

// Reclaim frees what no reader can hold any more. Apply and Refresh do so too; it
// is for when there is none for long.
func (c *Compiler) Reclaim() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if !c.t.closed {
		c.t.reclaim()
	}
}

// Lookup explains what happens to frames for addr; false when no binding covers it.
func (c *Compiler) Lookup(addr netip.Addr) (Explanation, bool) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || c.t.closed {
		return Explanation{}, false
	}
	k, is4 := keyOf(netip.PrefixFrom(addr, addr.BitLen()))
	in, v, ok := c.t.cover(k, is4)
	if !ok {
		return Explanation{}, false
	}
	e := Explanation{Prefix: in.prefix(is4)}
	for _, m := range c.sets[v].members {
		st := TunnelState{Tunnel: m.Tunnel, Seed: m.seed, Err: m.err}
		for _, w := range m.ways {
			x := c.entry(w.line)
			st.Ways = append(st.Ways, Way{Adjacency: w.Adjacency, Seed: w.seed, InnerMTU: x.MTU, Header: x.Header})
		}
		e.Tunnels = append(e.Tunnels, st)
	}
	return e, true
}

// walkBatch is how many bindings Walk copies while it keeps others from changing
// them.
const walkBatch = 256

// Walk calls fn for each binding that is not before from, IPv4 before IPv6, by
// address, shorter prefixes first, until fn returns false. The zero prefix begins
// at the start. Bindings may change meanwhile: what is bound all the time is seen
// once. fn may call the compiler.
func (c *Compiler) Walk(from netip.Prefix, fn func(BindingState) bool) {
	batch := make([]BindingState, 0, walkBatch)
	for first := true; first || len(batch) == walkBatch; first = false {
		if !first {
			from = batch[len(batch)-1].Prefix
		}
		batch = c.batch(batch[:0], from, first)
		for _, b := range batch {
			if !fn(b) {
				return
			}
		}
	}
}

// batch fills to with the bindings from a prefix on, or after it.
func (c *Compiler) batch(to []BindingState, from netip.Prefix, with bool) []BindingState {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.closed {
		return to
	}
	w := c.t.walk(from, with)
	for len(to) < cap(to) {
		p, v, ok := w.next()
		if !ok {
			break
		}
		s := c.sets[v]
		to = append(to, BindingState{Prefix: p, Tunnels: s.tunnels, Resolved: s.resolved()})
	}
	return to
}

// Stats counts what the table holds.
func (c *Compiler) Stats() Stats {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.closed {
		return Stats{}
	}
	st := Stats{
		IPv4:              c.t.known4.n,
		IPv6:              c.t.known6.n + c.t.known6long.n,
		Unresolved:        c.unresolved,
		VTEPs:             len(c.vteps),
		Tunnels:           len(c.tunnels),
		UnresolvedTunnels: c.unresolvedTunnels,
		Groups:            len(c.groups),
		Entries:           c.entries,
		Readers:           c.t.epochs.count(),
		Retired:           c.t.lines.bin.len(),
		Regions:           c.t.memory(),
	}
	for _, r := range st.Regions {
		st.Bytes += r.InUse
	}
	return st
}
