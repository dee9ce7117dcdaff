package fib

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// change is a binding that has been checked, with its tunnels interned. It holds
// no Go pointers: there may be many.
type change struct {
	Addr6
	value Value // of the set of its tunnels; 0 removes
	bits  uint8
	is4   bool
}

func (ch *change) key() key { return key{ch.Addr6, ch.bits} }

// changeBatch is how many changes are checked, then put in order, then put into
// force, while nobody else writes: some hundredths of a second. reclaimEvery is how
// many retired blocks may wait meanwhile, keepChanges how much scratch memory stays
// for the next set.
const (
	changeBatch  = 1 << 16
	reclaimEvery = 1 << 12
	keepChanges  = 1 << 13
)

// applyBatch puts changes into force. left is how many more the report may get.
func (c *Compiler) applyBatch(bs []Binding, rep *Report, left int) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.closed {
		return errors.New("fib: apply: table is closed")
	}
	c.t.reclaim()
	c.changes = c.changes[:0]
	var last interned
	for i := range bs {
		ch, err := c.check(&bs[i], &last)
		if err != nil {
			rep.Refused = append(rep.Refused, Refusal{bs[i].Prefix, err})
			continue
		}
		c.changes = append(c.changes, ch)
	}
	c.changes = c.sorter.sort(c.changes)
	wait := reclaimEvery
	for chs := c.changes; len(chs) > 0; {
		n := neighbors(chs)
		if n == 1 || !c.applyNeighbors(chs[:n], rep, left) {
			c.apply(&chs[0], rep, left)
			n = 1
		}
		chs = chs[n:]
		if n := c.t.lines.bin.len(); n >= wait {
			c.t.reclaim()
			wait = c.t.lines.bin.len() + reclaimEvery
		}
	}
	if len(bs) == left && cap(c.changes) > keepChanges {
		c.changes, c.sorter = nil, sorter{}
	}
	c.t.trim()
	c.t.reclaim()
	return nil
}

// interned is a list of tunnels of a binding, and the set that it is. Bindings that came together
// often have one list between them.
type interned struct {
	tunnels []encap.Tunnel
	set     *set
}

func (n *interned) is(tunnels []encap.Tunnel) bool {
	return len(n.tunnels) == len(tunnels) && &n.tunnels[0] == &tunnels[0]
}

// check refuses what cannot be, and counts the binding for the set of its tunnels. last is the set
// of the binding before.
func (c *Compiler) check(b *Binding, last *interned) (change, error) {
	if err := checkPrefix(b.Prefix); err != nil {
		return change{}, err
	}
	k, is4 := keyOf(b.Prefix)
	ch := change{Addr6: k.Addr6, bits: k.bits, is4: is4}
	if len(b.Tunnels) > 0 {
		if !last.is(b.Tunnels) {
			s, err := c.intern(b.Tunnels)
			if err != nil {
				return change{}, fmt.Errorf("fib: %s: %w", b.Prefix, err)
			}
			*last = interned{b.Tunnels, s}
		}
		c.bind(last.set, 1)
		ch.value = last.set.value
	}
	return ch, nil
}

func (c *Compiler) apply(ch *change, rep *Report, left int) {
	k, p := ch.key(), ch.key().prefix(ch.is4)
	if err := c.t.room(k, ch.is4, ch.value); err != nil {
		rep.Refused = append(rep.Refused, Refusal{p, fmt.Errorf("fib: %s: %w", p, err)})
		if ch.value != 0 {
			c.bind(c.sets[ch.value], -1)
		}
		return
	}
	var old Value
	to := &rep.Programmed
	switch {
	case ch.value == 0:
		if old = c.t.unset(k, ch.is4); old == 0 {
			return
		}
		to = &rep.Removed
	default:
		old = c.t.set(k, ch.is4, ch.value)
		if c.sets[ch.value].word == 0 {
			to = &rep.Unresolved
		}
	}
	if old != 0 {
		c.bind(c.sets[old], -1)
	}
	note(to, left, p)
}

// note adds a prefix to a list of the report.
func note(to *[]netip.Prefix, left int, p netip.Prefix) {
	if *to == nil {
		*to = make([]netip.Prefix, 0, min(left, 1<<18))
	}
	*to = append(*to, p)
}

// neighbors is how many changes from the first on give one value to IPv4 addresses that follow each
// other in one /24; 1 if that is none.
func neighbors(chs []change) int {
	first := &chs[0]
	if !first.is4 || first.bits != 32 || first.value == 0 {
		return 1
	}
	n := 1
	for n < len(chs) && chs[n].is4 && chs[n].bits == 32 && chs[n].value == first.value &&
		chs[n].Hi == first.Hi+uint64(n)<<32 && chs[n].Hi>>40 == first.Hi>>40 {
		n++
	}
	return n
}

// applyNeighbors is apply for neighbors: they are painted as one. It says false when there is no
// room for that, and has done nothing then.
func (c *Compiler) applyNeighbors(chs []change, rep *Report, left int) bool {
	first, v := chs[0].key(), chs[0].value
	if c.t.room(first, true, v) != nil {
		return false
	}
	for i := range chs {
		chs[i].value = c.t.known4.put(chs[i].key(), v) // the old one
	}
	c.t.paintNeighbors(chs, v)
	to := &rep.Programmed
	if c.sets[v].word == 0 {
		to = &rep.Unresolved
	}
	for i := range chs {
		if old := chs[i].value; old != 0 {
			c.bind(c.sets[old], -1)
		}
		note(to, left, chs[i].key().prefix(true))
	}
	return true
}
