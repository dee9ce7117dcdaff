package e2e

import (
	"fmt"
	"strings"
)

// scan reads the value behind a label in a daemon's listing.
func scan(text, label string, into any) {
	if _, rest, ok := strings.Cut(text, label); ok {
		_, _ = fmt.Sscan(rest, into) // a value that is not there stays zero, and the test says so
	}
}
