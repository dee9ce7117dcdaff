package encap

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// RFC 1071 section 3 sums 00 01 f2 03 f4 f5 f6 f7 to ddf2.
func TestSumRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	assert.EqualValues(t, 0xddf2, Sum(b, 0))
	assert.EqualValues(t, 0x220d, Checksum(b, 0))
}

func TestSumAgainstNaive(t *testing.T) {
	r := newRandom(10)
	buf := r.bytes(4096)
	for n := range 700 { // every path by length, at every alignment
		b := buf[n%8 : n%8+n]
		require.Equal(t, naiveChecksum(b), Checksum(b, 0), "length %d", n)
	}
	for range 2000 {
		b := buf[r.IntN(100):][:r.IntN(3000)]
		require.Equal(t, naiveChecksum(b), Checksum(b, 0), "length %d", len(b))
	}
}

// Carries out of every chain and of every fold: bytes that are all ones, or nearly.
func TestSumCarries(t *testing.T) {
	r := newRandom(11)
	for n := range 400 {
		ones := make([]byte, n)
		for i := range ones {
			ones[i] = 0xff
		}
		require.Equal(t, naiveChecksum(ones), Checksum(ones, 0), "length %d", n)
		for range min(n, 10) {
			ones[r.IntN(n)] -= byte(r.IntN(2))
			require.Equal(t, naiveChecksum(ones), Checksum(ones, 0), "%x", ones)
		}
	}
}

// A sum goes on where another ended, from any initial value, with the result
// folded; zero comes of zeros alone.
func TestSumInitial(t *testing.T) {
	r := newRandom(12)
	for _, initial := range []uint32{0, 1, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0x1ffff, 0xfffeffff, 0xffff0000, 0xffffffff} {
		for range 200 {
			b := r.bytes(r.IntN(200))
			head := binary.BigEndian.AppendUint32(nil, initial)
			require.Equal(t, naiveChecksum(append(head, b...)), Checksum(b, initial), "initial 0x%x, %x", initial, b)
			require.LessOrEqual(t, Sum(b, initial), uint32(0xffff))
			even := len(b) / 2 / 2 * 2
			require.Equal(t, Sum(b, initial), Sum(b[even:], Sum(b[:even], initial)))
		}
	}
	assert.Zero(t, Sum(make([]byte, 100), 0))
	assert.EqualValues(t, 0xffff, Sum(make([]byte, 100), 0xffff))
}

// RFC 1624 section 4: the example by which equation 2 goes wrong and 3 does not.
func TestUpdateChecksumRFC1624(t *testing.T) {
	assert.EqualValues(t, 0x0000, UpdateChecksum(0xdd2f, Change{Old: 0x5555, New: 0x3285}))
}

// corners are the words at which one's complement sums wrap.
var corners = []uint16{0x0000, 0x0001, 0x00ff, 0x0100, 0x7fff, 0x8000, 0xfefe, 0xfeff, 0xff00, 0xff01, 0xfffe, 0xffff}

// Against the sum from scratch, for data of two words, all values of one of them
// and of the change drawn from corners and at random.
func TestUpdateChecksumAgainstRecomputation(t *testing.T) {
	r := newRandom(13)
	check := func(other, before, after uint16) {
		if other == 0 && (before == 0 || after == 0) {
			return // data all zero, which no header is
		}
		was := ^uint16(fold(uint64(other) + uint64(before)))
		want := ^uint16(fold(uint64(other) + uint64(after)))
		if got := UpdateChecksum(was, Change{Old: before, New: after}); got != want {
			t.Fatalf("other 0x%04x, 0x%04x to 0x%04x: got 0x%04x, want 0x%04x", other, before, after, got, want)
		}
	}
	for other := range 1 << 16 {
		for _, before := range corners {
			for _, after := range corners {
				check(uint16(other), before, after)
			}
			check(uint16(other), before, uint16(r.Uint32()))
			check(uint16(other), uint16(r.Uint32()), before)
		}
	}
}

// Every checksum, every TTL that may be decremented: the rest of the header is
// whatever gives this checksum.
func TestDecrementTTLAgainstRecomputation(t *testing.T) {
	for _, proto := range []uint16{0, 17, 255} {
		for ttl := uint16(1); ttl < 256; ttl += 1 + proto/2 {
			before, after := ttl<<8|proto, (ttl-1)<<8|proto
			for other := range uint64(1 << 16) {
				if other == 0 && after == 0 {
					continue // data all zero, which no header is
				}
				was := ^uint16(fold(other + uint64(before)))
				want := ^uint16(fold(other + uint64(after)))
				if got := DecrementTTL(was); got != want {
					t.Fatalf("other 0x%04x, TTL %d, protocol %d: got 0x%04x, want 0x%04x", other, ttl, proto, got, want)
				}
				if got := UpdateChecksum(was, Change{Old: before, New: after}); got != want {
					t.Fatalf("other 0x%04x, TTL %d, protocol %d: update gave 0x%04x, want 0x%04x", other, ttl, proto, got, want)
				}
			}
		}
	}
}

// A sender may write 0xffff where 0 is meant (RFC 1624 section 3); the header that
// leaves is right all the same.
func TestDecrementTTLNegativeZero(t *testing.T) {
	h := wire(t, `45 00 00 1c 00 01 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02`)
	binary.BigEndian.PutUint16(h[4:], Checksum(h[:20], 0)+1) // the ID makes the sum 0xffff
	require.Zero(t, Checksum(h, 0))
	binary.BigEndian.PutUint16(h[10:], 0xffff)
	require.Zero(t, Checksum(h, 0), "0xffff verifies like 0")
	h[8]--
	binary.BigEndian.PutUint16(h[10:], DecrementTTL(0xffff))
	assert.Zero(t, naiveChecksum(h))
	assert.Equal(t, DecrementTTL(0), DecrementTTL(0xffff))
}

// FuzzSum splits data at an even place and compares with the naive sum.
func FuzzSum(f *testing.F) {
	f.Add([]byte{}, uint16(0))                                                                   // nothing
	f.Add([]byte{0xff}, uint16(0))                                                               // one odd byte is a high half
	f.Add([]byte{0xff, 0xff, 0, 1}, uint16(2))                                                   // end-around carry between the parts
	f.Add([]byte("sixty-four bytes make one round of the loop, three more the tail"), uint16(6)) // block and split
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		even := min(int(at), len(b)) &^ 1
		assert.Equal(t, naiveChecksum(b), Checksum(b[even:], Sum(b[:even], 0)))
	})
}
