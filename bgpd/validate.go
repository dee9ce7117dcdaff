package bgpd

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// Defaults of a session, short: a gateway's neighbors are near, and what is lost
// between a failure and its discovery is traffic.
const (
	defaultPort         = 179
	defaultHoldTime     = 9 * time.Second
	defaultConnectRetry = 2 * time.Second
	defaultIdleHold     = time.Second
	defaultSyncWait     = 10 * time.Second
	defaultCloseWait    = 3 * time.Second

	libraryIdleHold = 5 * time.Second // GoBGP does not wait longer

	maxPassword = 80 // TCP_MD5SIG_MAXKEYLEN of the kernel
)

// Validate tells everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bgpd: "+format, args...)) }
	if c.ASN == 0 || c.ASN == math.MaxUint32 || c.ASN == 65535 || c.ASN == 23456 {
		bad("asn %d: expected one that is not reserved (RFC 7607, 6793, 7300)", c.ASN)
	}
	if !c.RouterID.Is4() || c.RouterID.IsUnspecified() {
		bad("router id %s: expected an IPv4 address", c.RouterID)
	}
	for _, l := range c.Listen {
		if !l.Addr().IsValid() || l.Port() == 0 {
			bad("listen %s: expected an address and a port", l)
		} else if l.Port() != c.Listen[0].Port() {
			bad("listen %s: expected port %d as in the first entry; one port serves all addresses", l, c.Listen[0].Port())
		}
	}
	for i, a := range c.ServiceAddresses {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			bad("service address %s: expected a unicast address that means the same everywhere", a)
		} else if slices.ContainsFunc(c.ServiceAddresses[:i], func(b netip.Addr) bool { return FamilyOf(a) == FamilyOf(b) }) {
			bad("service address %s: there is another of %s; expected at most one of each family", a, FamilyOf(a))
		}
	}
	if c.SyncWait < 0 || c.CloseWait < 0 {
		bad("sync wait %s, close wait %s: expected no negative time", c.SyncWait, c.CloseWait)
	}
	for i := range c.Neighbors {
		errs = append(errs, c.validateNeighbor(&c.Neighbors[i], c.Neighbors[:i])...)
	}
	return errors.Join(errs...)
}

func (c *Config) validateNeighbor(n *Neighbor, before []Neighbor) []error {
	if n.Address.IsValid() == n.Range.IsValid() {
		return []error{fmt.Errorf("bgpd: neighbor %s: expected either an address or a range", n.key())}
	}
	var m mistakes
	c.validateWho(n, m.of(n))
	c.validateSession(n, m.of(n))
	c.validateFamilies(n, m.of(n))
	c.validateOverlap(n, before, m.of(n))
	n.validateLearning(m.of(n))
	return m
}

// mistakes collects what is wrong.
type mistakes []error

// of reports mistakes of one neighbor.
func (m *mistakes) of(n *Neighbor) func(format string, args ...any) {
	return func(format string, args ...any) {
		*m = append(*m, fmt.Errorf("bgpd: neighbor %s: "+format, append([]any{n.key()}, args...)...))
	}
}

// validateWho checks address, range, role and AS.
func (c *Config) validateWho(n *Neighbor, bad func(string, ...any)) {
	switch {
	case n.Address.Is4In6() || n.Address.Zone() != "" || n.Address.IsLinkLocalUnicast() && n.Address.Is6():
		bad("link-local and IPv4-mapped addresses are not supported")
	case n.Range.IsValid() && n.Range != n.Range.Masked():
		bad("bits are set behind the prefix length; expected %s", n.Range.Masked())
	case n.Range.IsValid() && n.Range.Bits() == 0:
		bad("expected a range longer than /0")
	case n.Range.IsValid() && len(c.Listen) == 0:
		bad("a range needs the gateway to listen")
	}
	if n.Role != Switch && n.Role != VirtualRouter {
		bad("role %s: expected %s or %s", n.Role, Switch, VirtualRouter)
	}
	if n.ASN == 0 {
		bad("asn 0: expected the neighbor's")
	}
}

// validateSession checks what the session is made of.
func (c *Config) validateSession(n *Neighbor, bad func(string, ...any)) {
	if len(n.Password) > maxPassword {
		bad("password of %d octets: expected at most %d", len(n.Password), maxPassword)
	}
	if n.Local.IsValid() && FamilyOf(n.Local) != n.family() {
		bad("local address %s: expected one of %s", n.Local, n.family())
	}
	if n.Passive && len(c.Listen) == 0 {
		bad("passive, and the gateway does not listen")
	}
	if n.Hops > 1 && n.TTLSecurity > 0 {
		bad("hops %d and ttl security %d: expected at most one of both", n.Hops, n.TTLSecurity)
	}
	if n.Hops > 1 && n.ASN == c.ASN {
		bad("hops %d: iBGP is not bound to direct links; expected 0", n.Hops)
	}
	if n.AllowOwnAS > 0 && n.Range.IsValid() {
		bad("allow own AS %d: the BGP library has that for neighbors by address only", n.AllowOwnAS)
	}
	for _, t := range n.timers() {
		if t.d != 0 && (t.d < t.min || t.d > t.max || t.d%time.Second != 0) {
			bad("%s %s: expected whole seconds from %s to %s", t.name, t.d, t.min, t.max)
		}
	}
}

// validateFamilies makes sure that what a switch gets has a next hop.
func (c *Config) validateFamilies(n *Neighbor, bad func(string, ...any)) {
	for _, f := range n.Families {
		if f != IPv4 && f != IPv6 {
			bad("family %d: expected %s or %s", f, IPv4, IPv6)
		} else if n.Role == Switch && c.hop(n, f) == hopNone {
			bad("%s: %s segments %s have no next hop; expected a service address of %s", f, f, n.over(), f)
		}
	}
	if n.Role == Switch && len(n.Families) == 0 && len(c.families(n)) == 0 {
		bad("no segment has a next hop; expected a service address of %s", n.family())
	}
}

// validateOverlap makes sure that one neighbor has one role and one range.
func (c *Config) validateOverlap(n *Neighbor, before []Neighbor, bad func(string, ...any)) {
	for i := range before {
		o := &before[i]
		var clash bool
		switch {
		case n.Address.IsValid() && o.Address.IsValid():
			clash = n.Address == o.Address
		case n.Range.IsValid() && o.Range.IsValid():
			clash = n.Range.Overlaps(o.Range)
		case n.Range.IsValid():
			clash = n.Range.Contains(o.Address) && n.Role != o.Role
		case o.Range.IsValid():
			clash = o.Range.Contains(n.Address) && n.Role != o.Role
		}
		if clash {
			bad("%s, overlaps neighbor %s, %s: expected one entry for each, and one role inside a range", n.Role, o.key(), o.Role)
		}
	}
}

// validateLearning checks what is for virtual routers only.
func (n *Neighbor) validateLearning(bad func(string, ...any)) {
	if n.Role == Switch && (n.Allow != nil || n.MaxPrefixes != 0 || n.Carriers != nil || n.Profile != (Profile{})) {
		bad("allow, max prefixes, carriers and profile are for virtual routers: nothing is learned from a switch")
	}
	for _, p := range n.Allow {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
			bad("allow %s: expected a prefix without bits behind its length", p)
		}
	}
	if n.MaxPrefixes < 0 {
		bad("max prefixes %d: expected 0 or more", n.MaxPrefixes)
	}
	for _, x := range n.Carriers {
		if x < rib.CarrierTunnelEncap || x > rib.CarrierPeer {
			bad("carrier %s: expected %s, %s, %s or %s", x,
				rib.CarrierTunnelEncap, rib.CarrierLargeCommunity, rib.CarrierNextHop, rib.CarrierPeer)
		}
	}
	t := encap.Tunnel{
		VTEP: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Protocol: n.Profile.Protocol,
		InnerDst: n.Profile.InnerDst, InnerSrc: n.Profile.InnerSrc,
	}
	if v := n.Profile.VNI; v != nil {
		t.VNI = *v
	}
	if o := n.Profile.OVN; o != nil {
		t.Options = encap.OVNOptions(o.Inport, o.Outport)
	}
	if err := t.Validate(); err != nil {
		bad("profile: %w", err)
	}
}

type timer struct {
	name        string
	d, min, max time.Duration
}

func (n *Neighbor) timers() []timer {
	return []timer{
		{"hold time", n.HoldTime, 3 * time.Second, math.MaxUint16 * time.Second}, // RFC 4271 section 4.2
		{"keepalive", n.Keepalive, time.Second, math.MaxUint16 * time.Second},
		{"connect retry", n.ConnectRetry, time.Second, time.Hour},
		{"idle hold", n.IdleHold, time.Second, libraryIdleHold},
	}
}

// key names the neighbor: its address or its range.
func (n *Neighbor) key() string {
	if n.Range.IsValid() {
		return n.Range.String()
	}
	return n.Address.String()
}

// prefix is what the addresses of the neighbor lie in.
func (n *Neighbor) prefix() netip.Prefix {
	if n.Range.IsValid() {
		return n.Range
	}
	return netip.PrefixFrom(n.Address, n.Address.BitLen())
}

func (n *Neighbor) name() string {
	if n.Name != "" {
		return n.Name
	}
	return n.key()
}

// family is that of the session itself.
func (n *Neighbor) family() Family {
	if n.Range.IsValid() {
		return FamilyOf(n.Range.Addr())
	}
	return FamilyOf(n.Address)
}

func (n *Neighbor) over() string { return "over a session of " + n.family().String() }

// withDefaults fills in what is zero.
func (n Neighbor) withDefaults(c *Config) Neighbor {
	orElse := func(d *time.Duration, x time.Duration) {
		if *d == 0 {
			*d = x
		}
	}
	if n.Port == 0 {
		n.Port = defaultPort
	}
	orElse(&n.HoldTime, defaultHoldTime)
	orElse(&n.Keepalive, max(time.Second, (n.HoldTime/3).Truncate(time.Second)))
	orElse(&n.ConnectRetry, defaultConnectRetry)
	orElse(&n.IdleHold, defaultIdleHold)
	n.Families = c.families(&n)
	return n
}

// withDefaults checks c and fills in what is zero.
func (c Config) withDefaults() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	if c.SyncWait == 0 {
		c.SyncWait = defaultSyncWait
	}
	if c.CloseWait == 0 {
		c.CloseWait = defaultCloseWait
	}
	neighbors := make([]Neighbor, len(c.Neighbors))
	for i, n := range c.Neighbors {
		neighbors[i] = n.withDefaults(&c)
	}
	c.Neighbors = neighbors
	return c, nil
}
