package afxdp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

// Some tests need a process that can be deprived of something. This test's program is
// that process when the variable is set: to "hold", or to the capability to do without.
const childEnv = "EIPGW_AFXDP_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		os.Exit(child(what))
	}
	goleak.VerifyTestMain(m)
}

// child opens gw0 and its port. When it can, it says so and stays until it is killed;
// otherwise it prints the error.
func child(what string) int {
	runtime.LockOSThread() // capabilities are a thread's
	if lost, err := strconv.Atoi(what); err == nil {
		if err := drop(lost); err != nil {
			fmt.Println("dropping:", err)
			return 2
		}
	}
	i, err := Open(InterfaceConfig{Name: "gw0"})
	if err == nil {
		_, err = i.Port(0)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	select {}
}

// drop gives up a capability, and those that include it.
func drop(lost int) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	for _, c := range []int{lost, unix.CAP_SYS_ADMIN} {
		data[c/32].Effective &^= 1 << (c % 32)
		data[c/32].Permitted &^= 1 << (c % 32)
	}
	if lost == unix.CAP_IPC_LOCK {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}); err != nil {
			return err
		}
	}
	return unix.Capset(&hdr, &data[0])
}

// startChild runs one inside the gateway's namespace and returns its first line.
func (b *bench) startChild(what string) (*exec.Cmd, string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	b.t.Cleanup(cancel)
	cmd := b.gw.Command(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(b.t, err)
	require.NoError(b.t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b.t, err)
	return cmd, line
}

func TestMissingPrivilegeIsNamed(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	for lost, want := range map[int]string{
		unix.CAP_BPF:       "afxdp: gw0: loading the XDP program: CAP_BPF missing",
		unix.CAP_NET_ADMIN: "afxdp: gw0: loading the XDP program: CAP_NET_ADMIN missing",
		unix.CAP_NET_RAW:   "afxdp: gw0 queue 0: opening an AF_XDP socket: CAP_NET_RAW missing: run as root or give it to the service",
		unix.CAP_IPC_LOCK:  "afxdp: gw0 queue 0: locked memory for the frames: raise LimitMEMLOCK (ulimit -l) or give CAP_IPC_LOCK",
	} {
		cmd, line := b.startChild(strconv.Itoa(lost))
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		assert.Equal(t, 1, exit.ExitCode())
		assert.Contains(t, line, want)
	}
}

// A gateway that is killed leaves a device that the kernel, and the next gateway, can
// use at once.
func TestCrashFreesTheDevice(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	for range 2 {
		cmd, line := b.startChild("hold")
		require.Equal(t, "open\n", line)
		require.ErrorContains(t, errors.Join(b.device("gw0").foreignProgram()), "another eipgw")
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		eventually(t, "the program to go", func() bool { return b.device("gw0").foreignProgram() == nil })
	}
	p := b.port(b.open(InterfaceConfig{}), 0)
	frame := packet{to: eip, payload: 40}.bytes()
	b.sender()(frame)
	assert.Equal(t, [][]byte{frame}, receive(t, p, 1))
}
