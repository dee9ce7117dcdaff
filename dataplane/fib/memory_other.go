//go:build !linux

package fib

import "errors"

func anonymousMemory(bool) (Memory, error) {
	return nil, errors.New("fib: off-heap memory is built for Linux only; set TableOptions.Memory")
}
