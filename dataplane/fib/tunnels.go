package fib

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/eipgw/eipgw/encap"
)

// vtep is an underlay address at which tunnels end, and the ways to it.
type vtep struct {
	ways    []Adjacency
	err     error // why there is none
	tunnels map[*tunnel]struct{}
}

// tunnel is a distinct tunnel that bindings name, alone or in a group.
type tunnel struct {
	encap.Tunnel // canonical
	seed         uint32
	vtep         *vtep
	ways         []way
	group        uint32 // line of the group of ways, 0 if there are not several
	word         uint32 // as in a slot
	err          error  // why it is unresolved

	alone  *set              // the set of this tunnel only, if there is one
	groups map[*set]struct{} // the others that it is in
}

// sets yields every set that the tunnel is in.
func (t *tunnel) sets(yield func(*set) bool) {
	if t.alone != nil && !yield(t.alone) {
		return
	}
	for s := range t.groups {
		if !yield(s) {
			return
		}
	}
}

// way is one entry of a tunnel.
type way struct {
	Adjacency
	seed uint32
	line uint32 // of the entry
}

// set is a distinct set of tunnels that bindings name; they all have its value.
type set struct {
	value    Value
	bindings int
	members  []*tunnel      // in canonical order
	tunnels  []encap.Tunnel // the same
	key      string         // of a group, in Compiler.groups
	group    uint32         // line of the group of tunnels, 0 if not several are resolved
	word     uint32         // as in the slot
}

func (s *set) resolved() (n int) {
	for _, m := range s.members {
		if m.word != 0 {
			n++
		}
	}
	return n
}

// minInnerMTU is the least that a way must leave for the inner packet: what every
// link carries (RFC 791 section 3.2).
const minInnerMTU = 68

// groupRoom is the lines that one tunnel or one group takes at most.
const groupRoom = MaxTunnels*entrySize/lineSize + 2*1024/lineSize

// intern is the set of these tunnels. The caller binds it at once.
func (c *Compiler) intern(tunnels []encap.Tunnel) (*set, error) {
	if len(tunnels) == 1 {
		t := tunnels[0].Canonical()
		if known := c.tunnels[t]; known != nil && known.alone != nil {
			return known.alone, nil
		}
		if err := t.Validate(); err != nil {
			return nil, err
		}
		return c.newSet([]encap.Tunnel{t}, "")
	}
	tunnels, key, err := distinct(tunnels)
	if err != nil {
		return nil, err
	}
	if len(tunnels) == 1 {
		return c.intern(tunnels)
	}
	if s := c.groups[key]; s != nil {
		return s, nil
	}
	return c.newSet(tunnels, key)
}

// distinct drops tunnels that say the same and puts the others in canonical order.
// The key is all of their identities.
func distinct(tunnels []encap.Tunnel) ([]encap.Tunnel, string, error) {
	byID := make(map[string]encap.Tunnel, len(tunnels))
	for _, t := range tunnels {
		if err := t.Validate(); err != nil {
			return nil, "", err
		}
		byID[string(identity(nil, t))] = t.Canonical()
	}
	if len(byID) > MaxTunnels {
		return nil, "", fmt.Errorf("%d distinct tunnels, want at most %d", len(byID), MaxTunnels)
	}
	ids := slices.Sorted(maps.Keys(byID))
	all := make([]encap.Tunnel, len(ids))
	for i, id := range ids {
		all[i] = byID[id]
	}
	return all, strings.Join(ids, ""), nil
}

func (c *Compiler) newSet(tunnels []encap.Tunnel, key string) (*set, error) {
	if err := c.t.lines.room((len(tunnels)+1)*groupRoom + forRemoval); err != nil {
		return nil, err
	}
	v, err := c.t.slots.take()
	if err != nil {
		return nil, err
	}
	s := &set{value: v, tunnels: tunnels, key: key, members: make([]*tunnel, len(tunnels))}
	for i, t := range tunnels {
		m := c.tunnel(t)
		s.members[i] = m
		if key == "" {
			m.alone = s
			continue
		}
		if m.groups == nil {
			m.groups = map[*set]struct{}{}
		}
		m.groups[s] = struct{}{}
	}
	if key != "" {
		c.groups[key] = s
	}
	for len(c.sets) <= int(v) {
		c.sets = append(c.sets, nil)
	}
	c.sets[v] = s
	c.compileSet(s)
	return s, nil
}

// tunnel is the interned form of a canonical tunnel.
func (c *Compiler) tunnel(canonical encap.Tunnel) *tunnel {
	if known := c.tunnels[canonical]; known != nil {
		return known
	}
	t := &tunnel{Tunnel: canonical, seed: Seed(canonical), vtep: c.vteps[canonical.VTEP]}
	if t.vtep == nil {
		t.vtep = &vtep{tunnels: map[*tunnel]struct{}{}}
		c.vteps[t.VTEP] = t.vtep
		c.r.Track(t.VTEP)
		t.vtep.ways, t.vtep.err = c.r.Resolve(t.VTEP)
	}
	t.vtep.tunnels[t] = struct{}{}
	c.tunnels[canonical] = t
	c.unresolvedTunnels++
	c.compileTunnel(t)
	return t
}

// compileTunnel makes entries of the ways to the tunnel's VTEP, and sets its word.
// room for them has been asked for.
func (c *Compiler) compileTunnel(t *tunnel) {
	adjs := t.vtep.ways[:min(len(t.vtep.ways), MaxTunnels)]
	t.ways, t.group, t.word, t.err = make([]way, 0, len(adjs)), 0, 0, t.vtep.err
	for _, a := range adjs {
		h, err := encap.Compile(t.Tunnel, a.Outer)
		if err != nil {
			t.err = err
			continue
		}
		if int(a.MTU) < h.Overhead()+minInnerMTU {
			t.err = fmt.Errorf("fib: port %d carries %d bytes, tunnel headers take %d, want %d left for the inner packet",
				a.Port, a.MTU, h.Overhead(), minInnerMTU)
			continue
		}
		line := c.t.lines.alloc(classEntry)
		*c.entry(line) = Entry{Out: a.Port, MTU: a.MTU - uint16(h.Overhead()), Header: h}
		t.ways = append(t.ways, way{a, waySeed(a), line})
		c.entries++
	}
	switch len(t.ways) {
	case 0:
		if t.err == nil {
			t.err = errors.New("fib: the underlay knows no way to VTEP " + t.VTEP.String())
		}
		return
	case 1:
		t.word = t.ways[0].line
	default:
		var ms []member
		for _, w := range t.ways {
			ms = append(ms, member{w.seed, w.line})
		}
		t.group = c.t.lines.newGroup(ms)
		t.word = kindWays<<kindShift | t.group
	}
	t.err = nil
	c.unresolvedTunnels--
}

func (c *Compiler) entry(line uint32) *Entry { return (*Entry)(c.t.lines.at(line)) }

// retireTunnel puts away what compileTunnel made. Nothing leads to it any more.
func (c *Compiler) retireTunnel(t *tunnel) {
	for _, w := range t.ways {
		c.t.lines.retireLine(w.line)
		c.entries--
	}
	if t.group != 0 {
		c.t.lines.retireLine(t.group)
	}
}

// compileSet publishes what the set's value stands for, from its members' words.
// room has been asked for.
func (c *Compiler) compileSet(s *set) {
	var ms []member
	for _, m := range s.members {
		if m.word != 0 {
			ms = append(ms, member{m.seed, m.word})
		}
	}
	old, word := s.group, uint32(0)
	s.group = 0
	switch len(ms) {
	case 0:
	case 1:
		word = ms[0].word
	default:
		s.group = c.t.lines.newGroup(ms)
		word = kindGroup<<kindShift | s.group
	}
	if s.word == 0 {
		c.unresolved -= s.bindings
	}
	if s.word = word; word == 0 {
		c.unresolved += s.bindings
	}
	c.t.slots.publish(s.value, word)
	if old != 0 {
		c.t.lines.retireLine(old)
	}
}

// bind counts one more, or one less, binding that names s, and forgets it when
// there is none left.
func (c *Compiler) bind(s *set, n int) {
	s.bindings += n
	if s.word == 0 {
		c.unresolved += n
	}
	if s.bindings == 0 {
		c.forget(s)
	}
}

func (c *Compiler) forget(s *set) {
	c.sets[s.value] = nil
	c.t.lines.retireSlot(s.value)
	if s.group != 0 {
		c.t.lines.retireLine(s.group)
	}
	delete(c.groups, s.key)
	for _, m := range s.members {
		if m.alone == s {
			m.alone = nil
		}
		if delete(m.groups, s); m.alone == nil && len(m.groups) == 0 {
			c.forgetTunnel(m)
		}
	}
}

func (c *Compiler) forgetTunnel(t *tunnel) {
	delete(c.tunnels, t.Tunnel)
	c.retireTunnel(t)
	if t.word == 0 {
		c.unresolvedTunnels--
	}
	if delete(t.vtep.tunnels, t); len(t.vtep.tunnels) == 0 {
		delete(c.vteps, t.VTEP)
		c.r.Untrack(t.VTEP)
	}
}

// refresh asks the resolver for the ways to a VTEP again, and puts what it says
// into force where that differs.
func (c *Compiler) refresh(addr netip.Addr) {
	p := c.vteps[addr]
	if p == nil {
		return
	}
	ways, err := c.r.Resolve(addr)
	if slices.Equal(ways, p.ways) && (err == nil) == (p.err == nil) && (err == nil || err.Error() == p.err.Error()) {
		return
	}
	p.ways, p.err = ways, err
	for t := range p.tunnels {
		c.recompile(t)
	}
}

// recompile replaces a tunnel's entries. Every set that it is in is published
// anew before the old ones are put away.
func (c *Compiler) recompile(t *tunnel) {
	was := *t
	if err := c.t.lines.room((len(t.groups) + 2) * groupRoom); err != nil {
		t.vtep.ways, t.vtep.err = nil, err
	}
	if t.word != 0 {
		c.unresolvedTunnels++
	}
	c.compileTunnel(t)
	for s := range t.sets {
		c.compileSet(s)
	}
	c.retireTunnel(&was)
}
