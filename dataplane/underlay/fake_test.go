package underlay

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// fakeKernel is a kernel whose state a test writes. Each change that the kernel would
// tell of is sent with tell.
type fakeKernel struct {
	mu      sync.Mutex
	link    map[int]link
	nbr     map[neighborKey]neighbor
	routes  map[netip.Addr]route
	errs    map[netip.Addr]error
	locals  map[netip.Addr]bool
	sources map[int]netip.Addr
	mute    error // what every request answers
	useErr  error

	asked  []question
	used   map[neighborKey]int
	probed map[neighborKey]int

	events chan batch
	closed chan struct{}
}

type question struct{ dst, src netip.Addr }

func newFakeKernel() *fakeKernel {
	return &fakeKernel{
		link:    map[int]link{},
		nbr:     map[neighborKey]neighbor{},
		routes:  map[netip.Addr]route{},
		errs:    map[netip.Addr]error{},
		locals:  map[netip.Addr]bool{},
		sources: map[int]netip.Addr{},
		used:    map[neighborKey]int{},
		probed:  map[neighborKey]int{},
		events:  make(chan batch),
		closed:  make(chan struct{}),
	}
}

func (f *fakeKernel) links() ([]link, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []link
	for _, l := range f.link {
		out = append(out, l)
	}
	return out, f.mute
}

func (f *fakeKernel) neighbors() ([]neighbor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []neighbor
	for _, n := range f.nbr {
		out = append(out, n)
	}
	return out, f.mute
}

func (f *fakeKernel) local(a netip.Addr) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.locals[a], f.mute
}

func (f *fakeKernel) route(dst, src netip.Addr) (route, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, question{dst, src})
	if f.mute != nil {
		return route{}, f.mute
	}
	if err := f.errs[dst]; err != nil {
		return route{}, err
	}
	r, ok := f.routes[dst]
	if !ok {
		return route{}, unix.ENETUNREACH
	}
	return r, nil
}

func (f *fakeKernel) source(_ netip.Addr, index int) (netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.sources[index]
	if !ok {
		return netip.Addr{}, unix.ENETUNREACH
	}
	return a, f.mute
}

func (f *fakeKernel) use(k neighborKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used[k]++
	return f.useErr
}

func (f *fakeKernel) probe(k neighborKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probed[k]++
	return nil
}

func (f *fakeKernel) receive() ([]event, error) {
	select {
	case b := <-f.events:
		return b.events, b.err
	case <-f.closed:
		return nil, os.ErrClosed
	}
}

func (f *fakeKernel) close() error { close(f.closed); return nil }

// tell sends events to the loop.
func (f *fakeKernel) tell(events ...event) { f.events <- batch{events: events} }

// set changes the state.
func (f *fakeKernel) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeKernel) usedCount(k neighborKey) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used[k]
}

// A small world: port sw0 with index 2, a router 10.0.0.254 on it, a VTEP behind that.
var (
	gwMAC     = encap.MAC{2, 0, 0, 0, 0, 1}
	routerMAC = encap.MAC{2, 0, 0, 0, 0, 2}
	sw0       = link{index: 2, name: "sw0", mac: gwMAC, mtu: 1500, up: true}
	router    = neighbor{key: neighborKey{2, addr("10.0.0.254")}, mac: routerMAC, state: unix.NUD_REACHABLE}
	far       = addr("192.0.2.1")
	viaRouter = route{kind: unix.RTN_UNICAST, hops: []nexthop{{index: 2, gateway: addr("10.0.0.254")}}}
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func smallWorld() *fakeKernel {
	f := newFakeKernel()
	f.link[2] = sw0
	f.nbr[router.key] = router
	f.routes[far] = viaRouter
	f.sources[2] = addr("10.0.0.1")
	return f
}

// start runs an Underlay over a fake kernel.
func start(t *testing.T, f *fakeKernel, cfg Config) *Underlay {
	if cfg.Ports == nil {
		cfg.Ports = []Port{{ID: 1, Name: "sw0"}}
	}
	cfg, err := cfg.withDefaults()
	require.NoError(t, err)
	u := newUnderlay(cfg, f)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return u
}

// eventually waits until a VTEP's answer satisfies ok.
func eventually(t *testing.T, u *Underlay, vtep netip.Addr, ok func(ways []Way, err error) bool) {
	t.Helper()
	var s VTEPStatus
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, s = range u.Status() {
			if s.VTEP == vtep && ok(s.Ways, s.Err) {
				return
			}
		}
	}
	require.Fail(t, "VTEP "+vtep.String()+" never came round", fmt.Sprintf("ways %+v, reason %v", s.Ways, s.Err))
}

func oneWay(ways []Way, _ error) bool { return len(ways) == 1 }
