package config

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/eipgw/eipgw/dataplane"
)

// Forwarding is what happens to frames that are not simply forwarded.
type Forwarding struct {
	Unbound    dataplane.Refusal // frames for an EIP that nobody has bound
	Unresolved dataplane.Refusal // frames for one whose virtual router the underlay knows no way to
	Oversize   dataplane.Oversize

	Martians      dataplane.Martians
	TinyFragments dataplane.TinyFragments

	ICMP ICMP

	FastLane       FastLane
	FastLaneMemory int // MiB for what the table holds beside its root, where the fast lane is on
}

// FastLane is whether plain frames are forwarded in the kernel.
type FastLane string

// Settings of the fast lane.
const (
	FastLaneOff FastLane = "off"
	FastLaneOn  FastLane = "on"
)

// ICMP is from where and how often the gateway answers with ICMP errors. Limits are
// those of all workers together, answers in a second and at once; a rate of 0 is none.
type ICMP struct {
	Source4, Source6        netip.Addr // zero: of the port, else the service address, else the tunnels' source
	Rate, Burst             int        // to everybody
	SourceRate, SourceBurst int        // to one source prefix
}

// PCP is the priority in VLAN tags of what is sent.
type PCP string

// PCPs.
const (
	PCPNone     PCP = "none"      // 0
	PCPFromDSCP PCP = "from-dscp" // the upper three bits of the outer DSCP
)

// defaultForwarding answers whoever would otherwise wait, at a rate that a network with
// a broken route does not notice and a flood cannot use.
func defaultForwarding() Forwarding {
	return Forwarding{
		Unbound: dataplane.HostUnreachable, Unresolved: dataplane.NetUnreachable,
		ICMP:     ICMP{Rate: 1000, Burst: 200, SourceRate: 50, SourceBurst: 50},
		FastLane: FastLaneOff, FastLaneMemory: 128,
	}
}

// maxLaneMemory is the most MiB that a table can use.
const maxLaneMemory = 8 << 10

// maxICMP is the most answers that a limit can be set to.
const maxICMP = 1_000_000

var (
	refusal   = word(dataplane.Silence, dataplane.NetUnreachable, dataplane.HostUnreachable, dataplane.AdminProhibited)
	icmpRate  = number[int](0, maxICMP, "a number of answers in a second, 0 for no limit")
	icmpBurst = number[int](1, maxICMP, "a number of answers at once")
	laneSize  = number[int](16, maxLaneMemory, "a number of MiB")
	vlanID    = number[uint16](1, 4094, "a VLAN")
)

func (f *Forwarding) read(v value) {
	v.mapping(fields{
		"unbound":        into(&f.Unbound, refusal),
		"unresolved":     into(&f.Unresolved, refusal),
		"oversize":       into(&f.Oversize, word(dataplane.FragmentInner, dataplane.FragmentOuter, dataplane.RefuseOversize)),
		"martians":       into(&f.Martians, word(dataplane.DropMartians, dataplane.AllowMartians)),
		"tiny-fragments": into(&f.TinyFragments, word(dataplane.AllowTinyFragments, dataplane.DropTinyFragments)),
		"icmp":           f.ICMP.read,

		"fast-lane":        into(&f.FastLane, oneOf(FastLaneOff, FastLaneOn)),
		"fast-lane-memory": into(&f.FastLaneMemory, laneSize),
	})
}

func (i *ICMP) read(v value) {
	v.mapping(fields{
		"rate":         into(&i.Rate, icmpRate),
		"burst":        into(&i.Burst, icmpBurst),
		"source-rate":  into(&i.SourceRate, icmpRate),
		"source-burst": into(&i.SourceBurst, icmpBurst),
		"source-ipv4":  into(&i.Source4, source4),
		"source-ipv6":  into(&i.Source6, source6),
	})
}

// Reachable says whether others can reach an address, so that an ICMP error may come
// from it (RFC 1812 section 4.3.2.4, RFC 4443 section 2.2): not 0.0.0.0/8, 240.0.0.0/4,
// loopback, link-local or multicast.
func Reachable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && (a.Is6() || a.As4()[0] != 0 && a.As4()[0] < 224)
}

func source4(text string) (netip.Addr, string) { return reachable(text, address4) }

func source6(text string) (netip.Addr, string) { return reachable(text, address6) }

func reachable(text string, p parse[netip.Addr]) (netip.Addr, string) {
	a, want := p(text)
	if want == "" && !Reachable(a) {
		return netip.Addr{}, "an address that others can reach: not a loopback, link-local or reserved one"
	}
	return a, want
}

// acceptVLANs reads the tags that a port takes. None at all would be a port that takes
// nothing, which nobody means.
func acceptVLANs(dst *[]dataplane.VLAN) func(value) {
	return func(v value) {
		before := len(v.r.problems)
		listOf(dst, tags)(v)
		if len(*dst) == 0 && len(v.r.problems) == before {
			v.bad("nothing: expected at least one of what comes in, such as untagged or 100, or no such key for any")
		}
	}
}

const wantTags = "untagged, a VLAN such as 100, or two such as 100.200, the outer one first, each 1 to 4094"

// tags reads the tags of a frame.
func tags(text string) (v dataplane.VLAN, want string) {
	if text == untagged {
		return v, ""
	}
	outer, inner, two := strings.Cut(text, ".")
	if v.Outer, want = vlanID(outer); want == "" && two {
		v.Inner, want = vlanID(inner)
	}
	if want != "" {
		return dataplane.VLAN{}, wantTags
	}
	return v, ""
}

// untagged is a frame without tags, or with a priority tag only.
const untagged = "untagged"

// FormatTags is the inverse of what ports[].accept-vlans reads.
func FormatTags(v dataplane.VLAN) string {
	switch {
	case v.Outer == 0:
		return untagged
	case v.Inner == 0:
		return strconv.Itoa(int(v.Outer))
	}
	return strconv.Itoa(int(v.Outer)) + "." + strconv.Itoa(int(v.Inner))
}
