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
