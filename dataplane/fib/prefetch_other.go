//go:build !amd64

package fib

import "unsafe"

// prefetchNodes has an effect where there is assembly for it.
func prefetchNodes(unsafe.Pointer, *Value, *byte, int, int) {}
