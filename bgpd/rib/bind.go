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
// which are the path IDs of its claims, from 1. Neighbors lie together, see prefixKey.block,
// since they change together.
type binds struct {
	mu     sync.Mutex
	blocks map[prefixKey]bindBlock // those that are not all zero
	first  prefixKey               // of the block that was looked at last
	block  bindBlock               // and what it holds
}

type bindBlock [16]uint8

// The number of tunnels fits: the constant overflows when it does not.
const _ = uint8(fib.MaxTunnels)

func (b *binds) get(k prefixKey) uint32 {
	first, place := k.block()
	if b.blocks == nil || first != b.first {
		b.first, b.block = first, b.blocks[first]
	}
	return uint32(b.block[place])
}

func (b *binds) set(k prefixKey, n uint32) {
	if b.get(k) == n {
		return
	}
	if b.blocks == nil {
		b.blocks = map[prefixKey]bindBlock{}
	}
	_, place := k.block()
	if b.block[place] = uint8(n); b.block == (bindBlock{}) {
		delete(b.blocks, b.first)
		return
	}
	b.blocks[b.first] = b.block
}

// Bind makes or replaces bindings of the source SourceAdmin, all of them or none; of one
// prefix there is one at most. It refuses what policy would not accept now.
func (r *RIB) Bind(bs ...fib.Binding) error {
	for i := range bs {
		if err := checkBind(&bs[i], i > 0 && sameTunnels(bs[i].Tunnels, bs[i-1].Tunnels)); err != nil {
			return err
		}
	}
	r.binds.mu.Lock()
	defer r.binds.mu.Unlock()
	held, err := r.mayBind(bs)
	if err != nil {
		return err
	}
	r.claim(bs, held)
	return nil
}

// sameTunnels says whether two bindings have one list of tunnels between them, as those of one
// request do.
func sameTunnels(a, b []encap.Tunnel) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// checkBind says what is wrong with a binding in itself, whose tunnels may have been checked.
func checkBind(b *fib.Binding, checked bool) error {
	prefix, ok := cleanPrefix(b.Prefix)
	switch {
	case !ok:
		return fmt.Errorf("rib: bind %s: expected an IPv4 or IPv6 prefix", b.Prefix)
	case prefix != b.Prefix:
		return fmt.Errorf("rib: bind %s: bits beyond the length, expected %s", b.Prefix, prefix)
	case len(b.Tunnels) == 0 || len(b.Tunnels) > fib.MaxTunnels:
		return fmt.Errorf("rib: bind %s: %d tunnels, expected 1 to %d", prefix, len(b.Tunnels), fib.MaxTunnels)
	}
	if checked {
		return nil
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
	held := uint32(0)
	if clean, ok := cleanPrefix(prefix); ok && clean == prefix {
		held = r.binds.get(keyOf(prefix))
	}
	if held == 0 {
		return fmt.Errorf("rib: unbind %s: expected a prefix that was bound at runtime", prefix)
	}
	r.claim([]fib.Binding{{Prefix: prefix}}, []uint32{held})
	return nil
}

// claim queues what makes the bindings those of the admin source. held is how many tunnels each
// prefix had; binds.mu is held. Bindings that share their tunnels share all but prefix and ID.
func (r *RIB) claim(bs []fib.Binding, held []uint32) {
	now := time.Now()
	r.intake(SourceAdmin, func(in *intake) {
		var paths []Path
		mixed := false
		for i := range bs {
			b, k, had := &bs[i], keyOf(bs[i].Prefix), held[i]
			if i == 0 || !sameTunnels(b.Tunnels, bs[i-1].Tunnels) {
				mixed = i > 0
				paths = make([]Path, len(b.Tunnels))
				for j, t := range b.Tunnels {
					paths[j] = Path{PathID: uint32(j + 1), Tunnel: t, Carrier: CarrierStatic, Learned: now}
				}
			}
			if mixed { // the prefix may have been there before, with other tunnels
				had = r.binds.get(k)
			}
			for id := uint32(len(paths)) + 1; id <= had; id++ {
				in.remove(PathKey{b.Prefix, id})
			}
			for j := range paths {
				paths[j].Prefix = b.Prefix
				in.set(&paths[j])
			}
			r.binds.set(k, uint32(len(paths)))
		}
	})
}

// mayBind says why a claim of the admin source would be refused that a binding comes to, and how many
// tunnels the admin source has bound each prefix to. binds.mu is held.
func (r *RIB) mayBind(bs []fib.Binding) (held []uint32, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	src := r.sources[SourceAdmin]
	if src == nil {
		return nil, errors.New("rib: bind: binding at runtime is not enabled")
	}
	held = make([]uint32, len(bs))
	var list []attrs // of the tunnels
	for i := range bs {
		b, k := &bs[i], keyOf(bs[i].Prefix)
		if i == 0 || !sameTunnels(b.Tunnels, bs[i-1].Tunnels) {
			list = make([]attrs, len(b.Tunnels))
			for j, t := range b.Tunnels {
				list[j] = attrs{src: src, tunnel: [1]encap.Tunnel{t}}
			}
		}
		held[i] = r.binds.get(k)
		for j := range list {
			var reason RefuseReason
			if k.v6 {
				reason = r.t6.judge(&node[key6]{key: k.key6(), bits: k.bits}, &list[j], held[i] > 0)
			} else {
				reason = r.t4.judge(&node[key4]{key: k.key4(), bits: k.bits}, &list[j], held[i] > 0)
			}
			if reason != RefuseNone {
				return nil, fmt.Errorf("rib: bind %s: %s", b.Prefix, list[j].refused(reason))
			}
		}
	}
	return held, nil
}
