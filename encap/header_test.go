package encap

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A table entry has 128 bytes, 4 of them its own. The bytes that Apply computes
// with lie in front of those that it copies, and nothing in it is a pointer.
func TestHeaderLayout(t *testing.T) {
	assert.EqualValues(t, 124, unsafe.Sizeof(Header{}))
	assert.EqualValues(t, 2, unsafe.Alignof(Header{}))
	assert.LessOrEqual(t, unsafe.Offsetof(Header{}.b), uintptr(10))
	assert.Len(t, Header{}.b, MaxLen)
	assert.Equal(t, 64, MinLen)
	assert.Equal(t, 116, MaxLen)
	typ := reflect.TypeFor[Header]()
	for i := range typ.NumField() {
		switch k := typ.Field(i).Type.Kind(); k {
		case reflect.Uint8, reflect.Uint16:
		case reflect.Array:
			assert.Equal(t, reflect.Uint8, typ.Field(i).Type.Elem().Kind())
		default:
			t.Errorf("field %s is a %s", typ.Field(i).Name, k)
		}
	}
}

// The smallest and the largest header, and what VLAN tags add to either length.
func TestHeaderLengths(t *testing.T) {
	r := newRandom(5)
	full, err := ParseOptions(append([]byte{0xff, 0, 0, 5}, r.bytes(20)...))
	require.NoError(t, err)
	for _, v6 := range []bool{false, true} {
		bare := 64
		if v6 {
			bare = 84
		}
		for vlan, extra := range map[VLAN]int{{}: 0, {C: 100}: 4, {S: 100}: 4, {S: 100, C: 200}: 8} {
			for _, options := range []Options{{}, OVNOptions(1, 1), full} {
				tunnel, o := r.tunnel(v6), r.outer(v6)
				tunnel.Protocol, tunnel.Options, o.VLAN = Geneve, options, vlan
				h := mustCompile(t, tunnel, o)
				assert.Equal(t, bare+options.Len()+extra, h.Len())
				assert.Equal(t, bare+options.Len()-14, h.Overhead())
				assert.Equal(t, extra > 0, h.Tagged())

				tunnel.Protocol, tunnel.Options = VXLAN, Options{}
				h = mustCompile(t, tunnel, o)
				assert.Equal(t, bare+extra, h.Len(), "VXLAN is as long as bare Geneve")
				assert.Equal(t, bare-14, h.Overhead())
			}
		}
	}
}

// What the packet path calls for a single value has to cost no call.
func TestInlining(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, f := range []string{"(*Header).Len", "(*Header).Overhead", "(*Header).Tagged", "Checksum", "UpdateChecksum", "DecrementTTL", "putUDP", "fold", "lastBytes"} {
		assert.True(t, strings.Contains(string(out), "can inline "+f+"\n"), "%s is not inlined", f)
	}
	assert.Contains(t, string(out), "pkt does not escape")
}
