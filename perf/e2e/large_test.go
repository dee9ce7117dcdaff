package e2e

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

// underlay gives every link behind the switch this MTU.
func (w *world) underlay(mtu int) {
	w.Helper()
	for _, end := range []struct {
		ns    *lab.NS
		links []string
	}{{w.gw, []string{"up0"}}, {w.vr, []string{"up0"}}, {w.sw, []string{"gw", "vr", "br0"}}} {
		for _, name := range end.links {
			link, err := end.ns.Handle().LinkByName(name)
			require.NoError(w, err)
			require.NoError(w, end.ns.Handle().LinkSetMTU(link, mtu))
		}
	}
}

// reassembled is how many IPv4 datagrams the virtual router's kernel has put together.
func (w *world) reassembled() int {
	w.Helper()
	text, err := w.vr.Output(w.ctx, "cat", "/proc/net/snmp")
	require.NoError(w, err)
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if fields[0] != "Ip:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "ReasmOKs" {
				n, err := strconv.Atoi(fields[i])
				require.NoError(w, err)
				return n
			}
		}
	}
	require.FailNow(w, "no ReasmOKs", text)
	return 0
}

// An underlay of 1500 bytes leaves 1450 for packets. Those that may be cut are, also when
// they are fragments already, and the virtual router's kernel puts them together.
func TestFragmentedPackets(t *testing.T) {
	w := newWorld(t)
	w.underlay(1500)
	w.tunnelEnd()
	w.start(config(w.bindings()))
	w.routeToGateway()
	w.forwarded(eip)
	w.ping(eip)
	assert.Zero(t, w.reassembled())
	w.ping(eip, "-M", "dont", "-s", "1472") // one packet of 1500 bytes
	assert.Equal(t, 5, w.reassembled())
	w.ping(eip, "-M", "dont", "-s", "4000") // three fragments, of which two do not fit
	assert.Equal(t, 10, w.reassembled())

	var receiver *net.UDPConn
	var sender net.Conn
	require.NoError(t, w.vr.Do(func() (err error) {
		receiver, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(eip, 7000)))
		return err
	}))
	defer receiver.Close()
	withoutDF := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			assert.NoError(t, unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT))
		})
	}}
	require.NoError(t, w.client.Do(func() (err error) {
		sender, err = withoutDF.Dial("udp4", netip.AddrPortFrom(eip, 7000).String())
		return err
	}))
	defer sender.Close()
	for _, n := range []int{1423, 1472, 4000, 9000, 65507} {
		sent := bytes.Repeat([]byte("datagram of many fragments, "), 3000)[:n]
		_, err := sender.Write(sent)
		require.NoError(t, err)
		got := make([]byte, 65536)
		require.NoError(t, receiver.SetReadDeadline(time.Now().Add(patience)))
		m, err := receiver.Read(got)
		require.NoError(t, err, "%d bytes", n)
		assert.True(t, bytes.Equal(sent, got[:m]), "%d bytes sent, %d other ones received", n, m)
	}
}

// An underlay of 1300 bytes leaves 1250 for packets, less than IPv6 may ask of anybody.
// Tunnel packets with up to 1280 bytes of it are cut and put together at the VTEP.
func TestFragmentedTunnelPackets(t *testing.T) {
	w := newWorld(t)
	w.underlay(1300)
	w.tunnelEnd()
	w.start(config(w.bindings()))
	w.routeToGateway()
	w.forwarded(eip6)
	w.ping(eip6, "-s", "1202") // 1250 bytes
	assert.Zero(t, w.reassembled())
	w.ping(eip6, "-s", "1203")
	w.ping(eip6, "-s", "1232") // 1280 bytes
	assert.Equal(t, 10, w.reassembled())
}
