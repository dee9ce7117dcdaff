package dataplane

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFrameIsACacheLine(t *testing.T) {
	assert.EqualValues(t, 64, unsafe.Sizeof(Frame{}))
	for n := range 20 {
		bursts := newBursts(n)
		require.Len(t, bursts, n)
		for i := range bursts {
			assert.Zero(t, uintptr(unsafe.Pointer(&bursts[i].F[0]))%64, "burst %d of %d", i, n)
		}
	}
}

// attach makes a frame of 10 bytes, 0 to 9, with headroom 20 and tailroom 5.
func attach() *Frame {
	buf := make([]byte, 35)
	for i := range 10 {
		buf[20+i] = byte(i)
	}
	f := new(Frame)
	f.Attach(buf, 20, 10)
	return f
}

func TestAttachSetsEveryField(t *testing.T) {
	clean := attach()
	dirty := &Frame{
		buf: []byte{1}, Cookie: 1, off: 1, end: 1, received: 1, hash: 1, In: 1, Out: 1, mtu: 1,
		Verdict: Forward, Reason: ReasonTxFull, l3: 1, flags: flagIP, Taken: true,
	}
	dirty.Attach(clean.buf, 20, 10)
	assert.Equal(t, *clean, *dirty)
	assert.Equal(t, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, dirty.Bytes())
	assert.Equal(t, 10, dirty.Len())
	assert.Equal(t, 10, dirty.Received())
	assert.Equal(t, 20, dirty.Offset())
	assert.Equal(t, 20, dirty.Headroom())
	assert.Equal(t, 5, dirty.Tailroom())
	assert.Len(t, dirty.Buffer(), 35)
	assert.Nil(t, dirty.Packet())
	assert.Equal(t, Drop, dirty.Verdict, "undecided is dropped")
}

func TestAttachPanics(t *testing.T) {
	buf := make([]byte, 10, 20)
	for _, c := range [][2]int{{-1, 5}, {0, -1}, {5, 6}, {11, 0}, {0, 11}} {
		assert.Panics(t, func() { new(Frame).Attach(buf, c[0], c[1]) }, "%v", c)
	}
	assert.NotPanics(t, func() { new(Frame).Attach(buf, 10, 0) })
}

func TestPrepend(t *testing.T) {
	f := attach()
	room, ok := f.Prepend(4)
	require.True(t, ok)
	require.Len(t, room, 4)
	copy(room, "head")
	assert.Equal(t, "head\x00\x01", string(f.Bytes()[:6]))
	assert.Equal(t, 14, f.Len())
	assert.Equal(t, 10, f.Received(), "what came in does not change")

	for _, n := range []int{17, 1 << 40, -1} {
		_, ok = f.Prepend(n)
		assert.False(t, ok, "%d", n)
		assert.Equal(t, 14, f.Len())
	}
	_, ok = f.Prepend(16)
	assert.True(t, ok)
	assert.Zero(t, f.Headroom())
	room, ok = f.Prepend(0)
	assert.True(t, ok)
	assert.Empty(t, room)
}

func TestExtend(t *testing.T) {
	f := attach()
	room, ok := f.Extend(3)
	require.True(t, ok)
	copy(room, "end")
	assert.Equal(t, "\x09end", string(f.Bytes()[9:]))
	for _, n := range []int{3, 1 << 40, -1} {
		_, ok = f.Extend(n)
		assert.False(t, ok, "%d", n)
		assert.Equal(t, 13, f.Len())
	}
	_, ok = f.Extend(2)
	assert.True(t, ok)
	assert.Zero(t, f.Tailroom())
}

func TestTrim(t *testing.T) {
	f := attach()
	f.TrimFront(2)
	assert.Equal(t, []byte{2, 3, 4, 5, 6, 7, 8, 9}, f.Bytes())
	f.TrimFront(-5)
	assert.Equal(t, 8, f.Len())
	f.TrimTo(20)
	assert.Equal(t, 8, f.Len())
	f.TrimTo(-1)
	assert.Equal(t, 8, f.Len())
	f.TrimTo(3)
	assert.Equal(t, []byte{2, 3, 4}, f.Bytes())
	assert.Equal(t, 10, f.Tailroom())
	f.TrimFront(100)
	assert.Empty(t, f.Bytes())
	assert.Equal(t, 25, f.Headroom())
	f.TrimTo(0)
	assert.Empty(t, f.Bytes())
}

func TestMaxFrame(t *testing.T) {
	assert.Equal(t, 1518, PortInfo{MTU: 1500}.MaxFrame())
}
