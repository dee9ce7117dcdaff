package rib

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// binds is what the admin API has bound: the number of tunnels of each prefix,
// which are the path IDs of its claims, from 1.
type binds struct {
	mu      sync.Mutex
	tunnels map[netip.Prefix]uint32
}

// Bind makes or replaces bindings of the source SourceAdmin, all of them or none; of one
// prefix there is one at most. It refuses what policy would not accept now.
func (r *RIB) Bind(bs ...fib.Binding) error {
	for i := range bs {
		if err := checkBind(&bs[i]); err != nil {
			return err
		}
	}
	r.binds.mu.Lock()
	defer r.binds.mu.Unlock()
	for i := range bs {
		if err := r.mayBind(&bs[i], r.binds.tunnels[bs[i].Prefix] > 0); err != nil {
			return err
		}
	}
	u := Update{Source: SourceAdmin}
	for _, b := range bs {
		r.binds.set(&u, b.Prefix, b.Tunnels)
	}
	r.Update(u)
	return nil
}

// checkBind says what is wrong with a binding in itself.
func checkBind(b *fib.Binding) error {
	prefix, ok := cleanPrefix(b.Prefix)
	switch {
	case !ok:
		return fmt.Errorf("rib: bind %s: expected an IPv4 or IPv6 prefix", b.Prefix)
	case prefix != b.Prefix:
		return fmt.Errorf("rib: bind %s: bits beyond the length, expected %s", b.Prefix, prefix)
	case len(b.Tunnels) == 0 || len(b.Tunnels) > fib.MaxTunnels:
		return fmt.Errorf("rib: bind %s: %d tunnels, expected 1 to %d", prefix, len(b.Tunnels), fib.MaxTunnels)
	}
	for _, t := range b.Tunnels {
		if err := t.Validate(); err != nil {
			return fmt.Errorf("rib: bind %s: %w", prefix, err)
		}
	}
	return nil
}

// Unbind removes what Bind has made.
func (r *RIB) Unbind(prefix netip.Prefix) error {
	r.binds.mu.Lock()
	defer r.binds.mu.Unlock()
	if r.binds.tunnels[prefix] == 0 {
		return fmt.Errorf("rib: unbind %s: expected a prefix that was bound at runtime", prefix)
	}
	u := Update{Source: SourceAdmin}
	r.binds.set(&u, prefix, nil)
	r.Update(u)
	return nil
}

// set adds to the update what makes tunnels those of the prefix.
func (b *binds) set(u *Update, prefix netip.Prefix, tunnels []encap.Tunnel) {
	now := time.Now()
	for i, t := range tunnels {
		u.Set = append(u.Set, Path{Prefix: prefix, PathID: uint32(i + 1), Tunnel: t, Carrier: CarrierStatic, Learned: now})
	}
	for id := uint32(len(tunnels)) + 1; id <= b.tunnels[prefix]; id++ {
		u.Remove = append(u.Remove, PathKey{prefix, id})
	}
	if b.tunnels == nil {
		b.tunnels = map[netip.Prefix]uint32{}
	}
	if b.tunnels[prefix] = uint32(len(tunnels)); len(tunnels) == 0 {
		delete(b.tunnels, prefix)
	}
}

// mayBind says why a claim of the admin source would be refused that the binding
// comes to. held says that it has bound the prefix already.
func (r *RIB) mayBind(b *fib.Binding, held bool) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	src := r.sources[SourceAdmin]
	if src == nil {
		return errors.New("rib: bind: binding at runtime is not enabled")
	}
	for _, t := range b.Tunnels {
		a := attrs{src: src, tunnel: [1]encap.Tunnel{t}}
		var reason RefuseReason
		if k := keyOf(b.Prefix); k.v6 {
			reason = r.t6.judge(&node[key6]{key: k.key6(), bits: k.bits}, &a, held)
		} else {
			reason = r.t4.judge(&node[key4]{key: k.key4(), bits: k.bits}, &a, held)
		}
		if reason != RefuseNone {
			return fmt.Errorf("rib: bind %s: %s", b.Prefix, a.refused(reason))
		}
	}
	return nil
}
