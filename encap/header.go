package encap

import "unsafe"

// MinLen and MaxLen bound Header.Len: VXLAN or bare Geneve over IPv4, and Geneve
// over IPv6 behind two VLAN tags with MaxOptions of options.
const (
	MinLen = etherLen + ipv4Len + udpLen + geneveLen + etherLen                          // 64
	MaxLen = etherLen + 2*vlanLen + ipv6Len + udpLen + geneveLen + MaxOptions + etherLen // 116
)

// Lengths in bytes of the headers that make up a tunnel header.
const (
	etherLen  = 14
	vlanLen   = 4
	ipv4Len   = 20
	ipv6Len   = 40
	udpLen    = 8
	geneveLen = 8
	vxlanLen  = 8
)

// Values of type fields.
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeVLAN = 0x8100 // 802.1Q
	etherTypeQinQ = 0x88a8 // 802.1ad
	protoUDP      = 17
)

// form is what Apply has to patch.
type form uint8

const (
	formIPv4     form = iota // IPv4, UDP checksum zero
	formIPv6                 // IPv6, UDP checksum computed
	formIPv6Zero             // IPv6, UDP checksum zero
)

// Header is a tunnel over one way of the underlay, compiled to bytes: all that
// stands in front of the inner IP packet. Compile makes it, and nothing changes
// it after, so any number of goroutines may Apply it. It holds no Go pointers, so
// that it can live off-heap, and is comparable.
//
// The few bytes that Apply computes with come first, so that they share a cache
// line with most of the bytes that it copies.
type Header struct {
	n    uint8 // bytes used of b
	ip   uint8 // where in b the outer IP header begins: 14, or 18 or 22 behind VLAN tags
	form form  // which fields depend on the packet
	_    uint8
	port uint16       // UDP destination port, host order
	sum  uint16       // folded sum of all constant words: of the IPv4 header, or of what UDP over IPv6 covers
	b    [MaxLen]byte // the header, with zeros where Apply writes
}

// A header is 124 bytes, aligned to 2, so that a table entry of 128 bytes has 4
// left: the constants overflow when that moves.
const (
	_ = uint(unsafe.Sizeof(Header{}) - 124)
	_ = uint(124 - unsafe.Sizeof(Header{}))
	_ = uint(2 - unsafe.Alignof(Header{}))
)

// Len is how many bytes Apply writes in front of the inner IP packet, outer and
// inner Ethernet included: 64 for VXLAN or bare Geneve over IPv4, up to MaxLen.
func (h *Header) Len() int { return int(h.n) }

// Overhead is how many bytes longer the outer IP packet is than the inner one: 50
// for VXLAN or bare Geneve over IPv4, 70 over IPv6, plus the options. VLAN tags do
// not count. The largest inner packet of a link is its MTU less this.
func (h *Header) Overhead() int { return int(h.n) - int(h.ip) }

// OuterTCI is where in an Ethernet frame its outermost VLAN tag, if it has one, holds
// the tag control information, two bytes: PCP, DEI, identifier (802.1Q section 9.6).
const OuterTCI = etherLen

// Tagged says whether the header has a VLAN tag, so that what Apply wrote has a tag
// control information at OuterTCI.
func (h *Header) Tagged() bool { return h.ip != etherLen }
