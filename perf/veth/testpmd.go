package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// testpmd is DPDK's dpdk-testpmd over its net_af_xdp driver: it exchanges the Ethernet
// addresses of a frame and sends it.
type testpmd struct {
	settings
	label string
	eal   string // more of net_af_xdp's arguments
	args  []string
}

func (c *testpmd) name() string    { return c.label }
func (c *testpmd) tunnels() bool   { return false }
func (c *testpmd) reference() bool { return true }

// hugePages: AF_XDP refuses frames that cross from one page into another that is not its
// neighbor, and DPDK's lie anywhere; so it does not work with pages of 4 KiB.
func (c *testpmd) hugePages() int { return testpmdMemory }

const testpmdMemory = 512

func (c *testpmd) what() string {
	s := fmt.Sprintf("dpdk-testpmd, net_af_xdp%s, macswap, one forwarding core on CPU %d, huge pages: no lookup, no tunnel", c.eal, workerCPU)
	if len(c.args) > 0 {
		s += "; " + strings.Join(c.args, " ")
	}
	return s
}

func (c *testpmd) missing() error {
	if _, err := exec.LookPath("dpdk-testpmd"); err != nil {
		return errors.New("dpdk-testpmd is not installed (Debian: dpdk-dev)")
	}
	drivers, err := filepath.Glob("/usr/lib/*/librte_net_af_xdp.so*")
	if err != nil || len(drivers) == 0 {
		return errors.New("DPDK's AF_XDP driver is not installed (Debian: librte-net-af-xdp23)")
	}
	return nil
}

type testpmdProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   bytes.Buffer
	ended chan error
}

func (c *testpmd) start(ctx context.Context, t *topology) (process, error) {
	args := []string{
		"--lcores", fmt.Sprintf("0@%d,1@%d", generatorCPU, workerCPU), // 0 only waits
		"--in-memory", "--no-pci", "-m", fmt.Sprint(testpmdMemory), "--log-level", "warning",
	}
	for i := range t.arms {
		args = append(args, "--vdev", fmt.Sprintf("net_af_xdp%d,iface=%s%s", i, portNames[i], c.eal))
	}
	args = append(args, "--", "--forward-mode=macswap", "--nb-cores=1", "--no-mlockall")
	if t.arms == 1 {
		args = append(args, "--port-topology=loop")
	}
	args = append(append(args, c.args...), strings.Fields(c.TestPMD)...)
	p := &testpmdProcess{cmd: t.gateway.Command(ctx, "dpdk-testpmd", args...), ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil { // it runs until its standard input ends
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

func (p *testpmdProcess) pid() int { return p.cmd.Process.Pid }

func (p *testpmdProcess) notes() []string { return nil }

func (p *testpmdProcess) stop() error {
	err := p.stdin.Close()
	select {
	case ended := <-p.ended:
		if ended != nil {
			return fmt.Errorf("testpmd: %w: %s", ended, p.out.Bytes())
		}
		return err
	case <-time.After(10 * time.Second):
		return errors.Join(errors.New("testpmd does not end"), p.cmd.Process.Kill())
	}
}
