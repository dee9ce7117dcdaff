//go:build !amd64

package dataplane

// prefetch has an effect where there is assembly for it.
func prefetch(*Frame, int) {}
