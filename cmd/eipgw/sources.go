package main

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/bgpd/static"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// sources remembers what the configuration calls each BGP source.
type sources struct {
	mu    sync.Mutex
	names map[rib.SourceID]string
	held  bool // what is new about a source that is known waits for policies
}

// set says whether the source's policy has to wait.
func (s *sources) set(id rib.SourceID, name string) (wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[rib.SourceID]string{}
	}
	_, known := s.names[id]
	s.names[id] = name
	return known && s.held
}

// hold keeps policies of sources that are known as they are, until it is over.
func (s *sources) hold(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = on
}

func (s *sources) drop(id rib.SourceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, id)
}

func (s *sources) name(id rib.SourceID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[id]
}

// ids lists the BGP sources.
func (s *sources) ids() []rib.SourceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]rib.SourceID, 0, len(s.names))
	for id := range s.names {
		out = append(out, id)
	}
	return out
}

// onSource is told by the speaker who may say something from now on, and who no longer.
func (g *gateway) onSource(s bgpd.Source) {
	if s.Gone {
		g.sources.drop(s.ID)
		g.rib.RemoveSource(s.ID)
		return
	}
	if g.sources.set(s.ID, s.Name) {
		return
	}
	g.rib.AddSource(s.ID, rib.SourcePolicy{
		Rank: rankBGP, Allow: s.Allow, MaxPrefixes: s.MaxPrefixes, Initial: s.Configured,
	})
}

// configuredPolicies is what the sources that cfg names by address may say.
func (g *gateway) configuredPolicies(cfg *config.Config) map[rib.SourceID]rib.SourcePolicy {
	out := map[rib.SourceID]rib.SourcePolicy{}
	for _, n := range cfg.Neighbors {
		if n.Role == bgpd.VirtualRouter && n.Address.IsValid() {
			id := rib.SourceID(n.Address.String())
			g.sources.set(id, n.Name)
			out[id] = policyOf(&n)
		}
	}
	return out
}

func policyOf(n *bgpd.Neighbor) rib.SourcePolicy {
	return rib.SourcePolicy{Rank: rankBGP, Allow: n.Allow, MaxPrefixes: n.MaxPrefixes, Initial: n.Address.IsValid()}
}

// policies is what all sources may say that are known now and that cfg still has:
// those of ranges as well.
func (g *gateway) policies(cfg *config.Config) map[rib.SourceID]rib.SourcePolicy {
	out := g.configuredPolicies(cfg)
	for _, id := range g.sources.ids() {
		addr, err := netip.ParseAddr(string(id))
		if _, there := out[id]; there || err != nil {
			continue
		}
		for _, n := range cfg.Neighbors {
			if n.Role == bgpd.VirtualRouter && n.Range.IsValid() && n.Range.Contains(addr) {
				out[id] = policyOf(&n)
			}
		}
	}
	return out
}

func hasRange(cfg *config.Config) bool {
	for _, n := range cfg.Neighbors {
		if n.Range.IsValid() {
			return true
		}
	}
	return false
}

// staticFile is the source of bindings from a file, which a reload may exchange for
// another one.
type staticFile struct {
	rib *rib.RIB
	log *slog.Logger

	mu      sync.Mutex
	file    *static.File // nil: none
	changed chan struct{}
}

func newStaticFile(r *rib.RIB, log *slog.Logger) *staticFile {
	return &staticFile{rib: r, log: log, changed: make(chan struct{}, 1)}
}

// use makes path the file; "" is none. What an earlier file has said stays in force
// until the new one has been read, and is replaced by it in one step.
func (s *staticFile) use(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path == "" {
		s.file = nil
		s.rib.RemoveSource(rib.SourceStatic)
	} else {
		s.rib.AddSource(rib.SourceStatic, rib.SourcePolicy{Rank: rankFile, Initial: true})
		file, err := static.New(static.Config{Path: path, Update: s.rib.Update, Log: s.log})
		if err != nil {
			panic(err) // path and Update are given: it has nothing to object to
		}
		s.file = file
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *staticFile) current() *static.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file
}

// run has the current file read, and again whenever it changes, until ctx ends.
func (s *staticFile) run(ctx context.Context) error {
	for ctx.Err() == nil {
		select { // what use has said before this round is seen in it
		case <-s.changed:
		default:
		}
		if err := s.follow(ctx, s.current()); err != nil {
			return err
		}
	}
	return nil
}

// follow runs file until another one is to be used or ctx ends.
func (s *staticFile) follow(ctx context.Context, file *static.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		if file == nil {
			<-ctx.Done()
			done <- nil
			return
		}
		done <- file.Run(ctx)
	}()
	select {
	case <-s.changed:
		cancel()
		return <-done
	case err := <-done:
		return err
	}
}

// status is the file's; zero where there is none.
func (s *staticFile) status() static.Status {
	if f := s.current(); f != nil {
		return f.Status()
	}
	return static.Status{}
}
