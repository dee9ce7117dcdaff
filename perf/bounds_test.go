package perf_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hotFiles are the files whose functions work on every frame.
var hotFiles = []string{
	"encap/apply.go", "encap/checksum.go",
	"dataplane/fib/lookup4.go", "dataplane/fib/lookup6.go", "dataplane/fib/reader.go",
	"dataplane/classify.go", "dataplane/forward.go", "dataplane/frame.go", "dataplane/flow.go", "dataplane/send.go",
	"dataplane/afxdp/rings.go", "dataplane/afxdp/pool.go", "dataplane/afxdp/port.go", "dataplane/afxdp/flush.go",
}

// boundsChecks lists the functions of these files in which the compiler leaves bounds checks,
// how many at most, and why. All others have none.
var boundsChecks = map[string]struct {
	most int
	why  string
}{
	"encap/apply.go Header.Apply": {4, "the caller's room for the header and where the outer IP header begins are lengths of the frame: one check each, without a loop"},
	"encap/apply.go putUDP":       {1, "seen in the function as such; gone where it is inlined"},
	"encap/checksum.go Sum":       {3, "what is left of a packet that a loop has gone through in blocks; once a packet, and only over IPv6 with a checksum"},

	"dataplane/fib/lookup4.go Reader.Lookup4": {3, "once per 64 addresses"},
	"dataplane/fib/lookup4.go lookupDenseGo":  {1, "once per burst"},
	"dataplane/fib/lookup6.go Reader.Lookup6": {3, "once per 64 addresses"},
	"dataplane/fib/lookup6.go Reader.lookup6": {1, "once per burst"},
	"dataplane/fib/lookup6.go Reader.long6":   {1, "once per burst"},
	"dataplane/fib/lookup6.go Reader.short6":  {9, "indexes come from a list that shrinks level by level; an EIP that is one address is not looked up here"},

	"dataplane/fib/reader.go Reader.Entries": {1, "once per burst"},

	"dataplane/classify.go Forwarder.classify": {2, "once per burst: how many frames it has; and the frame's bytes, cut from its buffer"},
	"dataplane/classify.go Forwarder.link":     {7, "frames that are tagged or not for us: what is behind the tags"},
	"dataplane/classify.go Forwarder.ipv4":     {4, "options, which few packets have; and the ports behind a header whose length the packet says"},
	"dataplane/classify.go Forwarder.ipv6":     {3, "the payload, whose length the packet says, and its ports"},

	"dataplane/forward.go NewForwarder":      {1, "set-up"},
	"dataplane/forward.go Forwarder.process": {4, "once per burst"},
	"dataplane/forward.go Forwarder.rewrite": {7, "flows of a group of tunnels; the frame, cut from its buffer, and the packet in it, whose header is then one array"},
	"dataplane/forward.go Forwarder.stop":    {1, "frames that are not forwarded"},
	"dataplane/forward.go setPCP":            {7, "frames with an outer tag, where a configuration asks for priorities"},

	"dataplane/frame.go newBursts":        {1, "set-up"},
	"dataplane/frame.go Frame.Bytes":      {1, "the frame, cut from its buffer"},
	"dataplane/frame.go Frame.Attach":     {1, "a new frame's place in its buffer is looked at once"},
	"dataplane/frame.go Frame.AttachKept": {1, "the same"},
	"dataplane/frame.go Frame.Prepend":    {1, "for ports and tests; encapsulate does without"},
	"dataplane/frame.go Frame.Extend":     {1, "for fragments"},
	"dataplane/frame.go Frame.Packet":     {1, "for answers and fragments"},
	"dataplane/send.go Worker.send":       {4, "once per burst and port; the last one where frames are not taken"},

	"dataplane/afxdp/pool.go pool.get":      {1, "an empty pool must not go unnoticed"},
	"dataplane/afxdp/pool.go pool.put":      {1, "nor a full one"},
	"dataplane/afxdp/port.go Port.Rx":       {2, "where a frame lies, the kernel says"},
	"dataplane/afxdp/port.go Port.prove":    {1, "once per burst"},
	"dataplane/afxdp/port.go Port.Release":  {4, "the frame's own chunk, given back to a pool of fixed size"},
	"dataplane/afxdp/port.go Port.refill":   {1, "a chunk out of the pool"},
	"dataplane/afxdp/port.go Port.copyIn":   {3, "a frame of another port is copied into a chunk"},
	"dataplane/afxdp/flush.go Port.collect": {1, "a chunk back to the pool"},
}

// TestBoundsChecks reads the compiler's report of the bounds checks that it could not do without.
func TestBoundsChecks(t *testing.T) {
	cmd := exec.Command("go", "build", "-gcflags=-d=ssa/check_bce/debug=1", "./encap", "./dataplane", "./dataplane/fib", "./dataplane/afxdp")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	found := map[string]map[string]bool{} // by function, the places
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	functions := map[string]functionsOf{}
	for _, file := range hotFiles {
		functions[file] = parseFunctions(t, file)
	}
	reported := 0
	for lines.Scan() {
		place, _, ok := strings.Cut(lines.Text(), ": Found Is")
		if !ok {
			continue
		}
		reported++
		var line, column int
		parts := strings.SplitN(place, ":", 3)
		if len(parts) < 3 { // a method that the compiler made
			continue
		}
		_, err := fmt.Sscan(parts[1]+" "+parts[2], &line, &column)
		require.NoError(t, err, lines.Text())
		file := strings.TrimPrefix(filepath.ToSlash(filepath.Clean(parts[0])), "../")
		if fs, hot := functions[file]; hot {
			f := file + " " + fs.at(line)
			if found[f] == nil {
				found[f] = map[string]bool{}
			}
			found[f][lines.Text()] = true
		}
	}
	require.Greater(t, reported, 50, "the compiler reports hardly anything: has the flag changed?\n%s", out)
	for f, places := range found {
		allowed, known := boundsChecks[f]
		if assert.True(t, known, "%s has bounds checks: %v", f, places) {
			assert.LessOrEqual(t, len(places), allowed.most, "%s: %s; found: %v", f, allowed.why, places)
		}
	}
	for f := range boundsChecks {
		assert.NotEmpty(t, found[f], "%s has no bounds checks any more, or is gone: take it off the list", f)
	}
}

// functionsOf is where the functions of a file begin and end.
type functionsOf []struct {
	name     string
	from, to int
}

func (fs functionsOf) at(line int) string {
	for _, f := range fs {
		if f.from <= line && line <= f.to {
			return f.name
		}
	}
	return "outside of functions"
}

func parseFunctions(t *testing.T, file string) (fs functionsOf) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, filepath.Join("..", file), nil, 0)
	require.NoError(t, err)
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			fs = append(fs, struct {
				name     string
				from, to int
			}{receiver(fn) + fn.Name.Name, set.Position(fn.Pos()).Line, set.Position(fn.End()).Line})
		}
	}
	require.NotEmpty(t, fs, file)
	return fs
}

// receiver is the type that a method is of, with a dot.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	x := fn.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	if generic, ok := x.(*ast.IndexExpr); ok {
		x = generic.X
	}
	if name, ok := x.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
