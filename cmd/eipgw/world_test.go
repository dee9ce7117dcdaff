package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/dataplane/underlay"
)

// memDevice is an interface in memory.
type memDevice struct {
	id   fib.PortID
	name string
	hang sync.Mutex // while it is held, receiving hangs, and the worker with it

	mu       sync.Mutex
	ports    map[int]*memport.Port
	segments []netip.Prefix
	local    []netip.Addr
	refuse   error // what SetLocal says
	closed   bool
}

func (d *memDevice) Port(queue int) (dataplane.Port, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := memport.New(memport.Config{ID: d.id, Name: d.name, Queue: queue, Poison: true})
	d.ports[queue] = p
	return memPort{p, d}, nil
}

// memPort is a queue of a device.
type memPort struct {
	*memport.Port
	device *memDevice
}

func (p memPort) Rx(b *dataplane.Burst) (int, error) {
	p.device.hang.Lock()
	defer p.device.hang.Unlock()
	return p.Port.Rx(b)
}

func (d *memDevice) port(queue int) *memport.Port {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ports[queue]
}

func (d *memDevice) SetSegments(prefixes []netip.Prefix) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segments = slices.Clone(prefixes)
	return nil
}

func (d *memDevice) redirected() []netip.Prefix {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.segments
}

func (d *memDevice) SetLocal(addrs []netip.Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse == nil {
		d.local = slices.Clone(addrs)
	}
	return d.refuse
}

func (d *memDevice) setRefuse(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = err
}

func (d *memDevice) passed() []netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.local
}

func (d *memDevice) Status() (afxdp.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := afxdp.Status{
		ID: d.id, Name: d.name, Mode: afxdp.ModeNative,
		Filter: afxdp.FilterCounters{Redirected: 1, Passed: 2, Unserved: 3, Foreign: 4},
		Notes:  []string{"the wire is memory"},
	}
	for q := range d.ports {
		s.Queues = append(s.Queues, afxdp.QueueStatus{
			Queue: q, RxTooLong: 8, Refused: 1, TooLong: 2,
			Kernel: afxdp.KernelCounters{RxDropped: 3, RxFillRingEmpty: 2, RxRingFull: 16, TxInvalid: 4},
		})
	}
	return s, nil
}

func (d *memDevice) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errors.New("closed twice")
	}
	d.closed = true
	return nil
}

// mapNetwork is an underlay that knows what it was told.
type mapNetwork struct {
	fibtest.Resolver
	path    underlay.PathMTU // of every VTEP
	changed chan []netip.Addr
	cfg     underlay.Config
}

func (n *mapNetwork) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case vteps := <-n.changed:
			n.cfg.OnChange(vteps)
		}
	}
}

// way makes a VTEP reachable.
func (n *mapNetwork) way(vtep netip.Addr, adjs ...fib.Adjacency) {
	n.Set(vtep, adjs...)
	n.changed <- []netip.Addr{vtep}
}

func (n *mapNetwork) Close() error { return nil }

func (n *mapNetwork) Outcomes() (o [underlay.NumOutcomes]uint64) {
	o[underlay.Lowered] = 1
	return o
}

func (n *mapNetwork) Status() []underlay.VTEPStatus {
	var out []underlay.VTEPStatus
	for _, v := range n.Tracked() {
		s := underlay.VTEPStatus{VTEP: v, PathMTU: n.path}
		var adjs []fib.Adjacency
		adjs, s.Err = n.Resolve(v)
		for _, a := range adjs {
			s.Ways = append(s.Ways, underlay.Way{Adjacency: a})
		}
		out = append(out, s)
	}
	return out
}

// wordSpeaker is BGP that only remembers.
type wordSpeaker struct {
	mu        sync.Mutex
	cfg       bgpd.Config
	refuse    error
	announced []rib.Segment
	history   []string
}

func (s *wordSpeaker) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (s *wordSpeaker) Announce(want []rib.Segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced = slices.Clone(want)
	var words []string
	for _, w := range want {
		words = append(words, w.Prefix.String())
	}
	s.history = append(s.history, strings.Join(words, " "))
	return nil
}

func (s *wordSpeaker) have() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for _, w := range s.announced {
		out = append(out, w.Prefix.String())
	}
	return out
}

func (s *wordSpeaker) Neighbors() []bgpd.NeighborStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []bgpd.NeighborStatus
	for _, n := range s.cfg.Neighbors {
		out = append(out, bgpd.NeighborStatus{Name: n.Name, Address: n.Address, Range: n.Range, Role: n.Role, ASN: n.ASN, State: "established"})
	}
	return out
}

func (s *wordSpeaker) Reconfigure(c bgpd.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return s.refuse
	}
	s.cfg = c
	return nil
}

// world is a gateway in memory, running, with a client of its API.
type world struct {
	t       testing.TB
	g       *gateway
	devices []*memDevice
	network *mapNetwork
	speaker *wordSpeaker
	client  *admin.Client
	socket  string
	file    string
	log     *lockedBuffer
	signals chan os.Signal
	done    chan error
	own     atomic.Pointer[ownAddresses] // nil is none
}

// lockedBuffer is a log that a test may read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// worldConfig is what a world runs on; SOCKET is put in.
const worldConfig = `
gateway: {asn: 64512, router-id: 10.255.0.1, service-addresses: [10.255.0.1]}
segments: [{prefix: 203.0.113.0/24}]
announce: {settle: 10ms, initial-wait: 100ms, damping: 10ms, when-empty: true}
neighbors:
  - {address: 10.0.1.1, role: switch, asn: 65001}
  - {address: 10.1.0.1, role: virtual-router, asn: 65100, allow: [203.0.113.0/25], profile: {vni: 7}}
ports: [{name: mem1}, {name: mem2}]
admin: {socket: SOCKET}
stop: {linger: 50ms}
`

// parts puts memory in the place of the world.
func (w *world) parts() parts {
	return parts{
		device: func(p config.Port, id fib.PortID, _ *afxdp.Lane) (device, error) {
			d := &memDevice{id: id, name: p.Name, ports: map[int]*memport.Port{}}
			w.devices = append(w.devices, d)
			return d, nil
		},
		underlay: func(c underlay.Config) (network, error) {
			w.network = &mapNetwork{cfg: c, changed: make(chan []netip.Addr, 16)}
			return w.network, nil
		},
		speaker: func(c bgpd.Config) (speaker, error) {
			w.speaker = &wordSpeaker{cfg: c}
			return w.speaker, nil
		},
		addresses: func([]string) (ownAddresses, error) {
			if own := w.own.Load(); own != nil {
				return *own, nil
			}
			return ownAddresses{}, nil
		},
	}
}

// newWorld starts a gateway with the configuration and waits until it is ready.
func newWorld(t testing.TB, text string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, socket: filepath.Join(dir, "s"), file: filepath.Join(dir, "eipgw.yaml"), log: &lockedBuffer{},
		signals: make(chan os.Signal, 4), done: make(chan error, 1),
	}
	w.configure(text)
	cfg, err := config.Load(w.file)
	require.NoError(t, err)
	level := new(slog.LevelVar)
	g, err := newGateway(cfg, gatewayOptions{
		File: w.file, Parts: w.parts(), Log: newLogger(w.log, config.FormatText, level), Level: level,
	})
	require.NoError(t, err)
	w.g = g
	go func() { w.done <- g.serve(context.Background(), w.signals) }()
	w.client = admin.NewClient(w.socket)
	t.Cleanup(w.end)
	w.logged("eipgw is ready")
	return w
}

// configure writes the configuration file.
func (w *world) configure(text string) {
	w.t.Helper()
	text = strings.ReplaceAll(text, "SOCKET", w.socket)
	require.NoError(w.t, os.WriteFile(w.file, []byte(text), 0o600))
}

// end stops the gateway, if the test has not, and looks at what is left.
func (w *world) end() {
	if w.done != nil {
		w.signals <- unix.SIGTERM
		w.join(patience)
	}
	w.client.Close()
	for _, d := range w.devices {
		assert.True(w.t, d.closed, "%s is left open", d.name)
	}
	if w.t.Failed() {
		w.t.Log(w.log.String())
	}
}

// join waits until the gateway has ended.
func (w *world) join(d time.Duration) {
	w.t.Helper()
	select {
	case err := <-w.done:
		require.NoError(w.t, err)
	case <-time.After(d):
		w.t.Fatalf("it still runs %v later\n%s", d, w.log)
	}
	w.done = nil
}

// patience is how long a test waits for what a busy machine may be late with.
const patience = 30 * time.Second

// eventually polls until f holds.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %v: %s\n%s", patience, what, w.log)
		}
	}
}

// logged waits until the log has the text: who logs what has happened does so after it.
func (w *world) logged(text string) {
	w.t.Helper()
	w.eventually("logged: "+text, func() bool { return strings.Contains(w.log.String(), text) })
}

// announced waits until exactly these segments are.
func (w *world) announced(want ...string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("announced: %v, have %v", want, w.speaker.have()), func() bool { return slices.Equal(want, w.speaker.have()) })
}

// cli runs a command against the gateway.
func (w *world) cli(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = execute(context.Background(), append(args, "--socket", w.socket), &o, &e)
	return code, o.String(), e.String()
}

type underlayConfig = underlay.Config

// failing opens nothing.
func failing[C, T any](err error) func(C) (T, error) {
	return func(C) (t T, _ error) { return t, err }
}

var (
	discard      = slog.New(slog.DiscardHandler)
	discardLevel slog.LevelVar
)
