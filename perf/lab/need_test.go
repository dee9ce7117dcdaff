package lab_test

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/perf/lab"
)

func runtimeGoexit()    { runtime.Goexit() }
func itoa(n int) string { return strconv.Itoa(n) }

// recorder is a test that notes how it was ended.
type recorder struct{ skipped, failed string }

func (r *recorder) Helper()             {}
func (r *recorder) Name() string        { return "recorder" }
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Cleanup(func())      {}
func (r *recorder) Skip(args ...any)    { r.skipped = fmt.Sprint(args...) }
func (r *recorder) Fatal(args ...any)   { r.failed = fmt.Sprint(args...) }

func TestNeed(t *testing.T) {
	no := lab.That(func() error { return errors.New("needs the moon") })
	yes := lab.That(func() error { return nil })
	odd := lab.LinkKind("no-such-kind")

	t.Setenv(lab.NoSkipEnv, "")
	var r recorder
	lab.Need(&r, yes)
	assert.Equal(t, recorder{}, r)
	lab.Need(&r, yes, no, lab.Tool("no-such-program"))
	assert.Equal(t, recorder{skipped: "needs the moon; needs the program no-such-program"}, r)

	t.Setenv(lab.NoSkipEnv, "1")
	r = recorder{}
	lab.Need(&r, no)
	assert.Empty(t, r.skipped)
	assert.Contains(t, r.failed, "needs the moon")

	r = recorder{}
	lab.Need(&r, odd)
	assert.Contains(t, r.skipped, "no-such-kind")
	r = recorder{}
	lab.Need(&r, lab.Must(odd))
	assert.Contains(t, r.failed, "no-such-kind")
}
