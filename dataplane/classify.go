package dataplane

import (
	"encoding/binary"
	"math/bits"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// EtherTypes.
const (
	typeIPv4 = 0x0800
	typeVLAN = 0x8100 // 802.1Q
	typeIPv6 = 0x86dd
	typeQinQ = 0x88a8 // 802.1ad
)

// Header lengths in bytes.
const (
	etherLen = 14
	vlanLen  = 4
	ipv4Len  = 20
	ipv6Len  = 40
)

// Protocol numbers, which are also IPv6 next header values.
const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoICMPv6      = 58
	protoDestOptions = 60
	protoSCTP        = 132
	protoMobility    = 135
	protoUDPLite     = 136
	protoHIP         = 139
	protoShim6       = 140
)

// classify parses every frame of a burst. A frame that holds a sound IP packet is
// trimmed to it, gets its flow hash, and its destination is listed for lookup; any
// other gets the Reason why not. What few packets have, options, fragments and addresses
// that may be wrong, is noted and looked at afterwards.
//
// Nearly all frames are untagged IPv4 for the port's own address with nothing unusual about
// them: they are parsed here, and nothing is called for them. Whatever speaks against it,
// the frame goes the longer way, through link, which finds the Reason if there is one.
func (fw *Forwarder) classify(b *Burst) {
	fw.n4, fw.n6, fw.unusual = 0, 0, 0
	prefetch(&b.F[0], b.N)
	var in fib.PortID
	own, plain := fw.station(in)
	s := &fw.r.suspects
	for i := range b.F[:b.N] {
		f := &b.F[i]
		if f.In != in {
			in = f.In
			own, plain = fw.station(in)
		}
		f.Verdict, f.Reason, f.l3, f.flags = Drop, ReasonNone, etherLen, 0
		p := f.Bytes()
		if len(p) < plainLen || binary.BigEndian.Uint64(p)>>16 != plain || binary.BigEndian.Uint32(p[12:])>>8 != typeIPv4<<8|0x45 {
			f.Reason = fw.link(f, own, i)
			continue
		}
		h := (*[ipv4Len + 4]byte)(p[etherLen:])
		total, fragment, ttl := binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint16(h[6:])&0x3fff, h[8]
		addrs := binary.BigEndian.Uint64(h[12:])
		if total < ipv4Len+4 || int(total)+etherLen > len(p) || !soundSum((*[ipv4Len]byte)(h[:]), 0) ||
			int(fragment)|int(s.look4(addrs)) != 0 || ttl <= 1 {
			f.Reason = fw.link(f, own, i)
			continue
		}
		transport := uint64(h[9]) << 32
		if hasPorts(h[9]) {
			transport |= uint64(binary.BigEndian.Uint32(h[ipv4Len:]))
		}
		f.flags, f.hash = flagIP, hash4(addrs, transport)
		f.end = f.off + etherLen + uint32(total) // Ethernet padding goes
		n := fw.n4 & burstMask
		fw.dst4[n], fw.idx4[n] = uint32(addrs), uint8(i)
		fw.n4 = n + 1
	}
	if fw.unusual != 0 {
		fw.inspect(b)
	}
}

// plainLen is the shortest frame that classify parses itself: Ethernet, IPv4 without options,
// ports.
const plainLen = etherLen + ipv4Len + 4

// station is a port's address, and the address to which the port takes untagged frames:
// none, when its VLANs do not allow any.
func (fw *Forwarder) station(id fib.PortID) (own, plain uint64) {
	own = fw.port(id).mac
	if plain = own; !fw.r.vlansOf(id).has(VLAN{}) {
		plain = noStation
	}
	return own, plain
}

// noStation is no MAC address.
const noStation = 1 << 63

// link checks the link layer of frame i of the burst, which came in by a port with
// the address own, and goes on with the IP header.
//
//	0        6        12      14
//	+--------+--------+-------+----- - -      destination, source, then up to two tags
//	|  dst   |  src   | type  |               of 4 bytes: 0x8100 or 0x88a8 and TCI,
//	+--------+--------+-------+----- - -      before the type
func (fw *Forwarder) link(f *Frame, own uint64, i int) Reason {
	p := f.Bytes()
	if len(p) < etherLen {
		return ReasonShortFrame
	}
	dst := binary.BigEndian.Uint64(p) >> 16
	if dst&groupBit != 0 {
		return ReasonLinkBroadcast
	}
	if dst != own && own != 0 {
		return ReasonNotForUs
	}
	etherType := binary.BigEndian.Uint16(p[12:])
	l3, v := etherLen, VLAN{}
	for tags := 0; etherType == typeVLAN || etherType == typeQinQ; tags++ {
		if tags == 2 {
			return ReasonEtherType
		}
		if len(p) < l3+vlanLen {
			return ReasonShortFrame
		}
		if vid := binary.BigEndian.Uint16(p[l3:]) & 0xfff; v.Outer == 0 {
			v.Outer = vid // still 0 behind a priority tag (802.1Q section 9.6)
		} else {
			v.Inner = vid
		}
		etherType = binary.BigEndian.Uint16(p[l3+2:])
		l3 += vlanLen
	}
	f.l3 = uint8(l3)
	if !fw.r.vlansOf(f.In).has(v) {
		return ReasonVLAN
	}
	switch etherType {
	case typeIPv4:
		return fw.ipv4(f, p[l3:], i)
	case typeIPv6:
		return fw.ipv6(f, p[l3:], i)
	}
	return ReasonEtherType
}

// groupBit marks broadcast and multicast among MAC addresses held as numbers of 48
// bits, first byte highest (IEEE 802 section 8.2.2).
const groupBit = 1 << 40

// macNumber is the address as such a number.
func macNumber(m encap.MAC) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}

// ipv4 checks an IPv4 header (RFC 1812 section 5.2.2); p is the frame from there on.
//
//	 0                   1                   2                   3
//	+-------+-------+---------------+-------------------------------+
//	|Version|  IHL  |      TOS      |         Total Length          |
//	+-------+-------+---------------+-----+-------------------------+
//	|        Identification         |Flags|     Fragment Offset     |
//	+---------------+---------------+-----+-------------------------+
//	| Time to Live  |   Protocol    |        Header Checksum        |
//	+---------------+---------------+-------------------------------+
//	|                        Source Address                         |
//	+---------------------------------------------------------------+
//	|                     Destination Address                       |
//	+---------------------------------------------------------------+
//	|                    Options, up to 40 bytes                    |
func (fw *Forwarder) ipv4(f *Frame, p []byte, i int) Reason {
	if len(p) < ipv4Len {
		return ReasonShortFrame
	}
	h, header, options := (*[ipv4Len]byte)(p), ipv4Len, uint64(0)
	if h[0] != 0x45 {
		if header = 4 * int(h[0]&0x0f); h[0]>>4 != 4 || header < ipv4Len {
			return ReasonBadIPv4Header
		}
		if len(p) < header {
			return ReasonShortFrame
		}
		options = optionSum(p[ipv4Len:header])
	}
	total := int(binary.BigEndian.Uint16(h[2:]))
	if total < header || total > len(p) {
		return ReasonBadIPv4Header
	}
	if !soundSum(h, options) {
		return ReasonBadIPv4Checksum
	}

	transport := uint64(h[9]) << 32
	fragment := binary.BigEndian.Uint16(h[6:]) & 0x3fff
	if fragment == 0 && hasPorts(h[9]) && header+4 <= total {
		transport |= uint64(binary.BigEndian.Uint32(p[header:]))
	}
	addrs := binary.BigEndian.Uint64(h[12:])
	if int(fw.r.suspects.look4(addrs))|int(fragment)|(header-ipv4Len) != 0 {
		fw.unusual |= 1 << (i & burstMask)
	}
	f.hash = hash4(addrs, transport)
	f.end = f.off + uint32(f.l3) + uint32(total) // Ethernet padding goes
	f.flags = flagIP | lastHop(h[8])
	n := fw.n4 & burstMask
	fw.dst4[n], fw.idx4[n] = uint32(addrs), uint8(i)
	fw.n4 = n + 1
	return ReasonNone
}

// soundSum says whether the one's complement sum of an IPv4 header, of which options
// is the part behind the first 20 bytes, is 0xffff, as it is with a right checksum.
// The order of the bytes does not matter to that (RFC 1071 section 2 B). A sum's
// carries need not be added up: 2^16 is 1 modulo 65535, so the sum is 0xffff when the
// number, which is not 0, is divisible by that.
func soundSum(h *[ipv4Len]byte, options uint64) bool {
	sum, c := bits.Add64(binary.LittleEndian.Uint64(h[0:]), binary.LittleEndian.Uint64(h[8:]), 0)
	sum, c = bits.Add64(sum, options+uint64(binary.LittleEndian.Uint32(h[16:])), c)
	return (sum+c)%0xffff == 0 // 2^64 is 1, too; and a sum that has just carried is small
}

// optionSum adds up to 40 bytes of options, a multiple of 4, without folding.
func optionSum(o []byte) (sum uint64) {
	for ; len(o) >= 4; o = o[4:] {
		sum += uint64(binary.LittleEndian.Uint32(o))
	}
	return sum
}

// ipv6 checks an IPv6 header (RFC 8200 section 3); p is the frame from there on.
//
//	+-------+---------------+---------------------------------------+
//	|Version| Traffic Class |              Flow Label               |
//	+-------+---------------+-------+---------------+---------------+
//	|        Payload Length         |  Next Header  |   Hop Limit   |
//	+-------------------------------+---------------+---------------+
//	|                    Source Address, 16 bytes                   |
//	+---------------------------------------------------------------+
//	|                 Destination Address, 16 bytes                 |
//	+---------------------------------------------------------------+
func (fw *Forwarder) ipv6(f *Frame, p []byte, i int) Reason {
	if len(p) < ipv6Len {
		return ReasonShortFrame
	}
	payload, next := int(binary.BigEndian.Uint16(p[4:])), p[6]
	if p[0]>>4 != 6 || ipv6Len+payload > len(p) {
		return ReasonBadIPv6Header
	}
	if payload == 0 && next == protoHopByHop {
		return ReasonBadIPv6Header // a jumbogram (RFC 2675 section 3)
	}
	src := fib.Addr6{Hi: binary.BigEndian.Uint64(p[8:]), Lo: binary.BigEndian.Uint64(p[16:])}
	dst := fib.Addr6{Hi: binary.BigEndian.Uint64(p[24:]), Lo: binary.BigEndian.Uint64(p[32:])}
	body := p[ipv6Len : ipv6Len+payload]
	if !hasPorts(next) {
		next, body = skipExtensions(next, body)
	}
	if s := &fw.r.suspects; s.first6[src.Hi>>56]|s.first6[dst.Hi>>56]|s.hash6[ownHash6(src)] != 0 || next == protoFragment {
		fw.unusual |= 1 << (i & burstMask)
	}
	transport := uint64(next) << 32
	if hasPorts(next) && len(body) >= 4 {
		transport |= uint64(binary.BigEndian.Uint32(body))
	}
	f.hash = hash6(src, dst, transport)
	f.end = f.off + uint32(f.l3) + ipv6Len + uint32(payload) // Ethernet padding goes
	f.flags = flagIP | flagIPv6 | lastHop(p[7])
	n := fw.n6 & burstMask
	fw.dst6[n], fw.idx6[n] = dst, uint8(i)
	fw.n6 = n + 1
	return ReasonNone
}

// lastHop is the flag of a packet that arrived with this TTL or hop limit.
func lastHop(ttl uint8) frameFlags {
	if ttl <= 1 {
		return flagLastHop
	}
	return 0
}

// hasPorts says whether the protocol's header opens with source and destination port.
func hasPorts(proto uint8) bool {
	return proto == protoTCP || proto == protoUDP || proto == protoSCTP || proto == protoUDPLite
}
