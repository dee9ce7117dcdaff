package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
	"github.com/eipgw/eipgw/perf/peers"
)

// eipgw is the real daemon with bindings from a file.
type eipgw struct {
	settings
	label    string
	exe      string
	busyPoll int
	lane     bool   // with the fast lane on
	spins    bool   // idle: busy, so that the worker never sleeps
	other    bool   // what to compare with
	flood    string // one of floods; "": none
}

const tunnelsInUse = 16 // VTEPs, with a VNI each, that the EIPs are spread over

// mostFromFile is how many bindings come from a file. More are made through the API: YAML
// of a hundred bytes a binding takes long to write and to read.
const mostFromFile = 100_000

const pprofAddr = "127.0.0.1:9179"

func (e *eipgw) name() string    { return e.label }
func (e *eipgw) tunnels() bool   { return true }
func (e *eipgw) reference() bool { return e.other }
func (e *eipgw) hugePages() int  { return 0 }

func (e *eipgw) traffic() traffic {
	t := e.settings.traffic()
	if e.flood != "" {
		t.mix = e.mix(e.flood)
	}
	return t
}

func (e *eipgw) what() string {
	s := fmt.Sprintf("eipgw run, one worker on CPU %d: looks up, encapsulates in Geneve, sends to one of %d VTEPs", workerCPU, tunnelsInUse)
	if e.busyPoll > 0 {
		s += fmt.Sprintf("; busy-poll: %d", e.busyPoll)
	}
	if e.spins {
		s += "; idle: busy, so it never sleeps"
	}
	if e.lane {
		s += "; fast-lane: on, so the kernel forwards, in its thread that receives, on that CPU"
	}
	if e.flood != "" {
		s += fmt.Sprintf("; %.0f %% of all frames are hostile: %s", 100*e.Share, e.flood)
	}
	return s
}

func (e *eipgw) missing() error {
	if _, err := os.Stat(e.exe); err != nil {
		return fmt.Errorf("there is no %s: run make build", e.exe)
	}
	return nil
}

// eipgwProcess remembers the command that peers.StartGateway makes.
type eipgwProcess struct {
	*peers.Gateway
	ns  *lab.NS
	cmd *exec.Cmd
	dir string

	grace   time.Duration // until it has to have ended
	started time.Time
	loaded  string // for the notes; empty when bindings came from a file

	// With the fast lane a thread of the kernel does the work, and the wire's end takes what
	// XDP sends.
	thread int
	pass   io.Closer
}

// Command implements peers.Namespace.
func (p *eipgwProcess) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	p.cmd = p.ns.Command(ctx, name, args...)
	return p.cmd
}

func (e *eipgw) start(ctx context.Context, t *topology) (_ process, err error) {
	// Every binding is taken out of the table when it ends.
	p := &eipgwProcess{ns: t.gateway, grace: 10*time.Second + time.Duration(e.EIPs)*10*time.Microsecond}
	if p.dir, err = os.MkdirTemp("", "eipgw-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(p.dir))
		}
	}()
	bindings, fromFile := filepath.Join(p.dir, "bindings.yaml"), e.EIPs
	if e.EIPs > mostFromFile {
		fromFile = 0
	}
	if err := writeBindings(bindings, fromFile); err != nil {
		return nil, err
	}
	exe, err := filepath.Abs(e.exe)
	if err != nil {
		return nil, err
	}
	p.Gateway, err = peers.StartGateway(ctx, p, peers.GatewayConfig{
		Exe: exe, Dir: p.dir, YAML: e.config(t, bindings), Patience: patience + time.Duration(e.EIPs)*perEIP,
	})
	if err != nil {
		return nil, err
	}
	p.started = time.Now()
	if fromFile == 0 {
		if err := p.bindAll(ctx, e.EIPs); err != nil {
			return nil, errors.Join(err, p.Stop(p.grace))
		}
	}
	if e.lane {
		if err := p.useLane(t); err != nil {
			return nil, errors.Join(err, p.Stop(p.grace))
		}
	}
	return p, nil
}

// useLane has the kernel receive and forward on the worker's CPU, as with other programs
// that run inside it.
func (p *eipgwProcess) useLane(t *topology) (err error) {
	if p.thread, err = threadNAPI(t.gateway, portNames[0], workerCPU); err != nil {
		return err
	}
	return t.wire.Do(func() error {
		p.pass, err = loadgen.Pass(wireNames[t.out()])
		return err
	})
}

// bindAll binds the EIPs through the API.
func (p *eipgwProcess) bindAll(ctx context.Context, eips int) (err error) {
	c := newChurner(p, eips)
	defer func() { err = errors.Join(err, c.close()) }()
	err = c.moveAll(ctx)
	p.loaded = fmt.Sprintf("%d EIPs bound in %.1f s", eips, time.Since(p.started).Seconds())
	return err
}

func (e *eipgw) config(t *topology, bindings string) string {
	ports, lane, idle := "", "off", "adaptive"
	if e.lane {
		lane = "on"
	}
	if e.spins {
		idle = "busy"
	}
	more := fmt.Sprintf("busy-poll: %d", e.busyPoll)
	if e.Port != "" {
		more += ", " + e.Port
	}
	for i := range t.arms {
		ports += fmt.Sprintf("  - {name: %s, %s}\n", portNames[i], more)
	}
	return fmt.Sprintf(`
gateway: {asn: 64512, router-id: %s, service-addresses: [%[1]s], listen: ["127.0.0.1:179"]}
segments: [{prefix: %s}]
ports:
%sworkers: {cpus: [%d], idle: %s}
bindings: {file: %s}
metrics: {listen: %s, pprof: true}
stop: {linger: 1ms}
forwarding: {fast-lane: %s}
`, service, segment, ports, workerCPU, idle, bindings, pprofAddr, lane)
}

// writeBindings binds every EIP to one of the VTEPs, one /32 each. Tunnels are written once
// and referred to after, which halves time and memory that the file takes to be read.
func writeBindings(file string, n int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if n == 0 {
		fmt.Fprintln(w, "bindings: []")
	} else {
		fmt.Fprintln(w, "bindings:")
	}
	for i, eip := 0, firstEIP; i < n; i, eip = i+1, eip.Next() {
		number := i % tunnelsInUse
		if i < tunnelsInUse {
			fmt.Fprintf(w, "  - {prefix: %s, tunnels: &t%d [{vtep: %s, vni: %d}]}\n", eip, number, vtep(number), vni(number))
		} else {
			fmt.Fprintf(w, "  - {prefix: %s, tunnels: *t%d}\n", eip, number)
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

func vtep(i int) netip.Addr {
	b := vteps.Addr().As4()
	b[3] = byte(1 + i)
	return netip.AddrFrom4(b)
}

func vni(i int) uint32 { return uint32(5000 + i) }

// pid is the thread that forwards where that is the kernel's. The process, which has nothing
// to do then, goes on between turns.
func (p *eipgwProcess) pid() int {
	if p.thread != 0 {
		return p.thread
	}
	return p.cmd.Process.Pid
}

// notes are the drops that the gateway itself counted, and what it made, and for how long it
// has been there.
func (p *eipgwProcess) notes() []string {
	c, err := p.Counters(context.Background())
	if err != nil {
		return []string{err.Error()}
	}
	var notes []string
	if p.loaded != "" {
		notes = append(notes, p.loaded)
	}
	for _, d := range c.Drops {
		if d.Packets > 0 {
			notes = append(notes, fmt.Sprintf("%s %d of %d", d.Reason, d.Packets, c.Received.Packets))
		}
	}
	if c.Made > 0 {
		notes = append(notes, fmt.Sprintf("made %d in %.1f s", c.Made, time.Since(p.started).Seconds()))
	}
	return notes
}

func (p *eipgwProcess) stop() error {
	var err error
	if p.pass != nil {
		err = p.pass.Close()
	}
	return errors.Join(err, p.Stop(p.grace), os.RemoveAll(p.dir))
}
