package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/peers"
)

// staticWorld is a gateway with static bindings and a switch route to it.
func staticWorld(t *testing.T) (*world, string) {
	w := newWorld(t)
	w.tunnelEnd()
	yaml := config(w.bindings())
	w.start(yaml)
	w.routeToGateway()
	w.forwarded(eip)
	w.ping(eip)
	return w, yaml
}

func TestReload(t *testing.T) {
	w, yaml := staticWorld(t)
	segments := func() []string {
		var list []struct{ Prefix string }
		require.NoError(t, w.g.Show(w.ctx, &list, "show", "segments"))
		var out []string
		for _, s := range list {
			out = append(out, s.Prefix)
		}
		return out
	}
	require.NoError(t, w.g.Write(strings.Replace(yaml, "segments:", "segments:\n  - {prefix: 198.18.0.0/24}", 1)))
	require.NoError(t, w.g.Signal(unix.SIGHUP))
	w.eventually("the new segment is there", func() (bool, any) {
		s := segments()
		return assert.ObjectsAreEqual([]string{"198.18.0.0/24", "203.0.113.0/24", "2001:db8:e1b::/64"}, s), s
	})

	require.NoError(t, w.g.Write(strings.Replace(yaml, "segments:", "segmentz:", 1)))
	out, err := w.g.Run(w.ctx, "reload")
	require.Error(t, err, out)
	assert.Contains(t, err.Error(), "segmentz")
	require.NoError(t, w.g.Signal(unix.SIGHUP))
	w.eventually("the refused file is told of", func() (bool, any) {
		var st struct{ Config struct{ Refused string } }
		err := w.g.Show(w.ctx, &st, "show", "status")
		return err == nil && strings.Contains(st.Config.Refused, "segmentz"), st
	})
	assert.Contains(t, segments(), "198.18.0.0/24", "the running configuration stays in force")
	w.ping(eip)
}

// TestBindingsFileReplaced changes the file of static bindings: a bad one leaves
// what was read before in force.
func TestBindingsFileReplaced(t *testing.T) {
	w, _ := staticWorld(t)
	file := filepath.Join(w.dir, "bindings.yaml")
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("bindings: [{prefix: 203.0.113.7/33}]"), 0o644))
	w.eventually("the bad file is told of", func() (bool, any) {
		var st struct {
			File struct{ Error string } `json:"bindings_file"`
		}
		err := w.g.Show(w.ctx, &st, "show", "status")
		return err == nil && strings.Contains(st.File.Error, "203.0.113.7/33"), st
	})
	w.ping(eip)
	without := strings.Join(append([]string{"bindings:"}, strings.Split(string(good), "\n")[2:]...), "\n")
	require.NoError(t, os.WriteFile(file, []byte(without), 0o644))
	w.notForwarded(eip)
	w.forwarded(eip6)
}

func TestBindAtRuntime(t *testing.T) {
	w := newWorld(t)
	w.tunnelEnd()
	w.start(config(""))
	w.routeToGateway()
	_, err := w.g.Run(w.ctx, "bind", eip.String(), "--vtep", vrAddr.String(), "--vni", "5001", "--inner-mac", "02:00:00:00:01:11")
	require.NoError(t, err)
	w.forwarded(eip)
	w.ping(eip)
	_, err = w.g.Run(w.ctx, "unbind", eip.String())
	require.NoError(t, err)
	w.notForwarded(eip)
	_, err = w.g.Run(w.ctx, "unbind", eip.String())
	require.Error(t, err, "nothing is bound there any more")
}

// TestCrashFreesTheDevice kills the gateway: the interface is the kernel's again at
// once, and a new gateway takes it.
func TestCrashFreesTheDevice(t *testing.T) {
	w, yaml := staticWorld(t)
	require.NoError(t, w.g.Kill())
	out, err := w.gw.Output(w.ctx, "ip", "-d", "link", "show", "up0")
	require.NoError(t, err)
	assert.NotContains(t, out, "xdp", "the program went with its process")
	ping, err := w.sw.Output(w.ctx, "ping", "-n", "-c", "2", "-i", "0.02", "-W", "2", gwAddr.String())
	require.NoError(t, err, ping)
	w.start(yaml)
	w.forwarded(eip)
	w.ping(eip)
}

// TestKernelLivesOnThePort has the kernel answer on the interface that the gateway
// forwards on: what is not in a segment is not the gateway's.
func TestKernelLivesOnThePort(t *testing.T) {
	w, _ := staticWorld(t)
	for _, a := range []string{gwAddr.String(), "fd00:1::2", serviceAddr6.String()} {
		out, err := w.sw.Output(w.ctx, "ping", "-n", "-c", "3", "-i", "0.02", "-W", "2", a)
		require.NoError(t, err, out)
	}
}

// TestPortComesBack takes the link down and up again.
func TestPortComesBack(t *testing.T) {
	w, _ := staticWorld(t)
	require.NoError(t, w.gw.Down("up0"))
	w.notForwarded(eip)
	w.eventually("the port is down", func() (bool, any) {
		var ports []struct{ State string }
		err := w.g.Show(w.ctx, &ports, "show", "ports")
		return err == nil && len(ports) == 1 && ports[0].State != "up", ports
	})
	require.NoError(t, w.gw.Up("up0"))
	w.forwarded(eip)
	w.eventually("frames pass again", func() (bool, any) {
		out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", eip.String())
		return err == nil, out
	})
	w.ping(eip)
}

func TestWrongConfiguration(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.dir, "wrong.yaml")
	require.NoError(t, os.WriteFile(file, []byte("gateway: {asn: 0, router-id: 10.255.0.1}\nports: [{name: up0, queus: 2}]\n"), 0o644))
	out, err := exec.Command(w.exe, "validate", "-c", file).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	assert.Equal(t, 2, exit.ExitCode())
	for _, want := range []string{"gateway.asn", "queus", "queues", "wrong.yaml:2"} {
		assert.Contains(t, string(out), want)
	}
}

// TestMissingPrivilege runs the daemon as nobody: it says what it lacks.
func TestMissingPrivilege(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.Chmod(filepath.Dir(w.exe), 0o755))
	dir := filepath.Join(w.dir, "nobody")
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, os.Chmod(dir, 0o777))
	file := filepath.Join(dir, "eipgw.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config("admin: {socket: "+filepath.Join(dir, "s")+"}")), 0o644))
	var out []byte
	err := w.gw.Do(func() (err error) {
		cmd := exec.CommandContext(w.ctx, w.exe, "run", "-c", file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.WaitDelay = 20 * time.Second
		out, err = cmd.CombinedOutput()
		return err
	})
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v: %s", err, out)
	assert.Equal(t, 1, exit.ExitCode(), "%s", out)
	assert.Contains(t, string(out), "CAP_", "it names the capability")
}

// TestSecondInstanceIsRefused starts another daemon on the same socket.
func TestSecondInstanceIsRefused(t *testing.T) {
	w, _ := staticWorld(t)
	out, err := w.gw.Output(w.ctx, w.exe, "run", "-c", w.g.File())
	require.Error(t, err, out)
	assert.Contains(t, err.Error(), "eipgw.sock")
	w.ping(eip)
	var why peers.Why
	require.NoError(t, w.g.Show(w.ctx, &why, "why", eip.String()), "the first one goes on")
}
