package afxdp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
)

// mapping is one memory mapping of a socket in this process.
type mapping struct {
	start, end uint64
	pgoff      uint64
	inode      uint64
}

// socketMappings reads every mapping of a socket from /proc/self/maps, by address.
func socketMappings() (map[uint64]mapping, error) {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("reading this process's mappings: %w", err)
	}
	return parseMappings(text), nil
}

// parseMappings picks the sockets' lines, such as
//
//	7f00a000-7f00c000 rw-s 180000000 00:08 7041    socket:[7041]
func parseMappings(text []byte) map[uint64]mapping {
	found := make(map[uint64]mapping)
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if !bytes.Contains(s.Bytes(), []byte("socket:[")) {
			continue
		}
		var m mapping
		var perms, dev string
		if _, err := fmt.Sscanf(s.Text(), "%x-%x %s %x %s %d", &m.start, &m.end, &perms, &m.pgoff, &dev, &m.inode); err == nil {
			found[m.start] = m
		}
	}
	return found
}

// releaseNew unmaps the socket mappings that are not in before: those that NewSocket has
// made, sizes being their exact lengths by page offset. It returns how many.
func releaseNew(before map[uint64]mapping, sizes map[uint64]uintptr) (int, error) {
	now, err := socketMappings()
	if err != nil {
		return 0, err
	}
	var errs []error
	n := 0
	for start, m := range now {
		if before[start] == m {
			continue
		}
		size, ok := sizes[m.pgoff]
		if !ok || uint64(size) > m.end-m.start {
			continue // of another kind of socket
		}
		if err := unmapForeign(uintptr(start), size); err != nil {
			errs = append(errs, fmt.Errorf("unmapping ring %#x: %w", m.pgoff, err))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
