package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// An ICMP error by hand: 28 bytes of UDP with TTL 1, quoted as they came.
func TestICMPError(t *testing.T) {
	p := udpWith(to4, https, nil).ttl(1)
	want := []byte{
		0x45, 0xc0, 0, 56, 0, 0, 0x40, 0, 64, 1, 0x04, 0xd1, 10, 255, 0, 1, 198, 51, 100, 1,
		11, 0, 0x5b, 0x56, 0, 0, 0, 0,
		0x45, 0, 0, 28, 0x1d, 0x01, 0, 0, 1, 17, 0x36, 0x94, 198, 51, 100, 1, 203, 0, 113, 7,
		0x9c, 0x40, 0x01, 0xbb, 0, 8, 0xfb, 0xa5,
	}
	got := timeExceeded.about(p, service4).bytes()
	assert.Equal(t, want, got)
}

// The same of ICMPv6: a packet without payload, at its last hop.
func TestICMPv6Error(t *testing.T) {
	want := []byte{
		0x6c, 0, 0, 0, 0, 48, 58, 64,
		0xfd, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		3, 0, 0xcc, 0x43, 0, 0, 0, 0,
		0x60, 0, 0, 0, 0, 0, 59, 1,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0x20, 0x01, 0x0d, 0xb8, 0x0e, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
	}
	assert.Equal(t, want, timeExceeded.about(ip(to6, protoNone, nil).ttl(1), service6).bytes())
}

// RFC 791 section 3.2 by hand: 100 bytes of data behind 24 of header through 68.
func TestCut(t *testing.T) {
	p := ip(to4, protoExperiment, pattern(100)).options(7, 3, 4, 0)
	var headers, offsets, lengths []int
	var more []bool
	for _, f := range p.cut(68) {
		headers, offsets = append(headers, 20+len(f.v4.options)), append(offsets, f.v4.offset)
		lengths, more = append(lengths, len(f.payload)), append(more, f.v4.mf)
	}
	assert.Equal(t, []int{24, 20, 20}, headers, "record route stays with the first")
	assert.Equal(t, []int{40, 48, 12}, lengths)
	assert.Equal(t, []int{0, 40, 88}, offsets)
	assert.Equal(t, []bool{true, true, false}, more)
	assert.Equal(t, []byte{148, 4, 0, 0, 0x82, 3, 9, 0}, copied([]byte{1, 148, 4, 0, 0, 7, 3, 4, 0x82, 3, 9, 0}))
}
