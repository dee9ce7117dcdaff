package underlay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// ErrResolving is the reason of a VTEP that Run has not looked at yet. OnChange tells
// when it has.
var ErrResolving = errors.New("not resolved yet")

// Underlay implements fib.Resolver.
type Underlay struct {
	cfg     Config
	kernel  kernel
	release func() error
	running atomic.Bool
	wake    chan struct{} // of capacity 1: there are tracks to take

	mu      sync.RWMutex
	results map[netip.Addr]result // of tracked VTEPs; written by Track, Untrack and the loop
	tracks  []track               // since the loop took them last

	errors   []*errorSocket // none without path MTU discovery
	reports  chan reports   // from those who read them to the loop
	outcomes [NumOutcomes]atomic.Uint64
}

// result is what Resolve answers. It is replaced, never written to.
type result struct {
	ways  []Way
	adjs  []fib.Adjacency
	path  PathMTU // by which ways are lowered
	err   error
	since time.Time // when ways or err last changed
}

type track struct {
	vtep netip.Addr
	on   bool
}

var _ fib.Resolver = (*Underlay)(nil)

// New opens the netlink and ICMP sockets in the network namespace of the calling thread, where
// they stay. The caller calls Run, or Close.
func New(cfg Config) (*Underlay, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	k, err := openRtnetlink(cfg.ReceiveBuffer)
	if err != nil {
		return nil, fmt.Errorf("underlay: rtnetlink: %w", err)
	}
	u := newUnderlay(cfg, k)
	u.release = k.release
	if cfg.NoPathMTU {
		return u, nil
	}
	if u.errors, err = openErrorSockets(u.count); err != nil {
		return nil, errors.Join(fmt.Errorf("underlay: %w", err), u.Close())
	}
	return u, nil
}

func newUnderlay(cfg Config, k kernel) *Underlay {
	return &Underlay{
		cfg:     cfg,
		kernel:  k,
		release: func() error { return nil },
		wake:    make(chan struct{}, 1),
		reports: make(chan reports),
		results: map[netip.Addr]result{},
	}
}

// Close frees the sockets of an Underlay that is not going to Run.
func (u *Underlay) Close() error {
	if u.running.Swap(true) {
		return nil
	}
	return errors.Join(u.kernel.close(), u.closeErrors(), u.release())
}

func (u *Underlay) closeErrors() error {
	var errs []error
	for _, s := range u.errors {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// Resolve implements fib.Resolver. The answer of a VTEP that is not tracked, or whose
// tracking has just begun, is an error.
func (u *Underlay) Resolve(vtep netip.Addr) ([]fib.Adjacency, error) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	r, ok := u.results[vtep]
	if !ok {
		return nil, fmt.Errorf("underlay: VTEP %v is not tracked", vtep)
	}
	return slices.Clone(r.adjs), r.err
}

// Track implements fib.Resolver. A second Track of the same VTEP does nothing.
func (u *Underlay) Track(vtep netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.results[vtep]; ok {
		return
	}
	r := result{err: wrap(vtep, ErrResolving), since: time.Now()}
	if err := checkVTEP(vtep); err != nil {
		r.err = wrap(vtep, err)
		u.results[vtep] = r
		return
	}
	u.results[vtep] = r
	u.enqueue(track{vtep, true})
}

// Untrack implements fib.Resolver.
func (u *Underlay) Untrack(vtep netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.results[vtep]; !ok {
		return
	}
	delete(u.results, vtep)
	u.enqueue(track{vtep, false})
}

// enqueue is called with the lock held.
func (u *Underlay) enqueue(t track) {
	u.tracks = append(u.tracks, t)
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *Underlay) takeTracks() []track {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tracks
	u.tracks = nil
	return t
}

// publish replaces what Resolve and Status answer for a VTEP and says whether it is news
// to those who ask Resolve. adjs and since are filled in.
func (u *Underlay) publish(vtep netip.Addr, r result) bool {
	r.since = time.Now()
	if r.err != nil {
		r.err = wrap(vtep, r.err)
	}
	for _, w := range r.ways {
		r.adjs = append(r.adjs, w.Adjacency)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	old, tracked := u.results[vtep]
	if !tracked {
		return false
	}
	news := !slices.Equal(old.ways, r.ways) || !sameError(old.err, r.err)
	if !news {
		r.since = old.since
	}
	u.results[vtep] = r
	return news
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}

func wrap(vtep netip.Addr, err error) error {
	return fmt.Errorf("underlay: VTEP %v: %w", vtep, err)
}

// checkVTEP refuses what cannot be an outer destination.
func checkVTEP(a netip.Addr) error {
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.Is4In6():
		return errors.New("not an address that can be sent to")
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return errors.New("not a unicast address")
	case a.IsLoopback():
		return errors.New("a loopback address")
	case a.Is6() && (a.Zone() != "" || a.IsLinkLocalUnicast()):
		return errors.New("a link-local address, which is not unique on this machine")
	}
	return nil
}

// VTEPStatus is what is known of a tracked VTEP. Exactly one of Ways and Err is set.
type VTEPStatus struct {
	VTEP    netip.Addr
	Ways    []Way     // no MTU is above the path's
	Err     error     // why there is no way
	Since   time.Time // when Ways or Err last changed
	PathMTU PathMTU   // that routers have reported; zero: none
}

// Status lists the tracked VTEPs in order of address.
func (u *Underlay) Status() []VTEPStatus {
	u.mu.RLock()
	defer u.mu.RUnlock()
	list := make([]VTEPStatus, 0, len(u.results))
	for a, r := range u.results {
		list = append(list, VTEPStatus{VTEP: a, Ways: slices.Clone(r.ways), Err: r.err, Since: r.since, PathMTU: r.path})
	}
	slices.SortFunc(list, func(a, b VTEPStatus) int { return a.VTEP.Compare(b.VTEP) })
	return list
}
