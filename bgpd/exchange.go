package bgpd

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// exchange brings GoBGP, sessions and sources from old to cfg, but for the neighbors
// that stay. If a step fails it takes back those before it: then old is in force.
//
// Neighbors that are merely new come first, while nothing of the old is touched; only
// then whoever has to make room goes. In between, Speaker.cfg is what is in force, so
// that whoever connects meanwhile is known; and policy is never behind it, since a
// switch that comes up gets what policy has for it at that time, and no more later.
func (s *Speaker) exchange(old, cfg *Config, d difference) (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for _, f := range slices.Backward(undo) {
			if e := f(); e != nil {
				err = errors.Join(err, fmt.Errorf("bgpd: putting back what was: %w", e))
			}
		}
	}()
	fresh, anew := d.split()
	bring := func(list []*Neighbor) error {
		for _, n := range list {
			if err := s.bring(n); err != nil {
				return err
			}
			undo = append(undo, func() error { s.end(n); return nil })
		}
		return nil
	}
	wide := *old
	if len(fresh) > 0 {
		wide.Neighbors = slices.Clone(old.Neighbors)
		for _, n := range fresh {
			wide.Neighbors = append(wide.Neighbors, *n)
		}
		undo = append(undo, func() error { return s.enforce(old) })
		if err := s.enforce(&wide); err != nil {
			return err
		}
		if err := bring(fresh); err != nil {
			return err
		}
	}
	undo = append(undo, func() error {
		errs := []error{s.enforce(&wide)}
		for _, n := range d.gone {
			errs = append(errs, s.bring(n))
		}
		return errors.Join(errs...)
	})
	narrow := wide
	narrow.Neighbors = slices.DeleteFunc(slices.Clone(wide.Neighbors), func(n Neighbor) bool {
		return slices.ContainsFunc(d.gone, func(o *Neighbor) bool { return o.key() == n.key() })
	})
	s.setConfig(&narrow) // nobody new of a range that goes
	for _, n := range d.gone {
		s.end(n)
	}
	if err := s.enforce(cfg); err != nil {
		return err
	}
	return bring(anew)
}

// split tells neighbors that come in addition from those that have to wait until
// another one has gone, which has their addresses.
func (d *difference) split() (fresh, anew []*Neighbor) {
	for _, n := range d.come {
		if slices.ContainsFunc(d.gone, func(o *Neighbor) bool { return o.prefix().Overlaps(n.prefix()) }) {
			anew = append(anew, n)
		} else {
			fresh = append(fresh, n)
		}
	}
	return fresh, anew
}

// enforce makes cfg the configuration, and policy fit it.
func (s *Speaker) enforce(cfg *Config) error {
	s.setConfig(cfg)
	if err := s.lib.SetPolicies(context.Background(), policies(cfg)); err != nil {
		return fmt.Errorf("bgpd: policy: %w", err)
	}
	return nil
}

// bring begins a neighbor or a range. On an error nothing of it is left.
func (s *Speaker) bring(n *Neighbor) error {
	s.register(n)
	err := s.add(n)
	if err != nil {
		s.unregister(n)
	}
	return err
}

// end is the inverse: sessions get a Cease, and what they said is void. What GoBGP
// would not let go of has no session here any more, and is nothing to give up for.
func (s *Speaker) end(n *Neighbor) {
	s.unregister(n)
	if err := s.removeFromLibrary(n); err != nil {
		s.log.Error("bgpd: remove neighbor", "neighbor", n.key(), "error", err)
	}
	s.log.Info("bgpd: neighbor removed", "neighbor", n.key(), "name", n.name())
}
