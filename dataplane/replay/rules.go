package replay

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
)

// Rules is dataplane.RulesConfig as a case writes it, but for what ports say of
// themselves. The zero value is that of RulesConfig.
type Rules struct {
	Unbound       string          `yaml:"unbound,omitempty"`
	Unresolved    string          `yaml:"unresolved,omitempty"`
	Oversize      string          `yaml:"oversize,omitempty"`
	Martians      string          `yaml:"martians,omitempty"`
	TinyFragments string          `yaml:"tiny-fragments,omitempty"`
	Own           []netip.Addr    `yaml:"own,omitempty"`
	ClampMSS      map[string]bool `yaml:"clamp-mss,omitempty"` // by prefix
	DSCP          DSCP            `yaml:"dscp,omitempty"`
	PCP           bool            `yaml:"pcp,omitempty"`
	ICMPSource    []netip.Addr    `yaml:"icmp-source,omitempty"` // one of each family at most
	ICMPLimits    ICMPLimits      `yaml:"icmp-limits,omitempty"`
}

// DSCP is dataplane.DSCPPolicy: one of the two, or a copy.
type DSCP struct {
	Fixed *uint8     `yaml:"fixed,omitempty"`
	Map   []DSCPPair `yaml:"map,omitempty"`
}

// DSCPPair is the outer DSCP for an inner one. A list of them is no YAML map, because
// the YAML package writes any key as text, and reads numbers as characters.
type DSCPPair struct {
	From uint8 `yaml:"from"`
	To   uint8 `yaml:"to"`
}

// ICMPLimits are those of dataplane.AnswerConfig.
type ICMPLimits struct {
	Rate        int `yaml:"rate,omitempty"`
	Burst       int `yaml:"burst,omitempty"`
	SourceRate  int `yaml:"source-rate,omitempty"`
	SourceBurst int `yaml:"source-burst,omitempty"`
}

// Tags are the VLANs of a frame that arrives: 0, 100, or 100.200 with the outer one first.
type Tags dataplane.VLAN

// CompileRules is the rules of a complete case.
func (c *Case) CompileRules() (*dataplane.Rules, error) {
	var errs []error
	rules := c.compileRules(func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	})
	return rules, errors.Join(errs...)
}

// compileRules also fills in the names of defaults.
func (c *Case) compileRules(bad complaint) *dataplane.Rules {
	r := &c.Rules
	config := dataplane.RulesConfig{
		Unbound:       choice("rules.unbound", &r.Unbound, bad, dataplane.Silence, dataplane.NetUnreachable, dataplane.HostUnreachable, dataplane.AdminProhibited),
		Unresolved:    choice("rules.unresolved", &r.Unresolved, bad, dataplane.Silence, dataplane.NetUnreachable, dataplane.HostUnreachable, dataplane.AdminProhibited),
		Oversize:      choice("rules.oversize", &r.Oversize, bad, dataplane.FragmentInner, dataplane.FragmentOuter, dataplane.RefuseOversize),
		Martians:      choice("rules.martians", &r.Martians, bad, dataplane.DropMartians, dataplane.AllowMartians),
		TinyFragments: choice("rules.tiny-fragments", &r.TinyFragments, bad, dataplane.AllowTinyFragments, dataplane.DropTinyFragments),
		Own:           r.Own,
		ClampMSS:      clamped(r.ClampMSS, bad),
		DSCP:          r.DSCP.policy(bad),
		PCP:           r.PCP,
		Answers: dataplane.AnswerConfig{
			Default: source("rules.icmp-source", r.ICMPSource, bad),
			Rate:    r.ICMPLimits.Rate, Burst: r.ICMPLimits.Burst,
			SourceRate: r.ICMPLimits.SourceRate, SourceBurst: r.ICMPLimits.SourceBurst,
		},
	}
	c.portRules(&config, bad)
	rules := new(dataplane.Rules)
	if err := rules.Set(config); err != nil {
		bad("rules", "%v", err)
	}
	return rules
}

// complaint takes what is impossible at a key.
type complaint = func(key, format string, args ...any)

// portRules adds what the ports say.
func (c *Case) portRules(out *dataplane.RulesConfig, bad complaint) {
	for i, p := range c.Ports {
		if len(p.ICMPSource) > 0 {
			if out.Answers.Sources == nil {
				out.Answers.Sources = map[fib.PortID]dataplane.AnswerSource{}
			}
			out.Answers.Sources[p.ID] = source(fmt.Sprintf("ports[%d].icmp-source", i), p.ICMPSource, bad)
		}
		for _, v := range p.VLANs {
			if out.VLANs == nil {
				out.VLANs = map[fib.PortID][]dataplane.VLAN{}
			}
			out.VLANs[p.ID] = append(out.VLANs[p.ID], dataplane.VLAN(v))
		}
	}
}

// clamped reads prefixes.
func clamped(by map[string]bool, bad complaint) map[netip.Prefix]bool {
	out := map[netip.Prefix]bool{}
	for text, yes := range by {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			bad("rules.clamp-mss", "%q: expected a prefix such as 203.0.113.0/24", text)
			continue
		}
		out[p] = yes
	}
	return out
}

// choice is the choice of that name. None is the first, whose name it fills in.
func choice[T fmt.Stringer](key string, name *string, bad complaint, choices ...T) T {
	if *name == "" {
		*name = choices[0].String()
	}
	var names []string
	for _, c := range choices {
		if c.String() == *name {
			return c
		}
		names = append(names, c.String())
	}
	bad(key, "%q: expected one of %s", *name, strings.Join(names, ", "))
	return choices[0]
}

// source sorts addresses by family.
func source(key string, addrs []netip.Addr, bad complaint) (s dataplane.AnswerSource) {
	for _, a := range addrs {
		to := &s.V6
		if a.Is4() {
			to = &s.V4
		}
		if !a.IsValid() || to.IsValid() {
			bad(key, "%v: expected an IPv4 address, an IPv6 address, or one of each", addrs)
			return s
		}
		*to = a
	}
	return s
}

func (d DSCP) policy(bad complaint) dataplane.DSCPPolicy {
	switch {
	case d.Fixed != nil && d.Map != nil:
		bad("rules.dscp", "fixed and map: expected one of them")
	case d.Fixed != nil:
		return dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: *d.Fixed}
	case d.Map != nil:
		p := dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{}}
		for _, pair := range d.Map {
			if _, twice := p.Map[pair.From]; twice {
				bad("rules.dscp.map", "from %d is there twice", pair.From)
			}
			p.Map[pair.From] = pair.To
		}
		return p
	}
	return dataplane.DSCPPolicy{}
}

// String is the tags as the case writes them.
func (v Tags) String() string {
	if v.Inner != 0 {
		return fmt.Sprintf("%d.%d", v.Outer, v.Inner)
	}
	return strconv.Itoa(int(v.Outer))
}

// MarshalText implements encoding.TextMarshaler.
func (v Tags) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalYAML reads the tags as they stand in the file: 100.200 is no fraction.
func (v *Tags) UnmarshalYAML(text []byte) error {
	s := strings.Trim(string(text), `"' `)
	outer, inner, both := strings.Cut(s, ".")
	o, err := strconv.ParseUint(outer, 10, 16)
	i := uint64(0)
	if err == nil && both {
		i, err = strconv.ParseUint(inner, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("VLAN %q: expected 0 for untagged, one identifier, or two such as 100.200", s)
	}
	*v = Tags{Outer: uint16(o), Inner: uint16(i)}
	return nil
}
