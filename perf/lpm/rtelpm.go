package main

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eipgw/eipgw/perf/eipset"
)

//go:embed rtelpm/rtelpm.c
var source []byte

// rtelpm is the C program, in a directory of its own.
type rtelpm struct{ dir string }

// build makes the program. It needs cc, pkg-config and dpdk-dev.
func build() (_ *rtelpm, err error) {
	dir, err := os.MkdirTemp("", "rtelpm")
	if err != nil {
		return nil, err
	}
	r := &rtelpm{dir}
	defer func() {
		if err != nil {
			r.remove()
		}
	}()
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "libdpdk").Output()
	if err != nil {
		return nil, fmt.Errorf("pkg-config knows no libdpdk, want the package dpdk-dev (.ci/packages bench installs it): %w", err)
	}
	file := filepath.Join(dir, "rtelpm.c")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return nil, err
	}
	args := append([]string{"-O3", "-march=native", "-o", r.exe(), file}, strings.Fields(string(flags))...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cc: %w\n%s", err, out)
	}
	return r, nil
}

func (r *rtelpm) exe() string { return filepath.Join(r.dir, "rtelpm") }

func (r *rtelpm) remove() { _ = os.RemoveAll(r.dir) }

// start runs the program with pages of a kind, and waits until it has bound the EIPs.
func (r *rtelpm) start(pages string, eips, keys []netip.Addr) (*contender, error) {
	eipsFile, keysFile := filepath.Join(r.dir, "eips"), filepath.Join(r.dir, "keys")
	if err := errors.Join(writeNumbers(eipsFile, eips), writeNumbers(keysFile, keys)); err != nil {
		return nil, err
	}
	cmd := exec.Command(r.exe(), pages, eipsFile, keysFile, strconv.Itoa(burst))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	stop := func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("rtelpm did not get ready: %q, %w", line, err), stop())
	}
	return &contender{name: "rte_lpm, " + pages + " pages", close: stop, look: func(n int) (time.Duration, error) {
		return ask(in, lines, n)
	}}, nil
}

// ask has the program look n bursts up.
func ask(to io.Writer, from *bufio.Reader, n int) (time.Duration, error) {
	if _, err := fmt.Fprintln(to, n); err != nil {
		return 0, err
	}
	line, err := from.ReadString('\n')
	if err != nil {
		return 0, err
	}
	var ns int64
	var missed int
	if _, err := fmt.Sscan(line, &ns, &missed); err != nil {
		return 0, fmt.Errorf("rtelpm said %q: %w", line, err)
	}
	if missed > 0 {
		return 0, errMissed
	}
	return time.Duration(ns), nil
}

func writeNumbers(file string, addrs []netip.Addr) error {
	b := make([]byte, 0, 4*len(addrs))
	for _, a := range addrs {
		b = binary.NativeEndian.AppendUint32(b, eipset.Number4(a))
	}
	return os.WriteFile(file, b, 0o600)
}
