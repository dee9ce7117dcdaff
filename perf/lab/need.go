package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// NoSkipEnv names the variable that turns every skip into a failure when it is 1,
// so that a continuous-integration run cannot pass by running nothing.
const NoSkipEnv = "EIPGW_NO_SKIP"

// TB is the part of testing.TB that this package uses. It keeps the testing
// package out of programs that import lab.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Skip(args ...any)
	Fatal(args ...any)
	Cleanup(func())
}

// Cond is something that a test needs of the machine.
type Cond struct {
	check    func() error
	optional bool
}

// Root is the privilege to make namespaces and links.
var Root = Cond{check: func() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root")
	}
	return nil
}}

// Tool is a program that has to be in PATH.
func Tool(name string) Cond {
	return Cond{check: func() error {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("needs the program %s", name)
		}
		return nil
	}}
}

// LinkKind is a kind of link, such as "vlan", that the running kernel has to
// support. A kernel without it cannot be helped by installing something, so this
// one skips even where skips are failures; wrap it in Must to refuse that.
func LinkKind(kind string) Cond {
	return Cond{optional: true, check: func() error { return probeLinkKind(kind) }}
}

// That is a condition of the caller's own.
func That(check func() error) Cond { return Cond{check: check} }

// Must makes c one whose absence is a failure where skips are failures.
func Must(c Cond) Cond { c.optional = false; return c }

// Need skips the test unless all of conds hold, and fails it instead when
// EIPGW_NO_SKIP=1. It is the only place where a test may skip.
func Need(t TB, conds ...Cond) {
	t.Helper()
	var missing []string
	optional := true
	for _, c := range conds {
		if err := c.check(); err != nil {
			missing = append(missing, err.Error())
			optional = optional && c.optional
		}
	}
	switch {
	case len(missing) == 0:
	case os.Getenv(NoSkipEnv) == "1" && !optional:
		t.Fatal("skipping is a failure here (" + NoSkipEnv + "=1): " + strings.Join(missing, "; "))
	default:
		t.Skip(strings.Join(missing, "; "))
	}
}
