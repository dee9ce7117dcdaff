package main

import (
	"fmt"
	"slices"
	"strings"
)

// answer is what the gateway does about a clause.
type answer string

// Answers. Those that claim something need a case, or a test elsewhere, that proves it.
const (
	complies     answer = "complies"
	configurable answer = "by configuration"
	deliberately answer = "deliberately not"
	elsewhere    answer = "left to others" // the kernel, a virtual router, a host
)

// clause is a clause of a specification and what the gateway makes of it.
type clause struct {
	name   string // as cases cite it: RFC 1812 section 5.3.1
	asks   string // of a gateway such as this
	answer answer
	note   string // how, or why not
	proof  string // tests outside of this package, where cases cannot show it
}

// specification is the clauses under one heading.
type specification struct {
	heading string
	clauses []clause
}

// specifications are all clauses, in the order of the table.
func specifications() []specification {
	return slices.Concat(ipv4Clauses(), icmpClauses(), ipv6Clauses(), fragmentClauses(), transportClauses(), tunnelClauses(), linkClauses(), ownClauses())
}

// grounds are the clauses that a case cites.
func (c *Case) grounds() []string { return strings.Split(c.RFC, ", ") }

// proofs are the cases by clause. It is an error when a case cites a clause that the
// table does not have, when the table has one twice, or when it claims what nothing
// proves.
func proofs(specs []specification, cases []*Case) (map[string][]*Case, error) {
	known := map[string]bool{}
	for _, s := range specs {
		for _, c := range s.clauses {
			if known[c.name] {
				return nil, fmt.Errorf("clause %q is in the table twice", c.name)
			}
			known[c.name] = true
		}
	}
	by := map[string][]*Case{}
	for _, c := range cases {
		for _, g := range c.grounds() {
			if !known[g] {
				return nil, fmt.Errorf("case %s cites %q, which is not in the table of clauses", c.Name, g)
			}
			by[g] = append(by[g], c)
		}
	}
	for _, s := range specs {
		for _, c := range s.clauses {
			claims := c.answer == complies || c.answer == configurable
			if claims && len(by[c.name]) == 0 && c.proof == "" {
				return nil, fmt.Errorf("clause %q is claimed, and no case cites it", c.name)
			}
			if !claims && c.note == "" {
				return nil, fmt.Errorf("clause %q: %s, and no word why", c.name, c.answer)
			}
		}
	}
	return by, nil
}

// compliance is the text of rfccompliance.md.
func compliance(specs []specification, cases []*Case) (string, error) {
	by, err := proofs(specs, cases)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Rules, clause by clause\n\n")
	b.WriteString("Written by pcaps/gen (`go generate ./pcaps`); change it in `gen/clauses_*.go`.\n\n")
	b.WriteString("What each clause asks of a gateway that forwards into tunnels, what this one does about it, and the\n")
	b.WriteString("cases that prove it. Writing fails when a case cites no clause of this table, and when a clause is\n")
	b.WriteString("claimed without a proof.\n\n")
	b.WriteString(summary(specs, len(cases)))
	for _, s := range specs {
		fmt.Fprintf(&b, "\n## %s\n\n| Clause | What it asks | Here | Proof |\n|---|---|---|---|\n", s.heading)
		for _, c := range s.clauses {
			here := string(c.answer)
			if c.note != "" {
				here += ": " + c.note
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.name, c.asks, here, c.proofs(by[c.name]))
		}
	}
	return b.String(), nil
}

// summary counts the clauses by answer.
func summary(specs []specification, cases int) string {
	n := map[answer]int{}
	all := 0
	for _, s := range specs {
		for _, c := range s.clauses {
			n[c.answer]++
			all++
		}
	}
	var parts []string
	for _, a := range []answer{complies, configurable, deliberately, elsewhere} {
		parts = append(parts, fmt.Sprintf("%d %s", n[a], a))
	}
	return fmt.Sprintf("%d clauses: %s. %d cases.\n", all, strings.Join(parts, ", "), cases)
}

// proofs are links to the cases, and the tests elsewhere.
func (c clause) proofs(cases []*Case) string {
	var all []string
	for _, p := range cases {
		all = append(all, fmt.Sprintf("[%s](cases/%s)", p.Name, p.Name))
	}
	if c.proof != "" {
		all = append(all, c.proof)
	}
	return strings.Join(all, ", ")
}
