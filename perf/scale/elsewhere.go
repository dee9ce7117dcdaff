package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// workerCPU is the worker's, by what -workers says unless given.
const workerCPU = 1

// elsewhere keeps BIRD and this program, with all that it runs, off the worker's CPU: routers,
// operators and harnesses are on other machines, and what they are busy with is no matter of the
// gateway's. It returns the CPUs that they had, as taskset writes them, for the gateway.
func elsewhere(bird int) (before string, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return "", fmt.Errorf("reading the CPU affinity: %w", err)
	}
	others := all
	others.Clear(workerCPU)
	if !all.IsSet(workerCPU) || others.Count() == 0 {
		return "", fmt.Errorf("expected CPU %d and another one", workerCPU)
	}
	var list []string
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			list = append(list, strconv.Itoa(cpu))
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return "", err
	}
	tids := []int{bird}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return "", err
		}
		tids = append(tids, tid)
	}
	for _, tid := range tids {
		// A thread that ends meanwhile is off that CPU, too.
		if err := unix.SchedSetaffinity(tid, &others); err != nil && !errors.Is(err, unix.ESRCH) {
			return "", fmt.Errorf("off CPU %d: %w", workerCPU, err)
		}
	}
	return strings.Join(list, ","), nil
}
