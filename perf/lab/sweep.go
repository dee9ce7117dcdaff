package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const namePrefix = "eipgw-"

var nameCounter atomic.Uint32

// newName makes a name that no other process uses: process id and start time tell
// the maker, also after the id was given to another process.
func newName(label string) string {
	pid := os.Getpid()
	start, err := startTime(pid)
	if err != nil {
		start = "0"
	}
	return fmt.Sprintf("%s%d-%s-%d-%s", namePrefix, pid, start, nameCounter.Add(1), label)
}

// maker reads the process id and its start time out of a name.
func maker(name string) (pid int, start string, ok bool) {
	rest, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, "", false
	}
	parts := strings.SplitN(rest, "-", 4)
	if len(parts) != 4 {
		return 0, "", false
	}
	pid, err := strconv.Atoi(parts[0])
	return pid, parts[1], err == nil
}

// startTime is field 22 of /proc/PID/stat: clock ticks from boot to the start of the
// process. The fields before it are counted from the end of the command's name, which
// may hold anything.
func startTime(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("lab: /proc/%d/stat has no start time", pid)
	}
	return string(fields[19]), nil
}

// Sweep removes the namespaces of processes that ended without closing them, with
// what still runs inside, and returns the names of those removed. A process that it
// cannot see, because it has another PID namespace but the same /run/netns, counts as ended.
func Sweep() ([]string, error) {
	files, err := os.ReadDir(runDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	var removed []string
	var errs []error
	for _, f := range files {
		pid, start, ok := maker(f.Name())
		if !ok {
			continue
		}
		if now, err := startTime(pid); err == nil && now == start {
			continue
		}
		if err := sweepOne(filepath.Join(runDir, f.Name())); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, f.Name())
	}
	return removed, errors.Join(errs...)
}

func sweepOne(path string) error {
	if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		err = killInside(fd)
		_ = unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return removeNamed(path)
}

// prepareRunDir makes runDir a shared mount, as "ip netns add" does, so that a
// namespace removed here is removed in every mount namespace. Two at once are kept
// apart by a lock on the directory.
func prepareRunDir() error {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(runDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	for range 2 {
		if err = unix.Mount("", runDir, "none", unix.MS_SHARED|unix.MS_REC, ""); err == nil {
			return nil
		}
		if err := unix.Mount(runDir, runDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind mount: %w", err)
		}
	}
	return fmt.Errorf("making it a shared mount: %w", err)
}

// removeNamed unmounts and removes a namespace's file. One that is gone is no error.
func removeNamed(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("lab: unmounting %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}
