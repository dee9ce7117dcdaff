package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// daemon is a foreign program that runs in a namespace until it is killed.
type daemon struct {
	name string
	cmd  *exec.Cmd
	said *tail
	done chan struct{} // closed when it has ended
}

// startDaemon runs a program in the foreground and waits until ready says that it
// is, or until it ends or limit passes.
func startDaemon(ctx context.Context, cmd *exec.Cmd, name string, ready func() bool) (*daemon, error) {
	const limit = 20 * time.Second
	d := &daemon{name: name, cmd: cmd, said: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d.said, d.said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("peers: start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended shows in what it said
		close(d.done)
	}()
	deadline := time.After(limit)
	for !ready() {
		select {
		case <-d.done:
			return nil, fmt.Errorf("peers: %s ended: %s", name, d.said)
		case <-deadline:
			return nil, errors.Join(fmt.Errorf("peers: %s not ready after %v: %s", name, limit, d.said), d.kill())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), d.kill())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return d, nil
}

// kill ends the program at once and waits for it.
func (d *daemon) kill() error {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("peers: kill %s: %w", d.name, err)
	}
	<-d.done
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// output runs a command and returns what it printed; an error holds what it
// complained of.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("peers: %s: %w: %s%s", strings.Join(cmd.Args, " "), err, out, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("peers: %s: %w", strings.Join(cmd.Args, " "), err)
	}
	return string(out), nil
}
