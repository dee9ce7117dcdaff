package demo

import (
	"fmt"
	"io"
	"strings"
)

// report prints each step as it happens and remembers whether every check held.
type report struct {
	w      io.Writer
	step   int
	checks int
	failed []string
}

func (r *report) say(format string, args ...any) { fmt.Fprintf(r.w, format+"\n", args...) }

// next opens a step.
func (r *report) next(format string, args ...any) {
	r.step++
	r.say("\n%d. %s", r.step, fmt.Sprintf(format, args...))
}

// saw tells an observation that is not a check.
func (r *report) saw(format string, args ...any) {
	r.say("          %s", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n          "))
}

// check tells an observation that has to hold.
func (r *report) check(ok bool, format string, args ...any) {
	r.checks++
	what := fmt.Sprintf(format, args...)
	word := "ok      "
	if !ok {
		word = "FAILED  "
		r.failed = append(r.failed, fmt.Sprintf("step %d: %s", r.step, what))
	}
	r.say("  %s%s", word, what)
}

// result is nil when every check held.
func (r *report) result() error {
	if len(r.failed) == 0 {
		return nil
	}
	return fmt.Errorf("demo: %d of %d checks failed:\n  %s", len(r.failed), r.checks, strings.Join(r.failed, "\n  "))
}
