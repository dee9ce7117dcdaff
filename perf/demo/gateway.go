package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// gateway is the process under demonstration, used through its command line as an
// operator would.
type gateway struct {
	exe, socket string
	cmd         *exec.Cmd
	exited      chan error
	log         *os.File
}

var configText = template.Must(template.New("config").Parse(`
gateway:
  asn: {{.GatewayASN}}
  router-id: {{.Service}}
  service-addresses: [{{.Service}}, "{{.Service6}}"]
segments:
  - prefix: 203.0.113.0/24
    communities: ["64512:100"]
  - prefix: 2001:db8:e1b::/64
announce: {settle: 500ms, initial-wait: 20s}
neighbors:
  - {address: {{.SwitchA}}, role: switch, asn: 65001}
  - {address: {{.SwitchB}}, role: switch, asn: 65002, multihop: 4}
  - {address: {{.VR1}}, role: virtual-router, asn: 65101, profile: {inner-mac: "{{.VR1MAC}}"}}
  - range: 10.0.2.0/24
    role: virtual-router
    asn: 65102
    multihop: 4
    allow: [203.0.113.0/24, 192.0.2.0/24, "2001:db8:e1b::/64"]
ports: [{name: up0}]
admin: {socket: {{.Socket}}}
stop: {linger: 500ms}
`))

func startGateway(ctx context.Context, ns *lab.NS, exe, dir string) (*gateway, error) {
	g := &gateway{exe: exe, socket: filepath.Join(dir, "eipgw.sock"), exited: make(chan error, 1)}
	var text bytes.Buffer
	err := configText.Execute(&text, map[string]any{
		"GatewayASN": gatewayASN, "Service": serviceAddr, "Service6": serviceAddr6,
		"SwitchA": switchAAddr, "SwitchB": switchBAddr, "VR1": vr1Addr, "VR1MAC": encap.MAC(vr1MAC),
		"Socket": g.socket,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "eipgw.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if g.log, err = os.Create(filepath.Join(dir, "eipgw.log")); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	g.cmd = ns.Command(ctx, exe, "run", "-c", file)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("demo: start the gateway: %w", err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	return g, nil
}

// run runs one eipgw command against the gateway and returns what it printed.
func (g *gateway) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.exe, append(args, "--socket", g.socket)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("demo: eipgw %v: %s", args, bytes.TrimSpace(exit.Stderr))
	}
	return string(out), err
}

// show decodes the JSON of a show command into v.
func (g *gateway) show(ctx context.Context, v any, args ...string) error {
	out, err := g.run(ctx, append(append([]string{"show"}, args...), "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("demo: eipgw show %v --json: %w", args, err)
	}
	return nil
}

// stop asks the gateway to end gracefully and waits for it.
func (g *gateway) stop(timeout time.Duration) error {
	if err := g.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("demo: stop the gateway: %w", err)
	}
	select {
	case err := <-g.exited:
		return err
	case <-time.After(timeout):
		return errors.Join(fmt.Errorf("demo: the gateway still runs %v after SIGTERM", timeout), g.cmd.Process.Kill())
	}
}

// logTail is the end of what the gateway logged, for when something is off.
func (g *gateway) logTail() string {
	b, err := os.ReadFile(g.log.Name())
	if err != nil {
		return err.Error()
	}
	if over := len(b) - 6000; over > 0 {
		b = b[over:]
	}
	return string(b)
}
