package bgpd

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	api "github.com/osrg/gobgp/v3/api"
)

// Reconfigure makes cfg the configuration: neighbors come, go and change; sessions
// stay up unless what they are made of changed. An error leaves the old
// configuration in force; if GoBGP has refused the new one halfway, the neighbors that
// were to begin anew begin anew as they were. Updates, OnSource, Log, Trace and CloseWait stay as
// they were given to New.
func (s *Speaker) Reconfigure(cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	s.setup.Lock() // Run cannot begin meanwhile
	s.mu.Lock()
	phase := s.phase
	err = needsRestart(&s.cfg, &cfg)
	s.mu.Unlock()
	if err == nil && phase == phaseNew {
		s.change(&cfg)
	}
	s.setup.Unlock()
	switch {
	case err != nil || phase == phaseNew:
		return err
	case phase == phaseDone || !s.do(context.Background(), func() { err = s.apply(&cfg) }):
		return errors.New("bgpd: reconfigure: the speaker has stopped")
	}
	return err
}

// needsRestart says what of a change cannot be made while running.
func needsRestart(old, cfg *Config) error {
	var errs []error
	if old.ASN != cfg.ASN {
		errs = append(errs, fmt.Errorf("bgpd: asn %d instead of %d: needs a restart", cfg.ASN, old.ASN))
	}
	if old.RouterID != cfg.RouterID {
		errs = append(errs, fmt.Errorf("bgpd: router id %s instead of %s: needs a restart", cfg.RouterID, old.RouterID))
	}
	if !slices.Equal(old.Listen, cfg.Listen) {
		errs = append(errs, fmt.Errorf("bgpd: listen %v instead of %v: needs a restart", cfg.Listen, old.Listen))
	}
	return errors.Join(errs...)
}

// difference is what a new configuration means to the neighbors.
type difference struct {
	gone, come []*Neighbor    // their sessions end, begin; both for what has to begin anew
	stay       [][2]*Neighbor // old and new entry
}

func compare(old, cfg *Config) difference {
	var d difference
	known := make(map[string]*Neighbor, len(old.Neighbors))
	for i := range old.Neighbors {
		known[old.Neighbors[i].key()] = &old.Neighbors[i]
	}
	for i := range cfg.Neighbors {
		n := &cfg.Neighbors[i]
		o := known[n.key()]
		if o != nil && sameSession(o, n) {
			d.stay = append(d.stay, [2]*Neighbor{o, n})
			delete(known, n.key())
			continue
		}
		d.come = append(d.come, n)
	}
	for i := range old.Neighbors {
		if o := &old.Neighbors[i]; known[o.key()] != nil {
			d.gone = append(d.gone, o)
		}
	}
	return d
}

// sameSession says whether everything is equal that a session is made of.
func sameSession(a, b *Neighbor) bool {
	bare := func(n Neighbor) Neighbor {
		n.Name, n.Allow, n.MaxPrefixes, n.Carriers, n.Profile = "", nil, 0, nil, Profile{}
		return n
	}
	return reflect.DeepEqual(bare(*a), bare(*b))
}

// change makes cfg the configuration before Run: sessions and sources, and no GoBGP.
func (s *Speaker) change(cfg *Config) {
	old := s.setConfig(cfg)
	d := compare(&old, cfg)
	for _, n := range d.gone {
		s.unregister(n)
	}
	for _, on := range d.stay {
		s.update(on[0], on[1], false)
	}
	for _, n := range d.come {
		s.register(n)
	}
}

// setConfig makes cfg the configuration and returns the one before.
func (s *Speaker) setConfig(cfg *Config) Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.cfg
	s.cfg = *cfg
	return old
}

// apply changes over while running, on the goroutine of Run. Neighbors that stay are
// told when nothing can fail any more.
func (s *Speaker) apply(cfg *Config) error {
	s.mu.Lock()
	old := s.cfg
	s.mu.Unlock()
	d := compare(&old, cfg)
	if err := tryPasswords(cfg, d.come); err != nil {
		return err
	}
	if err := s.exchange(&old, cfg, d); err != nil {
		return err
	}
	judged := !slices.Equal(old.ServiceAddresses, cfg.ServiceAddresses)
	for _, on := range d.stay {
		s.update(on[0], on[1], judged)
		if on[1].Role == Switch && nextHops(&old, on[0]) != nextHops(cfg, on[1]) {
			s.readvertise(on[1])
		}
	}
	return nil
}

// nextHops is comparable: what n gets as next hops.
func nextHops(c *Config, n *Neighbor) [4]any {
	return [4]any{c.hop(n, IPv4), c.hop(n, IPv6), c.service(IPv4), c.service(IPv6)}
}

// of lists the sessions of a configured neighbor or range.
func (s *Speaker) of(n *Neighbor) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*session
	for _, ses := range s.sessions {
		if ses.n.key() == n.key() {
			list = append(list, ses)
		}
	}
	return list
}

// update gives the sessions of a neighbor that stays its new entry. Routes are
// judged anew if they have to be; until then what was learned stays in force.
func (s *Speaker) update(old, n *Neighbor, judged bool) {
	judged = judged || !reflect.DeepEqual(old.Profile, n.Profile) || !slices.Equal(old.Carriers, n.Carriers)
	allowed := n.Name != old.Name || n.MaxPrefixes != old.MaxPrefixes || !reflect.DeepEqual(old.Allow, n.Allow)
	for _, ses := range s.of(n) {
		s.mu.Lock()
		ses.n = n
		relearn := judged && ses.peer != nil
		if relearn {
			ses.peer = ses.judge(&s.cfg)
		}
		source := ses.source()
		tell := allowed && n.Role == VirtualRouter && (ses.up || !ses.dynamic)
		s.mu.Unlock()
		if tell {
			s.open(ses, source)
		}
		if relearn {
			s.relearn(ses)
		}
	}
}

// readvertise sends a switch everything again, with the next hops that it is to have.
func (s *Speaker) readvertise(n *Neighbor) {
	for _, ses := range s.of(n) {
		err := s.lib.ResetPeer(context.Background(), &api.ResetPeerRequest{
			Address: ses.addr.String(), Soft: true, Direction: api.ResetPeerRequest_OUT,
		})
		if err != nil {
			s.log.Warn("bgpd: advertise again", "neighbor", ses.addr, "error", err)
		}
	}
}
