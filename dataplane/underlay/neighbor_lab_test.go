package underlay_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/perf/lab"
)

// fastNeighbors makes a namespace's kernel give up on a neighbor within a third of a
// second instead of three, on one interface.
func fastNeighbors(n *fabric, ns *lab.NS, iface string) {
	for _, family := range []string{"ipv4", "ipv6"} {
		n.Check(ns.Sysctl("net."+family+".neigh."+iface+".retrans_time_ms", "100"))
	}
}

// setNeighbor writes an entry of a namespace's neighbor table.
func setNeighbor(n *fabric, ns *lab.NS, iface, addr, mac string, state int) {
	link, err := ns.Link(iface)
	n.Check(err)
	hw, err := net.ParseMAC(mac)
	n.Check(err)
	n.Check(ns.Handle().NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: ip(addr).AsSlice(), HardwareAddr: hw, State: state}))
}

// neighborState is the state of an entry as the kernel has it.
func neighborState(t *testing.T, ns *lab.NS, iface, addr string) int {
	link, err := ns.Link(iface)
	require.NoError(t, err)
	list, err := ns.Handle().NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	require.NoError(t, err)
	for _, n := range list {
		if n.IP.String() == addr {
			return n.State
		}
	}
	return unix.NUD_NONE
}

func TestMACChangeInTheKernelsTable(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "10.0.1.254")
	r.to("192.0.2.9", r1MAC)
	for i := range 5 {
		mac := fmt.Sprintf("02:00:00:00:99:%02x", i)
		setNeighbor(n, n.gw, "sw0", "10.0.1.254", mac, unix.NUD_PERMANENT)
		soon(t, r.to("192.0.2.9", mac))
		soon(t, r.to("10.0.1.254", mac))
	}
}

func TestMACChangeWithAnnouncement(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Sysctl("net.ipv4.neigh.sw0.locktime", "0")) // else the kernel ignores a second answer within a second
	r := run(t, n.gw, underlay.Config{}, "10.0.1.254")
	r.to("10.0.1.254", r1MAC)
	const moved = "02:00:00:00:77:77"
	n.Check(n.r1.SetMAC("gw", moved))
	hw, err := net.ParseMAC(moved)
	require.NoError(t, err)
	// Gratuitous ARP: a request for the own address (RFC 5227 section 3).
	addr := ip("10.0.1.254").As4()
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, hw...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1)
	frame = append(append(frame, hw...), addr[:]...)
	frame = append(append(frame, 0, 0, 0, 0, 0, 0), addr[:]...)
	n.Check(n.r1.Send("gw", frame))
	soon(t, r.to("10.0.1.254", moved))
}

func TestSilentMACChangeIsFound(t *testing.T) {
	n := newFabric(t)
	fastNeighbors(n, n.gw, "sw0")
	r := run(t, n.gw, underlay.Config{Reprobe: 200 * time.Millisecond}, "10.0.1.254", "fd01::fe")
	r.to("10.0.1.254", r1MAC)
	r.to("fd01::fe", r1MAC)
	const moved = "02:00:00:00:77:77"
	// Without a neighbor message of its own: the address changes and nothing is said.
	link, err := n.r1.Link("gw")
	require.NoError(t, err)
	hw, err := net.ParseMAC(moved)
	require.NoError(t, err)
	n.Check(n.r1.Handle().LinkSetHardwareAddr(link, hw))
	r.to("10.0.1.254", moved)
	r.to("fd01::fe", moved)
}

func TestStaleNeighborIsConfirmed(t *testing.T) {
	n := newFabric(t)
	setNeighbor(n, n.gw, "sw0", "10.0.1.254", r1MAC, unix.NUD_STALE)
	r := run(t, n.gw, underlay.Config{}, "10.0.1.254")
	soon(t, r.to("10.0.1.254", r1MAC)) // usable while stale
	r.eventually("10.0.1.254", "a reachable neighbor", func(underlay.VTEPStatus) bool {
		return neighborState(t, n.gw, "sw0", "10.0.1.254") == unix.NUD_REACHABLE
	})
}

func TestFixedNeighborIsLeftAlone(t *testing.T) {
	n := newFabric(t)
	asked, err := n.r1.Capture("gw", lab.CaptureOptions{Filter: func(f []byte) bool { return f[12] == 8 && f[13] == 6 }})
	require.NoError(t, err)
	defer asked.Close()
	const elsewhere = "02:00:00:00:55:55"
	setNeighbor(n, n.gw, "sw0", "10.0.1.254", elsewhere, unix.NUD_PERMANENT)
	r := run(t, n.gw, underlay.Config{Reprobe: 20 * time.Millisecond}, "10.0.1.254", "10.0.1.77")
	r.to("10.0.1.254", elsewhere)
	require.NoError(t, asked.Wait(t.Context(), 1)) // by now the other one is asked for
	for _, f := range asked.Frames() {
		assert.Equal(t, byte(77), f[41], "only the missing neighbor is asked for: % x", f)
	}
	assert.Equal(t, unix.NUD_PERMANENT, neighborState(t, n.gw, "sw0", "10.0.1.254"))
}

func TestMissingNeighborIsSolicitedUntilItComes(t *testing.T) {
	n := newFabric(t)
	fastNeighbors(n, n.gw, "sw0")
	r := run(t, n.gw, underlay.Config{}, "10.0.1.77", "fd01::77")
	r.refused("10.0.1.77", "neighbor 10.0.1.77 on sw0 does not answer")
	r.refused("fd01::77", "neighbor fd01::77 on sw0 does not answer")
	n.Check(n.r1.Addr("gw", pfx("10.0.1.77/24")), n.r1.Addr("gw", pfx("fd01::77/64")))
	r.to("10.0.1.77", r1MAC)
	r.to("fd01::77", r1MAC)
}

func TestNeighborThatDies(t *testing.T) {
	n := newFabric(t)
	fastNeighbors(n, n.gw, "sw0")
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254"), lab.Via("10.0.2.254")))
	r := run(t, n.gw, underlay.Config{Reprobe: 200 * time.Millisecond}, "192.0.2.9")
	r.via("192.0.2.9", "10.0.1.254", "10.0.2.254")
	n.Check(n.r1.RemoveAddr("gw", pfx("10.0.1.254/24"))) // its link stays up
	r.via("192.0.2.9", "10.0.2.254")
	n.Check(n.r1.Addr("gw", pfx("10.0.1.254/24")))
	r.via("192.0.2.9", "10.0.1.254", "10.0.2.254")
}

func TestNeighborDeletedByAnOperator(t *testing.T) {
	n := newFabric(t)
	r := run(t, n.gw, underlay.Config{}, "10.0.1.254")
	r.to("10.0.1.254", r1MAC)
	link, err := n.gw.Link("sw0")
	require.NoError(t, err)
	before := r.changesOf("10.0.1.254")
	n.Check(n.gw.Handle().NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: ip("10.0.1.254").AsSlice()}))
	r.changed("10.0.1.254", before) // lost, or lost and found
	soon(t, r.to("10.0.1.254", r1MAC))
}
