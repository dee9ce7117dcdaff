package fib

import "unsafe"

// prefetchNodes has the CPU fetch, for each of the n words that names a node, the line
// of the node that holds the word for the address's last byte; the first address's is last,
// the others' follow at a distance of stride. Unlike a load, it holds nothing up that comes
// after it.
//
//go:noescape
func prefetchNodes(lines unsafe.Pointer, words *Value, last *byte, stride, n int)
