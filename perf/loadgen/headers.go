package loadgen

import (
	"encoding/binary"
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// Lengths of headers in bytes.
const (
	ethLen  = 14
	ipv4Len = 20
	ipv6Len = 40
	udpLen  = 8

	stampLen = 8 // of the time in a payload, ns of CLOCK_MONOTONIC
)

const (
	protoUDP = 17
	hopLimit = 64 // HOP_LIMIT of the program
)

// template is one frame with zeros where frames differ: four bytes of the source address,
// the low four of the destination, the source port and the checksum over them.
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
	clear(ip[12:16])
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

// varyingSource is the four bytes of the source that the program writes: all of an IPv4
// address, and in IPv6 the second four, by which a /48 is told from others of its /32.
func varyingSource(a netip.Addr) uint32 {
	b := a.AsSlice()
	if a.Is6() {
		b = b[4:]
	}
	return binary.BigEndian.Uint32(b)
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
