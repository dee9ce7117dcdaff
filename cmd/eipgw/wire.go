package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/cmd/internal/task"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/underlay"
)

// Ranks of the kinds of sources: what an operator does by hand comes before the file,
// the file before what neighbors say.
const (
	rankAdmin = iota
	rankFile
	rankBGP
)

// gateway is the daemon: every part, and what holds them together. It implements
// admin.Gateway. The parts have their own locks; mu serializes what changes several of
// them.
type gateway struct {
	file    string // the configuration, read again by a reload
	started time.Time
	log     *slog.Logger
	level   *slog.LevelVar
	parts   parts
	ports   []config.Port // fixed: port i has portID(i)

	lane     *lane // nil where it is off
	table    *fib.Table
	compiler *fib.Compiler
	network  network
	rib      *rib.RIB
	speaker  speaker
	static   *staticFile
	devices  []device
	filter   *filter
	rules    *rulebook
	workers  []*worker
	admin    *admin.Server
	web      *admin.Web
	sources  sources
	health   health

	mu       sync.Mutex
	cfg      *config.Config
	segments segmentSet
	reload   reloadState

	closers []func() error // in the order of opening
}

var _ admin.Gateway = (*gateway)(nil)

// worker is a thread that forwards, and what it alone uses.
type worker struct {
	*dataplane.Worker
	name   string
	cpu    int
	reader *fib.Reader
	ports  []dataplane.Port
}

// gatewayOptions is what a gateway is made of beside its configuration.
type gatewayOptions struct {
	File  string
	Parts parts
	Log   *slog.Logger
	Level *slog.LevelVar
}

// newGateway opens every part; nothing runs yet. On an error nothing stays open.
func newGateway(cfg *config.Config, o gatewayOptions) (_ *gateway, err error) {
	g := &gateway{
		file: o.File, started: time.Now(), log: o.Log, level: o.Level, parts: o.Parts,
		ports: cfg.Ports, cfg: cfg, segments: newSegmentSet(cfg.Segments), reload: reloadState{loaded: time.Now()},
	}
	g.level.Set(cfg.Log.Level)
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	for _, open := range []func() error{
		g.openAdmin, g.openTable, g.openDevices, g.openRules, g.openWorkers, g.openRIB, g.openSpeaker,
	} {
		if err := open(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// closing has f called by close, before what was opened earlier is closed.
func (g *gateway) closing(f func() error) { g.closers = append(g.closers, f) }

// close closes what newGateway has opened, after everything that ran has returned.
func (g *gateway) close() error {
	var errs []error
	for i := len(g.closers) - 1; i >= 0; i-- {
		errs = append(errs, g.closers[i]())
	}
	g.closers = nil
	return errors.Join(errs...)
}

// openAdmin comes first: its lock keeps a second daemon from touching the interfaces.
func (g *gateway) openAdmin() (err error) {
	if g.admin, err = admin.Listen(admin.ServerConfig{Socket: g.cfg.Admin.Socket, Gateway: g, Log: g.log}); err != nil {
		return err
	}
	g.closing(closed(g.admin.Close))
	if !g.cfg.Metrics.Listen.IsValid() {
		return nil
	}
	g.web, err = admin.ListenWeb(admin.WebConfig{
		Listen: g.cfg.Metrics.Listen, PProf: g.cfg.Metrics.PProf, Gateway: g, Log: g.log, Profiling: g.profiling,
	})
	if err != nil {
		return err
	}
	g.closing(closed(g.web.Close))
	return nil
}

// closed is a close after which, when the part has run and closed itself, there is
// nothing left to do.
func closed(f func() error) func() error {
	return func() error {
		if err := f(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// openTable makes the table, its compiler, and the underlay that resolves for it.
func (g *gateway) openTable() (err error) {
	options := fib.TableOptions{HugePages: true}
	if g.cfg.Forwarding.FastLane == config.FastLaneOn {
		if err := g.openLane(&options); err != nil {
			return err
		}
	}
	if g.table, err = fib.NewTable(options); err != nil {
		return err
	}
	g.closing(g.table.Close)
	if g.lane != nil {
		if err := g.lane.follow(g.table); err != nil {
			return err
		}
		g.closing(g.lane.unfollow)
	}
	c := underlay.Config{
		Source4: g.cfg.Tunnel.Source4, Source6: g.cfg.Tunnel.Source6, TTL: g.cfg.Tunnel.TTL,
		ZeroChecksum6: g.cfg.Tunnel.UDP6Checksum == config.Checksum6Zero,
		NoPathMTU:     g.cfg.Tunnel.PathMTU == config.PathMTUOff,
		OnChange:      func(vteps []netip.Addr) { g.compiler.Refresh(vteps) }, // from Run, which starts later
		Log:           g.log,
	}
	for i, p := range g.cfg.Ports {
		c.Ports = append(c.Ports, underlay.Port{ID: portID(i), Name: p.Name, VLAN: p.VLAN})
	}
	if g.network, err = g.parts.underlay(c); err != nil {
		return err
	}
	g.closing(g.network.Close)
	g.compiler = fib.NewCompiler(g.table, g.network)
	return nil
}

// portID is the ID of the i-th port of the configuration. 0 stays unused, so that a
// forgotten ID names no port.
func portID(i int) fib.PortID { return fib.PortID(i + 1) }

func (g *gateway) openDevices() error {
	for i, p := range g.cfg.Ports {
		d, err := g.parts.device(p, portID(i), g.lane.kernel())
		if err != nil {
			return err
		}
		g.devices = append(g.devices, d)
		g.closing(d.Close)
	}
	return nil
}

// openRules makes the rules that all workers share.
func (g *gateway) openRules() (err error) {
	g.rules, err = newRulebook(g.cfg, g.segments.clamps(), g.cfg.Ports[0].Queues)
	if err != nil || g.lane == nil {
		return err
	}
	return g.rules.share(g.lane.Lane)
}

// openWorkers makes one worker for each queue: it owns that queue of every port.
func (g *gateway) openWorkers() error {
	for q := range g.cfg.Ports[0].Queues {
		w := &worker{name: fmt.Sprintf("worker %d", q), cpu: -1}
		if len(g.cfg.Workers.CPUs) > 0 {
			w.cpu = g.cfg.Workers.CPUs[q]
		}
		if err := g.openWorker(w, q); err != nil {
			return err
		}
		g.workers = append(g.workers, w)
	}
	g.logNotes()
	return nil
}

func (g *gateway) openWorker(w *worker, queue int) (err error) {
	if w.reader, err = g.table.NewReader(); err != nil {
		return err
	}
	g.closing(func() error { w.reader.Close(); return nil })
	for _, d := range g.devices {
		p, err := d.Port(queue)
		if err != nil {
			return err
		}
		g.closing(p.Close)
		w.ports = append(w.ports, p)
	}
	w.Worker, err = dataplane.NewWorker(dataplane.WorkerConfig{
		Name: w.name, Ports: w.ports, Reader: w.reader, CPU: w.cpu, Idle: g.cfg.Workers.Idle,
		Rules: &g.rules.rules,
	})
	return err
}

// openRIB makes the RIB with every source that the configuration names, so that it
// waits for their initial dumps from the first moment.
func (g *gateway) openRIB() (err error) {
	names := make([]string, len(g.ports))
	for i, p := range g.ports {
		names[i] = p.Name
	}
	g.filter = &filter{
		devices: g.devices, rules: g.rules, log: g.log,
		addresses: func() (ownAddresses, error) { return g.parts.addresses(names) },
	}
	g.rib, err = rib.New(rib.Config{
		Programmer: g.compiler, Filter: g.filter, Announcer: announcer{g},
		Settle: g.cfg.Announce.Settle, InitialWait: g.cfg.Announce.InitialWait, Damping: g.cfg.Announce.Damping,
		WhenEmpty: g.cfg.Announce.WhenEmpty, Linger: g.cfg.Stop.Linger,
		UnnamedSources: hasRange(g.cfg), Log: g.log,
	})
	if err != nil {
		return err
	}
	g.rib.AddSource(rib.SourceAdmin, rib.SourcePolicy{Rank: rankAdmin})
	for id, p := range g.configuredPolicies(g.cfg) {
		g.rib.AddSource(id, p)
	}
	g.static = newStaticFile(g.rib, g.log)
	g.static.use(g.cfg.Bindings.File)
	_, err = g.rib.SetSegments(g.segments.wanted())
	return err
}

func (g *gateway) openSpeaker() (err error) {
	g.speaker, err = g.parts.speaker(g.speakerConfig(g.cfg))
	return err
}

// speakerConfig is the configuration's BGP with the RIB as its listener.
func (g *gateway) speakerConfig(cfg *config.Config) bgpd.Config {
	c := cfg.Speaker()
	c.Updates, c.OnSource, c.Log = g.rib.Update, g.onSource, g.log
	return c
}

// announcer is the speaker, which is made after the RIB that announces by it.
type announcer struct{ g *gateway }

func (a announcer) Announce(want []rib.Segment) error { return a.g.speaker.Announce(want) }

// tasks are all that runs, in the order in which they become ready.
func (g *gateway) tasks() []task.Task {
	tasks := []task.Task{
		task.Loop("underlay", g.network.Run),
		task.Loop("rib", g.rib.Run),
		task.Loop("static bindings", g.static.run),
		task.Loop("health", g.watchHealth),
		task.Loop("admin", g.admin.Run),
	}
	for _, w := range g.workers {
		tasks = append(tasks, task.Func(w.name, w.run))
	}
	if g.web != nil {
		tasks = append(tasks, task.Loop("metrics", g.web.Run))
	}
	return append(tasks, task.Loop("bgp", g.speaker.Run))
}

// run is ready once the worker polls.
func (w *worker) run(ctx context.Context, ready func()) error {
	ready()
	return w.Run(ctx)
}
