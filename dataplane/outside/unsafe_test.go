//go:build linux && amd64 && !race

package outside_test

import "unsafe"

const rusageThread = 1

// address is for system calls: what it points to is on the stack of a goroutine that is outside,
// where it does not move, or in the heap.
func address[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) }

var nilPointer unsafe.Pointer
