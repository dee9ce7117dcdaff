package encap

import (
	"encoding/binary"
	"fmt"
)

// VXLANPort is the UDP destination port of VXLAN (RFC 7348 section 5).
const VXLANPort = 4789

// The VXLAN header (RFC 7348 section 5) is drawn in the package comment.
const vxlanVNI = 0x08 // I, first byte: the VNI is valid

// appendVXLAN appends the VXLAN header: reserved bits are zero.
func appendVXLAN(b []byte, t Tunnel) []byte {
	b = append(b, vxlanVNI, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, uint32(t.VNI)<<8)
}

// ParseVXLAN reads the payload of a UDP datagram: VXLAN header, inner Ethernet
// header. It fills the VNI and the inner fields of Parsed and leaves the others
// zero. The result borrows payload.
func ParseVXLAN(payload []byte) (Parsed, error) {
	var p Parsed
	if err := p.vxlan(payload); err != nil {
		return Parsed{}, err
	}
	return p, nil
}

// vxlan fills the VXLAN fields and what lies inside. Reserved bits are ignored, as
// RFC 7348 section 5 wants of a receiver.
func (p *Parsed) vxlan(b []byte) error {
	if len(b) < vxlanLen {
		return fmt.Errorf("encap: VXLAN: %d bytes, want a header of %d", len(b), vxlanLen)
	}
	if b[0]&vxlanVNI == 0 {
		return fmt.Errorf("encap: VXLAN: flags 0x%02x without I (0x%02x), so no VNI", b[0], vxlanVNI)
	}
	p.Protocol = VXLAN
	p.VNI = VNI(binary.BigEndian.Uint32(b[4:]) >> 8)
	return p.inner(b[vxlanLen:])
}
