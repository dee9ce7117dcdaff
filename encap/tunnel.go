package encap

import (
	"fmt"
	"net"
	"net/netip"
)

// MAC is an IEEE 802 48-bit Ethernet address in wire order.
type MAC [6]byte

// String is the address in colon form, 02:00:00:00:00:0b.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsZero says whether no address is set.
func (m MAC) IsZero() bool { return m == MAC{} }

// isGroup says whether the address is multicast or broadcast.
func (m MAC) isGroup() bool { return m[0]&1 != 0 }

// ParseMAC reads a 48-bit address in any form that net.ParseMAC takes.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("encap: %q is not a 48-bit Ethernet address, such as 02:00:00:00:00:0b", s)
	}
	return MAC(hw), nil
}

// VNI is a virtual network identifier; 24 bits go on the wire.
type VNI uint32

// MaxVNI is the largest identifier that fits the header.
const MaxVNI VNI = 1<<24 - 1

// Protocol is a tunnel protocol. The zero value is Geneve.
type Protocol uint8

// Tunnel protocols.
const (
	Geneve Protocol = iota // RFC 8926
	VXLAN                  // RFC 7348
)

// String is the protocol's name in lower case.
func (p Protocol) String() string {
	switch p {
	case Geneve:
		return "geneve"
	case VXLAN:
		return "vxlan"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// ParseProtocol reads a protocol's name.
func ParseProtocol(s string) (Protocol, error) {
	for p := Geneve; p <= VXLAN; p++ {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("encap: %q is not a tunnel protocol, want %s or %s", s, Geneve, VXLAN)
}

// Port is the protocol's own UDP destination port.
func (p Protocol) Port() uint16 {
	if p == VXLAN {
		return VXLANPort
	}
	return GenevePort
}

// Default inner Ethernet addresses, locally administered: used where a binding
// names none. A virtual router that filters on the destination address is given
// its own by the binding or by its neighbor's profile.
var (
	DefaultInnerSrc = MAC{0x02, 'e', 'i', 'p', 'g', 'w'}
	DefaultInnerDst = MAC{0x02, 'e', 'i', 'p', 'v', 'r'}
)

// Tunnel is what a binding says of the way to a virtual router. It holds nothing
// of the underlay, so it is the same on every gateway. It is comparable: equal
// tunnels share one compiled entry.
type Tunnel struct {
	VTEP     netip.Addr // outer destination; never an IPv4-mapped IPv6 address
	VNI      VNI
	Protocol Protocol
	Port     uint16  // UDP destination port; 0 is the protocol's own, Protocol.Port
	InnerDst MAC     // inner Ethernet destination; zero is DefaultInnerDst
	InnerSrc MAC     // inner Ethernet source; zero is DefaultInnerSrc
	Options  Options // Geneve's only
}

// Canonical is t with its defaults filled in: tunnels whose canonical forms are
// equal put the same bytes on the wire.
func (t Tunnel) Canonical() Tunnel {
	if t.Port == 0 {
		t.Port = t.Protocol.Port()
	}
	if t.InnerDst.IsZero() {
		t.InnerDst = DefaultInnerDst
	}
	if t.InnerSrc.IsZero() {
		t.InnerSrc = DefaultInnerSrc
	}
	return t
}

// String is the tunnel in one line, "geneve 10.0.2.11:6081 vni 5001 inner
// 02:65:69:70:67:77 > 02:65:69:70:76:72 options none".
func (t Tunnel) String() string {
	t = t.Canonical()
	return fmt.Sprintf("%s %s vni %d inner %s > %s options %s",
		t.Protocol, netip.AddrPortFrom(t.VTEP, t.Port), t.VNI, t.InnerSrc, t.InnerDst, t.Options)
}

// defaultTTL is the outer TTL or hop limit where none is configured.
const defaultTTL = 64

// Outer is what the underlay says of the way to a VTEP: one next hop.
type Outer struct {
	Src, Dst MAC        // outer Ethernet
	VLAN     VLAN       // tags in front of the outer IP header
	Local    netip.Addr // outer IP source, of the VTEP's family
	TTL      uint8      // outer TTL or hop limit; 0 is 64

	// ZeroChecksum6 sends UDP checksum zero over IPv6 (RFC 6935) instead of
	// computing it. Over IPv4 the checksum is always zero (RFC 8926 section 4.3, RFC
	// 7348 section 5).
	ZeroChecksum6 bool
}

// Inner is what Header.Apply has to know of the packet that it encapsulates.
type Inner struct {
	// Hash is the flow hash: its low 14 bits make the UDP source port 0xC000 | hash,
	// its high 20 bits are the outer IPv6 flow label (RFC 6438).
	Hash uint32

	TOS  uint8 // IPv4 TOS or IPv6 traffic class, copied to the outer header (RFC 6040 normal mode)
	IPv6 bool  // family of the inner packet: its EtherType in the inner Ethernet header
}
