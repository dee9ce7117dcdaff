package bgpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// GoBGP's loop has no end, and neither have the queues that hang on it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/osrg/gobgp/v3/pkg/server.(*BgpServer).Serve"),
		goleak.IgnoreAnyFunction("github.com/eapache/channels.(*InfiniteChannel).infiniteBuffer"),
	)
}

const (
	testASN  = 64512
	testPort = 17900
	patience = time.Minute
)

var (
	service4 = netip.MustParseAddr("10.255.0.1")
	service6 = netip.MustParseAddr("fd00:ff::1")
)

var networks atomic.Uint32

// network is a /24 of loopback addresses that no other test has.
type network [3]byte

func newNetwork() network {
	return network{127, byte(64 + os.Getpid()%128), byte(networks.Add(1))}
}

func (n network) host(i byte) netip.Addr { return netip.AddrFrom4([4]byte{n[0], n[1], n[2], i}) }

func (n network) prefix() netip.Prefix { return netip.PrefixFrom(n.host(0), 24) }

// gateway is the speaker's own address.
func (n network) gateway() netip.Addr { return n.host(1) }

func (n network) config(neighbors ...Neighbor) Config {
	return Config{
		ASN: testASN, RouterID: netip.MustParseAddr("10.255.0.1"),
		Listen:           []netip.AddrPort{netip.AddrPortFrom(n.gateway(), testPort)},
		ServiceAddresses: []netip.Addr{service4, service6},
		Neighbors:        neighbors,
	}
}

// passive waits for a peer of the test to connect.
func passive(a netip.Addr, role Role, asn uint32) Neighbor {
	return Neighbor{Address: a, Role: role, ASN: asn, Passive: true}
}

func vni(v encap.VNI) *encap.VNI { return &v }

// running is a speaker with what it has told.
type running struct {
	*Speaker
	*model
	stop func() // ends Run and waits for it
}

// start runs a speaker until the test ends.
func start(t *testing.T, cfg Config) *running {
	t.Helper()
	r := &running{model: newModel()}
	cfg.Updates, cfg.OnSource = r.model.update, r.model.source
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s, err := New(cfg)
	require.NoError(t, err)
	r.Speaker = s
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-result)
	})
	t.Cleanup(r.stop)
	eventually(t, "running", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.phase != phaseNew })
	return r
}

// testWriter shows a log where the test fails.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b))
	return len(b), nil
}

// neighbor is the status of one.
func (r *running) neighbor(a netip.Addr) NeighborStatus {
	for _, n := range r.Neighbors() {
		if n.Address == a {
			return n
		}
	}
	return NeighborStatus{}
}

// model is a RIB that does nothing but remember, strictly: what the speaker may not
// say is recorded as wrong.
type model struct {
	mu      sync.Mutex
	sources map[rib.SourceID]Source
	paths   map[rib.SourceID]map[rib.PathKey]rib.Path
	synced  map[rib.SourceID]int
	voided  map[rib.SourceID]int
	refused []rib.Refusal
	wrong   []string
}

func newModel() *model {
	return &model{
		sources: make(map[rib.SourceID]Source),
		paths:   make(map[rib.SourceID]map[rib.PathKey]rib.Path),
		synced:  make(map[rib.SourceID]int),
		voided:  make(map[rib.SourceID]int),
	}
}

func (m *model) source(s Source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.Gone {
		m.sources[s.ID] = s
		if m.paths[s.ID] == nil {
			m.paths[s.ID] = make(map[rib.PathKey]rib.Path)
		}
		return
	}
	if n := len(m.paths[s.ID]); n > 0 {
		m.wrong = append(m.wrong, fmt.Sprintf("%s gone with %d paths", s.ID, n))
	}
	delete(m.sources, s.ID)
	delete(m.paths, s.ID)
}

func (m *model) update(u rib.Update) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.sources[u.Source]; !ok {
		m.wrong = append(m.wrong, fmt.Sprintf("update of %s, which is no source", u.Source))
		return
	}
	held := m.paths[u.Source]
	if u.RemoveAll {
		clear(held)
		m.voided[u.Source]++
	}
	for _, k := range u.Remove {
		delete(held, k)
	}
	for _, p := range u.Set {
		held[rib.PathKey{Prefix: p.Prefix, PathID: p.PathID}] = p
	}
	if u.Synced {
		m.synced[u.Source]++
	}
	m.refused = append(m.refused, u.Refused...)
}

func id(a netip.Addr) rib.SourceID { return rib.SourceID(a.String()) }

// path is what a source claims of a prefix.
func (m *model) path(a netip.Addr, prefix string) (rib.Path, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.paths[id(a)][rib.PathKey{Prefix: netip.MustParsePrefix(prefix)}]
	return p, ok
}

func (m *model) held(a netip.Addr) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.paths[id(a)])
}

func (m *model) isSource(a netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.sources[id(a)]
	return ok
}

func (m *model) isSynced(a netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.synced[id(a)] > 0
}

// refusal is the last one of a prefix.
func (m *model) refusal(prefix string) (rib.Refusal, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range slices.Backward(m.refused) {
		if r.Prefix == netip.MustParsePrefix(prefix) {
			return r, true
		}
	}
	return rib.Refusal{}, false
}

func (m *model) violations() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.wrong)
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, 5*time.Millisecond, what)
}

// inNamespace says whether the test runs in a network namespace of its own, with
// addresses on lo. If not, it runs it there, in another process.
func inNamespace(t *testing.T, addrs ...string) bool {
	t.Helper()
	const env = "BGPD_TEST_IN_NAMESPACE"
	if os.Getenv(env) == t.Name() {
		return true
	}
	l := lab.T(t)
	ns := l.NS("bgpd")
	for _, a := range addrs {
		l.Check(ns.Addr("lo", netip.MustParsePrefix(a)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := ns.Command(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}
