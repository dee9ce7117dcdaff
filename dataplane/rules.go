package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// Rules is what the forwarder does beyond the table: about frames that it does not
// forward, frames that do not fit, and the marks of outer headers. It may change while
// workers run; a burst sees it as it was or as it is. The zero value is RulesConfig's.
type Rules struct{ current atomic.Pointer[rules] }

// RulesConfig says what the rules are. The zero value forwards all that is sound,
// answers nothing, fragments what is too big and may be, and copies DSCP.
type RulesConfig struct {
	Unbound    Refusal // of frames for an EIP that nobody has bound
	Unresolved Refusal // of frames for an EIP whose VTEPs the underlay knows no way to
	Oversize   Oversize

	Martians      Martians
	Own           []netip.Addr // addresses of the machine: nobody else sends from them
	TinyFragments TinyFragments

	// VLANs lists the tags that frames may have when they come in by a port. A port
	// without any takes frames of any VLAN, tagged or not.
	VLANs map[fib.PortID][]VLAN

	// ClampMSS says for destinations whether the MSS option of TCP SYNs is lowered to
	// what fits the tunnel. The longest prefix counts; no prefix is no.
	ClampMSS map[netip.Prefix]bool

	DSCP DSCPPolicy
	PCP  bool // the outer VLAN tag's PCP is the class of the outer DSCP, its upper three bits; else 0

	Answers AnswerConfig
}

// Refusal is what happens to a frame that has nowhere to go.
type Refusal uint8

// Refusals.
const (
	Silence         Refusal = iota // dropped
	NetUnreachable                 // ICMP 3/0, ICMPv6 1/0 (no route)
	HostUnreachable                // ICMP 3/1, ICMPv6 1/3 (address unreachable)
	AdminProhibited                // ICMP 3/13, ICMPv6 1/1
	numRefusals
)

var refusalNames = [numRefusals]string{"drop", "net-unreachable", "host-unreachable", "prohibited"}

// Oversize is what happens to an IPv4 packet that does not fit its way and may be
// fragmented. What may not, IPv6 and IPv4 with DF, is answered with what would fit; an
// IPv6 packet that is already as small as is ever asked for goes as by FragmentOuter.
//
// RFC 7348 section 4.3 has no VTEP fragment VXLAN packets, nor be obliged to put any
// together, so FragmentOuter is for networks whose VTEPs do.
type Oversize uint8

// Oversizes.
const (
	FragmentInner  Oversize = iota // into fragments that fit, each with a tunnel header of its own
	FragmentOuter                  // in the tunnel; the VTEP has to reassemble
	RefuseOversize                 // as if DF were set
	numOversizes
)

var oversizeNames = [numOversizes]string{"fragment-inner", "fragment-outer", "refuse"}

// Martians is what happens to packets with addresses that nobody can have who is to be
// reached (RFC 1812 section 5.3.7).
type Martians uint8

// What happens to martians.
const (
	DropMartians Martians = iota
	AllowMartians
	numMartians
)

var martianNames = [numMartians]string{"drop", "allow"}

// TinyFragments is what happens to fragments made to hide a transport header (RFC 1858,
// RFC 3128).
type TinyFragments uint8

// What happens to tiny fragments. They are counted either way.
const (
	AllowTinyFragments TinyFragments = iota
	DropTinyFragments
	numTinyFragments
)

var tinyFragmentNames = [numTinyFragments]string{"allow", "drop"}

// VLAN is the tags of a frame: VLAN identifiers, 0 for a tag that is not there. Inner is
// that of the second tag.
type VLAN struct{ Outer, Inner uint16 }

// DSCPMode is where the outer DSCP comes from.
type DSCPMode uint8

// DSCP modes.
const (
	DSCPCopy  DSCPMode = iota // from the inner one
	DSCPFixed                 // always the same
	DSCPMap                   // from the inner one by a table
	numDSCPModes
)

// DSCPPolicy says what the outer DSCP is (RFC 2983 section 3). ECN is copied whatever
// the policy (RFC 6040 section 4.1).
type DSCPPolicy struct {
	Mode  DSCPMode
	Fixed uint8           // for DSCPFixed
	Map   map[uint8]uint8 // for DSCPMap; a DSCP that is not there is copied
}

// maxDSCP is the largest of six bits.
const maxDSCP = 63

// rules is RulesConfig in the form that workers use. It is never changed.
type rules struct {
	unbound, unresolved answerCode
	oversize            Oversize
	dropTiny            bool
	suspects            suspects
	vlans               []vlanSet // by PortID
	clamp               prefixSet
	tos                 [256]uint8 // outer TOS by inner TOS
	pcp                 bool
	answers             answerRules

	config RulesConfig // of which the rest was made
}

// Set puts rules into force. On an error what was in force stays. Any goroutine may call it.
func (r *Rules) Set(c RulesConfig) error {
	compiled, err := c.compile()
	if err != nil {
		return fmt.Errorf("dataplane: rules: %w", err)
	}
	r.current.Store(compiled)
	return nil
}

// Config is what is in force: what Set took last. Its maps and slices are those that Set
// was given, which nobody may change.
func (r *Rules) Config() RulesConfig { return r.load().config }

// defaultRules are those of the zero RulesConfig.
var defaultRules = func() *rules {
	r, err := (&RulesConfig{}).compile()
	if err != nil {
		panic(err)
	}
	return r
}()

// load is the rules of a burst.
func (r *Rules) load() *rules {
	if r != nil {
		if c := r.current.Load(); c != nil {
			return c
		}
	}
	return defaultRules
}

func (c *RulesConfig) compile() (*rules, error) {
	if c.Unbound >= numRefusals || c.Unresolved >= numRefusals || c.Oversize >= numOversizes ||
		c.Martians >= numMartians || c.TinyFragments >= numTinyFragments {
		return nil, errors.New("a choice that there is not")
	}
	r := &rules{
		config:  *c,
		unbound: refusalCodes[c.Unbound], unresolved: refusalCodes[c.Unresolved], oversize: c.Oversize,
		dropTiny: c.TinyFragments == DropTinyFragments,
		pcp:      c.PCP,
	}
	var err error
	if r.tos, err = c.DSCP.table(); err != nil {
		return nil, err
	}
	if r.vlans, err = compileVLANs(c.VLANs); err != nil {
		return nil, err
	}
	if r.answers, err = c.Answers.compile(); err != nil {
		return nil, err
	}
	r.suspects = newSuspects(c.Own, c.Martians == DropMartians)
	r.clamp = newPrefixSet(c.ClampMSS)
	return r, nil
}

// table is the outer TOS or traffic class for each inner one: DSCP by the policy, ECN as
// it is (RFC 6040 section 4.1, normal mode).
func (p DSCPPolicy) table() (t [256]uint8, err error) {
	if p.Mode >= numDSCPModes || p.Fixed > maxDSCP {
		return t, fmt.Errorf("DSCP mode %d, fixed %d: expected a mode that there is, and 0 to %d", p.Mode, p.Fixed, maxDSCP)
	}
	for from, to := range p.Map {
		if from > maxDSCP || to > maxDSCP {
			return t, fmt.Errorf("DSCP map %d to %d: expected 0 to %d", from, to, maxDSCP)
		}
	}
	for i := range t {
		inner := uint8(i)
		dscp := inner >> 2
		switch p.Mode {
		case DSCPFixed:
			dscp = p.Fixed
		case DSCPMap:
			if to, ok := p.Map[dscp]; ok {
				dscp = to
			}
		}
		t[i] = dscp<<2 | inner&3
	}
	return t, nil
}

// String is the name in the configuration.
func (r Refusal) String() string { return nameOf(refusalNames[:], int(r)) }

// String is the name in the configuration.
func (o Oversize) String() string { return nameOf(oversizeNames[:], int(o)) }

// String is the name in the configuration.
func (m Martians) String() string { return nameOf(martianNames[:], int(m)) }

// String is the name in the configuration.
func (t TinyFragments) String() string { return nameOf(tinyFragmentNames[:], int(t)) }

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown (%d)", i)
}
