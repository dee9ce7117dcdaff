package encap

// Header is a tunnel compiled to bytes: all that stands in front of the inner IP
// packet. It holds no Go pointers, so that entries can live off-heap.
type Header struct {
	n    uint8 // bytes used
	meta [9]byte
	b    [114]byte
}

// Len is how many bytes Apply puts in front of the inner IP packet.
func (h *Header) Len() int { return int(h.n) }
