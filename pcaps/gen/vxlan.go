package main

import "encoding/binary"

// vxlanPort is VXLAN's UDP destination port (RFC 7348 section 5).
const vxlanPort = 4789

// vxlan is a VXLAN header (RFC 7348 section 5):
//
//	reserved 4 | I 1 | reserved 3 | reserved 24
//	VNI 24 | reserved 8
type vxlan struct{ vni uint32 }

func (h vxlan) over(payload []byte) []byte {
	b := make([]byte, 8)
	b[0] = 1 << 3
	binary.BigEndian.PutUint32(b[4:], h.vni<<8)
	return append(b, payload...)
}
