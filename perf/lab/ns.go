package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// runDir is where iproute2 looks for named namespaces.
const runDir = "/run/netns"

// NS is one network namespace. Its methods may be called from any goroutine.
type NS struct {
	name   string
	label  string
	fd     netns.NsHandle
	handle *netlink.Handle

	closeOnce sync.Once
	closeErr  error
}

// New makes a namespace with loopback up, forwarding on for both families, reverse
// path filters off, and IPv6 addresses usable at once. The label is the readable end
// of its name.
func New(label string) (*NS, error) {
	name := newName(label)
	if err := prepareRunDir(); err != nil {
		return nil, fmt.Errorf("lab: %s: %w", runDir, err)
	}
	fd, err := createNamed(filepath.Join(runDir, name))
	if err != nil {
		return nil, fmt.Errorf("lab: making namespace %s: %w", name, err)
	}
	ns := &NS{name: name, label: label, fd: fd}
	if err := ns.setUp(); err != nil {
		return nil, errors.Join(fmt.Errorf("lab: namespace %s: %w", name, err), ns.Close())
	}
	return ns, nil
}

func (ns *NS) setUp() error {
	var err error
	if ns.handle, err = netlink.NewHandleAt(ns.fd, unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("opening rtnetlink: %w", err)
	}
	if err := ns.defaultSysctls(); err != nil {
		return err
	}
	return ns.Up("lo")
}

// createNamed makes a namespace and mounts it on path.
func createNamed(path string) (fd netns.NsHandle, err error) {
	err = aside(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		fd, err = mountSelf(path)
		return err
	})
	return fd, err
}

// mountSelf mounts the calling thread's namespace on a new file and opens it.
func mountSelf(path string) (netns.NsHandle, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return -1, err
	}
	_ = f.Close()
	if err := unix.Mount(threadNS, path, "none", unix.MS_BIND, ""); err != nil {
		return -1, errors.Join(fmt.Errorf("mounting on %s: %w", path, err), os.Remove(path))
	}
	fd, err := unix.Open(threadNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, errors.Join(err, removeNamed(path))
	}
	return netns.NsHandle(fd), nil
}

// Name is the full name, as "ip netns" shows it.
func (ns *NS) Name() string { return ns.name }

// Label is the short name given to New.
func (ns *NS) Label() string { return ns.label }

// Path is the file on which the namespace is mounted.
func (ns *NS) Path() string { return filepath.Join(runDir, ns.name) }

// Handle is an rtnetlink handle inside the namespace, safe for concurrent use. NS owns
// it; it ends with Close.
func (ns *NS) Handle() *netlink.Handle { return ns.handle }

// FD is the namespace's file descriptor. NS owns it.
func (ns *NS) FD() int { return int(ns.fd) }

// Do runs f on an OS thread that is inside the namespace, and waits. Sockets that f
// opens stay in the namespace; goroutines that f starts do not. A panic in f, or the
// Goexit of a failed test, carries over to the caller.
func (ns *NS) Do(f func() error) error {
	return aside(func() error {
		if err := unix.Setns(int(ns.fd), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("lab: entering %s: %w", ns.name, err)
		}
		return f()
	})
}

// Command prepares a command that runs inside the namespace, with the file system of
// the caller (its /sys stays that of the caller's namespace too). nsenter turns itself
// into the command, so Process is the command's own. A program that is missing is
// reported by Start.
func (ns *NS) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Err = err
		return cmd
	}
	argv := append([]string{"--net=" + ns.Path(), "--", path}, args...)
	return exec.CommandContext(ctx, "nsenter", argv...)
}

// Output runs a command inside the namespace and returns what it wrote to standard
// output; the error holds what it wrote to standard error.
func (ns *NS) Output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := ns.Command(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), fmt.Errorf("lab: %s in %s: %w: %s", name, ns.label, err, exit.Stderr)
	}
	if err != nil {
		return string(out), fmt.Errorf("lab: %s in %s: %w", name, ns.label, err)
	}
	return string(out), nil
}

// Close kills what still runs inside the namespace and removes it, with all its links.
// More calls do nothing and return the same.
func (ns *NS) Close() error {
	ns.closeOnce.Do(func() {
		killErr := killInside(int(ns.fd))
		if ns.handle != nil {
			ns.handle.Close()
		}
		ns.closeErr = errors.Join(killErr, ns.fd.Close(), removeNamed(ns.Path()))
	})
	return ns.closeErr
}
