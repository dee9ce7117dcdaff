package differ

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// The links of both routers:
//
//	host ── in, 198.51.100.1 ── router ── out, MTU 1450 ── sink
var (
	hostMAC   = encap.MAC{2, 0, 0, 0, 0x0c, 1}
	routerMAC = encap.MAC{2, 0, 0, 0, 0, 1}
	outMAC    = encap.MAC{2, 0, 0, 0, 0, 2}
	sinkMAC   = encap.MAC{2, 0, 0, 0, 0, 0xfe}
)

const longestFrame = 9000 // MTU of the link that packets come in by

// kernel is a namespace that forwards.
type kernel struct {
	t                  *testing.T
	host, router, sink *lab.NS
	sender             *lab.Sender
	answers, forwarded *lab.Capture
}

func newKernel(t *testing.T) *kernel {
	l := lab.T(t, lab.Tool("ip"))
	k := &kernel{t: t, host: l.NS("host"), router: l.NS("router"), sink: l.NS("sink")}
	for _, ns := range []*lab.NS{k.host, k.sink} { // they have nothing to say by themselves
		l.Check(ns.Sysctl("net.ipv6.conf.all.disable_ipv6", "1"), ns.Sysctl("net.ipv6.conf.default.disable_ipv6", "1"))
	}
	l.Veth(lab.End{NS: k.host, Name: "eth0", MAC: hostMAC.String()},
		lab.End{NS: k.router, Name: "in", MAC: routerMAC.String(), Addrs: []netip.Prefix{netip.PrefixFrom(own4, 32), netip.PrefixFrom(own6, 128)}},
		lab.VethOptions{MTU: longestFrame})
	l.Veth(lab.End{NS: k.sink, Name: "eth0", MAC: sinkMAC.String()},
		lab.End{NS: k.router, Name: "out", MAC: outMAC.String(), Addrs: []netip.Prefix{netip.PrefixFrom(out4, 32)}}, lab.VethOptions{MTU: roomMTU})
	for key, value := range map[string]string{
		"net.ipv4.icmp_ratelimit": "0", "net.ipv4.icmp_ratemask": "0", "net.ipv6.icmp.ratelimit": "0",
		"net.ipv4.icmp_msgs_per_sec": "1000000", "net.ipv4.icmp_msgs_burst": "1000000",
		"net.ipv4.conf.all.accept_source_route": "0", "net.ipv4.conf.in.accept_source_route": "0",
		"net.ipv4.conf.all.log_martians": "0", "net.ipv4.conf.all.send_redirects": "0", "net.ipv4.conf.in.send_redirects": "0",
	} {
		if err := k.router.Sysctl(key, value); !errors.Is(err, os.ErrNotExist) {
			l.Check(err)
		}
	}
	host4, host6, sink4, sink6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8:ff::2"), netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("2001:db8:ff::3")
	for _, n := range []struct {
		link string
		a    netip.Addr
		mac  encap.MAC
	}{{"in", host4, hostMAC}, {"in", host6, hostMAC}, {"in", linkLocal, hostMAC}, {"out", sink4, sinkMAC}, {"out", sink6, sinkMAC}} {
		link, err := k.router.Link(n.link)
		l.Check(err)
		l.Check(k.router.Handle().NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: n.a.AsSlice(), HardwareAddr: n.mac[:]}))
	}
	l.Check(k.router.Route(netip.MustParsePrefix("0.0.0.0/0"), lab.Hop{Via: host4, Dev: "in", Onlink: true}),
		k.router.Route(netip.MustParsePrefix("::/0"), lab.Hop{Via: host6, Dev: "in", Onlink: true}),
		k.router.Route(nets4[bound], lab.Hop{Via: sink4, Dev: "out", Onlink: true}),
		k.router.Route(nets6[bound], lab.Hop{Via: sink6, Dev: "out", Onlink: true}))
	lab.Pin(t)
	var err error
	k.sender, err = k.host.Sender("eth0")
	l.Check(err)
	t.Cleanup(func() { _ = k.sender.Close() })
	k.answers = k.capture(k.host, routerMAC)
	k.forwarded = k.capture(k.sink, outMAC)
	return k
}

// capture takes the IP packets that the router sends out of one of its links, but for
// what it has to say of its neighbors.
func (k *kernel) capture(ns *lab.NS, from encap.MAC) *lab.Capture {
	c, err := ns.Capture("eth0", lab.CaptureOptions{Filter: func(f []byte) bool {
		return len(f) >= 14+20 && [6]byte(f[6:12]) == from && f[0]&1 == 0 && (f[12] == 0x08 && f[13] == 0 || f[12] == 0x86)
	}})
	require.NoError(k.t, err)
	k.t.Cleanup(func() { _ = c.Close() })
	return c
}

// refuse sets what becomes of packets for unbound and unresolved destinations.
func (k *kernel) refuse(route4, route6 string) {
	k.t.Helper()
	for kind := unbound; kind <= unresolved; kind++ {
		_, err := k.router.Output(k.t.Context(), "ip", "route", "replace", route4, nets4[kind].String())
		require.NoError(k.t, err)
		_, _ = k.router.Output(k.t.Context(), "ip", "-6", "route", "flush", "root", nets6[kind].String()) // none the first time
		_, err = k.router.Output(k.t.Context(), "ip", "-6", "route", "add", route6, nets6[kind].String())
		require.NoError(k.t, err)
	}
}

// pass sends packets and returns what the router sent, from the IP header on. All frames
// take one CPU, on which the kernel handles them in the order in which they were sent: what
// follows a batch comes out after it.
func (k *kernel) pass(packets []packet) (forwarded, answers [][]byte) {
	k.t.Helper()
	const batch = 128
	k.answers.Reset()
	k.forwarded.Reset()
	markers := 0
	for part := range slices.Chunk(packets, batch) {
		var err error
		for _, p := range part {
			err = errors.Join(err, k.sender.Send(p.frame))
		}
		require.NoError(k.t, errors.Join(err, k.sender.Send(marker(1)), k.sender.Send(marker(64))))
		markers++
		k.awaitMarkers(markers)
	}
	for _, c := range []*lab.Capture{k.answers, k.forwarded} {
		lost, err := c.Dropped()
		require.NoError(k.t, err)
		require.Zero(k.t, lost, "the capture was too slow")
	}
	return packetsOf(k.forwarded), packetsOf(k.answers)
}

// awaitMarkers waits until n markers came out of either link.
func (k *kernel) awaitMarkers(n int) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for _, c := range []*lab.Capture{k.answers, k.forwarded} {
		for {
			frames := c.Frames()
			seen := 0
			for _, f := range frames {
				if isMarker(f[14:]) {
					seen++
				}
			}
			if seen >= n {
				break
			}
			require.NoError(k.t, c.Wait(ctx, len(frames)+1))
		}
	}
}

// markerNumber is no packet's.
const markerNumber = 0xffff

// marker is a frame that the router forwards, or with a TTL of 1 answers.
func marker(ttl uint8) []byte {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9] = 0x45, 28, ttl, 17
	copy(b[12:], []byte{198, 18, 0, 1})
	copy(b[16:], destination(nets4[bound], markerNumber).AsSlice())
	setSum4(b, 20)
	return slices.Concat(routerMAC[:], hostMAC[:], []byte{0x08, 0x00}, b)
}

// isMarker says whether a packet is a marker or the answer to one.
func isMarker(p []byte) bool {
	if n, ok := numberOf(p); ok {
		return n == markerNumber
	}
	if len(p) == 20+8+28 && p[9] == 1 {
		n, ok := numberOf(p[28:])
		return ok && n == markerNumber
	}
	return false
}

func packetsOf(c *lab.Capture) (out [][]byte) {
	for _, f := range c.Frames() {
		if p := f[14:]; !isMarker(p) {
			out = append(out, p)
		}
	}
	return out
}

// release is the running kernel's.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return strconv.Quote(unix.ByteSliceToString(u.Release[:]))
}
