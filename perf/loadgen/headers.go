package loadgen

import (
	"encoding/binary"

	"github.com/eipgw/eipgw/encap"
)

// Lengths of headers in bytes.
const (
	ethLen  = 14
	ipv4Len = 20
	ipv6Len = 40
	udpLen  = 8
)

const (
	protoUDP = 17
	hopLimit = 64
)

// template is one frame with zeros where frames differ: the low four bytes of the
// destination address, the source port and the checksum over them.
type template struct {
	frame []byte
	sum   uint32 // of the 16-bit words that the checksum covers, folded
}

func newTemplate(c Config) template {
	f := make([]byte, c.Size)
	copy(f, c.DstMAC[:])
	copy(f[6:], c.SrcMAC[:])
	if c.ipv6() {
		return ipv6Template(f, c)
	}
	return ipv4Template(f, c)
}

// ipv4Template leaves the UDP checksum zero: none (RFC 768).
func ipv4Template(f []byte, c Config) template {
	ip, udp := f[ethLen:], f[ethLen+ipv4Len:]
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	ip[0], ip[8], ip[9] = 0x45, hopLimit, protoUDP
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], c.Source.AsSlice())
	binary.BigEndian.PutUint16(udp[2:], c.Port)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	return template{frame: f, sum: foldedSum(ip[:ipv4Len])}
}

func ipv6Template(f []byte, c Config) template {
	ip, udp := f[ethLen:], f[ethLen+ipv6Len:]
	binary.BigEndian.PutUint16(f[12:], 0x86dd)
	ip[0], ip[6], ip[7] = 0x60, protoUDP, hopLimit
	binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
	copy(ip[8:], c.Source.AsSlice())
	high := c.FirstDst.As16()
	copy(ip[24:36], high[:])
	binary.BigEndian.PutUint16(udp[2:], c.Port)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	// The pseudo-header of RFC 8200 section 8.1, the addresses already in place.
	pseudo := append([]byte{}, ip[8:ipv6Len]...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(udp)))
	pseudo = append(pseudo, 0, 0, 0, protoUDP)
	return template{frame: f, sum: foldedSum(append(pseudo, udp...))}
}

func foldedSum(b []byte) uint32 { return uint32(^encap.Checksum(b, 0)) }

// words are the headers as the program stores them, eight bytes at a time.
func (t template) words() (w [8]uint64) {
	var b [64]byte
	copy(b[:], t.frame)
	for i := range w {
		w[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return w
}
