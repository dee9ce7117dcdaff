package afxdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// segments is what the program's prefix maps hold: segments are redirected, and the
// gateway's own addresses, which may lie inside a segment, are passed on to the kernel
// because they are longer prefixes. Interface.mu guards it.
type segments struct {
	maps  *filterMaps
	want  []netip.Prefix
	local []netip.Addr
	have  map[netip.Prefix]filterAction // in the kernel now
	sure  sureSegments                  // the same for the lane's program

	settled bool // all of have is in sure
}

// newSegments is that of an interface whose maps are empty.
func (i *Interface) newSegments() segments {
	return segments{
		maps: &i.objs.filterMaps, have: make(map[netip.Prefix]filterAction),
		sure: i.lane.segments,
	}
}

// SetSegments replaces the prefixes whose frames are redirected, of both families. A
// prefix that stays is never without its entry meanwhile. After an error some of the
// changes may be in force; another call makes good for them.
func (i *Interface) SetSegments(prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
			return fmt.Errorf("afxdp: %s: segment %v: expected a masked IPv4 or IPv6 prefix", i.cfg.Name, p)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return fmt.Errorf("afxdp: %s: segments: %w", i.cfg.Name, ErrClosed)
	}
	i.segments.want = slices.Clone(prefixes)
	return i.applySegments()
}

// SetLocal replaces the addresses that are the gateway's own: frames for them go to the
// kernel although they lie inside a segment.
func (i *Interface) SetLocal(addrs []netip.Addr) error {
	for _, a := range addrs {
		if !a.IsValid() || a.Is4In6() {
			return fmt.Errorf("afxdp: %s: local address %v: expected an IPv4 or IPv6 address", i.cfg.Name, a)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return fmt.Errorf("afxdp: %s: local addresses: %w", i.cfg.Name, ErrClosed)
	}
	i.segments.local = slices.Clone(addrs)
	return i.applySegments()
}

func (i *Interface) applySegments() error {
	if err := i.segments.apply(); err != nil {
		return fmt.Errorf("afxdp: %s: %w", i.cfg.Name, err)
	}
	return nil
}

// target is what the kernel is to hold.
func (s *segments) target() map[netip.Prefix]filterAction {
	t := make(map[netip.Prefix]filterAction, len(s.want)+len(s.local))
	for _, p := range s.want {
		t[p] = filterActionACTION_REDIRECT
	}
	for _, a := range s.local {
		a = a.WithZone("")
		t[netip.PrefixFrom(a, a.BitLen())] = filterActionACTION_PASS
	}
	return t
}

// change is one write to a prefix map.
type change struct {
	prefix netip.Prefix
	action filterAction
	remove bool
}

// plan is the way from have to want. Own addresses come first and go last, so that none
// of them is ever redirected; new segments come before old ones go, so that an address
// that is covered before and after is covered all the time.
func plan(have, want map[netip.Prefix]filterAction) []change {
	const steps = 4
	var step [steps][]change
	for p, a := range want {
		if old, ok := have[p]; ok && old == a {
			continue
		}
		n := 0
		if a == filterActionACTION_REDIRECT {
			n = 1
		}
		step[n] = append(step[n], change{prefix: p, action: a})
	}
	for p, a := range have {
		if _, ok := want[p]; ok {
			continue
		}
		n := 2
		if a == filterActionACTION_PASS {
			n = 3
		}
		step[n] = append(step[n], change{prefix: p, remove: true})
	}
	return slices.Concat(step[:]...)
}

// apply brings the kernel from have to the target.
func (s *segments) apply() error {
	target := s.target()
	if err := s.fits(target); err != nil {
		return err
	}
	changes := plan(s.have, target)
	if len(changes) == 0 && s.settled {
		return nil
	}
	s.settled = false
	s.sure.narrow(target)
	for _, c := range changes {
		if err := s.write(c); err != nil {
			return err
		}
		if c.remove {
			delete(s.have, c.prefix)
		} else {
			s.have[c.prefix] = c.action
		}
	}
	s.sure.widen(s.have)
	s.settled = true
	return nil
}

// fits says why the maps have no room for the way to the target, on which what comes is
// in before what goes is out.
func (s *segments) fits(target map[netip.Prefix]filterAction) error {
	var want, most [2]int // IPv4, IPv6
	for p := range target {
		want[p.Addr().BitLen()/128]++
	}
	most = want
	for p := range s.have {
		if _, stays := target[p]; !stays {
			most[p.Addr().BitLen()/128]++
		}
	}
	for k, m := range []*ebpf.Map{s.maps.Segments4, s.maps.Segments6} {
		family, limit := []string{"IPv4", "IPv6"}[k], int(m.MaxEntries())
		switch {
		case want[k] > limit:
			return fmt.Errorf("%d %s segments and own addresses: expected at most %d", want[k], family, limit)
		case most[k] > limit:
			return fmt.Errorf("%d %s segments and own addresses while old ones give way to new ones: expected at most %d: change fewer at a time",
				most[k], family, limit)
		}
	}
	return nil
}

func (s *segments) write(c change) error {
	m, key := s.maps.Segments6, any(filterPrefix6{Bits: uint32(c.prefix.Bits()), Addr: c.prefix.Addr().As16()})
	if c.prefix.Addr().Is4() {
		m, key = s.maps.Segments4, filterPrefix4{Bits: uint32(c.prefix.Bits()), Addr: c.prefix.Addr().As4()}
	}
	if c.remove {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("removing segment %v from the filter: %w", c.prefix, err)
		}
		return nil
	}
	err := m.Put(key, c.action)
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("adding segment %v to the filter: it holds %d prefixes per family at most: %w", c.prefix, m.MaxEntries(), err)
	}
	if err != nil {
		return fmt.Errorf("adding segment %v to the filter: %w", c.prefix, err)
	}
	return nil
}

// redirected returns the prefixes that are redirected now, in address order.
func (s *segments) redirected() []netip.Prefix {
	var out []netip.Prefix
	for p, a := range s.have {
		if a == filterActionACTION_REDIRECT {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return out
}
