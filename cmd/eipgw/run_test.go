package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// asCommand makes the test binary be eipgw, so that tests can run it as a process of
// its own in a network namespace.
const asCommand = "EIPGW_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// process is a daemon on a real interface.
type process struct {
	t      *testing.T
	ns     *lab.NS
	dir    string
	client *admin.Client
	cmd    *exec.Cmd
	log    *lockedBuffer
}

const processConfig = `
gateway: {asn: 64512, router-id: 10.255.0.1}
segments: [{prefix: 203.0.113.0/24}]
announce: {initial-wait: 100ms, when-empty: true}
ports: [{name: PORT}]
admin: {socket: DIR/s}
stop: {linger: 100ms}
`

func (p *process) configure(port, more string) {
	p.t.Helper()
	text := strings.NewReplacer("PORT", port, "DIR", p.dir).Replace(processConfig) + more
	require.NoError(p.t, os.WriteFile(p.dir+"/eipgw.yaml", []byte(text), 0o600))
}

// command is eipgw inside the namespace.
func (p *process) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	require.NoError(p.t, err)
	cmd := p.ns.Command(context.Background(), exe, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", socketEnv+"="+p.dir+"/s")
	return cmd
}

func (p *process) start() {
	p.t.Helper()
	p.log = &lockedBuffer{}
	p.cmd = p.command("run", "-c", p.dir+"/eipgw.yaml")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(p.t, p.cmd.Start())
	p.eventually("it answers", func() bool { _, err := p.client.Status(context.Background()); return err == nil })
	p.logged("eipgw is ready")
}

func (p *process) eventually(what string, f func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %v: %s\n%s", patience, what, p.log)
		}
	}
}

// logged waits until the log has the text. It comes by a pipe, after what it tells of.
func (p *process) logged(text string) {
	p.t.Helper()
	p.eventually("logged: "+text, func() bool { return strings.Contains(p.log.String(), text) })
}

// run runs a command to its end.
func (p *process) run(args ...string) (code int, out string) {
	var b bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(p.t, err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

func (p *process) hasProgram() bool {
	l, err := p.ns.Link("gw0")
	require.NoError(p.t, err)
	return l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
}

// The daemon on a real interface, from its start over signals to its end, and again
// after it was killed.
func TestTheDaemonItself(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("nsenter"))
	gw, err := lab.New("gw")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, gw.Close()) })
	vr, err := lab.New("vr")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, vr.Close()) })
	require.NoError(t, lab.Veth(
		lab.End{NS: gw, Name: "gw0", MAC: "02:00:00:00:00:01", Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/24")}},
		lab.End{NS: vr, Name: "vr0", MAC: "02:00:00:00:00:0b", Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.1.11/24")}},
		lab.VethOptions{},
	))
	p := &process{t: t, ns: gw, dir: t.TempDir(), log: &lockedBuffer{}}
	p.client = admin.NewClient(p.dir + "/s")
	t.Cleanup(p.client.Close)

	// A port that is not there: one line, which names it, and nothing left behind.
	p.configure("gw7", "")
	code, out := p.run("run", "-c", p.dir+"/eipgw.yaml")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "gw7")
	_, err = os.Stat(p.dir + "/s")
	assert.ErrorIs(t, err, fs.ErrNotExist)

	p.configure("gw0", "")
	p.start()
	assert.True(t, p.hasProgram())

	// A second one is refused and harms nothing.
	code, out = p.run("run", "-c", p.dir+"/eipgw.yaml")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "another eipgw runs with the socket")

	// A frame goes through.
	code, out = p.run("bind", "203.0.113.7", "--vtep", "10.0.1.11", "--vni", "5001")
	require.Equal(t, exitOK, code, out)
	p.eventually("the virtual router's MAC is known", func() bool {
		_, out = p.run("show", "bindings")
		return strings.Contains(out, stateForwarding)
	})
	c, err := vr.Capture("vr0", lab.CaptureOptions{Filter: func(f []byte) bool { _, err := encap.Parse(f); return err == nil }})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, vr.Send("vr0", frame(eip)))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, c.Wait(ctx, 1), p.log.String())
	g, err := encap.Parse(c.Frames()[0])
	require.NoError(t, err)
	assert.Equal(t, encap.VNI(5001), g.VNI)
	code, out = p.run("why", "203.0.113.7")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "out of gw0 to next hop 02:00:00:00:00:0b, from 10.0.1.2 02:00:00:00:00:01")

	// SIGHUP with a bad file, then with a good one.
	p.configure("gw0", "log: {levl: debug}\n")
	require.NoError(t, p.cmd.Process.Signal(unix.SIGHUP))
	p.eventually("the mistake is shown", func() bool { _, out = p.run("show", "status"); return strings.Contains(out, "did you mean level?") })
	p.logged("the running one stays in force")
	p.configure("gw0", "log: {level: debug}\n")
	require.NoError(t, p.cmd.Process.Signal(unix.SIGHUP))
	p.eventually("it is in force", func() bool { _, out = p.run("show", "status"); return !strings.Contains(out, "NOT in force") })

	// Killed, it leaves the socket, and the device free; the next one starts.
	require.NoError(t, p.cmd.Process.Kill())
	assert.Error(t, p.cmd.Wait())
	_, err = os.Stat(p.dir + "/s")
	assert.NoError(t, err)
	p.eventually("the device is free", func() bool { return !p.hasProgram() })
	p.start()
	_, out = p.run("show", "ports")
	assert.Regexp(t, `gw0\s+0\s+worker 0\s+up`, out)

	// SIGTERM ends it, with everything behind it cleaned up.
	require.NoError(t, p.cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, p.cmd.Wait(), p.log.String())
	assert.Contains(t, p.log.String(), "eipgw has stopped")
	assert.False(t, p.hasProgram())
	left, err := filepath.Glob(p.dir + "/s*")
	require.NoError(t, err)
	assert.Equal(t, []string{p.dir + "/s.lock"}, left)
	code, _ = p.run("show", "status")
	assert.Equal(t, exitUnreachable, code)
}
