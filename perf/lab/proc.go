package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// pidsInside lists the processes, other than this one, whose network namespace is
// the one of fd.
func pidsInside(fd int) ([]int, error) {
	var want unix.Stat_t
	if err := unix.Fstat(fd, &want); err != nil {
		return nil, fmt.Errorf("lab: namespace: %w", err)
	}
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	var pids []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+d.Name()+"/ns/net", &st) == nil && st.Ino == want.Ino && st.Dev == want.Dev {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// killInside ends the processes inside a namespace and waits until they have left it,
// at most two seconds.
func killInside(fd int) error {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		pids, err := pidsInside(fd)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("lab: processes %v do not leave their namespace", pids)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("lab: ending process %d: %w", pid, err)
			}
		}
	}
}
