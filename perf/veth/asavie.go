package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// asavie is a forwarder on asavie/xdp's API as its documentation shows it, see plain.go: what
// a Go program is that does without rings of its own. It runs as a child process of this
// program, so that it can be stopped as the others can.
type asavie struct {
	settings
	label string
}

func (a *asavie) name() string     { return a.label }
func (a *asavie) tunnels() bool    { return true }
func (a *asavie) reference() bool  { return true }
func (a *asavie) hugePages() int   { return 0 }
func (a *asavie) traffic() traffic { return a.settings.traffic() }
func (a *asavie) missing() error   { return nil }

func (a *asavie) what() string {
	return fmt.Sprintf("asavie/xdp's Fill, Poll, Receive, Transmit and Complete on CPU %d, %d frames: looks up in bart.Fast, copies, encapsulates in Geneve, sends to one of %d VTEPs; checks no checksum, answers nobody",
		workerCPU, plainSocket.NumFrames, tunnelsInUse)
}

// asavieProcess is the parent's side of the child.
type asavieProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   chan string // its lines
	said  lockedBuffer
	ended chan error
}

// lockedBuffer is what a process says, read while it still speaks.
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

func (a *asavie) start(ctx context.Context, t *topology) (process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(plainConfig{Arms: t.arms, EIPs: a.EIPs})
	if err != nil {
		return nil, err
	}
	p := &asavieProcess{cmd: t.gateway.Command(ctx, exe, plainFlag, string(config)), out: make(chan string, 1), ended: make(chan error, 1)}
	p.cmd.Stderr = &p.said
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			select {
			case p.out <- lines.Text():
			default: // nobody has taken the one before
			}
		}
		p.ended <- p.cmd.Wait()
	}()
	return p, nil
}

func (p *asavieProcess) pid() int { return p.cmd.Process.Pid }

// notes are the child's counters. When asavie/xdp panics, which it does when sending fails
// in a way that it does not know, such as for want of memory, the child starts itself anew:
// the turn lacks the frames of that time, and it is said here.
func (p *asavieProcess) notes() []string {
	select {
	case <-p.out: // an answer that came too late
	default:
	}
	if _, err := io.WriteString(p.stdin, "\n"); err != nil {
		return []string{p.gone(err).Error()}
	}
	select {
	case line := <-p.out:
		return []string{line}
	case <-time.After(2 * time.Second):
		return []string{p.gone(errors.New("no answer")).Error()}
	}
}

func (p *asavieProcess) gone(err error) error {
	return fmt.Errorf("the child: %w; it said: %s", err, p.said.String())
}

// stop ends the child, which lives until its standard input ends.
func (p *asavieProcess) stop() error {
	err := p.stdin.Close()
	select {
	case ended := <-p.ended:
		if ended != nil {
			return p.gone(ended)
		}
		return err
	case <-time.After(10 * time.Second):
		return errors.Join(p.gone(errors.New("does not end")), p.cmd.Process.Kill())
	}
}
