package porttest

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// minFrame is the shortest frame with a mark, and what Ethernet pads to.
const minFrame = 60

// mark opens the UDP payload of every frame of the suite; a sequence number and a
// pattern follow.
const mark = "eipgw-pt"

const (
	ipAt   = 14
	udpAt  = ipAt + 20
	markAt = udpAt + 8
	seqAt  = markAt + len(mark)
	dataAt = seqAt + 4
)

// frame builds the marked frame number seq of size bytes: Ethernet, IPv4, UDP, and a
// payload that differs from byte to byte and from frame to frame.
func (h *Harness) frame(seq, size int) []byte {
	if size < minFrame {
		panic("porttest: a marked frame has at least 60 bytes")
	}
	b := make([]byte, size)
	src := encap.MAC{0x02, 0, 0, 0, 0xee, 1}
	copy(b, h.MAC[:])
	copy(b[6:], src[:])
	b[12], b[13] = 0x08, 0x00

	ip := b[ipAt:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	from, to := netip.AddrFrom4([4]byte{198, 51, 100, 1}).As4(), h.Dst.As4()
	copy(ip[12:], from[:])
	copy(ip[16:], to[:])
	binary.BigEndian.PutUint16(ip[10:], encap.Checksum(ip[:20], 0))

	binary.BigEndian.PutUint16(b[udpAt:], 4000)
	binary.BigEndian.PutUint16(b[udpAt+2:], 9)
	binary.BigEndian.PutUint16(b[udpAt+4:], uint16(len(ip)-20)) // checksum 0: none

	copy(b[markAt:], mark)
	binary.BigEndian.PutUint32(b[seqAt:], uint32(seq))
	for i := dataAt; i < size; i++ {
		b[i] = byte(i*7 + seq)
	}
	return b
}

// frames builds n marked frames from number first on, of sizes all over the range
// from minFrame to largest.
func (h *Harness) frames(first, n, largest int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		seq := first + i
		out[i] = h.frame(seq, minFrame+seq*97%(largest-minFrame+1))
	}
	return out
}

// sized builds frames of the lengths that matter: the largest, those around the harness's
// Edges, and short ones between them.
func (h *Harness) sized() (out [][]byte) {
	add := func(size int) {
		if minFrame <= size && size <= h.largest {
			out = append(out, h.frame(len(out)+1, size))
		}
	}
	for _, edge := range append(h.Edges, h.largest) {
		for d := -2; d <= 2; d++ {
			add(edge + d)
		}
		add(minFrame)
		add(edge)
	}
	return out
}

// tagged is the frame with a VLAN tag put in.
func tagged(frame []byte, vid uint16) []byte {
	tag := binary.BigEndian.AppendUint16([]byte{0x81, 0x00}, vid)
	return append(append(append([]byte{}, frame[:12]...), tag...), frame[12:]...)
}

// ours says whether a frame, possibly with a tag or with bytes in front, carries the
// suite's mark.
func ours(frame []byte) bool { return bytes.Contains(frame, []byte(mark)) }

// sum identifies a frame's bytes.
func sum(frame []byte) uint64 {
	s := fnv.New64a()
	s.Write(frame)
	return s.Sum64()
}
