package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// AnswerConfig says from where and how often the gateway answers with ICMP errors. The
// zero value never answers: it has no address to answer from.
//
// An error comes from an address of the port by which it leaves (RFC 1812 section
// 4.3.2.4, RFC 4443 section 2.2 (b)), else from Default, which may be the service address.
//
// Limits are those of each worker: answers in a second and at once, all together and to
// one source prefix, IPv4 /24 and IPv6 /48 (RFC 1812 section 4.3.2.8, RFC 4443 section
// 2.4 (f)). 0 is no limit. Too big has limits of its own of the same size, so that no
// flood of packets of other kinds ends path MTU discovery; a flood of both kinds gets twice
// the answers. Source prefixes share a fixed number of buckets by a secret hash; those that
// meet in one share its limit.
//
// Rate 1000, Burst 200, SourceRate 50 and SourceBurst 50 are recommended. A traceroute
// sends its three probes of a hop at once, so that 16 of them may start behind one /24
// in the same instant, and 16 more each second. Path MTU discovery takes one answer for
// each pair of a sender and an EIP, and what is lost comes again with the retransmission.
// A flood gets 1000 answers of at most 1280 bytes in a second, 10 Mbit/s, at less than a
// microsecond of the worker each.
type AnswerConfig struct {
	Sources map[fib.PortID]AnswerSource // the addresses of the port that a frame came in by
	Default AnswerSource                // for a port, or a family of it, that is not there

	Rate, Burst             int
	SourceRate, SourceBurst int
}

// AnswerSource is an address of each family; invalid where there is none.
type AnswerSource struct{ V4, V6 netip.Addr }

// Bounds of limits. A rate is kept as nanoseconds per answer, which for this one are
// still exact enough.
const (
	maxAnswerRate  = 1_000_000
	maxAnswerBurst = 1_000_000
)

// answerRules is AnswerConfig in the form that workers use. The zero value never answers.
type answerRules struct {
	on        bool            // there is a source
	ports     []answerAddress // by PortID, Default filled in
	otherwise answerAddress   // of ports beyond
	own4      []uint32        // all sources
	own6      []fib.Addr6
	all, each limit
}

// answerAddress is AnswerSource in numbers; 0 where there is none.
type answerAddress struct {
	v4 uint32
	v6 fib.Addr6
}

// source is what answers to frames that came in by a port are from.
func (a *answerRules) source(id fib.PortID) answerAddress {
	if int(id) < len(a.ports) {
		return a.ports[id]
	}
	return a.otherwise
}

func (c *AnswerConfig) compile() (a answerRules, err error) {
	if err = c.checkLimits(); err != nil {
		return a, err
	}
	a.all, a.each = newLimit(c.Rate, c.Burst), newLimit(c.SourceRate, c.SourceBurst)
	if a.otherwise, err = c.Default.compile(); err != nil {
		return a, fmt.Errorf("ICMP source by default: %w", err)
	}
	a.note(a.otherwise)
	for id, s := range c.Sources {
		from, err := s.compile()
		if err != nil {
			return a, fmt.Errorf("ICMP source of port %d: %w", id, err)
		}
		a.note(from)
		if from.v4 == 0 {
			from.v4 = a.otherwise.v4
		}
		if from.v6 == (fib.Addr6{}) {
			from.v6 = a.otherwise.v6
		}
		for len(a.ports) <= int(id) {
			a.ports = append(a.ports, a.otherwise)
		}
		a.ports[id] = from
	}
	return a, nil
}

// note keeps that these addresses are the gateway's.
func (a *answerRules) note(s answerAddress) {
	if s.v4 != 0 && !slices.Contains(a.own4, s.v4) {
		a.own4 = append(a.own4, s.v4)
	}
	if s.v6 != (fib.Addr6{}) && !slices.Contains(a.own6, s.v6) {
		a.own6 = append(a.own6, s.v6)
	}
	a.on = len(a.own4)+len(a.own6) > 0
}

// compile checks that each address is one of a single host (RFC 1812 section 4.3.2.4,
// RFC 4443 section 2.2), and of its family.
func (s AnswerSource) compile() (a answerAddress, err error) {
	if s.V4.IsValid() {
		if !s.V4.Is4() {
			return a, fmt.Errorf("%s: expected an IPv4 address", s.V4)
		}
		if a.v4 = number4(s.V4); martian4(a.v4) {
			return a, fmt.Errorf("%s: expected a unicast address that others can reach", s.V4)
		}
	}
	if s.V6.IsValid() {
		if !s.V6.Is6() || s.V6.Is4In6() || s.V6.Zone() != "" {
			return a, fmt.Errorf("%s: expected an IPv6 address without a zone", s.V6)
		}
		if a.v6 = number6(s.V6); martian6(a.v6) {
			return a, fmt.Errorf("%s: expected a unicast address that others can reach", s.V6)
		}
	}
	return a, nil
}

func (c *AnswerConfig) checkLimits() error {
	check := func(what string, rate, burst int) error {
		switch {
		case rate < 0 || rate > maxAnswerRate:
			return fmt.Errorf("%s rate %d: expected 1 to %d answers in a second, or 0 for no limit", what, rate, maxAnswerRate)
		case rate == 0 && burst != 0:
			return fmt.Errorf("%s burst %d: expected 0, as there is no rate", what, burst)
		case rate > 0 && (burst < 1 || burst > maxAnswerBurst):
			return fmt.Errorf("%s burst %d: expected 1 to %d answers at once", what, burst, maxAnswerBurst)
		}
		return nil
	}
	return errors.Join(check("ICMP", c.Rate, c.Burst), check("ICMP source", c.SourceRate, c.SourceBurst))
}
