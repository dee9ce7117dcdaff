//go:build !amd64

package fib

import "unsafe"

func lookupDense(root, lines unsafe.Pointer, dst *uint32, out *Value, n int) bool {
	return lookupDenseGo(root, lines, unsafe.Slice(dst, n), unsafe.Slice(out, n))
}
