package config

import (
	"fmt"
	"strconv"
	"strings"
)

// numbers reads n decimals of at most max, joined by colons.
func numbers(text string, n int, max uint64) ([]uint32, bool) {
	parts := strings.Split(text, ":")
	if len(parts) != n {
		return nil, false
	}
	out := make([]uint32, n)
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 32)
		if err != nil || v > max {
			return nil, false
		}
		out[i] = uint32(v)
	}
	return out, true
}

// wellKnown are communities that have a name (RFC 1997, RFC 7999, RFC 8326).
var wellKnown = map[string]uint32{
	"graceful-shutdown":   0xffff0000,
	"blackhole":           0xffff029a,
	"no-export":           0xffffff01,
	"no-advertise":        0xffffff02,
	"no-export-subconfed": 0xffffff03,
}

func community(text string) (uint32, string) {
	if c, ok := wellKnown[text]; ok {
		return c, ""
	}
	n, ok := numbers(text, 2, 1<<16-1)
	if !ok {
		return 0, "a community such as 64512:100, or no-export"
	}
	return n[0]<<16 | n[1], ""
}

func largeCommunity(text string) ([3]uint32, string) {
	n, ok := numbers(text, 3, 1<<32-1)
	if !ok {
		return [3]uint32{}, "a large community such as 64512:1:2"
	}
	return [3]uint32(n), ""
}

// ParseCommunity reads a community as the configuration writes it: 64512:100, or the
// name of a well-known one.
func ParseCommunity(text string) (uint32, error) { return parsed(text, community) }

// ParseLargeCommunity reads a large community: 64512:1:2.
func ParseLargeCommunity(text string) ([3]uint32, error) { return parsed(text, largeCommunity) }

func parsed[T any](text string, p parse[T]) (T, error) {
	t, want := p(text)
	if want != "" {
		return t, fmt.Errorf("%q: expected %s", shorten(text), want)
	}
	return t, nil
}

// FormatCommunity is the inverse of ParseCommunity.
func FormatCommunity(c uint32) string {
	for name, v := range wellKnown {
		if v == c {
			return name
		}
	}
	return fmt.Sprintf("%d:%d", c>>16, c&0xffff)
}

// FormatLargeCommunity is the inverse of ParseLargeCommunity.
func FormatLargeCommunity(c [3]uint32) string { return fmt.Sprintf("%d:%d:%d", c[0], c[1], c[2]) }
