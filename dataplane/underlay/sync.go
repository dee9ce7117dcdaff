package underlay

import (
	"errors"
	"slices"
	"time"
)

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

// setPaths replaces the paths of a VTEP and with them its use of hops.
func (l *loop) setPaths(v *vtep, paths []path) {
	old := v.paths
	v.paths = paths
	if !sameHops(old, paths) {
		l.forget(v, "its route is another")
	}
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
