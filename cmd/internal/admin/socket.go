package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what fits sun_path beside the ending of the temporary name.
const maxSocketPath = 107 - len(".new")

// socket is a listening unix socket that belongs to one daemon at a time. A lock file
// beside it says so: it is locked for the daemon's life and left behind, so a socket
// that nobody holds the lock for is stale, whatever killed its daemon.
type socket struct {
	net.Listener
	path string
	lock *os.File
}

// listenUnix makes the socket, mode 0600, and its folder. It takes the place of a
// stale one, and fails while another daemon lives.
func listenUnix(path string) (_ *socket, err error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("admin: socket %s: the path has %d bytes, expected at most %d", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("admin: folder of the socket: %w", err)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("admin: %s is there and no socket: expected a path that is free", path)
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	// The socket gets its name when its mode is right, in place of a stale one.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("admin: socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("admin: socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("admin: socket: %w", err), l.Close(), os.Remove(fresh))
	}
	return &socket{Listener: l, path: path, lock: lock}, nil
}

func lockFile(path string) (*os.File, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("admin: another eipgw runs with the socket %s: stop it, or give this one a socket of its own (admin.socket)", path)
	}
	return nil, fmt.Errorf("admin: lock %s: %w", lock.Name(), err)
}

// Close removes the socket and lets go of it.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return errors.Join(err, os.Remove(s.path), s.lock.Close())
}
