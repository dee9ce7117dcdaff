package rib

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// world is the forwarding table, the ports and the switches in one: it notes every
// call in order and fails the test when an order is broken that must hold always.
type world struct {
	t testing.TB

	mu        sync.Mutex
	log       []string
	bound     map[netip.Prefix][]encap.Tunnel
	filter    []netip.Prefix
	announced []Segment
	withdrawn map[netip.Prefix]time.Time
	linger    time.Duration
	check     func() // after every call, holding mu

	refuse                               map[netip.Prefix]error // Apply refuses these
	failed                               bool                   // Apply has failed: nobody knows what it did
	failApply, failFilter, failAnnounces int                    // how many calls fail
}

func newWorld(t testing.TB) *world {
	return &world{t: t, bound: map[netip.Prefix][]encap.Tunnel{}, withdrawn: map[netip.Prefix]time.Time{}, refuse: map[netip.Prefix]error{}}
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
	if w.check != nil {
		w.check()
	}
}

// events returns what was noted since the last call.
func (w *world) events() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}

func (w *world) Apply(changes []fib.Binding) (fib.Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failApply > 0 {
		w.failApply--
		w.failed = true
		return fib.Report{}, errors.New("table is out of memory")
	}
	var rep fib.Report
	seen := map[netip.Prefix]bool{}
	for _, b := range changes {
		assert.False(w.t, seen[b.Prefix], "%s twice in one batch", b.Prefix)
		seen[b.Prefix] = true
		if err := w.refuse[b.Prefix]; err != nil && len(b.Tunnels) > 0 {
			rep.Refused = append(rep.Refused, fib.Refusal{Prefix: b.Prefix, Err: err})
			continue
		}
		if len(b.Tunnels) == 0 {
			assert.True(w.t, w.failed || w.bound[b.Prefix] != nil, "%s removed, and it is not bound", b.Prefix)
			delete(w.bound, b.Prefix)
			w.note("unbind %s", b.Prefix)
			continue
		}
		w.bound[b.Prefix] = slices.Clone(b.Tunnels)
		w.noLoop(w.announced, b.Prefix)
		w.note("bind %s %s", b.Prefix, vteps(b.Tunnels))
	}
	return rep, nil
}

func (w *world) SetSegments(prefixes []netip.Prefix) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failFilter > 0 {
		w.failFilter--
		return errors.New("map is full")
	}
	for _, s := range w.announced {
		assert.True(w.t, slices.Contains(prefixes, s.Prefix), "filter narrowed while %s is announced", s.Prefix)
	}
	for p, at := range w.withdrawn {
		if !slices.Contains(prefixes, p) && slices.Contains(w.filter, p) {
			assert.GreaterOrEqual(w.t, time.Since(at), w.linger, "filter narrowed before %s has lingered", p)
		}
	}
	w.filter = prefixes
	w.note("filter %s", join(prefixes))
	return nil
}

func (w *world) Announce(want []Segment) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failAnnounces > 0 {
		w.failAnnounces--
		return errors.New("speaker is busy")
	}
	var prefixes []netip.Prefix
	for _, s := range want {
		assert.True(w.t, slices.Contains(w.filter, s.Prefix), "%s announced before the ports redirect it", s.Prefix)
		prefixes = append(prefixes, s.Prefix)
		delete(w.withdrawn, s.Prefix)
	}
	for _, s := range w.announced {
		if !slices.Contains(prefixes, s.Prefix) {
			w.withdrawn[s.Prefix] = time.Now()
		}
	}
	w.announced = want
	for p := range w.bound {
		w.noLoop(want, p)
	}
	w.note("announce %s", join(prefixes))
	return nil
}

// noLoop checks that switches do not send the tunnel packets of a binding here.
func (w *world) noLoop(announced []Segment, bound netip.Prefix) {
	for _, s := range announced {
		for _, t := range w.bound[bound] {
			assert.False(w.t, s.Prefix.Contains(t.VTEP), "%s is bound to %s inside announced %s", bound, t.VTEP, s.Prefix)
		}
	}
}

func vteps(tunnels []encap.Tunnel) string {
	var out []string
	for _, t := range tunnels {
		out = append(out, t.VTEP.String())
	}
	return fmt.Sprint(out)
}

// bench is a RIB in its world, inside a synctest bubble.
type bench struct {
	*RIB
	t      *testing.T
	w      *world
	cancel context.CancelFunc
}

var quick = Config{Settle: 2 * time.Second, Linger: 3 * time.Second, InitialWait: time.Minute, Damping: time.Second, WhenEmpty: true}

// start makes a RIB and has set prepare it before it runs.
func start(t *testing.T, cfg Config, set func(r *RIB)) *bench {
	t.Helper()
	w := newWorld(t)
	w.linger = cfg.Linger
	cfg.Programmer, cfg.Filter, cfg.Announcer = w, w, w
	r, err := New(cfg)
	require.NoError(t, err)
	if set != nil {
		set(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	b := &bench{RIB: r, t: t, w: w, cancel: cancel}
	synctest.Wait()
	return b
}

func (b *bench) flush() {
	b.t.Helper()
	require.NoError(b.t, b.Flush(b.t.Context()))
	synctest.Wait()
}

// after lets time pass and returns what happened meanwhile.
func (b *bench) after(d time.Duration) []string {
	time.Sleep(d)
	synctest.Wait()
	return b.w.events()
}

// together has everything that say says meet in the queue: Run begins no turn before it returns.
func (b *bench) together(say func()) {
	synctest.Wait()
	b.life.mu.Lock()
	defer b.life.mu.Unlock()
	say()
}

// bindings is what the table holds, "203.0.113.7/32" to "[10.0.0.1]".
func (b *bench) bindings() map[string]string {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	out := map[string]string{}
	for p, t := range b.w.bound {
		out[p.String()] = vteps(t)
	}
	return out
}

func segs(prefixes ...string) (out []Segment) {
	for _, p := range prefixes {
		out = append(out, Segment{Prefix: netip.MustParsePrefix(p)})
	}
	return out
}

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// to is a path to a VTEP with LOCAL_PREF 100.
func to(prefix, vtep string) Path {
	return Path{
		Prefix: pfx(prefix), Carrier: CarrierPeer, LocalPref: 100,
		Tunnel: encap.Tunnel{VTEP: netip.MustParseAddr(vtep), VNI: 7}, Router: netip.MustParseAddr(vtep),
	}
}

func (b *bench) say(id SourceID, paths ...Path) { b.Update(Update{Source: id, Set: paths}) }

func (b *bench) withdraw(id SourceID, prefixes ...string) {
	u := Update{Source: id}
	for _, p := range prefixes {
		u.Remove = append(u.Remove, PathKey{Prefix: pfx(p)})
	}
	b.Update(u)
}
