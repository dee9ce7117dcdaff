package fib

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/encap"
)

// Compiler turns bindings into a table's content. It is the table's only writer;
// any goroutine may call its methods, which run one at a time.
type Compiler struct {
	t     *Table
	r     Resolver
	ids   map[string]Value
	vteps map[netip.Addr]int
	next  Value
}

type tunnelSet struct {
	refs  int
	state []TunnelState
}

func (s *tunnelSet) explain() Explanation { return Explanation{Tunnels: s.state} }

// NewCompiler makes the compiler of a table.
func NewCompiler(t *Table, r Resolver) *Compiler {
	return &Compiler{t: t, r: r, ids: map[string]Value{}, vteps: map[netip.Addr]int{}}
}

// Apply puts changes into force in their order. A binding that cannot be is left
// out and reported. The error says that the table is closed.
func (c *Compiler) Apply(changes []Binding) (Report, error) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	var rep Report
	if c.t.closed {
		return rep, errors.New("fib: apply: table is closed")
	}
	for _, b := range changes {
		if err := checkBinding(b); err != nil {
			rep.Refused = append(rep.Refused, Refusal{b.Prefix, err})
			continue
		}
		old := c.t.lpm[b.Prefix]
		if len(b.Tunnels) == 0 {
			if old != 0 {
				delete(c.t.lpm, b.Prefix)
				c.release(old)
				rep.Removed = append(rep.Removed, b.Prefix)
			}
			continue
		}
		v := c.intern(b.Tunnels)
		c.t.lpm[b.Prefix] = v
		if old != 0 {
			c.release(old)
		}
		if c.t.sets[v].explain().Resolved() {
			rep.Programmed = append(rep.Programmed, b.Prefix)
		} else {
			rep.Unresolved = append(rep.Unresolved, b.Prefix)
		}
	}
	return rep, nil
}

func checkBinding(b Binding) error {
	switch p := b.Prefix; {
	case !p.IsValid():
		return errors.New("fib: prefix is not valid")
	case p.Addr().Is4In6():
		return fmt.Errorf("fib: prefix %s is IPv4-mapped IPv6, want IPv4", p)
	case p != p.Masked():
		return fmt.Errorf("fib: prefix %s has bits beyond its length, want %s", p, p.Masked())
	}
	for _, t := range b.Tunnels {
		if err := t.Validate(); err != nil {
			return fmt.Errorf("fib: %s: %w", b.Prefix, err)
		}
	}
	return nil
}

func (c *Compiler) intern(tunnels []encap.Tunnel) Value {
	var ids [][]byte
	byID := map[string]encap.Tunnel{}
	for _, t := range tunnels {
		id := identity(nil, t)
		if _, ok := byID[string(id)]; !ok {
			ids = append(ids, id)
			byID[string(id)] = t.Canonical()
		}
	}
	slices.SortFunc(ids, bytes.Compare)
	key := string(bytes.Join(ids, []byte{}))
	if v, ok := c.ids[key]; ok {
		c.t.sets[v].refs++
		return v
	}
	c.next++
	s := &tunnelSet{refs: 1}
	for _, id := range ids {
		t := byID[string(id)]
		if c.vteps[t.VTEP]++; c.vteps[t.VTEP] == 1 {
			c.r.Track(t.VTEP)
		}
		st := TunnelState{Tunnel: t, Seed: Seed(t)}
		c.resolve(&st)
		s.state = append(s.state, st)
	}
	c.ids[key], c.t.sets[c.next] = c.next, s
	return c.next
}

func (c *Compiler) release(v Value) {
	s := c.t.sets[v]
	if s.refs--; s.refs > 0 {
		return
	}
	for _, t := range s.state {
		if c.vteps[t.Tunnel.VTEP]--; c.vteps[t.Tunnel.VTEP] == 0 {
			delete(c.vteps, t.Tunnel.VTEP)
			c.r.Untrack(t.Tunnel.VTEP)
		}
	}
	for k, id := range c.ids {
		if id == v {
			delete(c.ids, k)
		}
	}
	delete(c.t.sets, v)
}

func (c *Compiler) resolve(st *TunnelState) {
	adjs, err := c.r.Resolve(st.Tunnel.VTEP)
	st.Ways, st.Err = nil, err
	for _, a := range adjs {
		h, err := encap.Compile(st.Tunnel, a.Outer)
		if err != nil {
			st.Err = err
			continue
		}
		st.Ways = append(st.Ways, Way{Adjacency: a, InnerMTU: a.MTU - uint16(h.Overhead()), Header: h})
	}
	if len(st.Ways) > 0 {
		st.Err = nil
	} else if st.Err == nil {
		st.Err = errors.New("fib: no way to VTEP " + st.Tunnel.VTEP.String())
	}
}

// Refresh resolves VTEPs again whose way in the underlay changed, and puts what
// comes out into force for every binding that names them. The caller holds no lock
// that the resolver takes.
func (c *Compiler) Refresh(vteps []netip.Addr) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	for _, s := range c.t.sets {
		for i := range s.state {
			if slices.Contains(vteps, s.state[i].Tunnel.VTEP) {
				c.resolve(&s.state[i])
			}
		}
	}
}

// Lookup explains what happens to frames for addr; false when no binding covers it.
func (c *Compiler) Lookup(addr netip.Addr) (Explanation, bool) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	p, v := c.t.lookup(addr)
	if v == 0 {
		return Explanation{}, false
	}
	e := c.t.sets[v].explain()
	e.Prefix, e.Tunnels = p, slices.Clone(e.Tunnels)
	return e, true
}

// Walk calls fn for each binding from the first that is not before from, IPv4
// before IPv6, by address, shorter prefixes first, until fn returns false. The
// zero prefix begins at the start. Changes may happen between calls; fn may call
// the compiler.
func (c *Compiler) Walk(from netip.Prefix, fn func(BindingState) bool) {
	c.t.mu.Lock()
	var all []BindingState
	for p, v := range c.t.lpm {
		if from.IsValid() && p.Compare(from) < 0 {
			continue
		}
		b := BindingState{Prefix: p}
		for _, t := range c.t.sets[v].state {
			b.Tunnels = append(b.Tunnels, t.Tunnel)
			if t.Err == nil {
				b.Resolved++
			}
		}
		all = append(all, b)
	}
	c.t.mu.Unlock()
	slices.SortFunc(all, func(a, b BindingState) int { return a.Prefix.Compare(b.Prefix) })
	for _, b := range all {
		if !fn(b) {
			return
		}
	}
}

// Reclaim frees what no reader can hold any more. Apply and Refresh do it too; it
// is for a control plane that has been idle since.
func (c *Compiler) Reclaim() {}

// Stats counts what the table holds.
func (c *Compiler) Stats() Stats {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	st := Stats{VTEPs: len(c.vteps), Readers: c.t.readers}
	for p, v := range c.t.lpm {
		if p.Addr().Is4() {
			st.IPv4++
		} else {
			st.IPv6++
		}
		if !c.t.sets[v].explain().Resolved() {
			st.Unresolved++
		}
	}
	return st
}
