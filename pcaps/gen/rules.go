package main

import (
	"net/netip"
	"slices"
)

// Rules is what a case's gateway does beyond its table, as package dataplane/replay reads
// it. What is left out keeps its default, which is to forward all that is sound, to answer
// nothing, to fragment what is too big and may be, and to copy DSCP.
type Rules struct {
	Unbound       string          `yaml:"unbound,omitempty"`        // drop, or which answer
	Unresolved    string          `yaml:"unresolved,omitempty"`     // the same
	Oversize      string          `yaml:"oversize,omitempty"`       // fragment-inner, fragment-outer, refuse
	Martians      string          `yaml:"martians,omitempty"`       // drop, allow
	TinyFragments string          `yaml:"tiny-fragments,omitempty"` // allow, drop
	Own           []string        `yaml:"own,omitempty,flow"`
	ClampMSS      map[string]bool `yaml:"clamp-mss,omitempty"` // by segment
	DSCP          *DSCP           `yaml:"dscp,omitempty,flow"`
	PCP           bool            `yaml:"pcp,omitempty"`
	ICMPSource    []string        `yaml:"icmp-source,omitempty,flow"`
	ICMPLimits    *Limits         `yaml:"icmp-limits,omitempty,flow"`
}

// DSCP is what the outer DSCP is: always the same, or by a table; else it is copied.
type DSCP struct {
	Fixed *uint8     `yaml:"fixed,omitempty"`
	Map   []DSCPPair `yaml:"map,omitempty"`
}

// DSCPPair is the outer DSCP for an inner one.
type DSCPPair struct {
	From uint8 `yaml:"from"`
	To   uint8 `yaml:"to"`
}

// Limits are how many answers there are in a second, and at once: of all, and of those to
// one source prefix.
type Limits struct {
	Rate        int `yaml:"rate,omitempty"`
	Burst       int `yaml:"burst,omitempty"`
	SourceRate  int `yaml:"source-rate,omitempty"`
	SourceBurst int `yaml:"source-burst,omitempty"`
}

// rules are the case's, to be changed.
func (c *Case) rules() *Rules {
	if c.Rules == nil {
		c.Rules = &Rules{}
	}
	return c.Rules
}

// answering has the gateway answer from its service addresses.
func (c *Case) answering() {
	c.rules().ICMPSource = []string{service4.String(), service6.String()}
}

// source is the address that answers to what arrives come from: that of the port, or
// else the common one (RFC 1812 section 4.3.2.4, RFC 4443 section 2.2). It is not valid
// when the gateway has none.
func (c *Case) source(is6 bool) netip.Addr {
	_, port := c.port(c.at)
	all := port.ICMPSource
	if c.Rules != nil {
		all = slices.Concat(all, c.Rules.ICMPSource)
	}
	for _, s := range all {
		if a := addr(s).Addr; a.Is6() == is6 {
			return a
		}
	}
	return netip.Addr{}
}

// outerTOS is the TOS or traffic class of the outer header: DSCP by the rules (RFC 2983
// section 3), ECN as it is inside (RFC 6040 section 4.1, normal mode).
func (c *Case) outerTOS(inner uint8) uint8 {
	if c.Rules == nil || c.Rules.DSCP == nil {
		return inner
	}
	d, dscp := c.Rules.DSCP, inner>>2
	if d.Fixed != nil {
		dscp = *d.Fixed
	}
	for _, p := range d.Map {
		if p.From == inner>>2 {
			dscp = p.To
		}
	}
	return dscp<<2 | inner&3
}

// pcp is the priority of a frame whose outer packet has that TOS: the class selector in
// the upper three bits of its DSCP (RFC 2474 section 4.2.2), if the rules have it so.
func (c *Case) pcp(tos uint8) uint8 {
	if c.Rules != nil && c.Rules.PCP {
		return tos >> 5
	}
	return 0
}
