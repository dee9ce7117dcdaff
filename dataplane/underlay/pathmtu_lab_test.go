package underlay_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// narrow is the fabric with two VTEPs behind r1, over a link that carries less.
//
//	gw ── sw0, 1500 ── r1 ── 1400 ── vtep 192.0.2.9, 2001:db8::9
type narrow struct {
	*fabric
	vtep *lab.NS
}

func newNarrow(t *testing.T) *narrow {
	n := &narrow{fabric: newFabric(t)}
	n.vtep = n.NS("vtep")
	n.Veth(lab.End{NS: n.r1, Name: "far", Addrs: pfxs("192.0.2.1/24", "2001:db8::1/64")},
		lab.End{NS: n.vtep, Name: "r1", Addrs: pfxs("192.0.2.9/24", "2001:db8::9/64")}, lab.VethOptions{MTU: 1400})
	n.Check(
		n.r1.Sysctl("net.ipv4.ip_forward", "1"), n.r1.Sysctl("net.ipv6.conf.all.forwarding", "1"),
		n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")),
		n.gw.Route(pfx("2001:db8::/64"), lab.Via("fd01::fe")),
	)
	return n
}

// tunnelPacket is an IP packet of so many bytes as a gateway would send it, behind Ethernet to
// r1: UDP from 50000 to 6081; in IPv4 with DF.
func tunnelPacket(from, to string, length int) []byte {
	src, dst := ip(from), ip(to)
	b := slices.Concat(mac(r1MAC), mac(gwMAC0))
	var header []byte
	if dst.Is4() {
		header = slices.Concat([]byte{0x45, 0, byte(length >> 8), byte(length), 0, 0, 0x40, 0, 64, 17, 0, 0}, src.AsSlice(), dst.AsSlice())
		binary.BigEndian.PutUint16(header[10:], ^sum(header))
		b = append(b, 0x08, 0x00)
	} else {
		payload := length - 40
		header = slices.Concat([]byte{0x60, 0, 0, 0, byte(payload >> 8), byte(payload), 17, 64}, src.AsSlice(), dst.AsSlice())
		b = append(b, 0x86, 0xdd)
	}
	udp := length - len(header)
	b = slices.Concat(b, header, []byte{0xc3, 0x50, 0x17, 0xc1, byte(udp >> 8), byte(udp), 0, 0})
	return append(b, make([]byte, udp-8)...)
}

func mac(s string) []byte { m := must(encap.ParseMAC(s)); return m[:] }

// sum is that of RFC 1071, over an even number of bytes.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return uint16(s % 0xffff)
}

// sender sends out of a link until the test ends.
func sender(t *testing.T, ns *lab.NS, link string) *lab.Sender {
	s, err := ns.Sender(link)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// mtu waits until every way to a VTEP carries so much.
func (r *runner) mtu(vtep string, mtu uint16) time.Duration {
	r.t.Helper()
	return r.eventually(vtep, "another MTU", func(s underlay.VTEPStatus) bool {
		adjs, err := r.Resolve(ip(vtep))
		return err == nil && len(s.Ways) > 0 && !slices.ContainsFunc(adjs, func(a fib.Adjacency) bool { return a.MTU != mtu })
	})
}

// A router's own kernel answers a packet that is too big for the link behind it.
func TestPathMTUFromARouter(t *testing.T) {
	n := newNarrow(t)
	var log logBuffer
	r := run(t, n.gw, underlay.Config{Log: log.logger()}, "192.0.2.9", "2001:db8::9", "10.0.1.254")
	out := sender(t, n.gw, "sw0")
	for _, c := range []struct{ vtep, from, router string }{
		{"192.0.2.9", "10.0.1.1", "10.0.1.254"},
		{"2001:db8::9", "fd01::1", "fd01::fe"},
	} {
		r.mtu(c.vtep, 1500)
		began := time.Now()
		n.Check(out.Send(tunnelPacket(c.from, c.vtep, 1400)), out.Send(tunnelPacket(c.from, c.vtep, 1401)))
		r.mtu(c.vtep, 1400)
		took := time.Since(began)
		t.Logf("from the packet to Resolve, %s: %v", c.vtep, took)
		soon(t, took)
		p := r.status(c.vtep).PathMTU
		assert.Equal(t, uint16(1400), p.MTU)
		assert.Equal(t, ip(c.router), p.Reporter)
		assert.WithinRange(t, p.Reported, began, time.Now())
		log.says(t, "path MTU of a VTEP is lower")
	}
	assert.Equal(t, uint16(1500), r.status("10.0.1.254").Ways[0].MTU)
	n.Check(out.Send(tunnelPacket("10.0.1.1", "192.0.2.9", 1500)))
	outcome := func(o underlay.Outcome) uint64 { return r.Outcomes()[o] }
	require.Eventually(t, func() bool { return outcome(underlay.Confirmed) == 1 }, patience, time.Millisecond)
	assert.Equal(t, uint64(2), outcome(underlay.Lowered))

	// Without reports it is given up. Another Underlay hears the same.
	s := run(t, n.gw, underlay.Config{PathMTUAge: 500 * time.Millisecond}, "192.0.2.9", "2001:db8::9")
	s.mtu("192.0.2.9", 1500)
	s.mtu("2001:db8::9", 1500)
	n.Check(out.Send(tunnelPacket("10.0.1.1", "192.0.2.9", 1500)), out.Send(tunnelPacket("fd01::1", "2001:db8::9", 1500)))
	require.Eventually(t, func() bool { return s.Outcomes()[underlay.Lowered] == 2 }, patience, time.Millisecond)
	s.mtu("192.0.2.9", 1500)
	s.mtu("2001:db8::9", 1500)
}

// The same, down to the entry that packets are held against.
func TestEntriesHaveThePathMTU(t *testing.T) {
	n := newNarrow(t)
	e := newEntries(t, n.gw)
	_, err := e.compiler.Apply([]fib.Binding{{Prefix: pfx("203.0.113.7/32"), Tunnels: []encap.Tunnel{{VTEP: ip("192.0.2.9"), VNI: 5001}}}})
	require.NoError(t, err)
	e.sends(r1MAC)
	assert.Equal(t, uint16(1450), e.mtu())
	out := sender(t, n.gw, "sw0")
	began := time.Now()
	n.Check(out.Send(tunnelPacket("10.0.1.1", "192.0.2.9", 1500)))
	for e.mtu() != 1350 {
		require.Less(t, time.Since(began), patience)
		time.Sleep(100 * time.Microsecond)
	}
	took := time.Since(began)
	t.Logf("from the packet to the entry: %v", took)
	soon(t, took)

	// The least that is believed leaves the VTEP resolved.
	n.Check(n.r1.Send("gw", frameTo(gwMAC0, r1MAC, icmp4(68, tunnelPacket("10.0.1.1", "192.0.2.9", 1350)))))
	for e.mtu() != 552-50 {
		require.Less(t, time.Since(began), patience)
		time.Sleep(100 * time.Microsecond)
	}
	e.sends(r1MAC)
}

// mtu is that of the entry that a worker would use now, 0 if there is none.
func (e *entries) mtu() uint16 {
	e.reader.Begin()
	defer e.reader.End()
	var v [1]fib.Value
	e.reader.Lookup4([]uint32{eip}, v[:])
	if entry := e.reader.Entry(v[0], 12345); v[0] != 0 && entry != nil {
		return entry.MTU
	}
	return 0
}

// icmp4 is RFC 1191's error from 10.0.1.254 to 10.0.1.1 about a frame's packet.
func icmp4(mtu uint16, frame []byte) []byte {
	b := append([]byte{3, 4, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, frame[14:14+28]...)
	binary.BigEndian.PutUint16(b[2:], ^sum(b))
	length := 20 + len(b)
	h := slices.Concat([]byte{0x45, 0, byte(length >> 8), byte(length), 0, 0, 0, 0, 64, 1, 0, 0}, ip("10.0.1.254").AsSlice(), ip("10.0.1.1").AsSlice())
	binary.BigEndian.PutUint16(h[10:], ^sum(h))
	return append(h, b...)
}

// icmp6 is RFC 4443's error from fd01::fe to fd01::1 about a frame's packet.
func icmp6(mtu uint16, frame []byte) []byte {
	b := append([]byte{2, 0, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, frame[14:14+48]...)
	addrs := slices.Concat(ip("fd01::fe").AsSlice(), ip("fd01::1").AsSlice())
	binary.BigEndian.PutUint16(b[2:], ^sum(slices.Concat(addrs, []byte{0, 0, 0, byte(len(b)), 0, 0, 0, 58}, b)))
	return slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(b)), 58, 64}, addrs, b)
}

// frameTo puts Ethernet in front of an IP packet.
func frameTo(dst, src string, packet []byte) []byte {
	etherType := []byte{0x08, 0x00}
	if packet[0]>>4 == 6 {
		etherType = []byte{0x86, 0xdd}
	}
	return slices.Concat(mac(dst), mac(src), etherType, packet)
}

// What somebody on the underlay makes up reaches the sockets, and nothing comes of it.
func TestForgedErrors(t *testing.T) {
	n := newNarrow(t)
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "2001:db8::9")
	r.mtu("192.0.2.9", 1500)
	r.mtu("2001:db8::9", 1500)
	damaged := func(b []byte, at int) []byte { b = slices.Clone(b); b[at]++; return b }
	good4, good6 := tunnelPacket("10.0.1.1", "192.0.2.9", 1500), tunnelPacket("fd01::1", "2001:db8::9", 1500)
	want := map[underlay.Outcome]uint64{}
	for _, c := range []struct {
		packet []byte
		want   underlay.Outcome
	}{
		{damaged(icmp4(1400, good4), 22), underlay.IgnoredMalformed}, // the checksum
		{icmp4(1500, good4), underlay.IgnoredSize},
		{icmp4(1400, tunnelPacket("10.0.1.1", "192.0.2.9", 1501)), underlay.IgnoredSize},
		{icmp4(1400, tunnelPacket("10.0.1.1", "192.0.2.10", 1500)), underlay.IgnoredVTEP},
		{icmp4(1400, tunnelPacket("10.0.2.1", "192.0.2.9", 1500)), underlay.IgnoredSource},
		{icmp4(1400, damaged(good4, 14+9)), underlay.IgnoredNotTunnel},
		{icmp4(67, good4), underlay.IgnoredMinimum},
		{icmp6(1279, good6), underlay.IgnoredMinimum},
		{icmp6(1400, tunnelPacket("fd01::1", "2001:db8::a", 1500)), underlay.IgnoredVTEP},
		{icmp6(1400, damaged(good6, 14+6)), underlay.IgnoredNotTunnel},
	} {
		want[c.want]++
		n.Check(n.r1.Send("gw", frameTo(gwMAC0, r1MAC, c.packet)))
	}
	// Of these the kernel hands on none: a wrong ICMPv6 checksum, an echo, a lack of time.
	n.Check(n.r1.Send("gw", frameTo(gwMAC0, r1MAC, damaged(icmp6(1400, good6), 42))))
	for _, kind := range []byte{0, 8, 11} {
		b := icmp4(1400, good4)
		b[20] = kind
		n.Check(n.r1.Send("gw", frameTo(gwMAC0, r1MAC, b)))
	}
	n.Check(n.r1.Send("gw", frameTo(gwMAC0, r1MAC, icmp4(1300, good4))))
	n.Check(n.r1.Send("gw", frameTo(gwMAC0, r1MAC, icmp6(1300, good6))))
	want[underlay.Lowered] = 2
	r.mtu("192.0.2.9", 1300) // these were the last
	r.mtu("2001:db8::9", 1300)
	for o, count := range r.Outcomes() {
		assert.Equal(t, want[underlay.Outcome(o)], count, underlay.Outcome(o))
	}
}

// In a flood of forged errors no more is read than 64 in 4 ms, and routes are followed.
func TestFloodOfErrors(t *testing.T) {
	n := newNarrow(t)
	r := run(t, n.gw, underlay.Config{}, "192.0.2.9", "10.0.2.254")
	r.to("192.0.2.9", r1MAC)
	r.to("10.0.2.254", r2MAC)
	began := time.Now()
	stop, stopped := make(chan struct{}), make(chan int)
	s, err := n.r1.Sender("gw")
	require.NoError(t, err)
	go func() {
		sent := 0
		forged := [][]byte{
			frameTo(gwMAC0, r1MAC, icmp4(1400, tunnelPacket("10.0.1.1", "192.0.2.10", 1500))),
			frameTo(gwMAC0, r1MAC, icmp4(1400, tunnelPacket("10.0.2.1", "192.0.2.9", 1500))),
		}
		for {
			select {
			case <-stop:
				stopped <- sent
				return
			default:
			}
			if s.Send(forged[sent%2]) == nil {
				sent++
			}
		}
	}()
	for range 20 {
		n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.2.254")))
		r.to("192.0.2.9", r2MAC)
		n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
		r.to("192.0.2.9", r1MAC)
	}
	close(stop)
	sent := <-stopped
	n.Check(s.Close())
	o := r.Outcomes()
	read, took := o[underlay.IgnoredVTEP]+o[underlay.IgnoredSource], time.Since(began)
	t.Logf("%d sent, %d read in %v", sent, read, took)
	assert.LessOrEqual(t, read, 64*uint64(1+took/(4*time.Millisecond)))
	assert.NotZero(t, o[underlay.IgnoredVTEP])
	assert.Equal(t, uint16(1500), r.status("192.0.2.9").Ways[0].MTU)
}

func TestPathMTUOff(t *testing.T) {
	n := newNarrow(t)
	r := run(t, n.gw, underlay.Config{NoPathMTU: true}, "192.0.2.9")
	r.mtu("192.0.2.9", 1500)
	errors, err := n.gw.Capture("sw0", lab.CaptureOptions{Filter: func(f []byte) bool { return len(f) > 34 && f[23] == 1 && f[34] == 3 }})
	require.NoError(t, err)
	n.Check(n.gw.Send("sw0", tunnelPacket("10.0.1.1", "192.0.2.9", 1500)))
	require.NoError(t, errors.Wait(t.Context(), 1))
	n.Check(errors.Close())
	n.Check(n.gw.Route(pfx("198.51.100.0/24"), lab.Via("10.0.1.254"))) // something for Run to do meanwhile
	r.Track(ip("198.51.100.1"))
	r.to("198.51.100.1", r1MAC)
	r.mtu("192.0.2.9", 1500)
	assert.Zero(t, r.Outcomes())
}
