package fib

import (
	"errors"
	"fmt"
	"net/netip"
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
	for i := range bs {
		ch, err := c.check(&bs[i])
		if err != nil {
			rep.Refused = append(rep.Refused, Refusal{bs[i].Prefix, err})
			continue
		}
		c.changes = append(c.changes, ch)
	}
	c.changes = c.sorter.sort(c.changes)
	wait := reclaimEvery
	for i := range c.changes {
		c.apply(&c.changes[i], rep, left)
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

// check refuses what cannot be, and counts the binding for the set of its tunnels.
func (c *Compiler) check(b *Binding) (change, error) {
	if err := checkPrefix(b.Prefix); err != nil {
		return change{}, err
	}
	k, is4 := keyOf(b.Prefix)
	ch := change{Addr6: k.Addr6, bits: k.bits, is4: is4}
	if len(b.Tunnels) > 0 {
		s, err := c.intern(b.Tunnels)
		if err != nil {
			return change{}, fmt.Errorf("fib: %s: %w", b.Prefix, err)
		}
		c.bind(s, 1)
		ch.value = s.value
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
	if *to == nil {
		*to = make([]netip.Prefix, 0, min(left, 1<<18))
	}
	*to = append(*to, p)
}
