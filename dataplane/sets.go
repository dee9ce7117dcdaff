package dataplane

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// vlanSet is the tags that a port takes. The zero value takes all.
type vlanSet struct{ tags []VLAN }

func (s vlanSet) has(v VLAN) bool { return len(s.tags) == 0 || slices.Contains(s.tags, v) }

// maxVID is the largest VLAN identifier; 4095 is reserved (802.1Q table 9-2).
const maxVID = 4094

func compileVLANs(by map[fib.PortID][]VLAN) ([]vlanSet, error) {
	var sets []vlanSet
	for id, tags := range by {
		for _, v := range tags {
			if v.Outer > maxVID || v.Inner > maxVID || v.Outer == 0 && v.Inner != 0 {
				return nil, fmt.Errorf("port %d: VLAN %d.%d: expected identifiers up to %d, the outer one not 0 in front of an inner one", id, v.Outer, v.Inner, maxVID)
			}
		}
		for len(sets) <= int(id) {
			sets = append(sets, vlanSet{})
		}
		sets[id].tags = slices.Clone(tags)
	}
	return sets, nil
}

// vlansOf is the tags that a port takes.
func (r *rules) vlansOf(id fib.PortID) vlanSet {
	if int(id) < len(r.vlans) {
		return r.vlans[id]
	}
	return vlanSet{}
}

// has says whether a port, of which sets has the tags by PortID, takes these.
func has(sets []vlanSet, id fib.PortID, v VLAN) bool {
	return int(id) >= len(sets) || sets[id].has(v)
}

// prefixSet says yes or no for an address: what its longest prefix says, no without
// one. It is sorted runs of addresses that get the same answer, found by bisection. The
// zero value says no.
type prefixSet struct {
	from4 []uint32
	from6 []fib.Addr6
	yes4  []bool
	yes6  []bool
}

func newPrefixSet(by map[netip.Prefix]bool) prefixSet {
	var s prefixSet
	if !slices.Contains(slices.Collect(maps.Values(by)), true) {
		return s
	}
	by = networks(by)
	lookup := longest(by)
	for _, a := range edges(by) {
		if a.Is4() {
			s.from4, s.yes4 = append(s.from4, number4(a)), append(s.yes4, lookup(a))
		} else {
			s.from6, s.yes6 = append(s.from6, number6(a)), append(s.yes6, lookup(a))
		}
	}
	return s
}

// networks is by with prefixes that are networks: without bits behind their lengths. Of two
// that are the same network then, yes counts.
func networks(by map[netip.Prefix]bool) map[netip.Prefix]bool {
	out := make(map[netip.Prefix]bool, len(by))
	for p, yes := range by {
		out[p.Masked()] = yes || out[p.Masked()]
	}
	return out
}

// edges is where runs of equal answers may begin, in order: both ends of every prefix.
func edges(by map[netip.Prefix]bool) []netip.Addr {
	set := map[netip.Addr]bool{}
	for p := range by {
		set[p.Addr()] = true
		if after := lastOf(p).Next(); after.IsValid() {
			set[after] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), netip.Addr.Compare)
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func longest(by map[netip.Prefix]bool) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		for bits := a.BitLen(); bits >= 0; bits-- {
			if yes, ok := by[netip.PrefixFrom(a, bits).Masked()]; ok {
				return yes
			}
		}
		return false
	}
}

func (s *prefixSet) empty() bool { return len(s.from4)+len(s.from6) == 0 }

func (s *prefixSet) has4(a uint32) bool {
	lo, hi := 0, len(s.from4)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); s.from4[mid] <= a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo > 0 && s.yes4[lo-1]
}

func (s *prefixSet) has6(a fib.Addr6) bool {
	lo, hi := 0, len(s.from6)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); !less6(a, s.from6[mid]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo > 0 && s.yes6[lo-1]
}

func less6(a, b fib.Addr6) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func number6(a netip.Addr) fib.Addr6 {
	b := a.As16()
	return fib.Addr6{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}
