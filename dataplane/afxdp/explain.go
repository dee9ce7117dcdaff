package afxdp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Errors that a port's and an interface's errors wrap.
var (
	// ErrDown: the link is down. The port works again when it is up.
	ErrDown = errors.New("link is down")

	// ErrGone: the interface was deleted. The port works again when there is one of
	// that name and Ethernet address.
	ErrGone = errors.New("interface is gone")

	// ErrQueueBusy: another socket is bound to the queue.
	ErrQueueBusy = errors.New("queue has an AF_XDP socket already")

	// ErrClosed: used after Close.
	ErrClosed = errors.New("closed")
)

// minKernel is the first Linux release that has all that is used; xdp.frags is the
// latest of it.
var minKernel = [2]int{5, 18}

// A capability, by its number in linux/capability.h.
type capability int

const (
	capNetAdmin capability = unix.CAP_NET_ADMIN
	capNetRaw   capability = unix.CAP_NET_RAW
	capIPCLock  capability = unix.CAP_IPC_LOCK
	capBPF      capability = unix.CAP_BPF
	capPerfmon  capability = unix.CAP_PERFMON
)

var capNames = map[capability]string{
	capNetAdmin: "CAP_NET_ADMIN", capNetRaw: "CAP_NET_RAW", capIPCLock: "CAP_IPC_LOCK", capBPF: "CAP_BPF", capPerfmon: "CAP_PERFMON",
}

// missing is those of want that the calling thread does not have in effect.
func missing(want ...capability) []string {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return nil
	}
	has := func(c capability) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	var names []string
	for _, c := range want {
		if !has(c) && (c != capBPF && c != capPerfmon || !has(unix.CAP_SYS_ADMIN)) {
			names = append(names, capNames[c])
		}
	}
	return names
}

// explainPrivilege adds to a "not permitted" which of the needed capabilities are missing.
func explainPrivilege(err error, need ...capability) error {
	names := missing(need...)
	if len(names) == 0 {
		return fmt.Errorf("not permitted although the capabilities are there (a security module, or a user namespace): %w", err)
	}
	return fmt.Errorf("%s missing: run as root or give it to the service: %w", strings.Join(names, " and "), err)
}

// explainBPF says in words why the kernel did not take the program or its maps.
func explainBPF(err error) error {
	var u unix.Utsname
	release := ""
	if unix.Uname(&u) == nil {
		release = unix.ByteSliceToString(u.Release[:])
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES) && len(missing(capBPF, capNetAdmin)) > 0:
		return explainPrivilege(err, capBPF, capNetAdmin)
	case tooOld(release), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("refused by Linux %s, %d.%d or later is needed: %w", release, minKernel[0], minKernel[1], err)
	}
	return err
}

// tooOld says whether a kernel release is before minKernel; one that can't be read is
// not.
func tooOld(release string) bool {
	var v [2]int
	if n, _ := fmt.Sscanf(release, "%d.%d", &v[0], &v[1]); n != 2 {
		return false
	}
	return slices.Compare(v[:], minKernel[:]) < 0
}
