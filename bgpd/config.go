package bgpd

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
)

// Role is what a neighbor is to the gateway. The zero value is no role.
type Role uint8

// Roles.
const (
	// Switch gets the announced segments; nothing is taken from it.
	Switch Role = iota + 1

	// VirtualRouter is learned from; nothing is announced to it.
	VirtualRouter
)

var roleNames = [...]string{"none", "switch", "virtual-router"}

// String is the role's name in configuration, tables and JSON.
func (r Role) String() string {
	if int(r) >= len(roleNames) {
		return "unknown"
	}
	return roleNames[r]
}

// MarshalText makes JSON carry the name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	for r := Switch; int(r) < len(roleNames); r++ {
		if roleNames[r] == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("bgpd: role %q: expected %s or %s", s, Switch, VirtualRouter)
}

// NextHop is which of its addresses the gateway announces segments with.
type NextHop uint8

// Next hops.
const (
	// NextHopSession is the gateway's end of the session. A segment of the other
	// family takes the service address of its family, if there is one; else, over
	// an IPv6 session, IPv4 segments take the session's address (RFC 8950).
	NextHopSession NextHop = iota

	// NextHopService is the service address of the segment's family.
	NextHopService
)

// String is the name in configuration.
func (n NextHop) String() string {
	if n == NextHopService {
		return "service"
	}
	return "session"
}

// ParseNextHop reads the name of a next hop.
func ParseNextHop(s string) (NextHop, error) {
	switch s {
	case "session":
		return NextHopSession, nil
	case "service":
		return NextHopService, nil
	}
	return 0, fmt.Errorf("bgpd: next hop %q: expected session or service", s)
}

// Family is an address family of unicast routes.
type Family uint8

// Families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String is the family's name in configuration, tables and JSON.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return "unknown"
}

// MarshalText makes JSON carry the name.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// FamilyOf is the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() || a.Is4In6() {
		return IPv4
	}
	return IPv6
}

// Profile is what the configuration says of a virtual router, for what its routes
// leave out.
type Profile = path.Profile

// OVNPorts are the logical ports that OVN reads from the Geneve option.
type OVNPorts = path.OVNPorts

// Config is everything that a Speaker is made of.
type Config struct {
	ASN      uint32
	RouterID netip.Addr // IPv4

	// Listen is where sessions are accepted; all entries have one port. Empty
	// accepts none: every neighbor is dialed.
	Listen []netip.AddrPort

	// ServiceAddresses are the (anycast) addresses that virtual routers use as next
	// hop: at most one of each family.
	ServiceAddresses []netip.Addr

	NextHop   NextHop
	Neighbors []Neighbor

	// SyncWait is how long a session has to be up and say nothing new until its initial
	// dump counts as finished although no End-of-RIB has come; 0 is 10 s.
	SyncWait time.Duration

	// Updates takes what virtual routers say; OnSource who may say something from
	// now on, before the first Update of that source, or no longer, after the last.
	// New and Reconfigure call OnSource for neighbors by address, the speaker's
	// goroutines both for the rest, one call at a time. They must neither block nor
	// call the speaker. Nil drops.
	Updates  func(rib.Update)
	OnSource func(Source)

	// CloseWait is the longest that Run waits for sessions to end once its context
	// is done; 0 is 3 s.
	CloseWait time.Duration

	// Trace also logs, at debug level, what the BGP library has to say of every
	// message. It costs a tenth of the learning rate.
	Trace bool

	Log *slog.Logger // nil is silent
}

// Neighbor is one configured BGP neighbor, or a range of them.
type Neighbor struct {
	Name string // for people; empty is the address or range

	Address netip.Addr   // either this
	Range   netip.Prefix // or this: whoever connects from it, passive only

	Role Role
	ASN  uint32 // equal to the gateway's is iBGP

	Password  string     // TCP-MD5 (RFC 2385)
	Port      uint16     // to dial; 0 is 179
	Local     netip.Addr // local address to dial from and to be reached at; zero is any
	Interface string     // to bind the session to (VRF or link); empty is none
	Passive   bool       // wait for the neighbor to connect

	// Hops is the TTL of an eBGP session that is not directly connected; 0 and 1
	// are directly connected. TTLSecurity is the largest number of hops that GTSM
	// (RFC 5082) lets through; 0 is without GTSM. At most one of both may be set.
	Hops        uint8
	TTLSecurity uint8

	// Timers are whole seconds.
	HoldTime     time.Duration // 0 is 9 s
	Keepalive    time.Duration // 0 is a third of the hold time
	ConnectRetry time.Duration // 0 is 2 s
	IdleHold     time.Duration // rest after a session ended; 0 is 1 s

	// Families are negotiated; empty is the session's own family and, for switches,
	// the other one if it has a next hop, for virtual routers both.
	Families []Family

	AllowOwnAS uint8 // times that the gateway's AS may occur in a learned AS path

	// What follows is for virtual routers.

	Allow       []netip.Prefix // EIPs that it may claim; nil is every segment, empty is none
	MaxPrefixes int            // claims accepted; 0 is no limit
	Carriers    []rib.Carrier  // parts of a route that are believed; empty is all
	Profile     Profile
}

// Source tells who may claim EIPs.
type Source struct {
	ID          rib.SourceID // the neighbor's address
	Name        string       // of the configured neighbor
	Gone        bool         // no longer a source; the fields below are zero
	Configured  bool         // by address, so that its initial dump can be waited for
	Allow       []netip.Prefix
	MaxPrefixes int
}
