package bgpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/server"

	"github.com/eipgw/eipgw/bgpd/bmp"
	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
)

// Speaker is the gateway's BGP. New makes one, Run drives it, once; the other
// methods may be called from any goroutine, before and while Run runs.
//
// GoBGP's calls take no context and wait for its one loop. So only the goroutine of
// Run makes them, and nobody holds a lock meanwhile, except out while routes are judged
// anew: GoBGP's loop waits for nobody who takes that.
type Speaker struct {
	log      *slog.Logger
	updates  func(rib.Update) // called under out
	onSource func(Source)     // called under out

	gate    gate                         // what GoBGP's goroutines run of ours
	options []server.ServerOption        // of tests
	lib     *server.BgpServer            // set by Run before it starts anything
	station *bmp.Station                 // set by Run; nil: there is none yet
	conv    path.Converter               // of the station's goroutine
	told    map[netip.Prefix]rib.Segment // of the goroutine of Run: what GoBGP announces
	ops     chan func()                  // work for the goroutine of Run
	wakeup  chan struct{}                // there is something in agenda
	done    chan struct{}                // closed when Run takes no more work
	taking  atomic.Bool                  // the station has an UPDATE in hand

	setup sync.Mutex // held while Run begins, and while it may not; taken before mu

	mu         sync.Mutex // guards what follows; never held across calls of GoBGP or callbacks
	phase      phase
	cfg        Config // with defaults; its neighbors are replaced as a whole, never changed
	want       []rib.Segment
	sessions   map[netip.Addr]*session
	ranges     map[netip.Prefix]tally // of sessions that are gone
	unsecured  map[string]string      // neighbors and ranges whose password was not taken, and why
	agenda     agenda
	begun      bool              // GoBGP has connected to the station
	retold     int64             // when it connected again, in its clock's seconds
	latest     time.Time         // when the station heard of an UPDATE
	counted    time.Time         // when received and accepted were read
	advertised map[Family]uint64 // segments that GoBGP announces

	out     sync.Mutex // serializes updates, onSource and what they follow from; taken before mu, if both
	stopped bool       // guarded by out: nothing goes out any more
}

type phase uint8

const (
	phaseNew phase = iota
	phaseRunning
	phaseDone
)

// agenda is work for the goroutine of Run that others have found.
type agenda struct {
	inspect  map[netip.Addr]bool      // came up, or its dump has ended: ask GoBGP about it
	relearn  map[netip.Addr]time.Time // is up: judge what it said anew, then
	revive   map[netip.Addr]time.Time // went down: free it of GoBGP's own waiting, then
	announce bool                     // want has changed
	retry    time.Time                // announcing failed: again then
}

// New checks the configuration, and tells OnSource of the virtual routers that it has
// by address. Nothing is opened before Run.
func New(cfg Config) (*Speaker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Speaker{
		log: cfg.Log, updates: cfg.Updates, onSource: cfg.OnSource,
		told:      make(map[netip.Prefix]rib.Segment),
		ops:       make(chan func()),
		wakeup:    make(chan struct{}, 1),
		done:      make(chan struct{}),
		cfg:       cfg,
		sessions:  make(map[netip.Addr]*session),
		ranges:    make(map[netip.Prefix]tally),
		unsecured: make(map[string]string),
		agenda: agenda{
			inspect: make(map[netip.Addr]bool),
			relearn: make(map[netip.Addr]time.Time),
			revive:  make(map[netip.Addr]time.Time),
		},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.updates == nil {
		s.updates = func(rib.Update) {}
	}
	if s.onSource == nil {
		s.onSource = func(Source) {}
	}
	for i := range cfg.Neighbors {
		s.register(&cfg.Neighbors[i])
	}
	return s, nil
}

// Run opens the listeners, brings the sessions up and serves until ctx is done;
// then it ends them, within Config.CloseWait, and returns nil. What was announced
// is gone with the sessions: to withdraw first, Announce nothing and wait before
// ending ctx.
//
// Two goroutines outlive it, because GoBGP has no end: its Serve loop, and if the
// sessions did not end in time the call that waits for them.
func (s *Speaker) Run(ctx context.Context) error {
	s.setup.Lock()
	s.mu.Lock()
	phase, cfg := s.phase, s.cfg
	if phase == phaseNew {
		s.phase = phaseRunning
	}
	s.mu.Unlock()
	s.setup.Unlock()
	if phase != phaseNew {
		return errors.New("bgpd: run: the speaker has run already; expected a new one")
	}

	logger := &libLogger{log: s.log, trace: cfg.Trace, gate: &s.gate, note: s.note, noPassword: s.notePassword}
	s.lib = server.NewBgpServer(append(s.options, server.LoggerOption(logger))...)
	go s.lib.Serve()
	watch, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	defer s.stop(cfg.CloseWait)
	if err := s.start(watch, &cfg); err != nil {
		return err
	}
	s.serve(ctx)
	return nil
}

// start opens the listeners and brings in policy, watching and neighbors, in the
// order in which nothing unwanted can pass and nothing be missed.
func (s *Speaker) start(watch context.Context, cfg *Config) error {
	ctx := context.Background()
	err := plainTCP(func() error { return s.lib.StartBgp(ctx, &api.StartBgpRequest{Global: apiGlobal(cfg)}) })
	if err != nil {
		return fmt.Errorf("bgpd: listen on %v: %w", cfg.Listen, err)
	}
	if err := s.lib.SetPolicies(ctx, policies(cfg)); err != nil {
		return fmt.Errorf("bgpd: policy: %w", err)
	}
	for _, a := range assignments() {
		if err := s.lib.SetPolicyAssignment(ctx, a); err != nil {
			return fmt.Errorf("bgpd: policy %s: %w", a.Assignment.Policies[0].Name, err)
		}
	}
	if err := s.openStation(); err != nil {
		return err
	}
	event := func(r *api.WatchEventResponse) { s.gate.pass(func() { s.event(r) }) }
	if err := s.lib.WatchEvent(watch, watchRequest(), event); err != nil {
		return fmt.Errorf("bgpd: watch: %w", err)
	}
	for i := range cfg.Neighbors {
		if err := s.add(&cfg.Neighbors[i]); err != nil {
			return err
		}
	}
	return nil
}

func apiGlobal(cfg *Config) *api.Global {
	g := &api.Global{Asn: cfg.ASN, RouterId: cfg.RouterID.String(), ListenPort: -1}
	for _, l := range cfg.Listen {
		g.ListenPort = int32(l.Port())
		g.ListenAddresses = append(g.ListenAddresses, l.Addr().String())
	}
	return g
}

// serve does what comes up until ctx is done.
func (s *Speaker) serve(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-s.ops:
			f()
		case <-s.wakeup:
		case <-timer.C:
		}
		timer.Reset(time.Until(s.work()))
	}
}

// wake makes the goroutine of Run look at agenda.
func (s *Speaker) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// do runs f on the goroutine of Run, and says whether it did before ctx was done and
// Run ended.
func (s *Speaker) do(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case s.ops <- func() { f(); close(done) }:
	case <-ctx.Done():
		return false
	case <-s.done:
		return false
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// stop ends the sessions with a Cease and waits for that, for so long.
func (s *Speaker) stop(wait time.Duration) {
	s.mu.Lock()
	s.phase = phaseDone
	s.mu.Unlock()
	close(s.done)
	s.out.Lock()
	s.stopped = true
	s.out.Unlock()
	done := make(chan error, 1)
	go func() {
		var err error
		if s.station != nil {
			err = s.closeStation()
		}
		done <- errors.Join(err, s.lib.StopBgp(context.Background(), &api.StopBgpRequest{}))
	}()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	defer s.gate.close()
	if s.station != nil {
		defer s.station.Close()
	}
	select {
	case err := <-done:
		if err != nil {
			s.log.Warn("bgpd: stop", "error", err)
		}
	case <-timer.C:
		s.log.Warn("bgpd: stop: sessions have not ended in time", "waited", wait)
	}
}
