package fib

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
)

// Value is what the table holds for an address. 0 is no binding; any other names
// the tunnels of a binding, see Reader.Entry. Bindings with equal tunnels have
// equal values.
type Value uint32

// Addr6 is an IPv6 address as two numbers in host byte order.
type Addr6 struct{ Hi, Lo uint64 }

// Addr6From is an IPv6 address in the form that Lookup6 takes.
func Addr6From(a netip.Addr) Addr6 {
	b := a.As16()
	return Addr6{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

// TableOptions are the choices in a table. The zero value is a good table.
type TableOptions struct {
	HugePages bool // ask the kernel for transparent huge pages (MADV_HUGEPAGE)
	Poison    bool // overwrite freed memory, so that a reader that still holds it shows; for tests
}

// Table is the lookup table that workers read, each by a Reader of its own, and
// that one Compiler writes.
type Table struct {
	mu      sync.RWMutex
	closed  bool
	readers int
	lpm     map[netip.Prefix]Value
	sets    map[Value]*tunnelSet
}

// NewTable makes an empty table.
func NewTable(_ TableOptions) (*Table, error) {
	return &Table{lpm: map[netip.Prefix]Value{}, sets: map[Value]*tunnelSet{}}, nil
}

// Close gives the table's memory back. It fails while a reader is open. Twice is
// harmless.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers > 0 {
		return errors.New("fib: close table: readers are still open")
	}
	t.closed = true
	return nil
}

func (t *Table) lookup(a netip.Addr) (netip.Prefix, Value) {
	for bits := a.BitLen(); bits >= 0; bits-- {
		p, err := a.Prefix(bits)
		if err != nil {
			break
		}
		if v := t.lpm[p]; v != 0 {
			return p, v
		}
	}
	return netip.Prefix{}, 0
}
