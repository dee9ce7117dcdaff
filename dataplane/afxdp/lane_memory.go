package afxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// laneRegions are the regions of a table that the program reads, and what it calls them.
var laneRegions = map[string]string{"root4": "fib_root4", "slots": "fib_slots", "lines": "fib_lines"}

// laneMemory is memory for a table of which the lane's program reads some regions in
// place: those are arrays of the kernel's, mapped into this process. An array is taken
// as a whole when it is made and can't grow; its pages are small ones.
type laneMemory struct {
	fib.Memory // of all other regions
	lane       *Lane
	arrays     [][]byte // mapped
}

// Memory is the memory of the one table that the lane forwards by. The table closes it.
func (l *Lane) Memory() (fib.Memory, error) {
	rest, err := fib.AnonymousMemory(true)
	if err != nil {
		return nil, err
	}
	return &laneMemory{Memory: rest, lane: l}, nil
}

// Reserve implements fib.Memory.
func (m *laneMemory) Reserve(name string, size int) ([]byte, error) {
	as, shared := laneRegions[name]
	if !shared {
		return m.Memory.Reserve(name, size)
	}
	b, err := m.lane.array(as, size)
	if err != nil {
		return nil, fmt.Errorf("afxdp: fast lane: a BPF array of %d MiB, which is memory of the kernel's: %w", size>>20, explainBPF(err))
	}
	m.arrays = append(m.arrays, b)
	return b, nil
}

// array makes a shared array of whole pages and maps it.
func (l *Lane) array(name string, size int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	spec, err := loadLane()
	if err != nil {
		return nil, err
	}
	s := spec.Maps[name]
	if l.maps[name] != nil || size%int(s.ValueSize) != 0 {
		return nil, fmt.Errorf("%s: %d bytes: there is one already, or that is no multiple of %d", name, size, s.ValueSize)
	}
	s.MaxEntries = uint32(size) / s.ValueSize
	a, err := ebpf.NewMap(s)
	if err != nil {
		return nil, err
	}
	b, err := unix.Mmap(a.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	l.maps[name] = a
	return b, nil
}

// own says whether memory is that of an array.
func (m *laneMemory) own(b []byte) bool {
	for _, a := range m.arrays {
		if owns(a, b) {
			return true
		}
	}
	return false
}

// Commit implements fib.Memory. An array is there from the start.
func (m *laneMemory) Commit(region []byte, from, to int) error {
	if m.own(region) {
		return nil
	}
	return m.Memory.Commit(region, from, to)
}

// Discard implements fib.Memory. An array's pages can't be given back.
func (m *laneMemory) Discard(part []byte) {
	if m.own(part) {
		clear(part)
		return
	}
	m.Memory.Discard(part)
}

// Close implements fib.Memory. The arrays stay as long as a program reads them.
func (m *laneMemory) Close() error {
	errs := []error{m.Memory.Close()}
	for _, a := range m.arrays {
		errs = append(errs, unix.Munmap(a))
	}
	m.arrays = nil
	return errors.Join(errs...)
}
