package main

import "net/netip"

// Rules is what a case's gateway does beyond its table. What is left out keeps its
// default, which is to forward all that is sound, to answer nothing, to fragment what is
// too big and may be, and to copy DSCP.
type Rules struct {
	Unbound       string              `yaml:"unbound,omitempty"`    // drop, or which answer
	Unresolved    string              `yaml:"unresolved,omitempty"` // the same
	Oversize      string              `yaml:"oversize,omitempty"`   // fragment-inner, fragment-outer, refuse
	Martians      string              `yaml:"martians,omitempty"`   // drop, allow
	Own           []netip.Addr        `yaml:"own,omitempty,flow"`
	TinyFragments string              `yaml:"tiny-fragments,omitempty"` // allow, drop
	VLANs         map[string][]string `yaml:"vlans,omitempty"`          // by port: "0", "100", "200.100"
	ClampMSS      map[string]bool     `yaml:"clamp-mss,omitempty"`      // by segment
	DSCP          *DSCP               `yaml:"dscp,omitempty,flow"`
	PCP           bool                `yaml:"pcp,omitempty"`
	Answers       *Answers            `yaml:"answers,omitempty"`
}

// DSCP is what the outer DSCP comes from.
type DSCP struct {
	Mode  string          `yaml:"mode"` // copy, fixed, map
	Fixed uint8           `yaml:"fixed,omitempty"`
	Map   map[uint8]uint8 `yaml:"map,omitempty"`
}

// Answers is from where and how often the gateway answers.
type Answers struct {
	Sources     map[string]Source `yaml:"sources,omitempty"` // by port
	Default     *Source           `yaml:"default,omitempty,flow"`
	Rate        int               `yaml:"rate,omitempty"`
	Burst       int               `yaml:"burst,omitempty"`
	SourceRate  int               `yaml:"source-rate,omitempty"`
	SourceBurst int               `yaml:"source-burst,omitempty"`
}

// Source is an address of each family.
type Source struct {
	V4 netip.Addr `yaml:"v4,omitempty"`
	V6 netip.Addr `yaml:"v6,omitempty"`
}

// rules are the case's, to be changed.
func (c *Case) rules() *Rules {
	if c.Rules == nil {
		c.Rules = &Rules{}
	}
	return c.Rules
}

// answering has the gateway answer from its service addresses.
func (c *Case) answering() *Answers {
	c.rules().Answers = &Answers{Default: &Source{service4, service6}}
	return c.Rules.Answers
}

// source is the address that answers to what arrives come from: that of the port, or
// else the default one (RFC 1812 section 4.3.2.4, RFC 4443 section 2.2). It is not
// valid when the gateway has none.
func (c *Case) source(is6 bool) netip.Addr {
	if c.Rules == nil || c.Rules.Answers == nil {
		return netip.Addr{}
	}
	a := c.Rules.Answers
	for _, s := range []*Source{ptr(a.Sources[c.at]), a.Default} {
		switch {
		case s == nil:
		case is6 && s.V6.IsValid():
			return s.V6
		case !is6 && s.V4.IsValid():
			return s.V4
		}
	}
	return netip.Addr{}
}

func ptr[T any](v T) *T { return &v }

// outerTOS is the TOS or traffic class of the outer header: DSCP by the rules (RFC 2983
// section 3), ECN as it is inside (RFC 6040 section 4.1, normal mode).
func (c *Case) outerTOS(inner uint8) uint8 {
	if c.Rules == nil || c.Rules.DSCP == nil {
		return inner
	}
	d, dscp := c.Rules.DSCP, inner>>2
	switch d.Mode {
	case "fixed":
		dscp = d.Fixed
	case "map":
		if to, ok := d.Map[dscp]; ok {
			dscp = to
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
