package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"
)

// request is one line that the parent writes to a peer process.
type request struct {
	Op    string     `json:"op"`
	Route *Route     `json:"route,omitempty"`
	EIP   netip.Addr `json:"eip,omitempty"`
}

// response is the line that answers it.
type response struct {
	Error       string       `json:"error,omitempty"`
	Established int          `json:"established,omitempty"`
	Routes      []Learned    `json:"routes,omitempty"`
	Stats       VRouterStats `json:"stats"`
}

// Kinds of peer processes.
const (
	KindSwitch  = "switch"
	KindVRouter = "virtual-router"
)

// Main is what a peer process runs: kind is KindSwitch or KindVRouter, config its
// configuration in JSON. It obeys in until that ends.
func Main(ctx context.Context, kind, config string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var obey func(context.Context, request) (response, error)
	switch kind {
	case KindSwitch:
		var c SpeakerConfig
		if err := json.Unmarshal([]byte(config), &c); err != nil {
			return fmt.Errorf("peers: switch configuration: %w", err)
		}
		s, err := StartSwitch(ctx, c)
		if err != nil {
			return err
		}
		obey = s.obey
	case KindVRouter:
		var c VRouterConfig
		if err := json.Unmarshal([]byte(config), &c); err != nil {
			return fmt.Errorf("peers: virtual router configuration: %w", err)
		}
		v, err := StartVRouter(ctx, c)
		if err != nil {
			return err
		}
		obey = v.obey
	default:
		return fmt.Errorf("peers: no peer of kind %q; there are %s and %s", kind, KindSwitch, KindVRouter)
	}
	enc := json.NewEncoder(out)
	if err := enc.Encode(response{}); err != nil { // started
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("peers: request: %w", err)
		}
		r, err := obey(ctx, q)
		if err != nil {
			r.Error = err.Error()
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s *Speaker) obey(ctx context.Context, q request) (response, error) {
	switch q.Op {
	case "announce", "withdraw":
		if q.Route == nil {
			return response{}, fmt.Errorf("peers: %s needs a route", q.Op)
		}
		if q.Op == "announce" {
			return response{}, s.Announce(ctx, *q.Route)
		}
		return response{}, s.Withdraw(ctx, *q.Route)
	case "established":
		n, err := s.Established(ctx)
		return response{Established: n}, err
	default:
		return response{}, fmt.Errorf("peers: no operation %q here", q.Op)
	}
}

func (s *Switch) obey(ctx context.Context, q request) (response, error) {
	if q.Op == "routes" {
		return response{Routes: s.Routes()}, s.Err()
	}
	return s.Speaker.obey(ctx, q)
}

func (v *VRouter) obey(ctx context.Context, q request) (response, error) {
	switch q.Op {
	case "own":
		return response{}, v.Own(q.EIP)
	case "stats":
		return response{Stats: v.Stats()}, nil
	}
	return v.Speaker.obey(ctx, q)
}

// Process is the parent's hold on a peer process.
type Process struct {
	mu   sync.Mutex // one request at a time
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	errs *tail
}

// Namespace prepares a command that runs inside a network namespace.
type Namespace interface {
	Command(ctx context.Context, name string, args ...string) *exec.Cmd
}

// answerTimeout is how long a peer process may take to answer.
const answerTimeout = 15 * time.Second

// Start runs a peer process of the given kind and configuration: argv is the
// program that calls Main with two more arguments, the kind and the configuration.
// It returns when the peer has started, or says why it has not.
func Start(ctx context.Context, ns Namespace, argv []string, kind string, config any) (*Process, error) {
	js, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("peers: configuration of %s: %w", kind, err)
	}
	args := append(append([]string{}, argv[1:]...), kind, string(js))
	p := &Process{cmd: ns.Command(ctx, argv[0], args...), errs: &tail{}}
	p.cmd.Stderr = p.errs
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("peers: start %s: %w", kind, err)
	}
	if _, err := p.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("peers: %s did not start: %w", kind, err), p.Kill())
	}
	return p, nil
}

// Announce has the peer send a route, Withdraw take it back.
func (p *Process) Announce(r Route) error {
	_, err := p.ask(request{Op: "announce", Route: &r})
	return err
}

// Withdraw has the peer take the announcement of r's prefix back.
func (p *Process) Withdraw(r Route) error {
	_, err := p.ask(request{Op: "withdraw", Route: &r})
	return err
}

// Own has a virtual router's kernel answer for the EIP.
func (p *Process) Own(eip netip.Addr) error {
	_, err := p.ask(request{Op: "own", EIP: eip})
	return err
}

// Routes asks a switch for what it has learned.
func (p *Process) Routes() ([]Learned, error) {
	r, err := p.ask(request{Op: "routes"})
	return r.Routes, err
}

// Established asks how many of the peer's sessions are up.
func (p *Process) Established() (int, error) {
	r, err := p.ask(request{Op: "established"})
	return r.Established, err
}

// Stats asks a virtual router what came out of its tunnel.
func (p *Process) Stats() (VRouterStats, error) {
	r, err := p.ask(request{Op: "stats"})
	return r.Stats, err
}

// Kill ends the process as a crash would: its kernel closes its connections.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = p.cmd.Wait() // reports the kill
	return nil
}

func (p *Process) ask(q request) (response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	js, err := json.Marshal(q)
	if err != nil {
		return response{}, err
	}
	if _, err := p.in.Write(append(js, '\n')); err != nil {
		return response{}, fmt.Errorf("peers: %s: %w (it said: %s)", q.Op, err, p.errs)
	}
	r, err := p.read()
	if err != nil {
		return r, fmt.Errorf("peers: %s: %w", q.Op, err)
	}
	return r, nil
}

func (p *Process) read() (response, error) {
	var r response
	done := make(chan error, 1)
	go func() { done <- p.out.Decode(&r) }()
	select {
	case err := <-done:
		if err != nil {
			return response{}, fmt.Errorf("%w (it said: %s)", err, p.errs)
		}
	case <-time.After(answerTimeout):
		return response{}, fmt.Errorf("no answer within %v (it said: %s)", answerTimeout, p.errs)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// tail keeps the end of what a process says on its standard error.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - 4096; over > 0 {
		t.b = t.b[over:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.b) == 0 {
		return "nothing"
	}
	return string(t.b)
}
