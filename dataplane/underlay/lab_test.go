package underlay_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/perf/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// promised is how soon a change is in the answers. A test machine that is busy with
	// something else may take allowed: more than that is no matter of its speed, but of a
	// change that was missed until all routes are asked for again, after a minute.
	promised = 100 * time.Millisecond
	allowed  = 10 * time.Second
	// patience is how long a test waits for what the kernel takes its time for.
	patience = 30 * time.Second
)

func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }
func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func pfxs(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, pfx(s))
	}
	return out
}

// fabric is a gateway with two ports, each on a link to a router of its own.
//
//	r1 ── 10.0.1.0/24, fd01::/64 ── sw0 ┐
//	                                    gw
//	r2 ── 10.0.2.0/24, fd02::/64 ── sw1 ┘
//
// The gateway is .1 and ::1; a router is .254 and ::fe, its interface is called gw.
type fabric struct {
	*lab.TestLab
	gw, r1, r2 *lab.NS
}

const (
	gwMAC0, gwMAC1 = "02:00:00:00:00:10", "02:00:00:00:00:11"
	r1MAC, r2MAC   = "02:00:00:00:01:fe", "02:00:00:00:02:fe"
)

func newFabric(t *testing.T, conds ...lab.Cond) *fabric {
	l := lab.T(t, conds...)
	n := &fabric{TestLab: l, gw: l.NS("gw"), r1: l.NS("r1"), r2: l.NS("r2")}
	n.link0()
	l.Veth(lab.End{NS: n.gw, Name: "sw1", MAC: gwMAC1, Addrs: pfxs("10.0.2.1/24", "fd02::1/64")},
		lab.End{NS: n.r2, Name: "gw", MAC: r2MAC, Addrs: pfxs("10.0.2.254/24", "fd02::fe/64")}, lab.VethOptions{})
	return n
}

// link0 makes the link to r1.
func (n *fabric) link0() {
	n.Veth(lab.End{NS: n.gw, Name: "sw0", MAC: gwMAC0, Addrs: pfxs("10.0.1.1/24", "fd01::1/64")},
		lab.End{NS: n.r1, Name: "gw", MAC: r1MAC, Addrs: pfxs("10.0.1.254/24", "fd01::fe/64")}, lab.VethOptions{})
}

var ports = []underlay.Port{{ID: 7, Name: "sw0"}, {ID: 8, Name: "sw1"}}

// runner is an Underlay that runs in a namespace, with what OnChange was given.
type runner struct {
	*underlay.Underlay
	t *testing.T

	mu      sync.Mutex
	changes map[netip.Addr]int
	calls   int
}

// run starts an Underlay in ns and tracks VTEPs. It is stopped and joined when the test ends.
func run(t *testing.T, ns *lab.NS, cfg underlay.Config, vteps ...string) *runner {
	r := &runner{t: t, changes: map[netip.Addr]int{}}
	if cfg.Ports == nil {
		cfg.Ports = ports
	}
	next := cfg.OnChange
	cfg.OnChange = func(vteps []netip.Addr) {
		if next != nil {
			next(vteps)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls++
		for _, v := range vteps {
			r.changes[v]++
		}
	}
	require.NoError(t, ns.Do(func() (err error) {
		r.Underlay, err = underlay.New(cfg)
		return err
	}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	for _, v := range vteps {
		r.Track(ip(v))
	}
	return r
}

func (r *runner) changesOf(vtep string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes[ip(vtep)]
}

// changed waits until OnChange has been given a VTEP more often than before: it is called after
// the change is in the answers.
func (r *runner) changed(vtep string, before int) {
	r.t.Helper()
	r.eventually(vtep, "a call of OnChange", func(underlay.VTEPStatus) bool { return r.changesOf(vtep) > before })
}

// callCount is how often OnChange was called.
func (r *runner) callCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBuffer) contains(s string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return contains(b.buf.String(), s)
}

// says waits until s was logged: what the loop logs may come after its effect is seen.
func (b *logBuffer) says(t *testing.T, s string) {
	t.Helper()
	require.Eventually(t, func() bool { return b.contains(s) }, patience, time.Millisecond, "logged: %s", s)
}

// status is that of one VTEP.
func (r *runner) status(vtep string) underlay.VTEPStatus {
	for _, s := range r.Status() {
		if s.VTEP == ip(vtep) {
			return s
		}
	}
	return underlay.VTEPStatus{}
}

// eventually waits until ok holds for a VTEP and returns how long that took.
func (r *runner) eventually(vtep, what string, ok func(underlay.VTEPStatus) bool) time.Duration {
	r.t.Helper()
	began := time.Now()
	for !ok(r.status(vtep)) {
		if time.Since(began) > patience {
			s := r.status(vtep)
			require.Failf(r.t, "VTEP "+vtep+": want "+what, "ways %+v, reason %v", s.Ways, s.Err)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// via waits until the ways to a VTEP lead through exactly these next hops, in any order.
func (r *runner) via(vtep string, hops ...string) time.Duration {
	r.t.Helper()
	return r.eventually(vtep, "next hops "+join(hops), func(s underlay.VTEPStatus) bool {
		if len(s.Ways) != len(hops) {
			return false
		}
		for _, h := range hops {
			found := false
			for _, w := range s.Ways {
				found = found || w.NextHop == ip(h)
			}
			if !found {
				return false
			}
		}
		return true
	})
}

// to waits until the only way to a VTEP leads to a MAC address.
func (r *runner) to(vtep, mac string) time.Duration {
	r.t.Helper()
	return r.eventually(vtep, mac, func(s underlay.VTEPStatus) bool {
		return len(s.Ways) == 1 && s.Ways[0].Outer.Dst.String() == mac
	})
}

// refused waits until a VTEP has no way, for a reason that contains text.
func (r *runner) refused(vtep, text string) time.Duration {
	r.t.Helper()
	return r.eventually(vtep, "no way: "+text, func(s underlay.VTEPStatus) bool {
		return s.Err != nil && contains(s.Err.Error(), text)
	})
}

// soon asserts that something took no longer than allowed, and notes when it took longer
// than promised.
func soon(t *testing.T, took time.Duration) {
	t.Helper()
	if took > promised {
		t.Logf("took %v, %v is promised: is the machine busy?", took, promised)
	}
	assert.LessOrEqual(t, took, allowed)
}
