package bgpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/bgpd/bmp"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// said is an UPDATE for some prefixes.
type said struct {
	attrs    pathAttrs
	prefixes []string
}

// burst sends UPDATEs in one piece.
func (p *peer) burst(nextHop string, list ...said) {
	var b bytes.Buffer
	for _, x := range list {
		raw, err := bgp.NewBGPUpdateMessage(nil, append(pathAttrs{
			bgp.NewPathAttributeOrigin(0), p.asPath(), bgp.NewPathAttributeNextHop(nextHop),
		}, x.attrs...), nlri(x.prefixes)).Serialize(p.options)
		require.NoError(p.t, err)
		b.Write(raw)
	}
	p.raw(b.Bytes())
}

// TestMalformedAttribute23: GoBGP drops one that it cannot take apart. Exactly the routes
// that it came with are refused, among good ones in the same piece, and stay so when
// everything is judged anew, until the router says something better of them.
func TestMalformedAttribute23(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	neighbor := passive(vr, VirtualRouter, 65100)
	neighbor.Profile.VNI = vni(77)
	r := start(t, n.config(neighbor))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	const bad, worse, named, plain, late = "203.0.113.11/32", "203.0.113.12/32", "203.0.113.13/32", "203.0.113.14/32", "203.0.113.15/32"
	cut := pathAttrs{tunnelEncap(geneve[:20])}

	p.burst("10.0.0.13",
		said{pathAttrs{large("10.0.0.12", 5)}, []string{named}}, said{nil, []string{plain}},
		said{cut, []string{bad, worse}}, said{nil, []string{late}})
	r.claimed(t, vr, late, rib.CarrierNextHop)
	assert.Equal(t, encap.VNI(5), r.claimed(t, vr, named, rib.CarrierLargeCommunity).Tunnel.VNI)
	assert.Equal(t, encap.VNI(77), r.claimed(t, vr, plain, rib.CarrierNextHop).Tunnel.VNI)
	assert.Equal(t, 3, r.held(vr))
	for _, eip := range []string{bad, worse} {
		x := r.refusedFor(t, eip, rib.RefuseBadAttribute)
		assert.Equal(t, "attribute 23: TLV of 30 octets, 16 are left", x.Detail)
	}
	assert.Equal(t, uint64(2), r.neighbor(vr).Refused)

	neighbor.Profile.VNI = vni(78)
	require.NoError(t, r.Reconfigure(n.config(neighbor)))
	assert.Equal(t, 3, r.held(vr))
	assert.Equal(t, uint64(2), r.neighbor(vr).Refused, "not said again")
	p.claim("10.0.0.13", nil, bad)
	assert.Equal(t, encap.VNI(78), r.claimed(t, vr, bad, rib.CarrierNextHop).Tunnel.VNI)
	neighbor.Profile.VNI = vni(79)
	require.NoError(t, r.Reconfigure(n.config(neighbor)))
	assert.Equal(t, encap.VNI(79), r.claimed(t, vr, bad, rib.CarrierNextHop).Tunnel.VNI)
	assert.Equal(t, 4, r.held(vr))

	// A malformed one leaves what was claimed in force, also beside a large community.
	p.claim("10.0.0.13", pathAttrs{cut[0], large("10.0.0.99", 6)}, named)
	r.refusedFor(t, named, rib.RefuseBadAttribute)
	assert.Equal(t, encap.VNI(5), r.claimed(t, vr, named, rib.CarrierLargeCommunity).Tunnel.VNI)
	assert.Zero(t, r.neighbor(vr).Flaps)
	assert.Empty(t, r.violations())
}

// TestLoopWithdraws: what a route that loops replaces is gone with it, if the UPDATE has
// anything else in it.
func TestLoopWithdraws(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	r := start(t, n.config(passive(vr, VirtualRouter, 65100)))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	good := pathAttrs{large("10.0.0.12", 5)}
	p.claim("10.255.0.1", good, "203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32")
	eventually(t, "claims", func() bool { return r.held(vr) == 3 })
	p.send(bgp.NewBGPUpdateMessage(nlri([]string{"203.0.113.2/32"}), append(pathAttrs{
		bgp.NewPathAttributeOrigin(0), p.asPath(testASN), bgp.NewPathAttributeNextHop("10.255.0.1"),
	}, good...), nlri([]string{"203.0.113.1/32"})))
	eventually(t, "withdrawal and loop", func() bool { return r.held(vr) == 1 })
	_, ok := r.path(vr, "203.0.113.3/32")
	assert.True(t, ok)
}

// breakStation cuts the connection between GoBGP and the station, at either end.
func (r *running) breakStation(t *testing.T, gobgpsEnd bool) {
	t.Helper()
	at := r.station.Addr()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	n := 0
	for _, e := range list {
		fd, _ := strconv.Atoi(e.Name())
		end, err := unix.Getsockname(fd)
		if gobgpsEnd {
			end, err = unix.Getpeername(fd)
		}
		if err != nil {
			continue
		}
		if _, err := unix.Getpeername(fd); err != nil {
			continue // the listener
		}
		if a, ok := end.(*unix.SockaddrInet4); ok && netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)) == at {
			require.NoError(t, unix.Shutdown(fd, unix.SHUT_RDWR))
			n++
		}
	}
	require.NotZero(t, n, "no connection")
}

// TestStationBreaks: what was said stays in force while GoBGP connects again, what is said
// meanwhile comes in, what is withdrawn goes; with path identifiers as well, which GoBGP
// leaves out of what it tells again.
func TestStationBreaks(t *testing.T) {
	for _, gobgpsEnd := range []bool{false, true} {
		n := newNetwork()
		vr, many := n.host(2), n.host(3)
		one, other := passive(vr, VirtualRouter, 65100), passive(many, VirtualRouter, 65100)
		one.Profile.VNI, other.Profile.VNI = vni(7), vni(7)
		cfg := n.config(one, other)
		var log bytes.Buffer
		var mu sync.Mutex
		cfg.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
		r := start(t, cfg)
		p := join(t, n.gateway(), vr, peerOptions{as: 65100})
		q := join(t, n.gateway(), many, peerOptions{as: 65100, addPath: true})
		path := func(id uint32, nextHop string) {
			x := bgp.NewIPAddrPrefix(32, "203.0.113.1")
			x.SetPathLocalIdentifier(id)
			q.send(bgp.NewBGPUpdateMessage(nil, pathAttrs{
				bgp.NewPathAttributeOrigin(0), q.asPath(), bgp.NewPathAttributeNextHop(nextHop),
			}, []*bgp.IPAddrPrefix{x}))
		}
		path(1, "10.0.0.11")
		path(2, "10.0.0.12")
		p.claim("10.0.0.11", nil, "203.0.113.1/32", "203.0.113.2/32")
		p.claim("10.0.0.11", pathAttrs{tunnelEncap(geneve[:20])}, "203.0.113.3/32")
		r.refusedFor(t, "203.0.113.3/32", rib.RefuseBadAttribute)
		eventually(t, "claims", func() bool { return r.held(vr) == 2 && r.held(many) == 2 })
		voided := func(a netip.Addr) int {
			r.model.mu.Lock()
			defer r.model.mu.Unlock()
			return r.voided[id(a)]
		}
		for i := range 3 {
			r.breakStation(t, gobgpsEnd)
			p.unclaim("203.0.113.2/32")
			path(3+uint32(i), "10.0.0.13")
			p.claim("10.0.0.12", nil, fmt.Sprintf("203.0.113.%d/32", 100+i))
			eventually(t, "what was said meanwhile", func() bool {
				_, ok := r.path(vr, fmt.Sprintf("203.0.113.%d/32", 100+i))
				_, still := r.path(vr, "203.0.113.2/32")
				return ok && !still && r.held(many) == 3+i
			})
			assert.Equal(t, 2+i, r.held(vr), "nothing else is gone, and the malformed one is not here")
			p.claim("10.0.0.11", nil, "203.0.113.2/32")
			eventually(t, "what is said later", func() bool { _, ok := r.path(vr, "203.0.113.2/32"); return ok })
		}
		assert.NotZero(t, voided(vr), "judged anew")
		assert.Zero(t, r.neighbor(vr).Flaps+r.neighbor(many).Flaps)

		// A session that ends while the connection is broken.
		r.breakStation(t, gobgpsEnd)
		p.reset()
		eventually(t, "void", func() bool { return r.held(vr) == 0 })
		p = join(t, n.gateway(), vr, peerOptions{as: 65100})
		p.claim("10.0.0.11", nil, "203.0.113.9/32")
		eventually(t, "back", func() bool { _, ok := r.path(vr, "203.0.113.9/32"); return ok && r.held(vr) == 1 })
		eventually(t, "its End-of-RIB", func() bool { return r.neighbor(vr).State == stateUp })
		assert.Equal(t, 5, r.held(many))
		assert.Empty(t, r.violations())
		r.stop()
		mu.Lock()
		assert.Contains(t, log.String(), "connection to its station has broken")
		mu.Unlock()
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

const strangerEnv = "BGPD_TEST_STRANGER"

// TestStationStranger is the process of somebody else, who says that a router is there.
func TestStationStranger(t *testing.T) {
	to := os.Getenv(strangerEnv)
	if to != "" {
		out, err := exec.CommandContext(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/"+to+"; printf '\\3\\0\\0\\0\\6\\4' >&3; cat <&3").CombinedOutput()
		t.Logf("%s, %v", out, err)
		return
	}
	n := newNetwork()
	vr := n.host(2)
	var log bytes.Buffer
	var mu sync.Mutex
	cfg := n.config(passive(vr, VirtualRouter, 65100))
	cfg.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	r := start(t, cfg)
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	eventually(t, "up", func() bool { return r.neighbor(vr).State == stateUp })
	at := r.station.Addr()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStationStranger$", "-test.count=1")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s/%d", strangerEnv, at.Addr(), at.Port()))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	eventually(t, "a line about it", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Contains(log.Bytes(), []byte("a stranger at the station"))
	})
	p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
	assert.Zero(t, r.neighbor(vr).Flaps)
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	assert.NotContains(t, log.String(), "has broken")
}

// loopback changes the device lo of the namespace that the test is in.
func loopback(t *testing.T, change func(lo netlink.Link) error) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	require.NoError(t, err)
	require.NoError(t, change(lo))
}

// TestWithoutLoopback: Run says what is missing.
func TestWithoutLoopback(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loopback(t, netlink.LinkSetDown)
	cfg := newNetwork().config()
	cfg.Listen = nil
	s, err := New(cfg)
	require.NoError(t, err)
	err = s.Run(t.Context())
	assert.ErrorContains(t, err, "bgpd: station for the BGP library: no usable address of loopback, the device lo must be up: dial tcp 127.0.0.1:")
	assert.ErrorContains(t, err, "[::1]:")
}

// TestLoopbackOfIPv6: a host without IPv4 has another one.
func TestLoopbackOfIPv6(t *testing.T) {
	if !inNamespace(t, "fd00:1::1/128", "fd00:1::2/128") {
		return
	}
	loopback(t, func(lo netlink.Link) error {
		list, err := netlink.AddrList(lo, netlink.FAMILY_V4)
		for i := range list {
			err = errors.Join(err, netlink.AddrDel(lo, &list[i]))
		}
		return err
	})
	gateway, vr := netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("fd00:1::2")
	cfg := newNetwork().config(passive(vr, VirtualRouter, 65100))
	cfg.Listen = []netip.AddrPort{netip.AddrPortFrom(gateway, testPort)}
	r := start(t, cfg)
	p := join(t, gateway, vr, peerOptions{as: 65100})
	assert.Equal(t, netip.IPv6Loopback(), r.station.Addr().Addr())
	p.claim6("fd00::13", pathAttrs{large("10.0.0.12", 5002)}, "2001:db8::3/128")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
}

// TestEndOfRIBWaitsForRoutes: End-of-RIB is ahead of routes, since nobody takes these for a
// while; the source is synced when all of them are in nevertheless. So it is if GoBGP keeps
// one UPDATE to itself and their number does not tell.
func TestEndOfRIBWaitsForRoutes(t *testing.T) {
	const updates = 50
	for _, loop := range []bool{false, true} {
		n := newNetwork()
		vr := n.host(2)
		neighbor := passive(vr, VirtualRouter, 65100)
		neighbor.HoldTime = 90 * time.Second
		cfg := n.config(neighbor)
		cfg.SyncWait = time.Hour
		m := newModel()
		var had atomic.Int64 // claims when it was synced
		had.Store(-1)
		cfg.OnSource = m.source
		cfg.Updates = func(u rib.Update) {
			m.update(u)
			if u.Synced {
				had.Store(int64(m.held(vr)))
			}
		}
		s, err := New(cfg)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { assert.NoError(t, s.Run(ctx)) })
		p := join(t, n.gateway(), vr, peerOptions{as: 65100})
		state := func(ok func(ses *session) bool) func() bool {
			return func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return ok(s.sessions[vr])
			}
		}
		eventually(t, "up, to both", state(func(ses *session) bool { return ses.up && ses.said == ses.conn }))
		s.out.Lock() // as somebody does who judges routes anew
		for i := range updates {
			p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", uint32(i))}, fmt.Sprintf("203.0.113.%d/32", i))
		}
		if loop {
			p.send(bgp.NewBGPUpdateMessage(nil, pathAttrs{
				bgp.NewPathAttributeOrigin(0), p.asPath(testASN), bgp.NewPathAttributeNextHop("10.255.0.1"),
			}, nlri([]string{"203.0.113.200/32"})))
		}
		p.endOfRIB(bgp.RF_IPv4_UC)
		p.endOfRIB(bgp.RF_IPv6_UC)
		eventually(t, "End-of-RIB", state((*session).allEnded))
		eventually(t, "an UPDATE in hand", s.taking.Load)
		time.Sleep(2 * quiet)
		assert.False(t, state(func(ses *session) bool { now := time.Now(); return ses.dumped(s.quietSince(now), now) })())
		s.out.Unlock()
		eventually(t, "synced", func() bool { return had.Load() >= 0 })
		assert.Equal(t, int64(updates), had.Load())
		assert.Empty(t, m.violations())
		cancel()
		run.Wait()
	}
}

// TestSessionsOutOfOrder: what GoBGP's two ways out say does not have to be in step.
func TestSessionsOutOfOrder(t *testing.T) {
	n := newNetwork()
	vr, dyn := n.host(2), n.host(200)
	r := start(t, n.config(passive(vr, VirtualRouter, 65100), Neighbor{Range: netip.PrefixFrom(n.host(128), 25), Role: VirtualRouter, ASN: 65100}))
	l := learner{r.Speaker}
	open := &bgp.BGPOpen{}
	up := func(a netip.Addr, port uint16) {
		l.Up(bmp.Session{Peer: a, Local: n.gateway(), LocalPort: testPort, PeerPort: port, PeerID: a, Sent: open, Received: open})
	}
	isUp := func(a netip.Addr) bool {
		r.Speaker.mu.Lock()
		defer r.Speaker.mu.Unlock()
		ses := r.sessions[a]
		return ses != nil && ses.up
	}

	// The station tells of sessions whose neighbors GoBGP has removed meanwhile.
	for _, a := range []netip.Addr{vr, dyn} {
		up(a, 1)
		eventually(t, "known to be over", func() bool { return !isUp(a) })
	}
	eventually(t, "no source", func() bool { return !r.isSource(dyn) })
	eventually(t, "forgotten", func() bool { return len(r.Neighbors()) == 2 })

	// It is behind: WatchEvent knows already that the session is over.
	r.stateChanged(vr, stateUp, connection{testPort, 2})
	assert.NotEqual(t, stateUp, r.neighbor(vr).State)
	r.stateChanged(vr, stateIdle, connection{})
	up(vr, 2)
	assert.False(t, isUp(vr))

	// It is ahead, by an end and a beginning.
	_ = r.do(t.Context(), func() { // so that nobody looks meanwhile
		r.stateChanged(vr, stateUp, connection{testPort, 3})
		up(vr, 3)
		l.Down(vr)
		up(vr, 4)
		r.stateChanged(vr, stateIdle, connection{})
		assert.True(t, isUp(vr), "it is the one before that has ended")
		r.stateChanged(vr, stateUp, connection{testPort, 4})
		r.stateChanged(vr, stateIdle, connection{})
		assert.False(t, isUp(vr))
		l.Down(vr)
		r.Speaker.mu.Lock()
		defer r.Speaker.mu.Unlock()
		assert.Equal(t, uint64(3), r.sessions[vr].flaps)
	})
	assert.Empty(t, r.violations())
}
