package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The table is refused when a case cites nothing of it, when it claims what no case
// proves, when it says no without a reason, and when it has a clause twice.
func TestProofs(t *testing.T) {
	table := func(clauses ...clause) []specification { return []specification{{"S", clauses}} }
	citing := func(rfc string) []*Case { return []*Case{{Name: "x", Gateway: Gateway{RFC: rfc}}} }
	proven := clause{name: "RFC 1 section 2", answer: complies}

	by, err := proofs(table(proven), citing("RFC 1 section 2"))
	require.NoError(t, err)
	assert.Len(t, by["RFC 1 section 2"], 1)
	for problem, given := range map[string]struct {
		clauses []clause
		rfc     string
	}{
		"not in the table":   {[]clause{proven}, "RFC 1 section 2, RFC 1 section 3"},
		"no case cites it":   {[]clause{proven, {name: "RFC 1 section 3", answer: configurable}}, "RFC 1 section 2"},
		"and no word why":    {[]clause{proven, {name: "RFC 1 section 3", answer: deliberately}}, "RFC 1 section 2"},
		"in the table twice": {[]clause{proven, proven}, "RFC 1 section 2"},
	} {
		_, err := proofs(table(given.clauses...), citing(given.rfc))
		assert.ErrorContains(t, err, problem)
	}
	_, err = proofs(table(proven, clause{name: "RFC 1 section 3", answer: complies, proof: "a test"}), citing("RFC 1 section 2"))
	assert.NoError(t, err)
}

// What is in the table can stand in it.
func TestClauses(t *testing.T) {
	for _, s := range specifications() {
		for _, c := range s.clauses {
			assert.Regexp(t, `^(RFC \d+( section \d+(\.\d+)*( \([0-9a-z]\))?)?|802\.1\S*( section \d+(\.\d+)*)?|reason \S+|order of the Reasons|fib\.\w+)$`, c.name)
			assert.NotEmpty(t, c.asks, c.name)
			assert.NotContains(t, c.asks+c.note+c.proof, "|", c.name)
		}
	}
}
