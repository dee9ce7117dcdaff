package dataplane

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// burstMask makes an index below BurstSize that the compiler believes.
const burstMask = BurstSize - 1

const (
	_ = -uint(BurstSize & burstMask) // BurstSize is a power of two ...
	_ = uint(256 - BurstSize)        // ... and a frame's number fits a byte
)

// ForwarderConfig is what a forwarder works with.
type ForwarderConfig struct {
	Reader *fib.Reader // the worker's own
	Ports  []PortInfo  // the ports that frames come from and leave by
	Rules  *Rules      // nil: those of the zero RulesConfig

	// Identification is that of the first outer packet that is fragmented, the next ones
	// count on; 0: any. Whoever compares bytes wants it fixed.
	Identification uint32
}

// Forwarder decides what happens to frames and puts tunnel headers on them. It has
// no I/O and does not change but for its scratch memory, which is why each worker
// has its own.
type Forwarder struct {
	reader *fib.Reader
	rules  *Rules
	ports  []portView // by PortID
	limits *limiter

	r      *rules            // those of the burst, see takeRules
	stuck  int               // how many of its frames have a sound packet and no way
	events [NumEvents]uint64 // since the start
	splits uint64            // bit per frame looked up: too large, and to be cut
	ident  uint32            // see identification

	// What one burst is looked up by: the destinations of its IPv4 packets, n4 of
	// them, the number of the frame that each came from, and what was found.
	n4, n6     int
	idx4, idx6 [BurstSize]uint8
	dst4       [BurstSize]uint32
	dst6       [BurstSize]fib.Addr6
	val4, val6 [BurstSize]fib.Value

	unusual uint64 // bit per frame of the burst that inspect looks at
}

// portView is what the forwarder knows of a port. Its zero value is a port that the
// worker does not have.
type portView struct {
	mac uint64 // its address as a number, 0: frames for any station are for us
	mtu int    // largest IP packet that it sends; 0: no such port
}

// room is how large a packet the way of an entry takes: less than the path and the port
// that sends do by the tunnel's overhead, and as much as the port's largest frame leaves.
func (p portView) room(e *fib.Entry) int {
	return min(int(e.MTU), p.mtu-e.Header.Overhead(), p.mtu+maxLink-e.Header.Len())
}

// NewForwarder makes a forwarder. It panics when two ports share an ID or a port has
// no MTU: the worker checks its ports before.
func NewForwarder(c ForwarderConfig) *Forwarder {
	fw := &Forwarder{reader: c.Reader, rules: c.Rules, limits: newLimiter(), ident: firstIdentification(c.Identification)}
	for _, p := range c.Ports {
		for len(fw.ports) <= int(p.ID) {
			fw.ports = append(fw.ports, portView{})
		}
		if p.MTU <= 0 || fw.ports[p.ID].mtu != 0 {
			panic(fmt.Sprintf("dataplane: port %d (%s): ID is used twice or MTU %d is not positive", p.ID, p.Name, p.MTU))
		}
		fw.ports[p.ID] = portView{mac: macNumber(p.MAC), mtu: p.MTU}
	}
	fw.takeRules()
	return fw
}

// port is what is known of a port, nothing when it is not the worker's.
func (fw *Forwarder) port(id fib.PortID) portView {
	if int(id) < len(fw.ports) {
		return fw.ports[id]
	}
	return portView{}
}

// Process decides about every frame of a burst. Afterwards each has a Verdict: those
// with Forward are encapsulated and have Out, those with Drop have a Reason, and those
// with Reply have both: they were dropped, and are the answer to that now.
//
// Those with Split are encapsulated and have Out, too, but are larger than their way
// takes. They must not be sent as they are: Fragments makes of each the frames that are
// sent in its place. Their Reason is ReasonPacketTooBig, for callers that do not cut
// frames but drop them.
//
// It makes four passes, so that the cache misses of many frames overlap: parse all,
// look all destinations up, find all entries, check and rewrite all. Nothing of a frame is
// changed before it has passed all checks. The burst is one epoch
// of the table: it sees every binding as it was or as it is, and no entry is used
// after End. Nor does a burst see half a change of the rules.
func (fw *Forwarder) Process(b *Burst) {
	fw.takeRules()
	fw.process(b)
}

// takeRules takes what is in force now for the bursts that follow. It is not for outside.
//
//go:noinline
func (fw *Forwarder) takeRules() {
	if r := fw.rules.load(); r != fw.r {
		fw.r = r
	}
}

// outdated says whether takeRules would take others.
func (fw *Forwarder) outdated() bool { return fw.rules.load() != fw.r }

// process is Process by the rules that were taken last.
func (fw *Forwarder) process(b *Burst) {
	fw.stuck = 0
	fw.classify(b)
	if fw.n4+fw.n6 > 0 {
		fw.reader.Begin()
		if fw.n4 > 0 { // a lookup of none still clears its scratch memory
			fw.reader.Lookup4(fw.dst4[:fw.n4], fw.val4[:])
		}
		if fw.n6 > 0 {
			fw.reader.Lookup6(fw.dst6[:fw.n6], fw.val6[:])
		}
		if fw.n4 > 0 {
			fw.rewrite(b, found{frames: fw.idx4[:fw.n4], values: fw.val4[:fw.n4], expired: ReasonTTLExpired})
		}
		if fw.n6 > 0 {
			fw.rewrite(b, found{frames: fw.idx6[:fw.n6], values: fw.val6[:fw.n6], expired: ReasonHopLimitExpired})
		}
		fw.reader.End()
	}
	if fw.stuck > 0 && fw.r.answers.on {
		fw.respond(b)
	}
}

// found is what the lookup found for the frames with these numbers.
type found struct {
	frames  []uint8
	values  []fib.Value
	expired Reason // why they are dropped at their last hop
}

// rewrite makes the third and the fourth pass. The entries are on the stack: they
// are off-heap memory that may be unmapped later, so no pointer to them stays.
//
// A frame that an entry takes is sent on its way: TTL or hop limit goes down by one, what
// was received in front of the IP packet is taken off, VLAN tags included, and the tunnel
// header put on. All others get a Reason. For nearly all frames that is three comparisons,
// which say no as well where the answer takes longer to find.
func (fw *Forwarder) rewrite(b *Burst, in found) {
	var entries [BurstSize]*fib.Entry
	several := fw.reader.Entries(in.values, entries[:])
	for ; several != 0; several &= several - 1 {
		j := bits.TrailingZeros64(several) & burstMask
		entries[j] = fw.reader.Entry(in.values[j], b.F[in.frames[j]&burstMask].hash)
	}
	fw.splits = 0
	tos := &fw.r.tos
	id, most := fib.PortID(0), fw.most(0)
	for j, i := range in.frames {
		f, e := &b.F[i&burstMask], entries[j&burstMask]
		if e == nil || f.flags&flagLastHop != 0 {
			fw.stop(f, in, j)
			continue
		}
		if e.Out != id {
			id, most = e.Out, fw.most(e.Out)
		}
		start, n := int(f.off)+int(f.l3), e.Header.Len()
		size := int(f.end) - start
		if (size > int(e.MTU) || size+n > most || start < n) && !fw.passes(f, j, e) {
			fw.stuck++
			continue
		}
		f.off = uint32(start - n)
		frame := f.buf[f.off:f.end]
		p, inner := frame[n:], encap.Inner{Hash: f.hash}
		if f.flags&flagIPv6 == 0 {
			h := (*[ipv4Len]byte)(p)
			h[8]-- // RFC 1812 section 5.3.1
			binary.BigEndian.PutUint16(h[10:], encap.DecrementTTL(binary.BigEndian.Uint16(h[10:])))
			inner.TOS = tos[h[1]]
		} else {
			h := (*[ipv6Len]byte)(p)
			h[7]-- // RFC 8200 section 3
			inner.TOS, inner.IPv6 = tos[uint8(binary.BigEndian.Uint16(h[:])>>4)], true
		}
		e.Header.Apply(frame, inner)
		f.Out, f.Verdict, f.flags = id, Forward, 0
	}
	if fw.r.pcp {
		setPCP(b, in, &entries)
	}
	if fw.splits != 0 {
		fw.mark(b, in, &entries)
	}
}

// stop gives the Reason to a frame that has no entry or no hop left.
func (fw *Forwarder) stop(f *Frame, in found, j int) {
	fw.stuck++
	switch {
	case in.values[j] == 0:
		f.Reason = ReasonNoBinding
	case f.flags&flagLastHop != 0:
		f.Reason = in.expired
	default:
		f.Reason = ReasonUnresolvedVTEP
	}
}

// most is how long an encapsulated frame may be that a port sends without more ado; less than
// any, when there is something to do with all of them.
func (fw *Forwarder) most(id fib.PortID) int {
	if !fw.r.clamp.empty() {
		return -1
	}
	return fw.port(id).mtu + etherLen
}

// passes says whether the frame that was looked up as number j can take the way of an
// entry after all; if not, it gets the Reason.
func (fw *Forwarder) passes(f *Frame, j int, e *fib.Entry) bool {
	out := fw.port(e.Out)
	if out.mtu == 0 {
		f.Reason = ReasonNoPort
		return false
	}
	start, split := f.off+uint32(f.l3), uint64(0)
	if room := out.room(e); int(f.end-start) > room {
		if !fw.oversize(f, e, room) {
			return false
		}
		split = 1 << (j & burstMask)
	}
	if int(start) < e.Header.Len() {
		f.Reason = ReasonNoHeadroom
		return false
	}
	fw.splits |= split
	if !fw.r.clamp.empty() {
		fw.clampPacket(f, e)
	}
	return true
}

// setPCP gives tagged frames the class of their outer DSCP, its upper three bits, as the
// priority of the outermost tag (802.1Q section 6.9.3).
func setPCP(b *Burst, in found, entries *[BurstSize]*fib.Entry) {
	for j, i := range in.frames {
		f, e := &b.F[i&burstMask], entries[j&burstMask]
		if f.Verdict != Forward || !e.Header.Tagged() {
			continue
		}
		p := f.Bytes()
		ip := p[outerIP(p):]
		class := ip[1] >> 5 // IPv4: TOS
		if ip[0]>>4 == 6 {
			class = ip[0] & 0x0f >> 1 // the upper half of the traffic class
		}
		p[encap.OuterTCI] = p[encap.OuterTCI]&0x1f | class<<5
	}
}
