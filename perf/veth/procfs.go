package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what one CPU has done, in ticks of /proc/stat, or a share of an interval.
type cpuTime struct {
	User    float64 `json:"user"`
	System  float64 `json:"system"`
	SoftIRQ float64 `json:"softirq"` // and interrupts
	Idle    float64 `json:"idle"`
	Steal   float64 `json:"steal"`
}

func (c cpuTime) busy() float64 { return c.User + c.System + c.SoftIRQ }

func (c cpuTime) plus(d cpuTime) cpuTime {
	return cpuTime{c.User + d.User, c.System + d.System, c.SoftIRQ + d.SoftIRQ, c.Idle + d.Idle, c.Steal + d.Steal}
}

func (c cpuTime) since(e cpuTime) cpuTime {
	return cpuTime{c.User - e.User, c.System - e.System, c.SoftIRQ - e.SoftIRQ, c.Idle - e.Idle, c.Steal - e.Steal}
}

// shares turns ticks into shares of all of them.
func (c cpuTime) shares() cpuTime {
	all := max(1, c.busy()+c.Idle+c.Steal)
	return cpuTime{c.User / all, c.System / all, c.SoftIRQ / all, c.Idle / all, c.Steal / all}
}

// cpuTimes reads the lines of generator and worker in /proc/stat (proc_stat(5)).
func cpuTimes() (times [2]cpuTime, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return times, err
	}
	for i, cpu := range [2]int{generatorCPU, workerCPU} {
		var name string
		var user, nice, system, idle, iowait, irq, softirq, steal float64
		at := bytes.Index(text, fmt.Appendf(nil, "\ncpu%d ", cpu))
		if at < 0 {
			return times, fmt.Errorf("there is no CPU %d: two are needed", cpu)
		}
		_, err := fmt.Sscan(string(text[at+1:]), &name, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
		if err != nil {
			return times, fmt.Errorf("/proc/stat: %w", err)
		}
		times[i] = cpuTime{User: user + nice, System: system, SoftIRQ: irq + softirq, Idle: idle + iowait, Steal: steal}
	}
	return times, nil
}

// threadTime is what a thread has run, and waited to run for want of a CPU.
type threadTime struct{ ran, waited time.Duration }

func (t threadTime) since(e threadTime) threadTime {
	return threadTime{t.ran - e.ran, t.waited - e.waited}
}

// threadTimes reads /proc/PID/task/TID/schedstat of all threads of a process.
func threadTimes(pid int) (map[int]threadTime, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("process %d is gone, or the kernel has no CONFIG_SCHED_INFO", pid)
	}
	times := make(map[int]threadTime, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		tid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		var t threadTime
		if _, err := fmt.Sscan(string(text), &t.ran, &t.waited); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		times[tid] = t
	}
	return times, nil
}

// busiest is the thread that has run most since an earlier reading.
func busiest(now, earlier map[int]threadTime) threadTime {
	var most threadTime
	for tid, t := range now {
		if d := t.since(earlier[tid]); d.ran > most.ran {
			most = d
		}
	}
	return most
}

// residentKiB is the memory that a process occupies now (proc_pid_status(5)): none for a
// thread of the kernel.
func residentKiB(pid int) (n int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		return 0, nil
	}
	return strconv.Atoi(string(m[1]))
}

// availableKiB is the memory that may be had without swapping (proc_meminfo(5)).
func availableKiB() (int, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^MemAvailable:\s*(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		return 0, errors.New("/proc/meminfo has no MemAvailable")
	}
	return strconv.Atoi(string(m[1]))
}

// machine is what results depend on.
type machine struct {
	CPU        string `json:"cpu"`
	CPUs       int    `json:"cpus"`
	Hypervisor string `json:"hypervisor,omitempty"`
	Kernel     string `json:"kernel"`
}

func thisMachine() machine {
	text, _ := os.ReadFile("/proc/cpuinfo")
	field := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `\s*:\s*(.*)$`).FindSubmatch(text)
		if m == nil {
			return "?"
		}
		return string(m[1])
	}
	m := machine{CPU: fmt.Sprintf("%s (family %s, model %s)", field("model name"), field("cpu family"), field("model"))}
	m.CPUs = bytes.Count(text, []byte("\nprocessor")) + 1
	if strings.Contains(field("flags"), "hypervisor") {
		m.Hypervisor = "virtual machine"
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel, _, _ = strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	}
	return m
}

const (
	hugePagesFile = "/proc/sys/vm/nr_hugepages"
	hugePageMiB   = 2
)

// reserveHugePages has the kernel set aside what contenders need, unless it has, and
// returns what gives it back.
func reserveHugePages(cs []contender) (undo func(), err error) {
	need := 0
	for _, c := range cs {
		need += c.hugePages() / hugePageMiB // all run at once
	}
	text, err := os.ReadFile(hugePagesFile)
	if err != nil {
		return nil, err
	}
	had, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hugePagesFile, err)
	}
	if had >= need {
		return func() {}, nil
	}
	set := func(n int) error { return os.WriteFile(hugePagesFile, []byte(strconv.Itoa(n)), 0) }
	if err := set(need); err != nil {
		return nil, err
	}
	return func() { _ = set(had) }, nil
}
