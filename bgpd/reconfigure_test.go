package bgpd

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

func TestReconfigureNeighbors(t *testing.T) {
	n := newNetwork()
	sw, vr, gone, come := n.host(2), n.host(3), n.host(4), n.host(5)
	router := passive(vr, VirtualRouter, 65100)
	r := start(t, n.config(passive(sw, Switch, 65001), router, passive(gone, VirtualRouter, 65100)))
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24")}))
	a := join(t, n.gateway(), sw, peerOptions{as: 65001})
	b := join(t, n.gateway(), vr, peerOptions{as: 65100})
	c := join(t, n.gateway(), gone, peerOptions{as: 65100})
	b.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	c.claim("10.255.0.1", pathAttrs{large("10.0.0.12", 1)}, "203.0.113.1/32")
	eventually(t, "claims", func() bool { return r.held(vr) == 1 && r.held(gone) == 1 })
	hears(t, a, "203.0.113.0/24")
	eventually(t, "up", func() bool { return r.neighbor(sw).State == stateUp })
	since := r.neighbor(sw).Since

	next := n.config(passive(come, VirtualRouter, 65200), router, passive(sw, Switch, 65001),
		Neighbor{Range: netip.PrefixFrom(n.host(128), 25), Role: VirtualRouter, ASN: 65300})
	require.NoError(t, r.Reconfigure(next))
	assert.False(t, r.isSource(gone))
	eventually(t, "Cease", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.notice != nil && c.notice.ErrorCode == 6 })
	d := join(t, n.gateway(), come, peerOptions{as: 65200})
	d.claim("10.255.0.1", pathAttrs{large("10.0.0.13", 1)}, "203.0.113.1/32")
	e := join(t, n.gateway(), n.host(200), peerOptions{as: 65300})
	e.claim("10.255.0.1", pathAttrs{large("10.0.0.14", 1)}, "203.0.113.1/32")
	eventually(t, "new claims", func() bool { return r.held(come) == 1 && r.held(n.host(200)) == 1 })

	assert.Equal(t, 1, r.held(vr))
	assert.Equal(t, []string{"+203.0.113.0/24"}, a.history(), "a session that did not change hears nothing")
	assert.Equal(t, since, r.neighbor(sw).Since)
	assert.Zero(t, r.neighbor(vr).Flaps)
	list := r.Neighbors()
	require.Len(t, list, 5)
	assert.Equal(t, []netip.Addr{come, vr, sw, {}, n.host(200)},
		[]netip.Addr{list[0].Address, list[1].Address, list[2].Address, list[3].Address, list[4].Address})

	require.NoError(t, r.Reconfigure(n.config(router, passive(sw, Switch, 65001))))
	assert.False(t, r.isSource(n.host(200)), "its range is gone")
	eventually(t, "ended", func() bool { _, ended := e.state(); return ended })
	assert.Zero(t, r.neighbor(vr).Flaps)
	assert.Empty(t, r.violations())
}

// TestReconfigureOneOfARange: a router that is there by a range gets an entry of its
// own, and loses it again.
func TestReconfigureOneOfARange(t *testing.T) {
	n := newNetwork()
	vr, other := n.host(200), n.host(201)
	many := Neighbor{Range: netip.PrefixFrom(n.host(128), 25), Role: VirtualRouter, ASN: 65100}
	r := start(t, n.config(many))
	claim := func(a netip.Addr, v uint32) *peer {
		claimed := func() bool {
			c, ok := r.path(a, "203.0.113.1/32")
			return ok && c.Tunnel.VNI == encap.VNI(v)
		}
		// Who comes back by the range before its own entry is there again is sent away for that.
		for range 10 {
			p := join(t, n.gateway(), a, peerOptions{as: 65100})
			p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", v)}, "203.0.113.1/32")
			eventually(t, "claim, or the end of its session", func() bool { _, ended := p.state(); return claimed() || ended })
			if claimed() {
				return p
			}
		}
		require.Fail(t, "no claim", "by %s", a)
		return nil
	}
	claim(other, 9)
	p := claim(vr, 1)
	require.NoError(t, r.Reconfigure(n.config(many, passive(vr, VirtualRouter, 65100))))
	assert.Zero(t, r.held(vr), "what it said by the range is void")
	eventually(t, "Cease", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.notice != nil && p.notice.ErrorCode == 6 })
	claim(vr, 2).reset()
	eventually(t, "void", func() bool { return r.held(vr) == 0 })
	assert.True(t, r.isSource(vr), "by its own entry it stays a source")
	claim(vr, 3)
	require.NoError(t, r.Reconfigure(n.config(many)))
	assert.False(t, r.isSource(vr))
	claim(vr, 4).reset()
	eventually(t, "gone", func() bool { return !r.isSource(vr) })
	assert.Equal(t, 1, r.held(other))
	assert.Zero(t, r.neighbor(other).Flaps)
	assert.Empty(t, r.violations())
}

// TestReconfigureFailsHalfway: if a neighbor cannot be added none of the others that
// came with it is there, and the next configuration tries them all again.
func TestReconfigureFailsHalfway(t *testing.T) {
	n := newNetwork()
	good, bad := passive(n.host(2), VirtualRouter, 65100), passive(n.host(3), VirtualRouter, 65100)
	r := start(t, n.config())
	bad.Password = "secret"
	r.Speaker.mu.Lock()
	r.unsecured[bad.key()] = "as if the kernel had not taken it"
	r.Speaker.mu.Unlock()
	err := r.Reconfigure(n.config(good, bad))
	assert.ErrorContains(t, err, "neighbor "+bad.key()+": password: as if")
	assert.False(t, r.isSource(bad.Address) || r.isSource(good.Address))
	assert.Empty(t, r.Neighbors())
	require.NoError(t, r.Reconfigure(n.config(bad, good)))
	assert.True(t, r.isSource(bad.Address))
	eventually(t, "there", func() bool { return r.neighbor(bad.Address).State == "active" })
	join(t, n.gateway(), good.Address, peerOptions{as: 65100})
	assert.Zero(t, r.neighbor(good.Address).Flaps)
}

// TestReconfigureChangesSession: what a session is made of changes, so it begins anew.
func TestReconfigureChangesSession(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	r := start(t, n.config(passive(vr, VirtualRouter, 65100)))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
	require.NoError(t, r.Reconfigure(n.config(passive(vr, VirtualRouter, 65200))))
	assert.Zero(t, r.held(vr))
	q := join(t, n.gateway(), vr, peerOptions{as: 65200})
	q.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })

	require.NoError(t, r.Reconfigure(n.config(passive(vr, Switch, 65200))))
	assert.False(t, r.isSource(vr), "it is a switch now")
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24")}))
	s := join(t, n.gateway(), vr, peerOptions{as: 65200})
	hears(t, s, "203.0.113.0/24")
	assert.Empty(t, r.violations())
}

// TestReconfigureJudgesAnew: what is believed of a router changes without touching
// its session, for what it has said already too.
func TestReconfigureJudgesAnew(t *testing.T) {
	n := newNetwork()
	vr, dyn := n.host(2), n.host(200)
	one := passive(vr, VirtualRouter, 65100)
	many := Neighbor{Range: netip.PrefixFrom(n.host(128), 25), Role: VirtualRouter, ASN: 65100}
	one.Profile.VNI, many.Profile.VNI = vni(7), vni(8)
	r := start(t, n.config(one, many))
	for _, a := range []netip.Addr{vr, dyn} {
		p := join(t, n.gateway(), a, peerOptions{as: 65100})
		p.claim("10.0.0.11", nil, "203.0.113.1/32")
		p.claim("10.0.0.11", pathAttrs{large("10.0.0.12", 9)}, "203.0.113.2/32")
		p.claim6("fd00::11", nil, "2001:db8::1/128")
		eventually(t, "claims", func() bool { return r.held(a) == 3 })
	}
	one.Profile.VNI, many.Profile.VNI = vni(17), vni(18)
	one.Carriers = []rib.Carrier{rib.CarrierLargeCommunity}
	one.Allow, many.MaxPrefixes = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")}, 3
	require.NoError(t, r.Reconfigure(n.config(one, many)))

	assert.Equal(t, 1, r.held(vr), "only the large community is believed")
	c, _ := r.path(vr, "203.0.113.2/32")
	assert.Equal(t, encap.VNI(9), c.Tunnel.VNI)
	r.refusedFor(t, "203.0.113.1/32", rib.RefuseNoVTEP)
	assert.Equal(t, 3, r.held(dyn))
	c, _ = r.path(dyn, "2001:db8::1/128")
	assert.Equal(t, encap.VNI(18), c.Tunnel.VNI)
	r.model.mu.Lock()
	assert.Equal(t, one.Allow, r.sources[id(vr)].Allow)
	assert.Equal(t, 3, r.sources[id(dyn)].MaxPrefixes)
	r.model.mu.Unlock()
	assert.Zero(t, r.neighbor(vr).Flaps+r.neighbor(dyn).Flaps)
	assert.Empty(t, r.violations())
}

func TestReconfigureNextHop(t *testing.T) {
	n := newNetwork()
	sw := n.host(2)
	cfg := n.config(passive(sw, Switch, 65001))
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24"), segment("2001:db8::/48")}))
	p := join(t, n.gateway(), sw, peerOptions{as: 65001})
	hears(t, p, "203.0.113.0/24", "2001:db8::/48")
	assert.Equal(t, n.gateway().String(), p.route("203.0.113.0/24").nextHop)
	cfg.NextHop = NextHopService
	cfg.ServiceAddresses = []netip.Addr{service4, netip.MustParseAddr("fd00:ff::2")}
	require.NoError(t, r.Reconfigure(cfg))
	eventually(t, "new next hops", func() bool {
		return p.route("203.0.113.0/24").nextHop == service4.String() && p.route("2001:db8::/48").nextHop == "fd00:ff::2"
	})
	assert.NotContains(t, p.history(), "-203.0.113.0/24")
	assert.Zero(t, r.neighbor(sw).Flaps)
}

func TestReconfigureRefuses(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	cfg := n.config(passive(vr, VirtualRouter, 65100))
	r := start(t, cfg)
	join(t, n.gateway(), vr, peerOptions{as: 65100})
	for says, change := range map[string]func(*Config){
		"asn 64513 instead of 64512: needs a restart":                    func(c *Config) { c.ASN++ },
		"router id 10.0.0.9 instead of 10.255.0.1: needs a restart":      func(c *Config) { c.RouterID = netip.MustParseAddr("10.0.0.9") },
		"listen [] instead of [" + cfg.Listen[0].String() + "]: needs a": func(c *Config) { c.Listen = nil; c.Neighbors = nil },
		"asn 0: expected the neighbor's":                                 func(c *Config) { c.Neighbors = []Neighbor{{Address: vr, Role: Switch}} },
	} {
		other := cfg
		change(&other)
		assert.ErrorContains(t, r.Reconfigure(other), says)
	}
	eventually(t, "up", func() bool { return r.neighbor(vr).State == stateUp })
	assert.Zero(t, r.neighbor(vr).Flaps)
	r.stop()
	assert.ErrorContains(t, r.Reconfigure(cfg), "has stopped")
	assert.ErrorContains(t, r.Announce(nil), "has stopped")
	assert.Len(t, r.Neighbors(), 1, "what was known last")
}

// TestSourcesBeforeRun: who is configured by address is a source before anything runs,
// so that its initial dump can be waited for.
func TestSourcesBeforeRun(t *testing.T) {
	n := newNetwork()
	m := newModel()
	cfg := n.config(passive(n.host(2), VirtualRouter, 65100), passive(n.host(3), VirtualRouter, 65100), passive(n.host(4), Switch, 65001))
	cfg.Updates, cfg.OnSource = m.update, m.source
	s, err := New(cfg)
	require.NoError(t, err)
	assert.True(t, m.isSource(n.host(2)) && m.isSource(n.host(3)))
	assert.False(t, m.isSource(n.host(4)))
	again := n.config(passive(n.host(3), VirtualRouter, 65100), passive(n.host(5), VirtualRouter, 65100))
	again.Neighbors[0].MaxPrefixes = 7
	require.NoError(t, s.Reconfigure(again))
	assert.False(t, m.isSource(n.host(2)))
	assert.True(t, m.isSource(n.host(5)))
	assert.Equal(t, 7, m.sources[id(n.host(3))].MaxPrefixes)
	list := s.Neighbors()
	require.Len(t, list, 2)
	assert.Equal(t, n.host(3), list[0].Address)
	assert.Equal(t, stateIdle, list[0].State)
	assert.Empty(t, m.violations())
}

// dialMD5 connects from addr with a TCP-MD5 password, without BGP on it.
func dialMD5(gateway, addr netip.Addr, password string) error {
	d := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: addr.AsSlice()}, Timeout: 300 * time.Millisecond,
		Control: func(_, _ string, c syscall.RawConn) error {
			if password == "" {
				return nil
			}
			var sig unix.TCPMD5Sig
			sig.Addr.Family = unix.AF_INET
			copy(sig.Addr.Data[2:], gateway.AsSlice())
			sig.Keylen = uint16(copy(sig.Key[:], password))
			var err error
			if e := c.Control(func(fd uintptr) {
				err = unix.SetsockoptTCPMD5Sig(int(fd), unix.IPPROTO_TCP, unix.TCP_MD5SIG, &sig)
			}); e != nil {
				return e
			}
			return err
		},
	}
	c, err := d.Dial("tcp", netip.AddrPortFrom(gateway, testPort).String())
	if err == nil {
		c.Close()
	}
	return err
}

// TestPasswords: the right one opens, a wrong one and none do not; it can be changed
// and taken away, also where the neighbor is of a range. A kernel without TCP-MD5 is
// an error, never a session without password.
func TestPasswords(t *testing.T) {
	n := newNetwork()
	vr, dyn := n.host(2), n.host(200)
	one := passive(vr, VirtualRouter, 65100)
	many := Neighbor{Range: netip.PrefixFrom(n.host(128), 25), Role: VirtualRouter, ASN: 65100}
	one.Password, many.Password = "one", "many"
	if err := dialMD5(n.gateway(), vr, "probe"); errors.Is(err, unix.ENOPROTOOPT) {
		s, err := New(n.config(one, many))
		require.NoError(t, err)
		assert.ErrorContains(t, s.Run(t.Context()), "bgpd: neighbor "+vr.String()+": password: failed to set md5: protocol not available")
		one.Password = ""
		r := start(t, n.config(one))
		err = r.Reconfigure(n.config(one, many))
		assert.ErrorContains(t, err, "bgpd: neighbor "+many.Range.String()+": password: failed to set md5")
		_, err = connect(t, n.gateway(), dyn, peerOptions{as: 65100})
		require.NoError(t, err)
		join(t, n.gateway(), vr, peerOptions{as: 65100})
		assert.False(t, r.isSource(dyn))
		return
	}
	opens := func(a netip.Addr, password string) {
		t.Helper()
		eventually(t, a.String()+" with "+password, func() bool { return dialMD5(n.gateway(), a, password) == nil })
	}
	r := start(t, n.config(one, many))
	opens(vr, "one")
	opens(dyn, "many")
	for _, a := range []netip.Addr{vr, dyn} {
		assert.Error(t, dialMD5(n.gateway(), a, "wrong"), a)
		assert.Error(t, dialMD5(n.gateway(), a, ""), a)
	}
	one.Password, many.Password = "two", ""
	require.NoError(t, r.Reconfigure(n.config(one, many)))
	opens(vr, "two")
	assert.Error(t, dialMD5(n.gateway(), vr, "one"))
	opens(dyn, "")
	one.Password = ""
	require.NoError(t, r.Reconfigure(n.config(one, many)))
	opens(vr, "")
	join(t, n.gateway(), vr, peerOptions{as: 65100})
	join(t, n.gateway(), dyn, peerOptions{as: 65100})
	assert.Empty(t, r.violations())
}
