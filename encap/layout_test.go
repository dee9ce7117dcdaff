package encap

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// The lane's program (dataplane/afxdp/bpf/fib.h) reads a Header where it lies.
func TestHeaderLayoutForPrograms(t *testing.T) {
	var h Header
	assert.Zero(t, unsafe.Offsetof(h.n))
	assert.EqualValues(t, 1, unsafe.Offsetof(h.ip))
	assert.EqualValues(t, 2, unsafe.Offsetof(h.form))
	assert.EqualValues(t, 4, unsafe.Offsetof(h.port))
	assert.EqualValues(t, 6, unsafe.Offsetof(h.sum))
	assert.EqualValues(t, 8, unsafe.Offsetof(h.b))
	assert.Equal(t, []form{0, 1, 2}, []form{formIPv4, formIPv6, formIPv6Zero})
}
