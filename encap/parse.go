package encap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// ErrNotUDP says that a frame holds no UDP over IP at all, so that a tunnel
// endpoint that sees all traffic of a link can tell other traffic (ARP, BGP) from
// a broken tunnel packet.
var ErrNotUDP = errors.New("no UDP over IP")

// ChecksumState is what a received checksum field says.
type ChecksumState uint8

// Checksum states.
const (
	ChecksumNone ChecksumState = iota // there is none: IPv6 header, or UDP checksum zero
	ChecksumGood
	ChecksumBad
)

// String is "none", "good" or "bad".
func (c ChecksumState) String() string {
	return [...]string{"none", "good", "bad"}[min(c, ChecksumBad)]
}

// Parsed is a tunnel packet taken apart. Its slices borrow the parsed bytes.
type Parsed struct {
	OuterDst, OuterSrc MAC
	Tags               int       // VLAN tags in front of the outer IP header, 0 to 2
	TagType            [2]uint16 // their EtherTypes, 0x8100 or 0x88a8, outermost first
	TCI                [2]uint16 // their tag control information

	Src, Dst  netip.Addr // outer IP
	TOS       uint8      // outer TOS or traffic class
	TTL       uint8      // outer TTL or hop limit
	FlowLabel uint32     // 20 bits; 0 over IPv4

	SrcPort, DstPort uint16 // UDP

	IPChecksum, UDPChecksum ChecksumState

	Protocol Protocol
	VNI      VNI
	Control  bool       // O: a control packet, not data; this and what follows up to Options is Geneve's
	Critical bool       // C: the header claims critical options; Options.Critical has the truth
	Options  RawOptions // well-formed; Options.UnknownCritical is why an endpoint may have to drop

	Frame              []byte // the inner Ethernet frame
	InnerDst, InnerSrc MAC
	InnerType          uint16 // EtherType of the inner frame
	Packet             []byte // what follows the inner Ethernet header
}

// Parse is ParseAs for Geneve.
func Parse(frame []byte) (Parsed, error) { return ParseAs(frame, Geneve) }

// ParseAs takes an Ethernet frame apart: up to two VLAN tags, IPv4 or IPv6, UDP to
// any port, Geneve or VXLAN, inner Ethernet. The protocol is for the caller to know,
// since a VTEP may listen on any port. It refuses what is not well-formed; wrong
// checksums, control packets and unknown critical options are for the caller to
// refuse, who finds them in Parsed. Padding behind the outer IP packet is cut off.
func ParseAs(frame []byte, as Protocol) (Parsed, error) {
	var p Parsed
	udp, pseudo, err := p.outer(frame)
	if err != nil {
		return Parsed{}, err
	}
	payload, err := p.udp(udp, pseudo)
	if err != nil {
		return Parsed{}, err
	}
	if as == VXLAN {
		err = p.vxlan(payload)
	} else {
		err = p.geneve(payload)
	}
	if err != nil {
		return Parsed{}, err
	}
	return p, nil
}

// outer reads Ethernet and IP. It returns the IP payload and the sum of the pseudo
// header but for the UDP length.
func (p *Parsed) outer(b []byte) (udp []byte, pseudo uint32, err error) {
	if len(b) < etherLen {
		return nil, 0, fmt.Errorf("encap: outer Ethernet: %d bytes, want a header of %d", len(b), etherLen)
	}
	p.OuterDst, p.OuterSrc = MAC(b[0:6]), MAC(b[6:12])
	etherType := binary.BigEndian.Uint16(b[12:])
	b = b[etherLen:]
	for etherType == etherTypeVLAN || etherType == etherTypeQinQ {
		if p.Tags == len(p.TCI) {
			return nil, 0, fmt.Errorf("encap: outer Ethernet: more than %d VLAN tags", len(p.TCI))
		}
		if len(b) < vlanLen {
			return nil, 0, fmt.Errorf("encap: outer Ethernet: %d bytes behind EtherType 0x%04x, want a VLAN tag of %d", len(b), etherType, vlanLen)
		}
		p.TagType[p.Tags], p.TCI[p.Tags] = etherType, binary.BigEndian.Uint16(b)
		p.Tags++
		etherType = binary.BigEndian.Uint16(b[2:])
		b = b[vlanLen:]
	}
	switch etherType {
	case etherTypeIPv4:
		return p.ipv4(b)
	case etherTypeIPv6:
		return p.ipv6(b)
	}
	return nil, 0, fmt.Errorf("encap: outer EtherType 0x%04x, want IPv4 or IPv6: %w", etherType, ErrNotUDP)
}

// ipv4 reads an outer IPv4 header (RFC 791 section 3.1).
func (p *Parsed) ipv4(b []byte) (udp []byte, pseudo uint32, err error) {
	if len(b) < ipv4Len {
		return nil, 0, fmt.Errorf("encap: outer IPv4: %d bytes, want a header of %d", len(b), ipv4Len)
	}
	if v := b[0] >> 4; v != 4 {
		return nil, 0, fmt.Errorf("encap: outer IPv4: version %d", v)
	}
	header, total := 4*int(b[0]&0x0f), int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case header < ipv4Len:
		return nil, 0, fmt.Errorf("encap: outer IPv4: header length %d, want at least %d", header, ipv4Len)
	case total < header:
		return nil, 0, fmt.Errorf("encap: outer IPv4: total length %d, shorter than the header of %d", total, header)
	case total > len(b):
		return nil, 0, fmt.Errorf("encap: outer IPv4: total length %d, the frame holds %d", total, len(b))
	case b[9] != protoUDP:
		return nil, 0, fmt.Errorf("encap: outer IPv4: protocol %d, want %d: %w", b[9], protoUDP, ErrNotUDP)
	}
	if frag := binary.BigEndian.Uint16(b[6:]); frag&0x3fff != 0 {
		return nil, 0, fmt.Errorf("encap: outer IPv4: a fragment (flags and offset 0x%04x)", frag)
	}
	p.IPChecksum = checksumState(Checksum(b[:header], 0))
	p.TOS, p.TTL = b[1], b[8]
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	return b[header:total], Sum(b[12:20], protoUDP), nil
}

// ipv6 reads an outer IPv6 header (RFC 8200 section 3). UDP has to follow at once.
func (p *Parsed) ipv6(b []byte) (udp []byte, pseudo uint32, err error) {
	if len(b) < ipv6Len {
		return nil, 0, fmt.Errorf("encap: outer IPv6: %d bytes, want a header of %d", len(b), ipv6Len)
	}
	word := binary.BigEndian.Uint32(b)
	if v := word >> 28; v != 6 {
		return nil, 0, fmt.Errorf("encap: outer IPv6: version %d", v)
	}
	end := ipv6Len + int(binary.BigEndian.Uint16(b[4:]))
	if end > len(b) {
		return nil, 0, fmt.Errorf("encap: outer IPv6: payload length %d, the frame holds %d", end-ipv6Len, len(b)-ipv6Len)
	}
	if b[6] != protoUDP {
		return nil, 0, fmt.Errorf("encap: outer IPv6: next header %d, want %d: %w", b[6], protoUDP, ErrNotUDP)
	}
	p.TOS, p.FlowLabel, p.TTL = uint8(word>>20), word&0xfffff, b[7]
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	return b[ipv6Len:end], Sum(b[8:40], protoUDP), nil
}

// udp reads the UDP header (RFC 768) and returns the payload.
func (p *Parsed) udp(b []byte, pseudo uint32) ([]byte, error) {
	if len(b) < udpLen {
		return nil, fmt.Errorf("encap: outer UDP: %d bytes, want a header of %d", len(b), udpLen)
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < udpLen || length > len(b) {
		return nil, fmt.Errorf("encap: outer UDP: length %d, want %d to %d", length, udpLen, len(b))
	}
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if binary.BigEndian.Uint16(b[6:]) != 0 {
		p.UDPChecksum = checksumState(Checksum(b[:length], pseudo+uint32(length)))
	}
	return b[udpLen:length], nil
}

// checksumState judges the checksum over data that includes the checksum field.
func checksumState(sum uint16) ChecksumState {
	if sum == 0 {
		return ChecksumGood
	}
	return ChecksumBad
}
