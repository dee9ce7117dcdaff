package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// TestKernelVXLANTakesTheTunnel has the kernel's own VXLAN device as virtual router: what
// a client's kernel sends to the EIPs, pings, fragments and TCP, comes out of the device
// byte for byte, one hop later, and is answered.
func TestKernelVXLANTakesTheTunnel(t *testing.T) {
	for name, c := range map[string]struct {
		vtep netip.Addr
		port uint16
		file bool // bound by file; else by attribute 23
		zero bool // no UDP checksum
	}{
		"over IPv4, by attribute 23":       {vtep: vrAddr, port: 4789},
		"over IPv6, by attribute 23":       {vtep: vrAddr6, port: 4789},
		"over IPv4, by file, to port 8472": {vtep: vrAddr, port: 8472, file: true},
		"over IPv6, without UDP checksum":  {vtep: vrAddr6, port: 4789, file: true, zero: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.LinkKind("vxlan"))
			o := lab.VXLANOptions{VNI: vni, Local: c.vtep, Port: c.port, MAC: "02:00:00:00:01:11", ZeroChecksum6: c.zero}
			require.NoError(t, w.vr.VXLAN("vxlan0", o))
			require.NoError(t, w.vr.Addr("vxlan0", netip.PrefixFrom(eip, 32)))
			require.NoError(t, w.vr.Addr("vxlan0", netip.PrefixFrom(eip6, 128)))
			_, err := peers.Start(w.ctx, w.vr, []string{w.exe, "demo-peer"}, peers.KindVRouter, peers.VRouterConfig{
				NoTunnel: true, EchoPort: echoPort, Speaker: peers.SpeakerConfig{ASN: vrASN, RouterID: vrAddr, Port: -1}})
			require.NoError(t, err)
			more := profile
			if c.file {
				more = vxlanBindings(w, c.vtep, c.port)
			}
			if c.zero {
				more += "\ntunnel: {udp6-checksum: zero}"
			}
			w.start(config(more))
			w.routeToGateway()
			if !c.file {
				announceVXLAN(w, c.vtep)
			}
			w.forwarded(eip)
			w.forwarded(eip6)
			// The first packets find neighbors, and their answers the MTU of the way back.
			for _, a := range []netip.Addr{eip, eip6} {
				w.eventually("an echo comes back from "+a.String(), func() (bool, any) {
					out, err := w.client.Output(w.ctx, "ping", "-n", "-c", "1", "-W", "1", "-s", "4000", a.String())
					return err == nil, out
				})
			}
			sent := w.capture(w.sw, "gw", lab.CaptureOptions{Outgoing: true, Filter: toEIP})
			came := w.capture(w.vr, "vxlan0", lab.CaptureOptions{Filter: toEIP})
			for _, a := range []netip.Addr{eip, eip6} {
				w.ping(a)
				w.ping(a, "-s", "1")                  // an odd length
				w.ping(a, "-s", "1400", "-Q", "0xb9") // DSCP EF, ECT(1)
				w.ping(a, "-s", "4000")               // fragments
				w.transfer(netip.AddrPortFrom(a, echoPort), 300_000)
			}
			w.ping(eip, "-s", "1472", "-M", "do") // a full packet of 1500 bytes
			w.ping(eip6, "-s", "1452", "-M", "do")
			w.sameInside(sent, came)
		})
	}
}

// vxlanBindings writes the file of static bindings.
func vxlanBindings(w *world, vtep netip.Addr, port uint16) string {
	w.Helper()
	file := filepath.Join(w.dir, "bindings.yaml")
	text := "bindings:\n"
	for _, a := range []netip.Addr{eip, eip6} {
		text += fmt.Sprintf("  - {prefix: \"%s\", tunnels: [{vtep: \"%s\", vni: %d, protocol: vxlan, udp-port: %d, inner-mac: \"02:00:00:00:01:11\"}]}\n", a, vtep, vni, port)
	}
	require.NoError(w, os.WriteFile(file, []byte(text), 0o644))
	return "bindings: {file: " + file + "}"
}

// announceVXLAN has a virtual router announce both EIPs with attribute 23 of type 8.
func announceVXLAN(w *world, vtep netip.Addr) {
	w.Helper()
	p, err := peers.Start(w.ctx, w.vr, []string{w.exe, "demo-peer"}, peers.KindVRouter, peers.VRouterConfig{NoTunnel: true,
		Speaker: peers.SpeakerConfig{ASN: vrASN, RouterID: vrAddr, Port: -1, Peers: []peers.Peer{toGateway()}}})
	require.NoError(w, err)
	for _, a := range []netip.Addr{eip, eip6} {
		r := peers.Route{Prefix: netip.PrefixFrom(a, a.BitLen()), NextHop: serviceAddr,
			TunnelEncap: &peers.TunnelEncap{Endpoint: vtep, VNI: vni, MAC: vrMAC, VXLAN: true}}
		if a.Is6() {
			r.NextHop = serviceAddr6
		}
		require.NoError(w, p.Announce(r))
	}
}

// capture takes frames from a link until the test ends.
func (w *world) capture(ns *lab.NS, link string, o lab.CaptureOptions) *lab.Capture {
	w.Helper()
	c, err := ns.Capture(link, o)
	require.NoError(w, err)
	w.Cleanup(func() { assert.NoError(w, c.Close()) })
	return c
}

// toEIP says whether an untagged frame holds a packet for one of the EIPs.
func toEIP(f []byte) bool {
	switch {
	case len(f) >= 34 && f[12] == 0x08 && f[13] == 0x00:
		return netip.AddrFrom4([4]byte(f[30:34])) == eip
	case len(f) >= 54 && f[12] == 0x86 && f[13] == 0xdd:
		return netip.AddrFrom16([16]byte(f[38:54])) == eip6 && f[20] != 58 || len(f) >= 55 && f[20] == 58 && f[54] < 133
	}
	return false
}

// sameInside compares what the switch sent to the gateway with what came out of the
// tunnel: the same packets, one hop older. In which order they are seen is up to the CPUs
// that handle them.
func (w *world) sameInside(sent, came *lab.Capture) {
	w.Helper()
	// Each capture has a goroutine of its own, and a connection that has ended may have a last
	// word: equal is what stays so.
	last, since := -1, time.Now()
	w.eventually("every packet came out of the tunnel, and no more are sent", func() (bool, any) {
		in, out := sent.Count(), came.Count()
		if in != out || in != last {
			last, since = in, time.Now()
		}
		return in == out && time.Since(since) > 300*time.Millisecond, fmt.Sprint(out, " of ", in)
	})
	for _, c := range []*lab.Capture{sent, came} {
		lost, err := c.Dropped()
		require.NoError(w, err)
		require.Zero(w, lost, "the capture was too slow")
	}
	a, b := sent.Frames(), came.Frames()
	require.Len(w, b, len(a))
	require.Greater(w, len(a), 400, "pings, fragments and TCP")
	w.Logf("%d packets compared", len(a))
	var wants [][]byte
	for i := range a {
		want := append([]byte{2, 0, 0, 0, 1, 0x11, 2, 'e', 'i', 'p', 'g', 'w'}, a[i][12:]...)
		if want[14]>>4 == 4 {
			want[14+8]--
			want[14+10], want[14+11] = 0, 0
			sum := checksum(want[14:34])
			want[14+10], want[14+11] = byte(sum>>8), byte(sum)
		} else {
			want[14+7]--
		}
		wants = append(wants, want)
	}
	slices.SortFunc(wants, bytes.Compare)
	slices.SortFunc(b, bytes.Compare)
	for i := range wants {
		require.Equal(w, wants[i], b[i], "packet %d of %d, sorted by their bytes", i, len(a))
	}
}

// checksum is that of an IPv4 header of 20 bytes (RFC 1071).
func checksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(header[i])<<8 | uint32(header[i+1])
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum)
}

// transfer sends n bytes by TCP from the client to an echo service and compares what
// comes back.
func (w *world) transfer(to netip.AddrPort, n int64) {
	w.Helper()
	require.NoError(w, w.tryTransfer(to, n, patience))
}

// stall is how long a transfer may take that is small, or hangs.
const stall = 2 * time.Second

// tryTransfer is transfer for one that may fail, at the latest after limit.
func (w *world) tryTransfer(to netip.AddrPort, n int64, limit time.Duration) error {
	var conn net.Conn
	if err := w.client.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", to.String(), limit)
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	sent, back := sha256.New(), sha256.New()
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), n), sent))
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		done <- err
	}()
	got, err := io.Copy(back, conn)
	switch err = errors.Join(err, <-done); {
	case err != nil:
		return err
	case got != n:
		return fmt.Errorf("%d of %d bytes came back", got, n)
	case !bytes.Equal(sent.Sum(nil), back.Sum(nil)):
		return errors.New("other bytes came back than were sent")
	}
	return nil
}
