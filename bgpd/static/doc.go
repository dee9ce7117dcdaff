// Package static reads bindings from a file.
package static
