package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
)

// EIPs with nobody behind them: not bound at all, and bound to a VTEP that no neighbor is.
var (
	unbound     = netip.MustParseAddr("203.0.113.20")
	unbound6    = netip.MustParseAddr("2001:db8:e1b::20")
	unresolved  = netip.MustParseAddr("203.0.113.30")
	unresolved6 = netip.MustParseAddr("2001:db8:e1b::30")
)

// icmp is what a client gets to see of an ICMP error, or nothing.
type icmp struct {
	from       netip.Addr
	kind, code uint8
	about      netip.Addr // destination of the packet in it
}

// icmpOf reads an ICMP error out of a frame.
func icmpOf(f []byte) (e icmp, ok bool) {
	switch {
	case len(f) >= 14+28+20 && f[12] == 0x08 && f[13] == 0 && f[23] == 1 && (f[34] == 3 || f[34] == 11):
		return icmp{netip.AddrFrom4([4]byte(f[26:])), f[34], f[35], netip.AddrFrom4([4]byte(f[42+16:]))}, true
	case len(f) >= 14+48+40 && f[12] == 0x86 && f[13] == 0xdd && f[20] == 58 && f[54] < 128:
		return icmp{netip.AddrFrom16([16]byte(f[22:])), f[54], f[55], netip.AddrFrom16([16]byte(f[62+24:]))}, true
	}
	return e, false
}

func isICMPError(f []byte) bool { _, ok := icmpOf(f); return ok }

// isTunnel says whether a frame is one of a Geneve tunnel, over either family.
func isTunnel(f []byte) bool {
	return len(f) > 50 && (f[12] == 0x08 && f[23] == 17 && be16(f[36:]) == 6081 ||
		f[12] == 0x86 && f[20] == 17 && be16(f[56:]) == 6081)
}

// TestRefusals sends packets for EIPs that lead nowhere: each gets exactly the ICMP error
// that is configured, or none, and no frame leaves on any other way.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.tunnelEnd()
	bindings := w.bindings()
	file := filepath.Join(w.dir, "bindings.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, a := range []netip.Addr{unresolved, unresolved6} {
		text = fmt.Appendf(text, "  - {prefix: \"%s\", tunnels: [{vtep: 10.0.1.99, vni: %d}]}\n", a, vni)
	}
	require.NoError(t, os.WriteFile(file, text, 0o644))
	yaml := func(unbound, unresolved string) string {
		return config(fmt.Sprintf("forwarding: {unbound: %s, unresolved: %s}\n%s", unbound, unresolved, bindings))
	}
	w.start(yaml("drop", "drop"))
	w.routeToGateway()
	w.forwarded(eip)
	w.ping(eip)
	w.ping(eip6)
	type code struct{ v4, v6 uint8 }
	codes := map[string]code{"net-unreachable": {0, 0}, "host-unreachable": {1, 3}, "prohibited": {13, 1}}
	got := w.capture(w.client, "eth0", lab.CaptureOptions{Filter: isICMPError})
	tunnels := w.capture(w.sw, "gw", lab.CaptureOptions{Filter: isTunnel})
	north := w.capture(w.sw, "gw", lab.CaptureOptions{Filter: isICMPError})
	for _, c := range [][2]string{{"drop", "drop"}, {"host-unreachable", "net-unreachable"}, {"net-unreachable", "prohibited"}, {"prohibited", "host-unreachable"}, {"drop", "drop"}} {
		require.NoError(t, w.g.Write(yaml(c[0], c[1])))
		_, err := w.g.Run(w.ctx, "reload")
		require.NoError(t, err)
		for _, a := range []netip.Addr{unbound, unbound6, unresolved, unresolved6} {
			reason, rule := "no_binding", c[0]
			if a == unresolved || a == unresolved6 {
				reason, rule = "unresolved_vtep", c[1]
			}
			got.Reset()
			north.Reset()
			before, err := w.g.Counters(w.ctx)
			require.NoError(t, err)
			w.datagram(a)
			w.eventually("the packet is dropped", func() (bool, any) {
				after, err := w.g.Counters(w.ctx)
				return err == nil && after.Drop(reason) == before.Drop(reason)+1, after
			})
			w.ping(eip, "-c", "1") // comes behind whatever the gateway has sent
			var want []icmp
			if code, ok := codes[rule]; ok && a.Is4() {
				want = []icmp{{gwAddr, 3, code.v4, a}}
			} else if ok {
				want = []icmp{{gwAddr6, 1, code.v6, a}}
			}
			w.eventually("the answers arrive", func() (bool, any) { // each capture has a goroutine of its own
				return got.Count() >= len(want) && north.Count() >= len(want), fmt.Sprint(got.Count(), north.Count())
			})
			var have []icmp
			for _, f := range got.Frames() {
				e, _ := icmpOf(f)
				have = append(have, e)
			}
			assert.Equal(t, want, have, "%s, %s", a, rule)
			assert.Equal(t, len(want), north.Count(), "%s: errors on the gateway's link", a)
		}
	}
	require.NotZero(t, tunnels.Count())
	for _, f := range tunnels.Frames() { // all of them echo requests for the EIP that there is
		assert.Equal(t, eip, netip.AddrFrom4([4]byte(f[14+20+8+8+14+16:])))
	}
	w.addUp()
}

// datagram sends one UDP datagram from the client.
func (w *world) datagram(to netip.Addr) {
	w.Helper()
	require.NoError(w, w.client.Do(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("anybody there?"))
		_ = c.Close()
		return err
	}))
}

// TestOwnAddressesAnswer pings the gateway's own addresses: the kernel answers, also at an
// address inside of a segment. That no segment covers a service address is seen to.
func TestOwnAddressesAnswer(t *testing.T) {
	w := newWorld(t)
	inside, inside6 := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:e1b::1")
	for _, a := range []netip.Addr{inside, inside6} {
		require.NoError(t, w.gw.Addr("lo", netip.PrefixFrom(a, a.BitLen())))
	}
	w.tunnelEnd()
	w.start(config(w.bindings()))
	w.routeToGateway()
	require.NoError(t, w.sw.Route(netip.PrefixFrom(serviceAddr, 32), lab.Via(gwAddr.String())))
	w.forwarded(eip)
	for _, p := range []string{"10.255.0.0/24", "fd00:ff::/64"} {
		_, err := w.g.Run(w.ctx, "segment", "add", p)
		assert.ErrorContains(t, err, "a service address")
	}
	before, err := w.g.Counters(w.ctx)
	require.NoError(t, err)
	for _, a := range []netip.Addr{gwAddr, gwAddr6, serviceAddr, serviceAddr6, inside, inside6} {
		w.ping(a)
	}
	after, err := w.g.Counters(w.ctx)
	require.NoError(t, err)
	assert.Equal(t, before.Received, after.Received, "the kernel's alone")
	w.ping(eip)
	w.ping(eip6)
}

// udpFrame is a UDP packet for the EIP as the switch could send it, with that TTL and
// those VLAN tags, each of four bytes.
func (w *world) udpFrame(ttl uint8, tags ...uint32) []byte {
	w.Helper()
	link, err := w.gw.Link("up0")
	require.NoError(w, err)
	b := slices.Concat(link.Attrs().HardwareAddr, []byte{2, 0, 0, 0, 0x0c, 1})
	for _, tag := range tags {
		b = append(b, byte(tag>>24), byte(tag>>16), byte(tag>>8), byte(tag))
	}
	b = append(b, 0x08, 0x00)
	h := []byte{0x45, 0, 0, 32, 0, 0, 0, 0, ttl, 17, 0, 0, 198, 51, 100, 2}
	h = append(h, eip.AsSlice()...)
	sum := checksum(h)
	h[10], h[11] = byte(sum>>8), byte(sum)
	return append(append(b, h...), 0x9c, 0x40, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4)
}

// TestPortTakesItsVLANs sends tagged frames to a port that takes one VLAN and one pair.
func TestPortTakesItsVLANs(t *testing.T) {
	w := newWorld(t)
	end := w.tunnelEnd()
	yaml := config(w.bindings())
	w.start(strings.Replace(yaml, "{name: up0}", `{name: up0, accept-vlans: [100, "200.300"]}`, 1))
	w.forwarded(eip)
	sender, err := w.sw.Sender("gw")
	require.NoError(t, err)
	defer sender.Close()
	taken := uint64(0)
	for _, c := range []struct {
		tags  []uint32
		takes bool
	}{
		{nil, false}, {[]uint32{0x8100_0064}, true}, {[]uint32{0x8100_e064}, true}, {[]uint32{0x8100_0065}, false}, {[]uint32{0x8100_0000}, false},
		{[]uint32{0x88a8_00c8, 0x8100_012c}, true}, {[]uint32{0x88a8_00c8, 0x8100_012d}, false}, {[]uint32{0x88a8_00c8}, false},
	} {
		before, err := w.g.Counters(w.ctx)
		require.NoError(t, err)
		require.NoError(t, sender.Send(w.udpFrame(64, c.tags...)))
		if c.takes {
			taken++
			w.eventually(fmt.Sprintf("tags %x are taken", c.tags), func() (bool, any) {
				s, err := end.Stats()
				return err == nil && s.Frames == taken, s
			})
			continue
		}
		w.eventually(fmt.Sprintf("tags %x are refused", c.tags), func() (bool, any) {
			after, err := w.g.Counters(w.ctx)
			return err == nil && after.Drop("vlan") == before.Drop("vlan")+1, after
		})
	}
	w.addUp()
}

// TestAnswersKeepToTheirLimit floods the gateway with packets at their last hop: of all,
// and of one source, no more are answered than the limit allows in that time.
func TestAnswersKeepToTheirLimit(t *testing.T) {
	const flood = 3000
	for name, c := range map[string]struct {
		yaml        string
		rate, burst int
		event       string
	}{
		"of all":     {"rate: 40, burst: 25, source-rate: 0", 40, 25, "answer_limited_global"},
		"per source": {"rate: 0, source-rate: 30, source-burst: 15", 30, 15, "answer_limited_source"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.tunnelEnd()
			w.start(config("forwarding: {icmp: {" + c.yaml + "}}\n" + w.bindings()))
			w.routeToGateway()
			w.forwarded(eip)
			w.ping(eip)
			answers := w.capture(w.sw, "gw", lab.CaptureOptions{Filter: isICMPError})
			sender, err := w.sw.Sender("gw")
			require.NoError(t, err)
			defer sender.Close()
			frame := w.udpFrame(1)
			begin := time.Now()
			for range flood {
				require.NoError(t, sender.Send(frame))
			}
			var after float64
			w.eventually("the flood is over", func() (bool, any) {
				s, err := w.g.Counters(w.ctx)
				after = time.Since(begin).Seconds()
				return err == nil && s.Event("time_exceeded")+s.Event(c.event) == flood && s.AddUp(), s
			})
			s, err := w.g.Counters(w.ctx)
			require.NoError(t, err)
			made := s.Event("time_exceeded")
			assert.GreaterOrEqual(t, made, uint64(c.burst), "the burst is answered")
			assert.LessOrEqual(t, float64(made), float64(c.burst)+float64(c.rate)*after, "in %v s", after)
			assert.EqualValues(t, flood, s.Drop("ttl_expired"))
			w.eventually("all answers arrive", func() (bool, any) { return uint64(answers.Count()) == made, answers.Count() })
			for _, f := range answers.Frames() {
				e, _ := icmpOf(f)
				require.Equal(t, icmp{gwAddr, 11, 0, eip}, e)
			}
			w.ping(eip)
			w.addUp()
		})
	}
}
