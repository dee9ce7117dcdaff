package main

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
)

// rulebook is the rules that all workers share, and what they are made of. Each part of
// that changes at its own time: the configuration by a reload, MSS clamping also by the
// API, addresses by themselves.
type rulebook struct {
	rules   dataplane.Rules
	workers int
	lane    *afxdp.Lane // goes by them as well; nil if there is none

	mu  sync.Mutex // held while rules are made
	now ruleParts
}

// ruleParts is what rules are made of. A change is made on a copy, and what the fields
// refer to is never changed.
type ruleParts struct {
	cfg   *config.Config
	clamp map[netip.Prefix]bool // of wanted segments
	own   ownAddresses
}

// newRulebook makes rules for so many workers. The machine's addresses come later, but
// before any frame does: with the filter.
func newRulebook(cfg *config.Config, clamp map[netip.Prefix]bool, workers int) (*rulebook, error) {
	b := &rulebook{workers: workers}
	return b, b.change(func(p *ruleParts) { p.cfg, p.clamp = cfg, clamp })
}

// share has a lane go by the rules as well, from now on.
func (b *rulebook) share(l *afxdp.Lane) error {
	b.mu.Lock()
	b.lane = l
	b.mu.Unlock()
	return b.change(func(*ruleParts) {})
}

// change makes rules of changed parts and puts them into force. On an error everything
// stays as it was; but if it is the lane's, which only a kernel without memory has, that
// goes on by the old ones and the workers by the new.
func (b *rulebook) change(f func(*ruleParts)) error { return b.set(&b.rules, f) }

// try says what change would, and changes nothing.
func (b *rulebook) try(f func(*ruleParts)) error { return b.set(new(dataplane.Rules), f) }

func (b *rulebook) set(r *dataplane.Rules, f func(*ruleParts)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.now
	f(&next)
	if err := r.Set(next.rules(b.workers)); err != nil {
		return err
	}
	if r != &b.rules {
		return nil
	}
	b.now = next
	if b.lane != nil {
		return b.lane.SetRules(r.Plain())
	}
	return nil
}

// parts is what the rules in force are made of.
func (b *rulebook) parts() ruleParts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// clamped says whether the MSS of SYNs to an address is lowered.
func (p *ruleParts) clamped(a netip.Addr) bool {
	for bits := a.BitLen(); bits >= 0; bits-- {
		if clamp, ok := p.clamp[netip.PrefixFrom(a, bits).Masked()]; ok {
			return clamp
		}
	}
	return false
}

func (p *ruleParts) rules(workers int) dataplane.RulesConfig {
	f, t := &p.cfg.Forwarding, &p.cfg.Tunnel
	return dataplane.RulesConfig{
		Unbound: f.Unbound, Unresolved: f.Unresolved, Oversize: f.Oversize,
		Martians: f.Martians, TinyFragments: f.TinyFragments,
		Own: p.ours(), VLANs: p.vlans(), ClampMSS: p.clamp,
		DSCP: t.DSCP, PCP: t.PCP == config.PCPFromDSCP,
		Answers: p.answers(workers),
	}
}

// ours are the addresses that nobody else sends from: the machine's, and those that are
// meant to be even where they are not there now. Service addresses are every gateway's.
func (p *ruleParts) ours() []netip.Addr {
	out := slices.Concat(p.own.all, p.cfg.Gateway.ServiceAddresses)
	icmp := &p.cfg.Forwarding.ICMP
	for _, a := range []netip.Addr{p.cfg.Tunnel.Source4, p.cfg.Tunnel.Source6, icmp.Source4, icmp.Source6} {
		if a.IsValid() {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

func (p *ruleParts) vlans() map[fib.PortID][]dataplane.VLAN {
	out := map[fib.PortID][]dataplane.VLAN{}
	for i, port := range p.cfg.Ports {
		if port.AcceptVLANs != nil {
			out[portID(i)] = port.AcceptVLANs
		}
	}
	return out
}

// answers says from where and how often each of the workers answers. They share a limit
// evenly, and none gets less than one answer.
func (p *ruleParts) answers(workers int) dataplane.AnswerConfig {
	i := &p.cfg.Forwarding.ICMP
	c := dataplane.AnswerConfig{Sources: map[fib.PortID]dataplane.AnswerSource{}, Default: p.fallback()}
	for n, port := range p.cfg.Ports {
		c.Sources[portID(n)] = p.portSource(port.Name)
	}
	if i.Rate > 0 {
		c.Rate, c.Burst = share(i.Rate, workers), share(i.Burst, workers)
	}
	if i.SourceRate > 0 {
		c.SourceRate, c.SourceBurst = share(i.SourceRate, workers), share(i.SourceBurst, workers)
	}
	return c
}

// share is a worker's part of a limit of n, rounded up.
func share(n, workers int) int { return (n + workers - 1) / workers }

// fallback is what answers come from that no port has an address for: the address that
// the configuration names for them, else the service address, else the tunnels' source.
func (p *ruleParts) fallback() dataplane.AnswerSource {
	i, t := &p.cfg.Forwarding.ICMP, &p.cfg.Tunnel
	first := func(is4 bool, list ...netip.Addr) netip.Addr {
		for _, a := range list {
			if config.Reachable(a) && a.Is4() == is4 {
				return a
			}
		}
		return netip.Addr{}
	}
	service := p.cfg.Gateway.ServiceAddresses
	return dataplane.AnswerSource{
		V4: first(true, slices.Concat([]netip.Addr{i.Source4}, service, []netip.Addr{t.Source4})...),
		V6: first(false, slices.Concat([]netip.Addr{i.Source6}, service, []netip.Addr{t.Source6})...),
	}
}

// portSource is the first address of each family of a port, but of a family for which
// the configuration names one.
func (p *ruleParts) portSource(name string) (s dataplane.AnswerSource) {
	i := &p.cfg.Forwarding.ICMP
	for _, a := range p.own.ports[name] {
		switch {
		case !config.Reachable(a):
		case a.Is4() && !s.V4.IsValid() && !i.Source4.IsValid():
			s.V4 = a
		case a.Is6() && !s.V6.IsValid() && !i.Source6.IsValid():
			s.V6 = a
		}
	}
	return s
}

// source is what an answer to a packet that came in by the port comes from.
func (p *ruleParts) source(port string) dataplane.AnswerSource {
	s, other := p.portSource(port), p.fallback()
	if !s.V4.IsValid() {
		s.V4 = other.V4
	}
	if !s.V6.IsValid() {
		s.V6 = other.V6
	}
	return s
}
