//go:build linux && amd64

package perf_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ownModule = "github.com/eipgw/eipgw/"

// A pinned worker runs outside of Go's runtime (package dataplane/outside): from these functions
// on, by all that they call. Interfaces are not followed: whatever is called by them is here too.
var outsideRoots = []string{
	"dataplane.(*Worker).poll",
	"dataplane/afxdp.(*Port).Rx", "dataplane/afxdp.(*Port).Tx", "dataplane/afxdp.(*Port).Flush",
	"dataplane/afxdp.(*Port).Release", "dataplane/afxdp.(*Port).FD",
	"dataplane.uptime",
}

// outsideIndirect is where functions are called that the compiler does not know, how many at most,
// and which these are.
var outsideIndirect = map[string]struct {
	most int
	what string
}{
	"dataplane.(*Worker).round":  {3, "Rx, Flush and Release of the ports"},
	"dataplane.(*Worker).send":   {1, "Tx"},
	"dataplane.(*pacer).wait":    {2, "FD; and Wait, which only a worker inside calls"},
	"dataplane.(*limiter).allow": {1, "the limiter's clock, uptime"},
}

// notOutside are functions that are called inside only, by which flag. They are not followed.
var notOutside = map[string]string{
	"dataplane.(*Worker).received":      "Worker.later",
	"dataplane.(*Worker).note":          "Worker.later",
	"dataplane.(*Forwarder).takeRules":  "Worker.out",
	"dataplane.sleep":                   "pacer.out",
	"dataplane.pollAny":                 "pacer.out",
	"dataplane/afxdp.(*Port).recovered": "Port.out",
	"dataplane/afxdp.(*Port).fail":      "Port.out",
	"dataplane/afxdp.(*Port).refuse":    "Port.out",
}

// fitOutside are functions of others that need no runtime: they neither allocate nor wait, and
// know nothing of P. Of those that panic, the process ends anyway.
var fitOutside = []string{
	"runtime.memmove", "runtime.memclrNoHeapPointers", "runtime.memequal", "runtime.duffzero", "runtime.duffcopy",
	"runtime.ifaceeq", "runtime.panicBounds", "runtime.panicdivide", "runtime.panicshift", "runtime.morestack_noctxt",
	"syscall.RawSyscall", "syscall.RawSyscall6", "golang.org/x/sys/unix.RawSyscall", "golang.org/x/sys/unix.RawSyscall6",
	"hash/maphash.Bytes", "time.Now", "time.Since", "time.Time.Sub", "time.runtimeNano", "time.runtimeIsBubbled",
}

// outsideStack is how deep the stack may become, of the 8 KiB that there are: what functions of
// others take is not counted.
const outsideStack = 6 << 10

// machineCode is a function of the program.
type machineCode struct {
	frame    int // bytes of stack, the return address included
	calls    []string
	indirect int
}

var (
	callOf  = regexp.MustCompile(`\t(?:CALL|JMP) (\S+)\(SB\)`)
	callAny = regexp.MustCompile(`\tCALL `)
	frameOf = regexp.MustCompile(`\t(?:SUBQ \$(0x[0-9a-f]+)|ADDQ \$-(0x[0-9a-f]+)), SP\b`)
)

// disassemble builds the gateway, as it is delivered, and returns the module's functions.
func disassemble(t *testing.T) map[string]*machineCode {
	t.Helper()
	file := t.TempDir() + "/eipgw"
	out, err := exec.Command("go", "build", "-o", file, "../cmd/eipgw").CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command("go", "tool", "objdump", "-s", "^"+ownModule, file).Output()
	require.NoError(t, err)
	all := map[string]*machineCode{}
	var f *machineCode
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(line, "TEXT "+ownModule); ok {
			name, _, _ = strings.Cut(name, "(SB)")
			name = strings.TrimSuffix(name, ".abi0")
			if f = all[name]; f == nil { // else the other of a function in assembly and its wrapper
				f = &machineCode{frame: 16} // and the frame pointer
				all[name] = f
			}
			continue
		}
		if m := frameOf.FindStringSubmatch(line); m != nil {
			n, err := strconv.ParseInt(m[1]+m[2], 0, 32)
			require.NoError(t, err, line)
			f.frame = max(f.frame, 16+int(n))
		}
		if m := callOf.FindStringSubmatch(line); m != nil {
			f.calls = append(f.calls, strings.TrimSuffix(m[1], ".abi0"))
		} else if callAny.MatchString(line) {
			f.indirect++
		}
	}
	require.Greater(t, len(all), 1000, "hardly any functions: has the format changed?")
	return all
}

// outsideWalk goes from function to function.
type outsideWalk struct {
	t      *testing.T
	all    map[string]*machineCode
	depth  map[string]int // bytes of stack that a function and what it calls take
	before []string       // those that are being gone through
	left   map[string]bool
}

// follow returns how deep the stack becomes.
func (w *outsideWalk) follow(name string) int {
	if d, ok := w.depth[name]; ok {
		return d
	}
	way := strings.Join(append(w.before, name), " > ")
	if !assert.NotContains(w.t, w.before, name, "it calls itself: %s", way) {
		return 0
	}
	f := w.all[name]
	if !assert.NotNil(w.t, f, "no such function: %s", way) {
		return 0
	}
	assert.LessOrEqual(w.t, f.indirect, outsideIndirect[name].most, "%s calls what is not known; expected: %s", way, outsideIndirect[name].what)
	w.before = append(w.before, name)
	deepest := 0
	for _, callee := range f.calls {
		own, ok := strings.CutPrefix(callee, ownModule)
		switch {
		case !ok:
			assert.True(w.t, slices.Contains(fitOutside, callee), "%s calls %s", way, callee)
		case own == name: // a loop's jump to the beginning
		case notOutside[own] != "":
			w.left[own] = true
		default:
			deepest = max(deepest, w.follow(own))
		}
	}
	w.before = w.before[:len(w.before)-1]
	w.depth[name] = f.frame + deepest
	return w.depth[name]
}

// TestOutside goes through the machine code of all that runs outside of the runtime. A call that
// allocates, a write barrier, a lock: each is a call that is not on the list. What may not run
// there is found in functions that do not.
func TestOutside(t *testing.T) {
	all := disassemble(t)
	t.Run("walk", func(t *testing.T) { walkOutside(t, all) })
	t.Run("mistakes are found", func(t *testing.T) { findMistakes(t, all) })
}

func walkOutside(t *testing.T, all map[string]*machineCode) {
	w := &outsideWalk{t: t, all: all, depth: map[string]int{}, left: map[string]bool{}}
	port := 0
	for _, root := range outsideRoots {
		if d := w.follow(root); root != "dataplane.(*Worker).poll" {
			port = max(port, d)
		}
	}
	deepest := w.depth["dataplane.(*Worker).poll"] + port
	t.Logf("%d functions, at most %d bytes of stack", len(w.depth), deepest)
	assert.Greater(t, len(w.depth), 50, "the walk ends early")
	assert.Less(t, deepest, outsideStack)
	for name, why := range notOutside {
		assert.True(t, w.left[name], "%s (%s) is not called, or inlined: keep it apart, or take it off the list", name, why)
	}
}

func findMistakes(t *testing.T, all map[string]*machineCode) {
	for name, callee := range map[string]string{
		"dataplane.(*Forwarder).takeRules": "runtime.gcWriteBarrier",
		"dataplane.(*Worker).received":     "runtime.growslice",
		"dataplane.NewWorker":              "runtime.newobject",
		"dataplane/afxdp.(*Port).fail":     "runtime.newobject",
		"dataplane.pollAny":                "syscall.Syscall6",
	} {
		f := all[name]
		if !assert.NotNil(t, f, name) {
			continue
		}
		found := slices.ContainsFunc(f.calls, func(c string) bool { return strings.HasPrefix(c, callee) && !slices.Contains(fitOutside, c) })
		assert.True(t, found, fmt.Sprintf("%s: %v", name, f.calls))
	}
}
