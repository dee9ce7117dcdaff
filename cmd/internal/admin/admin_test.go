package admin_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/admin/admintest"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server over a real socket until the test ends.
func start(t *testing.T, g admin.Gateway) (socket string, c *admin.Client) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "run", "eipgw.sock")
	s, err := admin.Listen(admin.ServerConfig{Socket: socket, Gateway: g})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c = admin.NewClient(socket)
	t.Cleanup(func() {
		c.Close()
		cancel()
		assert.NoError(t, <-done)
		_, err := os.Stat(socket)
		assert.ErrorIs(t, err, fs.ErrNotExist, "the socket is left behind")
	})
	return socket, c
}

func TestEverythingArrivesAsItWasSent(t *testing.T) {
	g := &admintest.Gateway{}
	_, c := start(t, g)
	ctx := context.Background()
	same := func(want, got any, err error) {
		t.Helper()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	status, err := c.Status(ctx)
	same(g.Status(), status, err)
	segments, err := c.Segments(ctx)
	same(g.Segments(), segments, err)
	neighbors, err := c.Neighbors(ctx)
	same(g.Neighbors(), neighbors, err)
	ports, err := c.Ports(ctx)
	same(g.Ports(), ports, err)
	counters, err := c.Counters(ctx)
	same(g.Counters(), counters, err)
	sources, err := c.Sources(ctx)
	same(g.Sources(), sources, err)
	refusals, err := c.Refusals(ctx)
	same(g.Refusals(), refusals, err)
	underlay, err := c.Underlay(ctx)
	same(g.Underlay(), underlay, err)
	a := netip.MustParseAddr("203.0.113.7")
	why, err := c.Why(ctx, a, nil)
	same(g.Why(a, nil), why, err)
	flow := admin.Flow{From: netip.MustParseAddr("198.51.100.1"), FromPort: 40000, ToPort: 443, Protocol: 6}
	why, err = c.Why(ctx, a, &flow)
	same(g.Why(a, &flow), why, err)
	assert.Equal(t, []any{flow, flow}, g.Changes())
}

func TestChangesArriveAsTheyWereSent(t *testing.T) {
	g := &admintest.Gateway{}
	_, c := start(t, g)
	ctx := context.Background()
	med, vni, clamp := uint32(5), uint32(5001), false
	p := netip.MustParsePrefix("2001:db8::/64")
	change := admin.SegmentChange{
		Add:      []admin.SegmentSpec{{Prefix: p, Communities: []string{"1:2"}, LargeCommunities: []string{"1:2:3"}, MED: &med, MSSClamp: &clamp}},
		Withdraw: []netip.Prefix{p}, Split: &admin.Split{Prefix: p, Length: 65}, Merge: &admin.SegmentSpec{Prefix: p}, DryRun: true,
	}
	bind := admin.Bind{Prefix: p, Tunnels: []admin.BindTunnel{{
		VTEP: netip.MustParseAddr("10.0.2.11"), VNI: &vni, UDPPort: 6081, InnerMAC: "02:00:00:00:0a:01", OVN: &admin.OVN{Inport: 2, Outport: 1},
	}}}
	plan, err := c.ChangeSegments(ctx, change)
	require.NoError(t, err)
	assert.True(t, plan.DryRun)
	assert.Len(t, plan.Steps, 2)
	_, err = c.Bind(ctx, bind)
	require.NoError(t, err)
	many := admin.BindMany{Prefixes: []netip.Prefix{p, netip.MustParsePrefix("203.0.113.7/32")}, Tunnels: bind.Tunnels}
	bound, err := c.BindMany(ctx, many)
	require.NoError(t, err)
	assert.Equal(t, 2, bound.Bound)
	_, err = c.Unbind(ctx, p)
	require.NoError(t, err)
	r, err := c.Reload(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"segments", "log.level"}, r.Changed)
	assert.Equal(t, []any{change, bind, many, p, "reload"}, g.Changes())
}

func TestPages(t *testing.T) {
	_, c := start(t, &admintest.Gateway{})
	ctx := context.Background()
	page, err := c.Bindings(ctx, admin.BindingQuery{Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Bindings, 2)
	require.NotNil(t, page.Next)
	assert.Equal(t, "2001:db8:e1b::9/128", page.Next.String())
	rest, err := c.Bindings(ctx, admin.BindingQuery{From: *page.Next, Limit: 2})
	require.NoError(t, err)
	assert.Len(t, rest.Bindings, 1)
	assert.Nil(t, rest.Next)

	count := func(q admin.BindingQuery, stop int) (n int) {
		require.NoError(t, c.EachBinding(ctx, q, func(admin.Binding) bool { n++; return n != stop }))
		return n
	}
	assert.Equal(t, 3, count(admin.BindingQuery{}, 0))
	assert.Equal(t, 2, count(admin.BindingQuery{Limit: 2}, 0))
	assert.Equal(t, 1, count(admin.BindingQuery{}, 1))
	assert.Equal(t, 2, count(admin.BindingQuery{Under: netip.MustParsePrefix("203.0.113.0/24")}, 0))
}

// pages is a gateway with many bindings and small pages.
type pages struct {
	admintest.Gateway
	n int
}

func (g *pages) Bindings(q admin.BindingQuery) admin.BindingPage {
	var page admin.BindingPage
	first := 0
	if q.From.IsValid() {
		b := q.From.Addr().As4()
		first = int(b[2])<<8 | int(b[3])
	}
	for i := first; i < g.n; i++ {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		if len(page.Bindings) == min(q.Limit, 7) {
			page.Next = &p
			break
		}
		page.Bindings = append(page.Bindings, admin.Binding{Prefix: p})
	}
	return page
}

func TestEveryBindingOnceOverManyPages(t *testing.T) {
	_, c := start(t, &pages{n: 1000})
	seen := map[netip.Prefix]bool{}
	require.NoError(t, c.EachBinding(context.Background(), admin.BindingQuery{Limit: 500}, func(b admin.Binding) bool {
		assert.False(t, seen[b.Prefix], "%s twice", b.Prefix)
		seen[b.Prefix] = true
		return true
	}))
	assert.Len(t, seen, 500)
}

func TestErrorsSayWhatWasExpected(t *testing.T) {
	g := &admintest.Gateway{}
	h := admin.NewHandler(g, slog.New(slog.DiscardHandler))
	for _, row := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v1/nothing", "", 404, `{"error":"GET /v1/nothing: not there: the API has no such path"}`},
		{"GET", "/v1/why", "", 400, `{"error":"address: \"\": expected an IP address such as 203.0.113.7 or 2001:db8::7"}`},
		{"GET", "/v1/why?address=fe80::1%25eth0", "", 400, `{"error":"address: \"fe80::1%eth0\": expected an IP address such as 203.0.113.7 or 2001:db8::7"}`},
		{"GET", "/v1/why?address=203.0.113.7&from=fd00::1", "", 400, `{"error":"from: fd00::1: expected an address of the family of 203.0.113.7"}`},
		{"GET", "/v1/why?address=203.0.113.7&from=10.0.0.1&protocol=256", "", 400, `{"error":"protocol: \"256\": expected 0 to 255"}`},
		{"GET", "/v1/bindings?limit=0", "", 400, `{"error":"limit: \"0\": expected 1 to 10000"}`},
		{"GET", "/v1/bindings?from=10.0.0.1/24", "", 400, `{"error":"from: \"10.0.0.1/24\" has bits set outside its mask: expected 10.0.0.0/24"}`},
		{"GET", "/v1/bindings?under=x", "", 400, `{"error":"under: \"x\": expected a prefix such as 203.0.113.7/32 or 2001:db8::/64"}`},
		{"DELETE", "/v1/bindings", "", 400, `{"error":"prefix: \"\": expected a prefix such as 203.0.113.7/32 or 2001:db8::/64"}`},
		{"POST", "/v1/segments", "{}{}", 400, `{"error":"the request has something behind its end"}`},
		{"POST", "/v1/segments", `{"ad":[]}`, 400, `{"error":"the request is not what is expected here: json: unknown field \"ad\""}`},
		{"POST", "/v1/bindings", `{"tunnels": []}`, 400, `{"error":"prefixes: 0: expected 1 to 10000"}`},
		{"PUT", "/v1/bindings", "", 400, `{"error":"the request is not what is expected here: EOF"}`},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(row.method, row.path, strings.NewReader(row.body)))
		assert.Equal(t, row.status, w.Code, "%s %s", row.method, row.path)
		assert.Equal(t, row.want+"\n", w.Body.String())
	}
	assert.Empty(t, g.Changes(), "a wrong request reached the gateway")
}

func TestKindsOfErrorsSurviveTheSocket(t *testing.T) {
	g := &admintest.Gateway{}
	_, c := start(t, g)
	for _, kind := range []error{admin.ErrInvalid, admin.ErrNotFound, admin.ErrConflict} {
		g.Err = &admin.Problem{Kind: kind, Text: "203.0.113.0/24 is no wanted segment"}
		_, err := c.ChangeSegments(context.Background(), admin.SegmentChange{})
		assert.ErrorIs(t, err, kind)
		assert.EqualError(t, err, "203.0.113.0/24 is no wanted segment")
	}
	g.Err = errors.New("the speaker does not answer")
	_, err := c.Reload(context.Background())
	assert.EqualError(t, err, "the speaker does not answer")
	assert.NotErrorIs(t, err, admin.ErrConflict)
}

func TestSocketIsTheOwnersOnly(t *testing.T) {
	socket, _ := start(t, &admintest.Gateway{})
	st, err := os.Stat(socket)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), st.Mode().Perm())
	_, err = os.Stat(socket + ".new")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestASecondDaemonIsRefused(t *testing.T) {
	socket, c := start(t, &admintest.Gateway{})
	_, err := admin.Listen(admin.ServerConfig{Socket: socket, Gateway: &admintest.Gateway{}})
	assert.EqualError(t, err, "admin: another eipgw runs with the socket "+socket+": stop it, or give this one a socket of its own (admin.socket)")
	_, err = c.Status(context.Background())
	assert.NoError(t, err, "the first one does not answer any more")
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "eipgw.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close()) // as a daemon leaves it that was killed
	require.NoError(t, os.WriteFile(socket+".lock", nil, 0o600))

	s, err := admin.Listen(admin.ServerConfig{Socket: socket, Gateway: &admintest.Gateway{}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.ErrorIs(t, s.Close(), net.ErrClosed)
}

func TestWhatIsNoSocketIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eipgw.sock")
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := admin.Listen(admin.ServerConfig{Socket: path, Gateway: &admintest.Gateway{}})
	assert.EqualError(t, err, "admin: "+path+" is there and no socket: expected a path that is free")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(b))

	_, err = admin.Listen(admin.ServerConfig{Socket: "/" + strings.Repeat("x", 120), Gateway: &admintest.Gateway{}})
	assert.ErrorContains(t, err, "the path has 121 bytes, expected at most 103")
}

func TestNobodyAnswers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "eipgw.sock")
	c := admin.NewClient(socket)
	defer c.Close()
	_, err := c.Status(context.Background())
	require.ErrorIs(t, err, admin.ErrUnreachable)
	assert.EqualError(t, err, "no eipgw answers at "+socket+": start it with `eipgw run`, or name its socket with --socket or EIPGW_SOCKET")
}

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with: go test -update")
	assert.Equal(t, string(want), string(got))
}

// A metric that is renamed, dropped or explained otherwise is a change that people's
// dashboards feel: it shows here as one of a file.
func TestMetricsPage(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(admin.NewCollector(&admintest.Gateway{}))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	golden(t, "metrics.txt", w.Body.Bytes())
}

// twice is a gateway that lists things twice: a prefix as wanted and on its way out, an
// address configured and in a range.
type twice struct{ admintest.Gateway }

func (g *twice) Metrics() admin.Metrics {
	m := g.Gateway.Metrics()
	m.Segments = append(m.Segments, m.Segments...)
	m.Neighbors = append(m.Neighbors, m.Neighbors...)
	return m
}

func TestWhatIsListedTwiceDoesNotBreakThePage(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(admin.NewCollector(&twice{}))
	_, err := r.Gather()
	assert.NoError(t, err)
}

// ready is a gateway on which nothing is off.
type ready struct{ admintest.Gateway }

func (g *ready) Status() admin.Status {
	s := g.Gateway.Status()
	s.Ready, s.Reasons = true, nil
	s.Workers = s.Workers[:1]
	return s
}

func TestHealthAndReadiness(t *testing.T) {
	get := func(g admin.Gateway, path string) (int, string) {
		w := httptest.NewRecorder()
		admin.NewWebHandler(admin.WebConfig{Gateway: g}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		code, body := get(&ready{}, path)
		assert.Equal(t, 200, code)
		assert.Equal(t, "ok\n", body)
	}
	code, body := get(&admintest.Gateway{}, "/healthz")
	assert.Equal(t, 503, code)
	assert.Equal(t, "worker 1 has not polled since 11:59:56.000\n", body)
	code, body = get(&admintest.Gateway{}, "/readyz")
	assert.Equal(t, 503, code)
	assert.Equal(t, "worker 1: has not polled its ports for 4s\n", body)
	code, _ = get(&ready{}, "/debug/pprof/cmdline")
	assert.Equal(t, 404, code, "profiles without being asked for")
}

func TestWeb(t *testing.T) {
	w, err := admin.ListenWeb(admin.WebConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), PProf: true, Gateway: &ready{}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	client := &http.Client{Timeout: time.Minute}
	for path, want := range map[string]string{
		"/metrics": "eipgw_ready 0", "/healthz": "ok", "/readyz": "ok", "/debug/pprof/": "goroutine", "/debug/pprof/symbol": "num_symbols",
	} {
		resp, err := client.Get("http://" + w.Addr().String() + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, 200, resp.StatusCode, path)
		assert.True(t, bytes.Contains(body, []byte(want)), "%s does not have %q", path, want)
	}
	resp, err := client.Post("http://"+w.Addr().String()+"/v1/reload", "application/json", nil)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 404, resp.StatusCode, "something can be changed through the web listener")
	client.CloseIdleConnections()
	cancel()
	assert.NoError(t, <-done)

	_, err = admin.ListenWeb(admin.WebConfig{Listen: netip.MustParseAddrPort("192.0.2.1:1"), PProf: true})
	assert.EqualError(t, err, "admin: profiles on 192.0.2.1:1: expected a loopback address, such as 127.0.0.1:9179")
	_, err = admin.ListenWeb(admin.WebConfig{Listen: netip.MustParseAddrPort("192.0.2.1:1")})
	assert.ErrorContains(t, err, "admin: metrics: listen tcp 192.0.2.1:1")
}
