package encap

import (
	"encoding/binary"
	"fmt"
)

// Compile turns a tunnel and one way to its VTEP into header bytes. All validation
// happens here, so that Apply needs none; errors name the field, its value and
// what was expected.
func Compile(t Tunnel, o Outer) (Header, error) {
	if err := t.Validate(); err != nil {
		return Header{}, err
	}
	if err := o.validate(t.VTEP); err != nil {
		return Header{}, fmt.Errorf("encap: way to VTEP %s: %w", t.VTEP, err)
	}
	t = t.Canonical()
	h := Header{port: t.Port}
	b := appendEther(h.b[:0], o)
	h.ip = uint8(len(b))
	switch {
	case t.VTEP.Is4():
		b = appendIPv4(b, t, o)
	case o.ZeroChecksum6:
		h.form = formIPv6Zero
		b = appendIPv6(b, t, o)
	default:
		h.form = formIPv6
		b = appendIPv6(b, t, o)
	}
	udp := len(b)
	b = append(b, 0, 0, byte(t.Port>>8), byte(t.Port), 0, 0, 0, 0)
	if t.Protocol == VXLAN {
		b = appendVXLAN(b, t)
	} else {
		b = appendGeneve(b, t)
	}
	b = append(append(b, t.InnerDst[:]...), t.InnerSrc[:]...)
	b = append(b, 0, 0)
	h.n = uint8(len(b))

	if h.form == formIPv4 {
		h.sum = uint16(Sum(b[h.ip:udp], 0))
	} else {
		h.sum = uint16(Sum(b[udp:], Sum(b[h.ip+8:udp], protoUDP)))
	}
	return h, nil
}

// appendEther appends the outer Ethernet header, with its VLAN tags if there are any.
func appendEther(b []byte, o Outer) []byte {
	b = append(append(b, o.Dst[:]...), o.Src[:]...)
	b = o.VLAN.appendTo(b)
	if o.Local.Is4() {
		return binary.BigEndian.AppendUint16(b, etherTypeIPv4)
	}
	return binary.BigEndian.AppendUint16(b, etherTypeIPv6)
}

// appendIPv4 appends the outer IPv4 header, zero where Apply writes: TOS, total
// length, checksum. An atomic datagram's ID is free to be 0 (RFC 6864 section 4.1).
func appendIPv4(b []byte, t Tunnel, o Outer) []byte {
	b = append(b, 0x45, 0, 0, 0) // version 4, header of five words
	b = append(b, 0, 0, 0x40, 0) // ID 0, DF
	b = append(b, o.ttl(), protoUDP, 0, 0)
	b = append(b, o.Local.AsSlice()...)
	return append(b, t.VTEP.AsSlice()...)
}

// appendIPv6 appends the outer IPv6 header, zero where Apply writes: traffic
// class, flow label, payload length.
func appendIPv6(b []byte, t Tunnel, o Outer) []byte {
	b = append(b, 0x60, 0, 0, 0, 0, 0, protoUDP, o.ttl())
	b = append(b, o.Local.AsSlice()...)
	return append(b, t.VTEP.AsSlice()...)
}
