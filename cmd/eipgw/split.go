package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// maxParts bounds what one split makes, as a power of two.
const maxPartsLog = 10

// splitParts are the parts of a wanted segment, with its attributes and its MSS clamping.
func splitParts(s segmentSet, split admin.Split) ([]config.Segment, error) {
	whole, _, ok := s.get(split.Prefix)
	if !ok {
		return nil, &admin.Problem{Kind: admin.ErrNotFound, Text: fmt.Sprintf("%s is no wanted segment: `eipgw show segments` lists them", split.Prefix)}
	}
	bits, most := split.Prefix.Bits(), split.Prefix.Addr().BitLen()
	if split.Length <= bits || split.Length > most || split.Length-bits > maxPartsLog {
		return nil, invalid("split %s into /%d: expected /%d to /%d, for at most %d parts", split.Prefix, split.Length, bits+1, min(bits+maxPartsLog, most), 1<<maxPartsLog)
	}
	var parts []config.Segment
	for a, ok := split.Prefix.Addr(), true; ok && split.Prefix.Contains(a); {
		part := whole
		part.Prefix = netip.PrefixFrom(a, split.Length)
		parts = append(parts, part)
		a, ok = behind(part.Prefix)
	}
	return parts, nil
}

// behind is the first address behind p; there is none behind the last of all.
func behind(p netip.Prefix) (netip.Addr, bool) {
	b := p.Addr().AsSlice()
	for i := p.Bits() - 1; i >= 0; i-- {
		bit := byte(0x80) >> (i % 8)
		b[i/8] ^= bit
		if b[i/8]&bit != 0 {
			a, _ := netip.AddrFromSlice(b)
			return a, true
		}
	}
	return netip.Addr{}, false
}

// mergeParts is the segment in place of all that lie inside it, and those. What spec
// does not say it has from them, where they agree.
func mergeParts(s segmentSet, spec admin.SegmentSpec) (whole config.Segment, inside []netip.Prefix, err error) {
	if whole, err = segmentOf(spec); err != nil {
		return whole, nil, err
	}
	inherit := spec.Communities == nil && spec.LargeCommunities == nil && spec.MED == nil
	var first *config.Segment
	for _, seg := range s.list() {
		if seg.Prefix.Bits() <= spec.Prefix.Bits() || !spec.Prefix.Contains(seg.Prefix.Addr()) {
			continue
		}
		inside = append(inside, seg.Prefix)
		switch {
		case first == nil:
			first = &seg
		case inherit && !sameAttributes(first.Segment, seg.Segment):
			return whole, nil, invalid("merge %s: %s and %s have different attributes: expected --community, --large-community or --med to say what the merged one has",
				spec.Prefix, first.Prefix, seg.Prefix)
		case spec.MSSClamp == nil && first.ClampMSS != seg.ClampMSS:
			return whole, nil, invalid("merge %s: of %s and %s one has its MSS clamped and one has not: expected --mss-clamp or --mss-clamp=false to say what the merged one has",
				spec.Prefix, first.Prefix, seg.Prefix)
		}
	}
	if first == nil {
		return whole, nil, &admin.Problem{Kind: admin.ErrNotFound, Text: fmt.Sprintf("merge %s: no wanted segment lies inside it", spec.Prefix)}
	}
	if inherit {
		whole.Communities, whole.LargeCommunities, whole.MED = first.Communities, first.LargeCommunities, first.MED
	}
	if spec.MSSClamp == nil {
		whole.ClampMSS = first.ClampMSS
	}
	return whole, inside, nil
}

func sameAttributes(a, b rib.Segment) bool {
	med := func(s rib.Segment) uint64 {
		if s.MED == nil {
			return 1 << 32
		}
		return uint64(*s.MED)
	}
	return med(a) == med(b) && slices.Equal(a.Communities, b.Communities) && slices.Equal(a.LargeCommunities, b.LargeCommunities)
}
