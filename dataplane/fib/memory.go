package fib

import (
	"fmt"
	"unsafe"
)

// Memory is where the table's regions come from. A table only ever addresses a
// region by index and never moves one, so a region can as well be shared: with
// another process, or with an in-kernel program through a mapped array.
//
// The table's writer makes all calls.
type Memory interface {
	// Reserve sets size bytes of address space aside, aligned to a page, under the
	// region's name. Nothing may touch them before Commit.
	Reserve(name string, size int) ([]byte, error)

	// Commit makes the bytes [from, to) of a reserved region usable. They read as
	// zero. Both ends are multiples of commitStep or the region's end.
	Commit(region []byte, from, to int) error

	// Discard makes committed, page-aligned bytes read as zero again and gives what
	// backs them back. Readers may be reading them.
	Discard(part []byte)

	// Close gives all regions back.
	Close() error
}

// AnonymousMemory is what a table has by default: private memory of this process, in
// transparent huge pages if the kernel is to be asked for them.
func AnonymousMemory(huge bool) (Memory, error) { return anonymousMemory(huge) }

// commitStep is the least that a growing region commits: a huge page.
const commitStep = 2 << 20

// region is reserved address space of which the first committed bytes are usable.
// The table's writer owns it.
type region struct {
	name      string
	mem       Memory
	buf       []byte
	base      unsafe.Pointer
	committed int
}

func reserve(mem Memory, name string, size int) (region, error) {
	buf, err := mem.Reserve(name, size)
	if err != nil {
		return region{}, fmt.Errorf("fib: reserve %d MiB of address space for region %q: %w", size>>20, name, err)
	}
	return region{name: name, mem: mem, buf: buf, base: unsafe.Pointer(unsafe.SliceData(buf))}, nil
}

// commit makes at least the first n bytes usable. It grows by an eighth, so that
// growing costs a system call now and then.
func (r *region) commit(n int) error {
	if n <= r.committed {
		return nil
	}
	if n > len(r.buf) {
		return fmt.Errorf("fib: region %q is full: needs %d bytes, has %d", r.name, n, len(r.buf))
	}
	to := max(n, r.committed+r.committed/8)
	to = min((to+commitStep-1)/commitStep*commitStep, len(r.buf))
	if err := r.mem.Commit(r.buf, r.committed, to); err != nil {
		return fmt.Errorf("fib: commit %d bytes of region %q: %w", to, r.name, err)
	}
	r.committed = to
	return nil
}

// word is the i-th 32-bit word of a region.
func (r *region) word(i uint32) *uint32 { return wordAt(r.base, uintptr(i)) }

func wordAt(base unsafe.Pointer, i uintptr) *uint32 { return (*uint32)(unsafe.Add(base, i<<2)) }
