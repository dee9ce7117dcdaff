package bgpd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	api "github.com/osrg/gobgp/v3/api"
)

// What is in here brings neighbors into GoBGP and out of it. It runs on the goroutine
// of Run.

// add makes GoBGP know a neighbor or a range. On an error, which a password that is
// not in force is as well, nothing of it is left there.
func (s *Speaker) add(n *Neighbor) error {
	if err := s.addToLibrary(n); err != nil {
		return fmt.Errorf("bgpd: neighbor %s: %w", n.key(), err)
	}
	return nil
}

func (s *Speaker) addToLibrary(n *Neighbor) error {
	add := s.addPeer
	if n.Range.IsValid() {
		add = s.addGroup
	}
	err := add(n)
	why, unsecured := s.passwordMissing(n)
	if err != nil || !unsecured {
		return err
	}
	return errors.Join(fmt.Errorf("password: %s", why), s.removeFromLibrary(n))
}

// passwordMissing says why the password of a neighbor is not in force, once.
func (s *Speaker) passwordMissing(n *Neighbor) (why string, missing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why, missing = s.unsecured[n.key()]
	delete(s.unsecured, n.key())
	return why, missing
}

// evictions is how often addPeer makes room for a neighbor: whoever has its address
// may come back at once, by a range.
const evictions = 3

// addPeer adds a neighbor by address. GoBGP has no room for it while it knows somebody
// else from there: of a range, who gets a Cease.
func (s *Speaker) addPeer(n *Neighbor) error {
	for i := 0; ; i++ {
		if s.lookup(n.Address) != nil {
			if err := s.deletePeer(n.Address); err != nil {
				s.log.Debug("bgpd: gone before it was told to", "neighbor", n.Address, "error", err)
			}
		}
		err := s.lib.AddPeer(context.Background(), &api.AddPeerRequest{Peer: apiPeer(n)})
		if err == nil || i == evictions || s.lookup(n.Address) == nil {
			return err
		}
	}
}

// addGroup adds a range.
func (s *Speaker) addGroup(n *Neighbor) error {
	ctx := context.Background()
	if err := s.lib.AddPeerGroup(ctx, &api.AddPeerGroupRequest{PeerGroup: apiPeerGroup(n)}); err != nil {
		return err
	}
	err := s.lib.AddDynamicNeighbor(ctx, &api.AddDynamicNeighborRequest{DynamicNeighbor: &api.DynamicNeighbor{
		Prefix: n.Range.String(), PeerGroup: groupName(n),
	}})
	if err != nil {
		return errors.Join(err, s.removeGroup(n))
	}
	return nil
}

// removeFromLibrary takes a neighbor or a range out of GoBGP, as far as it is there:
// its sessions get a Cease.
func (s *Speaker) removeFromLibrary(n *Neighbor) error {
	if n.Range.IsValid() {
		return s.removeGroup(n)
	}
	var err error
	if s.lookup(n.Address) != nil {
		err = s.deletePeer(n.Address)
	}
	if n.Password == "" {
		return err
	}
	return errors.Join(err, s.clearPassword(n))
}

func (s *Speaker) deletePeer(addr netip.Addr) error {
	return s.lib.DeletePeer(context.Background(), &api.DeletePeerRequest{Address: addr.String()})
}

// removeGroup ends all sessions of a range, also those that GoBGP keeps of neighbors
// that are gone, and its peer group.
func (s *Speaker) removeGroup(n *Neighbor) error {
	if !s.hasGroup(n) { // GoBGP would panic
		return nil
	}
	ctx := context.Background()
	var members []netip.Addr
	errs := []error{s.lib.DeleteDynamicNeighbor(ctx, &api.DeleteDynamicNeighborRequest{ // nobody comes any more
		Prefix: n.Range.String(), PeerGroup: groupName(n),
	})}
	errs = append(errs, s.lib.ListPeer(ctx, &api.ListPeerRequest{}, func(p *api.Peer) {
		if p.GetConf().GetPeerGroup() == groupName(n) {
			members = append(members, addrOrZero(p.GetState().GetNeighborAddress()))
		}
	}))
	for _, a := range members {
		if err := s.deletePeer(a); err != nil && s.lookup(a) != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, s.lib.DeletePeerGroup(ctx, &api.DeletePeerGroupRequest{Name: groupName(n)}))
	return errors.Join(errs...)
}

// hasGroup says whether GoBGP knows the peer group of a range.
func (s *Speaker) hasGroup(n *Neighbor) bool {
	found := false
	err := s.lib.ListPeerGroup(context.Background(), &api.ListPeerGroupRequest{PeerGroupName: groupName(n)},
		func(*api.PeerGroup) { found = true })
	if err != nil {
		s.log.Warn("bgpd: list range", "range", n.Range, "error", err)
	}
	return found
}

// clearPassword takes the password of a neighbor that is gone off the listeners,
// where GoBGP's DeletePeer leaves it; a session without one could not be accepted
// from that address any more. GoBGP does take it off for a range, so the address is
// made one for a moment. Whether the password was there at all, on all listeners or on
// some, does not matter.
func (s *Speaker) clearPassword(n *Neighbor) error {
	one := *n
	one.Address, one.Range = netip.Addr{}, n.prefix()
	if s.hasGroup(&one) { // a range of this one address, whose password is the same to the kernel
		return nil
	}
	if err := s.addGroup(&one); err != nil {
		return err
	}
	s.passwordMissing(&one)
	return s.removeGroup(&one)
}

// lookup asks GoBGP for one peer; nil if it has none.
func (s *Speaker) lookup(addr netip.Addr) *api.Peer {
	var peer *api.Peer
	err := s.lib.ListPeer(context.Background(), &api.ListPeerRequest{Address: addr.String()}, func(p *api.Peer) { peer = p })
	if err != nil {
		s.log.Warn("bgpd: list neighbor", "neighbor", addr, "error", err)
	}
	return peer
}
