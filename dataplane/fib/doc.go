// Package fib turns bindings into entries that workers look up.
package fib
