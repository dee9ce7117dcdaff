package main

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/eipgw/eipgw"

// Third parties, by the path that their packages begin with.
const (
	xsys     = "golang.org/x/sys/unix"
	gopacket = "github.com/google/gopacket"
	netlink  = "github.com/vishvananda/netlink"
	xdp      = "github.com/asavie/xdp"
	ebpf     = "github.com/cilium/ebpf"
	gobgp    = "github.com/osrg/gobgp/v3"
	protobuf = "google.golang.org/protobuf"
	yaml     = "github.com/goccy/go-yaml"
	testify  = "github.com/stretchr/testify"
)

// allowed says what a product package may import beside the standard library, and why
// not more. A package that is not here fails the test: put it here, with its reason.
var allowed = map[string]struct {
	imports []string // own packages without the module's path
	why     string
}{
	"encap":                        {nil, "bytes on the wire need nothing; everything may use it"},
	"dataplane/fib":                {[]string{"encap", xsys}, "the one place where control and data planes meet must draw neither in; x/sys is for off-heap memory"},
	"dataplane/fib/fibtest":        {[]string{"encap", "dataplane/fib"}, "a resolver for tests"},
	"dataplane/outside":            {nil, "what it takes of the runtime is in one place"},
	"dataplane":                    {[]string{"encap", "dataplane/fib", "dataplane/outside"}, "the packet path runs without sockets, files and libraries"},
	"dataplane/memport":            {[]string{"encap", "dataplane", "dataplane/fib"}, "a port in memory"},
	"dataplane/porttest":           {[]string{"encap", "dataplane", "dataplane/fib", testify, "go.uber.org/goleak"}, "the rules for ports as tests; only tests import it"},
	"dataplane/pcapport":           {[]string{"encap", "dataplane", "dataplane/fib", gopacket}, "gopacket may read and write files; it never judges"},
	"dataplane/tap":                {[]string{"encap", "dataplane", "dataplane/fib", gopacket}, "gopacket may write files"},
	"dataplane/afxdp":              {[]string{"encap", "dataplane", "dataplane/fib", xdp, ebpf, netlink, xsys}, "AF_XDP and its libraries stay in one leaf"},
	"dataplane/underlay":           {[]string{"encap", "dataplane/fib", netlink, xsys}, "netlink stays in its leaves"},
	"dataplane/replay":             {[]string{"encap", "dataplane", "dataplane/fib", "dataplane/pcapport", yaml}, "the forwarder between files, without the daemon"},
	"bgpd/rib":                     {[]string{"encap", "dataplane/fib"}, "policy and order without any BGP library"},
	"bgpd/static":                  {[]string{"encap", "dataplane/fib", "bgpd/rib", yaml}, "bindings from a file"},
	"bgpd/bmp":                     {[]string{gobgp, xsys}, "GoBGP stays under bgpd; x/sys is for whose a socket is"},
	"bgpd/path":                    {[]string{"encap", "dataplane/fib", "bgpd/rib", gobgp}, "GoBGP stays under bgpd"},
	"bgpd":                         {[]string{"encap", "dataplane/fib", "bgpd/rib", "bgpd/path", "bgpd/bmp", gobgp, protobuf, xsys}, "GoBGP stays under bgpd; x/sys is for TCP MD5"},
	"cmd/internal/task":            {[]string{"golang.org/x/sync/errgroup"}, "goroutines, whoever's"},
	"cmd/internal/config":          {[]string{"encap", "bgpd", "bgpd/rib", "dataplane", "dataplane/afxdp", yaml}, "the parts' own words for what they take"},
	"cmd/internal/admin":           {[]string{xsys, "github.com/prometheus/client_golang"}, "what is shown, not how it comes about"},
	"cmd/internal/admin/admintest": {[]string{"dataplane", "cmd/internal/admin"}, "a gateway of words, for tests"},
	"cmd/eipgw": {[]string{
		"encap", "bgpd", "bgpd/rib", "bgpd/static", "dataplane", "dataplane/fib", "dataplane/afxdp", "dataplane/underlay", "dataplane/replay",
		"cmd/internal/admin", "cmd/internal/config", "cmd/internal/task", "perf/demo", "perf/peers",
		"github.com/spf13/cobra", "github.com/coreos/go-systemd/v22", xsys,
	}, "the parts meet in wire.go; libraries of the parts stay in them"},
}

// never lists what no product package may come to depend on, by whatever way.
var never = []struct{ what, why string }{
	{"pcaps", "fixtures are for tests"},
	{"perf", "the lab is for tests and measurements; only cmd/eipgw/demo.go runs the demo and its peers"},
	{"dataplane/porttest", "it drags testify into the binary"},
	{testify, "it belongs into tests"},
}

// pkg is a package as go list tells it.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func (p *pkg) name() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func listPackages(t *testing.T) (own []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps,Standard",
		module+"/encap/...", module+"/dataplane/...", module+"/bgpd/...", module+"/cmd/...")
	out, err := cmd.Output()
	require.NoError(t, err)
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return own
		}
		require.NoError(t, err)
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			own = append(own, p)
		}
	}
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// matches says whether an import is what is allowed: one of the own packages exactly,
// or any package below a third party's path.
func matches(path, allow string) bool {
	if !strings.Contains(allow, ".") {
		return path == module+"/"+allow
	}
	return path == allow || strings.HasPrefix(path, allow+"/")
}

func product(name string) bool {
	return !strings.HasPrefix(name, "perf") && !strings.HasPrefix(name, "pcaps")
}

func TestWhoImportsWhom(t *testing.T) {
	checked := 0
	for _, p := range listPackages(t) {
		if !product(p.name()) {
			continue // cmd/eipgw/demo.go brought it in
		}
		rule, known := allowed[p.name()]
		if !assert.True(t, known, "%s is in no row of the table `allowed`: say what it may import, and why", p.name()) {
			continue
		}
		checked++
		for _, imp := range p.Imports {
			ok := standard(imp) || slices.ContainsFunc(rule.imports, func(a string) bool { return matches(imp, a) })
			assert.True(t, ok, "%s imports %s: %s", p.name(), imp, rule.why)
		}
	}
	assert.Greater(t, checked, 15, "go list found hardly anything")
}

func TestWhatNobodyComesToDependOn(t *testing.T) {
	for _, p := range listPackages(t) {
		if !product(p.name()) || p.name() == "dataplane/porttest" {
			continue
		}
		for _, n := range never {
			if p.name() == "cmd/eipgw" && n.what == "perf" {
				continue // see TestOnlyDemoImportsPerf
			}
			for _, dep := range p.Deps {
				bad := matches(dep, n.what) || strings.HasPrefix(dep, module+"/"+n.what+"/")
				assert.False(t, bad, "%s depends on %s: %s", p.name(), dep, n.why)
			}
		}
	}
}

func TestDataplaneNeverDependsOnBGP(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.name() != "encap" && !strings.HasPrefix(p.name(), "dataplane") {
			continue
		}
		for _, dep := range p.Deps {
			assert.False(t, strings.HasPrefix(dep, module+"/bgpd") || strings.HasPrefix(dep, gobgp),
				"%s depends on %s: the data plane forwards whoever learns", p.name(), dep)
		}
	}
}

func TestOnlyDemoImportsPerf(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imp := range parsed.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if strings.HasPrefix(path, module+"/perf") || strings.HasPrefix(path, module+"/pcaps") {
				assert.Equal(t, "demo.go", f, "%s imports %s", f, path)
				assert.Contains(t, []string{module + "/perf/demo", module + "/perf/peers"}, path)
			}
		}
	}
}
