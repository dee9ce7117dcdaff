package encap

import (
	"encoding/binary"
	"fmt"
)

// GenevePort is the UDP destination port of Geneve (RFC 8926 section 3.3).
const GenevePort = 6081

// The Geneve header (RFC 8926 section 3.4) is drawn in the package comment.
const (
	geneveVersion   = 0
	geneveControl   = 0x80 // O, second byte
	geneveCritical  = 0x40 // C, second byte
	geneveEthernet  = 0x6558
	geneveOptWords  = 0x3f // Opt Len, first byte
	geneveVersShift = 6
)

// appendGeneve appends the Geneve header with its options.
func appendGeneve(b []byte, t Tunnel) []byte {
	var flags byte
	if t.Options.Critical() {
		flags = geneveCritical
	}
	b = append(b, geneveVersion<<geneveVersShift|byte(t.Options.Len()/4), flags)
	b = binary.BigEndian.AppendUint16(b, geneveEthernet)
	b = binary.BigEndian.AppendUint32(b, uint32(t.VNI)<<8)
	return t.Options.AppendTo(b)
}

// ParseGeneve reads the payload of a UDP datagram: Geneve header, options, inner
// Ethernet header. It fills the Geneve and inner fields of Parsed and leaves the
// outer ones zero. The result borrows payload.
func ParseGeneve(payload []byte) (Parsed, error) {
	var p Parsed
	if err := p.geneve(payload); err != nil {
		return Parsed{}, err
	}
	return p, nil
}

// geneve fills the Geneve fields and what lies inside.
func (p *Parsed) geneve(b []byte) error {
	if len(b) < geneveLen {
		return fmt.Errorf("encap: Geneve: %d bytes, want a header of %d", len(b), geneveLen)
	}
	if v := b[0] >> geneveVersShift; v != geneveVersion {
		return fmt.Errorf("encap: Geneve: version %d, want %d", v, geneveVersion)
	}
	options := 4 * int(b[0]&geneveOptWords)
	if options > len(b)-geneveLen {
		return fmt.Errorf("encap: Geneve: %d bytes of options, %d are left", options, len(b)-geneveLen)
	}
	if proto := binary.BigEndian.Uint16(b[2:]); proto != geneveEthernet {
		return fmt.Errorf("encap: Geneve: protocol type 0x%04x, want 0x%04x (Ethernet)", proto, geneveEthernet)
	}
	p.Control = b[1]&geneveControl != 0
	p.Critical = b[1]&geneveCritical != 0
	p.VNI = VNI(binary.BigEndian.Uint32(b[4:]) >> 8)
	b = b[geneveLen:]
	p.Options = RawOptions(b[:options:options])
	if err := p.Options.Check(); err != nil {
		return err
	}
	return p.inner(b[options:])
}

// inner fills the fields of the frame inside the tunnel.
func (p *Parsed) inner(b []byte) error {
	if len(b) < etherLen {
		return fmt.Errorf("encap: inner Ethernet: %d bytes, want a header of %d", len(b), etherLen)
	}
	p.Frame = b
	p.InnerDst, p.InnerSrc = MAC(b[0:6]), MAC(b[6:12])
	p.InnerType = binary.BigEndian.Uint16(b[12:])
	p.Packet = b[etherLen:]
	return nil
}
