package fib

import "unsafe"

// lookupDense is lookupDenseGo for n addresses from dst on, one at least. What the compiler
// makes of that has half as many instructions again, so that the processor has fewer loads
// under way.
//
//go:noescape
func lookupDense(root, lines unsafe.Pointer, dst *uint32, out *Value, n int) bool
