package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Gateway is an eipgw process in a namespace, used through its command line as an
// operator would.
type Gateway struct {
	exe, dir string
	cmd      *exec.Cmd
	exited   chan struct{} // closed when it has ended, err says how
	err      error
	log      *os.File
}

// GatewayConfig says what StartGateway runs.
type GatewayConfig struct {
	Exe  string // the eipgw binary
	Dir  string // for configuration, socket and log; exists
	YAML string // configuration, but for the admin section

	Patience time.Duration // how long it may take to answer, with many bindings; 0: 20 s
}

// StartGateway starts the daemon and waits until it answers on its socket.
func StartGateway(ctx context.Context, ns Namespace, c GatewayConfig) (*Gateway, error) {
	g := &Gateway{exe: c.Exe, dir: c.Dir, exited: make(chan struct{})}
	if err := g.Write(c.YAML); err != nil {
		return nil, err
	}
	var err error
	if g.log, err = os.OpenFile(filepath.Join(c.Dir, "eipgw.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	g.cmd = ns.Command(ctx, c.Exe, "run", "-c", g.File())
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("peers: start the gateway: %w", err)
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.exited)
	}()
	limit := c.Patience
	if limit == 0 {
		limit = 20 * time.Second
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if _, err = g.Run(ctx, "show", "status"); err == nil {
			return g, nil
		}
		select {
		case <-g.exited:
			return nil, fmt.Errorf("peers: the gateway ended at once: %w\n%s", g.err, g.Log())
		default:
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("peers: the gateway does not answer: %w\n%s", err, g.Log()), g.Kill())
		}
	}
}

// File is the configuration file.
func (g *Gateway) File() string { return filepath.Join(g.dir, "eipgw.yaml") }

func (g *Gateway) socket() string { return filepath.Join(g.dir, "eipgw.sock") }

// Write replaces the configuration file; Reload or Signal puts it in force.
func (g *Gateway) Write(yaml string) error {
	text := yaml + "\nadmin: {socket: " + g.socket() + "}\n"
	if err := os.WriteFile(g.File(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

// Run runs one eipgw command against the gateway and returns what it printed; the
// error holds what it complained of.
func (g *Gateway) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.exe, append(args, "--socket", g.socket())...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), fmt.Errorf("peers: eipgw %v: %w: %s", args, err, bytes.TrimSpace(exit.Stderr))
	}
	return string(out), err
}

// Show decodes the JSON of a command, such as "show", "counters", into v.
func (g *Gateway) Show(ctx context.Context, v any, args ...string) error {
	out, err := g.Run(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("peers: eipgw %v --json: %w", args, err)
	}
	return nil
}

// Why is what `eipgw why` says of an address, in part.
type Why struct {
	Verdict  string `json:"verdict"`
	Summary  string `json:"summary"`
	Prefixes []struct {
		Prefix     netip.Prefix `json:"prefix"`
		Candidates []struct {
			Source  string `json:"source"`
			Carrier string `json:"carrier"`
			Chosen  bool   `json:"chosen"`
			Tunnel  struct {
				VTEP     netip.Addr `json:"vtep"`
				VNI      uint32     `json:"vni"`
				InnerMAC string     `json:"inner_mac"`
			} `json:"tunnel"`
		} `json:"candidates"`
	} `json:"prefixes"`
}

// Forwarded says whether frames for the address leave in a tunnel.
func (w Why) Forwarded() bool { return w.Verdict == "forwarded" }

// Why asks what happens to frames for an address.
func (g *Gateway) Why(ctx context.Context, eip netip.Addr) (Why, error) {
	var w Why
	return w, g.Show(ctx, &w, "why", eip.String())
}

// Counters is what `eipgw show counters` says, in part.
type Counters struct {
	Received struct{ Packets uint64 } `json:"received"`
	Made     uint64                   `json:"made"` // answers and fragments
	Sent     struct{ Packets uint64 } `json:"sent"`
	Drops    []struct {
		Reason  string
		Packets uint64
	} `json:"drops"`
	Events []struct {
		Event   string
		Packets uint64
	} `json:"events"`
}

// Counters asks for the frames in, made, out and dropped.
func (g *Gateway) Counters(ctx context.Context) (Counters, error) {
	var c Counters
	return c, g.Show(ctx, &c, "show", "counters")
}

// Dropped is the sum over all Reasons.
func (c Counters) Dropped() uint64 {
	var n uint64
	for _, d := range c.Drops {
		n += d.Packets
	}
	return n
}

// Drop is the count of one Reason.
func (c Counters) Drop(reason string) uint64 {
	for _, d := range c.Drops {
		if d.Reason == reason {
			return d.Packets
		}
	}
	return 0
}

// Event is the count of one Event.
func (c Counters) Event(name string) uint64 {
	for _, e := range c.Events {
		if e.Event == name {
			return e.Packets
		}
	}
	return 0
}

// AddUp says whether every frame that came in or was made went out or was dropped.
func (c Counters) AddUp() bool { return c.Received.Packets+c.Made == c.Sent.Packets+c.Dropped() }

// Signal sends a signal: SIGHUP reloads.
func (g *Gateway) Signal(s unix.Signal) error { return g.cmd.Process.Signal(s) }

// Stop asks the gateway to end gracefully and waits for it.
func (g *Gateway) Stop(timeout time.Duration) error {
	if err := g.Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("peers: stop the gateway: %w", err)
	}
	select {
	case <-g.exited:
		return g.err
	case <-time.After(timeout):
		return errors.Join(fmt.Errorf("peers: the gateway still runs %v after SIGTERM", timeout), g.Kill())
	}
}

// Kill ends it at once, as a crash would.
func (g *Gateway) Kill() error {
	if err := g.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-g.exited
	return nil
}

// Log is the end of what the gateway logged.
func (g *Gateway) Log() string {
	b, err := os.ReadFile(g.log.Name())
	if err != nil {
		return err.Error()
	}
	if over := len(b) - 6000; over > 0 {
		b = b[over:]
	}
	return string(b)
}
