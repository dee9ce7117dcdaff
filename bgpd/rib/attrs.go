package rib

import (
	"cmp"
	"encoding/binary"
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// attrs is everything of a path but its prefix, path ID and time. A router says
// the same of all its EIPs, so paths share it. It never changes.
type attrs struct {
	src       *source
	tunnel    [1]encap.Tunnel // canonical; an array, so that it can be handed over as a slice
	router    netip.Addr
	localPref uint32
	med       uint32
	asPathLen uint16
	origin    uint8
	carrier   Carrier
}

// attrTable interns attrs, counting references. The queue's lock guards it, but for
// at: a slot that is referenced is never written.
type attrTable struct {
	slots []*attrs
	refs  []uint32
	index map[attrs]uint32
	free  []uint32
}

func newAttrTable() attrTable {
	return attrTable{slots: make([]*attrs, 1), refs: make([]uint32, 1), index: map[attrs]uint32{}}
}

// intern returns the index of a, never 0, with one reference for the caller.
func (t *attrTable) intern(a attrs) uint32 {
	if i, ok := t.index[a]; ok {
		t.refs[i]++
		return i
	}
	i := uint32(len(t.slots))
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
		t.slots[i], t.refs[i] = &a, 1
	} else {
		t.slots, t.refs = append(t.slots, &a), append(t.refs, 1)
	}
	t.index[a] = i
	return i
}

// release gives one reference back. 0 is harmless.
func (t *attrTable) release(i uint32) {
	if i == 0 {
		return
	}
	if t.refs[i]--; t.refs[i] > 0 {
		return
	}
	delete(t.index, *t.slots[i])
	t.slots[i] = nil
	t.free = append(t.free, i)
}

// same says whether two claims of one source differ in prefix, ID and time only.
func (p *Path) same(o *Path) bool {
	return p.Tunnel == o.Tunnel && p.Router == o.Router && p.Carrier == o.Carrier &&
		p.LocalPref == o.LocalPref && p.ASPathLen == o.ASPathLen && p.Origin == o.Origin && p.MED == o.MED
}

func (p *Path) attrs(src *source) attrs {
	return attrs{
		src: src, tunnel: [1]encap.Tunnel{p.Tunnel.Canonical()}, router: p.Router,
		localPref: p.LocalPref, med: p.MED, asPathLen: p.ASPathLen, origin: p.Origin, carrier: p.Carrier,
	}
}

// refused says in words why policy refuses a claim with these attributes.
func (a *attrs) refused(reason RefuseReason) string {
	if reason == RefuseVTEPInSegment {
		return "VTEP " + a.tunnel[0].VTEP.String() + " lies inside the segments: switches would send its tunnel packets back here"
	}
	return a.src.details[reason]
}

// compareTunnels orders canonical tunnels, by VTEP first. It has no meaning beyond
// being the same everywhere.
func compareTunnels(a, b encap.Tunnel) int {
	if a == b {
		return 0
	}
	return cmp.Or(
		a.VTEP.Compare(b.VTEP), cmp.Compare(a.VNI, b.VNI), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port),
		compareMACs(a.InnerDst, b.InnerDst), compareMACs(a.InnerSrc, b.InnerSrc),
		cmp.Compare(string(a.Options.AppendTo(nil)), string(b.Options.AppendTo(nil))),
	)
}

func compareMACs(a, b encap.MAC) int {
	var x, y [8]byte
	copy(x[2:], a[:])
	copy(y[2:], b[:])
	return cmp.Compare(binary.BigEndian.Uint64(x[:]), binary.BigEndian.Uint64(y[:]))
}
