package underlay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// retryTime is the pause after the kernel did not answer. What is known stays in force.
const retryTime = 100 * time.Millisecond

// maxActions bounds the solicitations of one turn, so that a start with thousands of
// neighbors does not flood the link; the rest follows in the next turns.
const maxActions = 256

// pace is the least time between two turns that send solicitations.
const pace = 10 * time.Millisecond

// take notes a batch of events.
func (l *loop) take(b batch) error {
	now := time.Now()
	if errors.Is(b.err, errOverrun) {
		l.cfg.Log.Warn("underlay: events were lost, reading all anew")
		l.syncAt = now
		return nil
	}
	if b.err != nil {
		return b.err
	}
	for _, e := range b.events {
		switch e.kind {
		case linkChanged:
			l.setLink(e.link, now)
		case linkGone:
			l.removeLink(e.link.index, now)
		case neighborChanged:
			l.setNeighbor(e.neighbor, now)
		case neighborGone:
			delete(l.neighbors, e.neighbor.key)
			l.observe(e.neighbor.key, now)
		case routeChanged:
			l.askFor(e.prefix)
		case allChanged:
			l.askAll.want(now, true)
		}
	}
	return nil
}

// sync reads links and neighbors, and has every route asked for.
func (l *loop) sync(now time.Time) {
	links, err := l.k.links()
	var neighbors []neighbor
	if err == nil {
		neighbors, err = l.k.neighbors()
	}
	if err != nil {
		if !l.failing {
			l.cfg.Log.Error("underlay: reading links and neighbors; trying again", "error", err)
		}
		l.failing = true
		l.syncAt = now.Add(retryTime)
		return
	}
	l.syncAt, l.failing = time.Time{}, false
	clear(l.links)
	for _, k := range links {
		l.links[k.index] = k
	}
	l.findPorts()
	clear(l.neighbors)
	for _, n := range neighbors {
		l.neighbors[n.key] = n
	}
	for key := range l.hops {
		l.observe(key, now)
	}
	l.askAll.want(now, true)
	l.askAll.rested = time.Time{}
}

// findPorts matches the configured ports with the links that exist.
func (l *loop) findPorts() {
	clear(l.ports)
	for _, p := range l.cfg.Ports {
		for _, k := range l.links {
			if k.name == p.Name {
				l.ports[k.index] = p
			}
		}
	}
}

func (l *loop) setLink(k link, now time.Time) {
	if l.links[k.index] == k {
		return
	}
	l.links[k.index] = k
	l.findPorts()
	l.askAll.want(now, true)
}

func (l *loop) removeLink(index int, now time.Time) {
	if _, known := l.links[index]; !known {
		return
	}
	delete(l.links, index)
	for key := range l.neighbors {
		if key.index == index {
			delete(l.neighbors, key)
			l.observe(key, now)
		}
	}
	l.findPorts()
	l.askAll.want(now, true)
}

func (l *loop) setNeighbor(n neighbor, now time.Time) {
	l.neighbors[n.key] = n
	l.observe(n.key, now)
}

// observe tells a hop, if there is one, that its neighbor is not what it was.
func (l *loop) observe(key neighborKey, now time.Time) {
	h, ok := l.hops[key]
	if !ok {
		return
	}
	h.observe(l.neighbors[key], now, l.cfg.Reprobe)
	for v := range h.users {
		l.check[v] = struct{}{}
	}
}

// askFor has the routes of the VTEPs in a prefix asked for.
func (l *loop) askFor(p netip.Prefix) {
	if l.order == nil {
		l.order = make([]netip.Addr, 0, len(l.vteps))
		for a := range l.vteps {
			l.order = append(l.order, a)
		}
		slices.SortFunc(l.order, netip.Addr.Compare)
	}
	first, _ := slices.BinarySearchFunc(l.order, p.Masked().Addr(), netip.Addr.Compare)
	for _, a := range l.order[first:] {
		if !p.Contains(a) {
			return
		}
		l.ask[l.vteps[a]] = struct{}{}
	}
}

func (l *loop) askForAll(now time.Time) {
	for _, v := range l.vteps {
		l.ask[v] = struct{}{}
	}
	l.askRoutes(now)
	l.askAll.done(now, time.Now())
}

// askRoutes asks for the routes of the VTEPs in l.ask. When the kernel does not answer,
// the rest stays there, and keeps the paths that it has.
func (l *loop) askRoutes(now time.Time) {
	if len(l.ask) == 0 {
		return
	}
	if err := l.askEach(); err != nil {
		if !l.failing {
			l.cfg.Log.Error("underlay: asking for routes; trying again", "error", err)
		}
		l.failing = true
		l.askAt = now.Add(retryTime)
		return
	}
	l.failing = false
}

func (l *loop) askEach() error {
	clear(l.sources)
	from4, err := l.lookupSource(l.cfg.Source4)
	if err != nil {
		return err
	}
	from6, err := l.lookupSource(l.cfg.Source6)
	if err != nil {
		return err
	}
	for v := range l.ask {
		from := from4
		if v.addr.Is6() {
			from = from6
		}
		paths, err := l.paths(v.addr, from)
		if err != nil {
			return err
		}
		delete(l.ask, v)
		l.setPaths(v, paths)
		l.check[v] = struct{}{}
	}
	return nil
}

// lookupSource is the source address to look up routes with: the one configured if it
// is an address of this machine, else none.
func (l *loop) lookupSource(configured netip.Addr) (netip.Addr, error) {
	if !configured.IsValid() {
		return netip.Addr{}, nil
	}
	ok, err := l.k.local(configured)
	if !ok {
		return netip.Addr{}, err
	}
	return configured, nil
}

// paths asks the kernel for the route to a VTEP. What makes a VTEP unreachable is in the
// paths; an error says that the kernel did not answer.
func (l *loop) paths(dst, from netip.Addr) ([]path, error) {
	r, err := l.k.route(dst, from)
	switch {
	case errors.Is(err, errNoAnswer):
		return nil, err
	case err != nil:
		return []path{{err: refusal(err)}}, nil
	}
	if err := r.routeError(); err != nil {
		return []path{{err: err}}, nil
	}
	paths := make([]path, 0, len(r.hops))
	for _, h := range r.hops {
		p := l.path(dst, r, h)
		if p.err == nil && !p.local.IsValid() {
			if err := l.findSource(&p, dst, h); err != nil {
				return nil, err
			}
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// findSource has the kernel choose a path's local address. With IPv4 the choice follows
// from the next hop; it is asked for once a round, not once a VTEP.
func (l *loop) findSource(p *path, dst netip.Addr, h nexthop) error {
	perHop := dst.Is4() && h.gateway.IsValid()
	if perHop {
		p.local = l.sources[p.hop]
	}
	if !p.local.IsValid() {
		var err error
		if p.local, err = l.k.source(dst, p.hop.index); errors.Is(err, errNoAnswer) {
			return err
		}
	}
	if !p.local.IsValid() {
		p.err = fmt.Errorf("the kernel has no source address for %s", p.iface)
		return nil
	}
	if perHop {
		l.sources[p.hop] = p.local
	}
	return nil
}

// setPaths replaces the paths of a VTEP and with them its use of hops.
func (l *loop) setPaths(v *vtep, paths []path) {
	old := v.paths
	v.paths = paths
	now := time.Now()
	for _, p := range paths {
		if p.err != nil {
			continue
		}
		h, ok := l.hops[p.hop]
		if !ok {
			h = &hop{users: map[*vtep]struct{}{}}
			l.hops[p.hop] = h
			h.observe(l.neighbors[p.hop], now, l.cfg.Reprobe)
		}
		h.users[v] = struct{}{}
	}
	for _, p := range old {
		if p.err == nil && !slices.ContainsFunc(paths, func(q path) bool { return q.err == nil && q.hop == p.hop }) {
			l.leave(v, p.hop)
		}
	}
}

// leave ends a VTEP's use of a hop; a hop that nobody uses goes.
func (l *loop) leave(v *vtep, key neighborKey) {
	h, ok := l.hops[key]
	if !ok {
		return
	}
	delete(h.users, v)
	if len(h.users) == 0 {
		delete(l.hops, key)
	}
}

// actOnHops makes the kernel ask for the neighbors whose time has come.
func (l *loop) actOnHops(now time.Time) {
	left := maxActions
	for key, h := range l.hops {
		if !due(h.due, now) {
			continue
		}
		if left--; left < 0 {
			h.due = now.Add(pace)
			continue
		}
		before := h.err
		h.act(l.k, key, l.neighbors[key], now, l.cfg.Reprobe)
		if !sameError(before, h.err) {
			for v := range h.users {
				l.check[v] = struct{}{}
			}
		}
	}
}
