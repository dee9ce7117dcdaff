package encap

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// OVN's option, by hand: class 0x0102, type 0x80, one word, inport 2, outport 1.
func TestOVNOptions(t *testing.T) {
	o := OVNOptions(2, 1)
	assert.Equal(t, []byte{0x01, 0x02, 0x80, 0x01, 0x00, 0x02, 0x00, 0x01}, o.AppendTo(nil))
	assert.Equal(t, 8, o.Len())
	assert.True(t, o.Critical())
	assert.Equal(t, "ovn(inport 2, outport 1)", o.String())
	for option := range o.All() {
		in, out, ok := option.OVN()
		assert.True(t, ok)
		assert.EqualValues(t, 2, in)
		assert.EqualValues(t, 1, out)
	}
	assert.Equal(t, []byte{0x01, 0x02, 0x80, 0x01, 0x7f, 0xff, 0xff, 0xff}, OVNOptions(0x7fff, 0xffff).AppendTo(nil))
	assert.NotEqual(t, OVNOptions(1, 2), OVNOptions(2, 1))
}

func TestParseOptions(t *testing.T) {
	cases := []struct {
		name     string
		wire     string
		text     string
		critical bool
		err      string
	}{
		{name: "none", text: "none"},
		{name: "without data", wire: "0103 01 00", text: "0x0103/0x01()"},
		{name: "one", wire: "0103 01 01 00112233", text: "0x0103/0x01(00112233)"},
		{name: "reserved bits are not length", wire: "0103 01 e1 00112233", text: "0x0103/0x01(00112233)"},
		{name: "critical behind uncritical", wire: "ffff 7f 00 0103 80 01 00112233", text: "0xffff/0x7f() 0x0103/0x80(00112233)", critical: true},
		{name: "OVN's class, another length", wire: "0102 80 02 0000000100000002", text: "0x0102/0x80(0000000100000002)", critical: true},
		{name: "the most", wire: "0103 01 05 0000000000000000000000000000000000000000", text: "0x0103/0x01(0000000000000000000000000000000000000000)"},
		{name: "too many", wire: "0103 01 06 000000000000000000000000000000000000000000000000", err: "encap: options: 28 bytes, want at most 24"},
		{name: "not words", wire: "0103 01 00 00", err: "encap: options: 5 bytes, want a multiple of 4"},
		{name: "runs past the end", wire: "0103 01 00 0103 81 02 00112233", err: "encap: options: option 0x0103/0x81 at byte 4 is 12 bytes long, 8 are left"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := wire(t, c.wire)
			o, err := ParseOptions(b)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				assert.Equal(t, Options{}, o)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, len(b), o.Len())
			assert.Equal(t, c.text, o.String())
			assert.Equal(t, c.critical, o.Critical())
			assert.Equal(t, append([]byte("in front"), b...), o.AppendTo([]byte("in front")))
			clear(b)
			assert.Equal(t, c.text, o.String(), "options must not borrow the wire form")
		})
	}
}

// A received chain may be longer than a tunnel's own, and end inside a header.
func TestRawOptions(t *testing.T) {
	long := RawOptions(bytes.Repeat(wire(t, "0103 01 02 0011223344556677"), 21)) // 252 bytes
	require.NoError(t, long.Check())
	assert.Len(t, slices.Collect(long.All()), 21)
	assert.False(t, long.Critical())

	assert.EqualError(t, long[:14].Check(), "encap: options: 2 bytes left at byte 12, want an option header of 4")
	assert.Len(t, slices.Collect(long[:14].All()), 1, "up to the broken one")
	assert.Len(t, slices.Collect(long[:20].All()), 1, "up to the broken one")
	for option := range long.All() {
		assert.Equal(t, len(option.Data), cap(option.Data), "an append must not reach the next option")
		break
	}
}

func TestUnknownCritical(t *testing.T) {
	cases := []struct{ name, wire, unknown string }{
		{"none", "", ""},
		{"uncritical", "0103 01 00", ""},
		{"OVN's", "0102 80 01 00020001", ""},
		{"another behind OVN's", "0102 80 01 00020001 0103 81 00", "0x0103/0x81()"},
		{"OVN's class, another type", "0102 81 01 00020001", "0x0102/0x81(00020001)"},
		{"OVN's with no data", "0102 80 00", "0x0102/0x80()"},
	}
	for _, c := range cases {
		o, ok := RawOptions(wire(t, c.wire)).UnknownCritical()
		assert.Equal(t, c.unknown != "", ok, c.name)
		if ok {
			assert.Equal(t, c.unknown, o.String(), c.name)
		}
	}
}

// FuzzOptions: what ParseOptions takes comes out as it went in and its walk covers
// every byte; what it refuses, it refuses for a reason that can be checked.
func FuzzOptions(f *testing.F) {
	f.Add([]byte{})                                                // none
	f.Add([]byte{1, 2, 0x80, 1, 0, 2, 0, 1})                       // OVN's
	f.Add([]byte{1, 2, 0x80, 1, 0x80, 0, 0, 0})                    // OVN's with the reserved bit: well-formed, refused later
	f.Add([]byte{1, 3, 1, 0, 1, 3, 0x81, 0})                       // two without data, the second critical
	f.Add([]byte{1, 3, 1, 0x1f, 0, 0, 0, 0})                       // 31 words announced, one there
	f.Add([]byte{1, 3, 1, 0xe0})                                   // reserved bits that a 4/4 split would take for length
	f.Add([]byte{1, 3, 1})                                         // ends inside the header
	f.Add(append([]byte{1, 3, 1, 6}, make([]byte, MaxOptions)...)) // well-formed, too long
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOptions(b)
		if err != nil {
			require.Equal(t, Options{}, o)
			require.True(t, len(b) > MaxOptions || RawOptions(b).Check() != nil, "refused without need: %v", err)
			return
		}
		require.Equal(t, string(b), string(o.AppendTo(nil)))
		require.NotEmpty(t, o.String())
		n, critical := 0, false
		for option := range o.All() {
			n += 4 + len(option.Data)
			critical = critical || option.Type >= 0x80
		}
		require.Equal(t, len(b), n)
		require.Equal(t, critical, o.Critical())
	})
}
