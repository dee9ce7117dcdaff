package fib

import (
	"unsafe"

	"github.com/eipgw/eipgw/encap"
)

// Entry is a tunnel compiled for one way of the underlay: two cache lines that
// hold all that forwarding needs. It is never changed once readers can see it.
type Entry struct {
	Out    PortID
	MTU    uint16 // largest inner IP packet in bytes
	Header encap.Header
}

const entrySize = 128

// An entry is two cache lines: both constants overflow when the size moves.
const (
	_ = uint(unsafe.Sizeof(Entry{}) - entrySize)
	_ = uint(entrySize - unsafe.Sizeof(Entry{}))
)
