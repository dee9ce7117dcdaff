package fib

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// anonymous is private memory of this process. Reserved pages are not accessible
// and count against no limit but that of address space; committed pages take
// physical memory when they are first written.
type anonymous struct {
	huge bool
	maps [][]byte
}

func anonymousMemory(huge bool) (Memory, error) { return &anonymous{huge: huge}, nil }

// Reserve aligns to a huge page, so that the first one is not lost.
func (a *anonymous) Reserve(_ string, size int) ([]byte, error) {
	m, err := unix.Mmap(-1, 0, size+commitStep, unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	a.maps = append(a.maps, m)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(m))) & (commitStep - 1))
	b := m[off : off+size : off+size]
	if a.huge {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without them gives small pages
	}
	return b, nil
}

func (a *anonymous) Commit(region []byte, from, to int) error {
	return unix.Mprotect(region[from:to], unix.PROT_READ|unix.PROT_WRITE)
}

func (a *anonymous) Discard(part []byte) {
	if unix.Madvise(part, unix.MADV_DONTNEED) != nil {
		clear(part)
	}
}

func (a *anonymous) Close() error {
	var errs []error
	for _, m := range a.maps {
		errs = append(errs, unix.Munmap(m))
	}
	a.maps = nil
	return errors.Join(errs...)
}
