package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

// threadNAPI has a thread of the kernel receive from a veth end, on one CPU, and returns its
// number. Without, the end receives in the softirq of whoever sends to it, so that a contender
// inside the kernel would work on the generator's CPU. There is such a thread only if the
// end takes frames from XDP, which it does when it has a program.
func threadNAPI(ns *lab.NS, name string, cpu int) (tid int, err error) {
	if err := writeClassNet(ns, filepath.Join(name, "threaded"), "1"); err != nil {
		return 0, err
	}
	l, err := ns.Link(name)
	if err != nil {
		return 0, err
	}
	const patience = 2 * time.Second // the thread is made at once; its number is there a little later
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err = ns.Do(func() error { tid, err = napiThread(l.Attrs().Index); return err }); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	var only unix.CPUSet
	only.Set(cpu)
	if err := unix.SchedSetaffinity(tid, &only); err != nil {
		return 0, fmt.Errorf("pinning thread %d, which receives from %s: %w", tid, name, err)
	}
	return tid, nil
}

// Of the generic netlink family "netdev" (linux/netdev.h).
const (
	napiGet     = 11 // NETDEV_CMD_NAPI_GET
	napiIfIndex = 1  // NETDEV_A_NAPI_IFINDEX
	napiPID     = 4  // NETDEV_A_NAPI_PID
)

// napiThread asks for the thread that receives from a link of the calling thread's network
// namespace.
func napiThread(ifindex int) (int, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if err != nil {
		return 0, fmt.Errorf("the kernel does not tell of its NAPI instances (needs Linux 6.8): %w", err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_DUMP)
	const version = 1
	req.AddRawData(attribute([]byte{napiGet, version, 0, 0}, napiIfIndex, nl.Uint32Attr(uint32(ifindex))))
	msgs, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, fmt.Errorf("asking for NAPI instances: %w", err)
	}
	for _, m := range msgs {
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, err
		}
		for _, a := range attrs {
			if a.Attr.Type == napiPID {
				return int(nl.NativeEndian().Uint32(a.Value)), nil
			}
		}
	}
	return 0, errors.New("no thread receives from it")
}

// writeClassNet writes a file under /sys/class/net of the namespace. What is mounted on
// /sys shows another namespace's links, so sysfs is opened anew, and mounted nowhere.
func writeClassNet(ns *lab.NS, file, value string) error {
	err := ns.Do(func() error {
		fs, err := unix.Fsopen("sysfs", unix.FSOPEN_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fs)
		if err := unix.FsconfigCreate(fs); err != nil {
			return err
		}
		root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(root)
		fd, err := unix.Openat(root, filepath.Join("class/net", file), unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), file)
		_, err = f.WriteString(value)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return fmt.Errorf("writing %s to sysfs' class/net/%s of %s: %w", value, file, ns.Label(), err)
	}
	return nil
}

// steer has a CPU do the work on what the first queue of a link receives (RPS), and returns
// the number of its thread for softirqs.
func steer(ns *lab.NS, name string, cpu int) (thread int, err error) {
	if err := writeClassNet(ns, filepath.Join(name, "queues/rx-0/rps_cpus"), fmt.Sprintf("%x", 1<<cpu)); err != nil {
		return 0, err
	}
	return softirqThread(cpu)
}

// softirqThread finds the kernel's thread for softirqs of a CPU.
func softirqThread(cpu int) (int, error) {
	name := fmt.Sprintf("ksoftirqd/%d\n", cpu)
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && string(text) == name {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, fmt.Errorf("no thread is called %q: CPU %d is needed", strings.TrimSpace(name), cpu)
}
