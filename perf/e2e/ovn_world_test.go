package e2e

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// ovnWorld is a network whose virtual router is OVN's: the logical router "edge",
// pinned to the chassis in vr, translates the EIP to the address of a VM. Its own
// way to the switch is a localnet port, beside the tunnels on the same link.
//
//	switch 10.0.1.1 ─ up0 ─ br-phy 10.0.1.11: tunnels and FRR
//	       10.0.2.1           └─ external (localnet) ─ 10.0.2.11 edge 192.168.1.1 ─ vms ─ VM 192.168.1.10
type ovnWorld struct {
	*world
	ovn  *peers.OVN
	vm   *lab.NS
	docs operatorDocs
}

const (
	edgeMAC   = "0a:00:00:00:00:01" // of edge-external
	switchMAC = "02:00:00:00:00:01"
	vmMAC     = "0a:00:00:00:01:10"
)

var (
	edgeAddr   = netip.MustParseAddr("10.0.2.11")
	vmAddr     = netip.MustParseAddr("192.168.1.10")
	clientAddr = netip.MustParseAddr("198.51.100.2")
)

// topology is a gateway router as it is before anything of the gateway is known.
const topology = `
	lr-add edge -- set Logical_Router edge options:chassis=chassis1
	-- lrp-add edge edge-external ` + edgeMAC + ` 10.0.2.11/24
	-- lrp-add edge edge-vms 0a:00:00:00:00:02 192.168.1.1/24
	-- lr-route-add edge 0.0.0.0/0 10.0.2.1
	-- lr-nat-add edge dnat_and_snat 203.0.113.7 192.168.1.10
	-- ls-add external
	-- lsp-add external external-edge -- lsp-set-type external-edge router
	-- lsp-set-addresses external-edge router -- lsp-set-options external-edge router-port=edge-external
	-- lsp-add external external-net -- lsp-set-type external-net localnet
	-- lsp-set-addresses external-net unknown -- lsp-set-options external-net network_name=physnet
	-- ls-add vms
	-- lsp-add vms vms-edge -- lsp-set-type vms-edge router
	-- lsp-set-addresses vms-edge router -- lsp-set-options vms-edge router-port=edge-vms
	-- lsp-add vms vm -- lsp-set-addresses vm`

// newOVNWorld starts OVN, the gateway with the README's configuration, an embedded
// switch, and FRR that announces the EIP from the chassis; it returns when the EIP
// is forwarded.
func newOVNWorld(t *testing.T) *ovnWorld {
	w := &ovnWorld{world: newWorld(t, lab.Tool("ovn-northd"), lab.Tool("ovn-controller"), lab.Tool("ovs-vswitchd"),
		lab.Tool("vtysh"), lab.Tool("tracepath"), lab.Must(lab.LinkKind("tun")))}
	w.docs = readOperatorDocs(t)
	w.startOVN()
	sw, err := peers.Start(w.ctx, w.sw, []string{w.exe, "demo-peer"}, peers.KindSwitch, speaker())
	require.NoError(t, err)
	w.start(config(w.docs.neighbors + "  - {address: 10.0.1.1, role: switch, asn: 65001}\n"))
	announceFRR(w.world, "peer")
	w.forwarded(eip)
	w.eventually("the switch sends EIPs to the gateway", func() (bool, any) {
		routes, err := sw.Routes()
		return err == nil && w.routes()["203.0.113.0/24"], routes
	})
	return w
}

func (w *ovnWorld) startOVN() {
	w.Helper()
	l := lab.T(w)
	w.vm = l.NS("vm")
	l.Veth(lab.End{NS: w.vm, Name: "eth0", MAC: vmMAC, Addrs: prefixes("192.168.1.10/24")},
		lab.End{NS: w.vr, Name: "vm0"}, lab.VethOptions{})
	l.Check(w.vm.Route(netip.MustParsePrefix("0.0.0.0/0"), lab.Via("192.168.1.1")),
		w.sw.Addr("br0", netip.MustParsePrefix("10.0.2.1/24")), w.sw.SetMAC("br0", switchMAC))
	var err error
	w.ovn, err = peers.StartOVN(w.ctx, w.vr, peers.OVNConfig{Dir: filepath.Join(w.dir, "ovn"), Chassis: "chassis1",
		Uplink: "up0", Encap: vrAddr, Physnet: "physnet", VIFs: map[string]string{"vm": "vm0"}})
	require.NoError(w, err)
	w.uplinkBridge()
	w.nbctl(append(strings.Fields(topology), vmMAC+" "+vmAddr.String())...)
	for _, line := range w.docs.prepare {
		_, err := w.ovn.Run(w.ctx, "sh", "-c", line)
		require.NoError(w, err)
	}
	require.NoError(w, w.ovn.Sync(w.ctx))
}

func (w *ovnWorld) nbctl(args ...string) {
	w.Helper()
	_, err := w.ovn.Nbctl(w.ctx, args...)
	require.NoError(w, err)
}

// transfer sends size bytes from the client to the VM over TCP, and as many back.
func (w *ovnWorld) transfer(size int) {
	w.Helper()
	payload := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(payload)
	sum := sha256.Sum256(payload)
	var ln net.Listener
	require.NoError(w, w.vm.Do(func() (err error) {
		ln, err = net.Listen("tcp4", vmAddr.String()+":0")
		return err
	}))
	defer ln.Close()
	deadline := time.Now().Add(patience)
	served := make(chan error, 1)
	go func() { served <- echo(ln, size, deadline) }()
	var c net.Conn
	to := netip.AddrPortFrom(eip, ln.Addr().(*net.TCPAddr).AddrPort().Port()).String()
	require.NoError(w, w.client.Do(func() (err error) {
		c, err = net.DialTimeout("tcp4", to, patience)
		return err
	}))
	defer c.Close()
	require.NoError(w, c.SetDeadline(deadline))
	_, err := c.Write(payload)
	require.NoError(w, err)
	back := sha256.New()
	_, err = io.CopyN(back, c, int64(size))
	require.NoError(w, err)
	require.NoError(w, <-served)
	assert.Equal(w, sum[:], back.Sum(nil), "what came back is what was sent")
}

// echo takes size bytes from the first client of ln and then sends them back.
func echo(ln net.Listener, size int, deadline time.Time) error {
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	var got bytes.Buffer
	if _, err := io.CopyN(&got, c, int64(size)); err != nil {
		return err
	}
	_, err = got.WriteTo(c)
	return err
}

// operatorDocs is what README.md tells the operator of an OVN gateway router; the
// test does it.
type operatorDocs struct {
	prepare   []string // commands that make OVN ready
	read      []string // commands that read what the profile has to say
	minFrag   []string // command for the userspace datapath
	neighbors string   // configuration
}

func readOperatorDocs(t *testing.T) operatorDocs {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "### An OVN gateway router\n")
	require.True(t, ok, "README.md has the section")
	section, _, _ = strings.Cut(section, "\n## ")
	var d operatorDocs
	for i, block := range strings.Split(section, "\n```") {
		if i%2 == 0 { // between two blocks
			continue
		}
		kind, body, _ := strings.Cut(block, "\n")
		if kind == "yaml" {
			d.neighbors += body + "\n"
			continue
		}
		for _, line := range strings.Split(body, "\n") {
			switch {
			case strings.HasPrefix(line, "ovs-appctl "):
				d.minFrag = strings.Fields(line)
			case strings.Contains(line, " find "):
				d.read = append(d.read, line)
			default:
				d.prepare = append(d.prepare, line)
			}
		}
	}
	require.Len(t, d.prepare, 6)
	require.Len(t, d.read, 4)
	require.NotEmpty(t, d.minFrag)
	require.Contains(t, d.neighbors, "inner-src-mac")
	return d
}
