package bgpd

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

type pathAttrs = []bgp.PathAttributeInterface

// geneve is attribute 23 by hand: VTEP 10.0.0.11, VNI 5001, MAC 02:00:00:00:00:0b,
// port 6081 (RFC 9012).
var geneve = octets("0013 001e 06 0a 00000000 0001 0a00000b 01 0c c0 001389 02000000000b 0000 08 02 17c1")

// vxlan is the same in a VXLAN tunnel, to the protocol's own port.
var vxlan = octets("0008 001a 06 0a 00000000 0001 0a00000b 01 0c c0 001389 02000000000b 0000")

func octets(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// claimed waits for a claim of a prefix by a carrier.
func (r *running) claimed(t *testing.T, a netip.Addr, prefix string, c rib.Carrier) rib.Path {
	t.Helper()
	eventually(t, prefix+" by "+c.String(), func() bool {
		p, ok := r.path(a, prefix)
		return ok && p.Carrier == c
	})
	p, _ := r.path(a, prefix)
	return p
}

func (r *running) refusedFor(t *testing.T, prefix string, why rib.RefuseReason) rib.Refusal {
	t.Helper()
	eventually(t, prefix+" refused for "+why.String(), func() bool {
		x, ok := r.refusal(prefix)
		return ok && x.Reason == why
	})
	x, _ := r.refusal(prefix)
	return x
}

func TestLearnByEachCarrier(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	neighbor := passive(vr, VirtualRouter, 65100)
	neighbor.Profile = Profile{VNI: vni(77), OVN: &OVNPorts{Inport: 2, Outport: 1}, Port: 6999, InnerDst: encap.MAC{2, 1, 1, 1, 1, 1}}
	r := start(t, n.config(neighbor))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})

	p.claim("10.255.0.1", pathAttrs{tunnelEncap(geneve), bgp.NewPathAttributeMultiExitDisc(50)}, "203.0.113.1/32")
	c := r.claimed(t, vr, "203.0.113.1/32", rib.CarrierTunnelEncap)
	assert.Equal(t, encap.Tunnel{
		VTEP: netip.MustParseAddr("10.0.0.11"), VNI: 5001, InnerDst: encap.MAC{2, 0, 0, 0, 0, 0x0b}, Port: 6081,
		Options: encap.OVNOptions(2, 1),
	}, c.Tunnel)
	assert.Equal(t, []any{uint32(100), uint16(1), uint32(50), vr}, []any{c.LocalPref, c.ASPathLen, c.MED, c.Router})
	assert.WithinDuration(t, time.Now(), c.Learned, time.Minute)

	p.claim("10.255.0.1", pathAttrs{large("10.0.0.12", 5002)}, "203.0.113.2/32")
	c = r.claimed(t, vr, "203.0.113.2/32", rib.CarrierLargeCommunity)
	assert.Equal(t, encap.Tunnel{
		VTEP: netip.MustParseAddr("10.0.0.12"), VNI: 5002, InnerDst: encap.MAC{2, 1, 1, 1, 1, 1}, Port: 6999,
		Options: encap.OVNOptions(2, 1),
	}, c.Tunnel)

	p.claim("10.255.0.1", pathAttrs{tunnelEncap(vxlan)}, "203.0.113.5/32")
	c = r.claimed(t, vr, "203.0.113.5/32", rib.CarrierTunnelEncap)
	assert.Equal(t, encap.Tunnel{
		VTEP: netip.MustParseAddr("10.0.0.11"), VNI: 5001, InnerDst: encap.MAC{2, 0, 0, 0, 0, 0x0b}, Protocol: encap.VXLAN,
	}, c.Tunnel, "port and option of the profile are Geneve's")

	inVXLAN := bgp.NewPathAttributeExtendedCommunities([]bgp.ExtendedCommunityInterface{bgp.NewEncapExtended(bgp.TUNNEL_TYPE_VXLAN)})
	p.claim("10.255.0.1", pathAttrs{inVXLAN, large("10.0.0.12", 5002)}, "203.0.113.6/32")
	c = r.claimed(t, vr, "203.0.113.6/32", rib.CarrierLargeCommunity)
	assert.Equal(t, encap.Tunnel{
		VTEP: netip.MustParseAddr("10.0.0.12"), VNI: 5002, InnerDst: encap.MAC{2, 1, 1, 1, 1, 1}, Protocol: encap.VXLAN,
	}, c.Tunnel)

	p.claim("10.0.0.13", nil, "203.0.113.3/32")
	c = r.claimed(t, vr, "203.0.113.3/32", rib.CarrierNextHop)
	assert.Equal(t, netip.MustParseAddr("10.0.0.13"), c.Tunnel.VTEP)
	assert.Equal(t, encap.VNI(77), c.Tunnel.VNI)

	p.claim6("fd00::13", nil, "2001:db8::3/128")
	c = r.claimed(t, vr, "2001:db8::3/128", rib.CarrierNextHop)
	assert.Equal(t, netip.MustParseAddr("fd00::13"), c.Tunnel.VTEP)

	// An IPv4 EIP at a VTEP of IPv6 (RFC 8950).
	p.send(bgp.NewBGPUpdateMessage(nil, pathAttrs{
		bgp.NewPathAttributeOrigin(0), p.asPath(),
		bgp.NewPathAttributeMpReachNLRI("fd00::14", []bgp.AddrPrefixInterface{bgp.NewIPAddrPrefix(32, "203.0.113.4")}),
	}, nil))
	c = r.claimed(t, vr, "203.0.113.4/32", rib.CarrierNextHop)
	assert.Equal(t, netip.MustParseAddr("fd00::14"), c.Tunnel.VTEP)

	eventually(t, "received", func() bool { return r.neighbor(vr).Received == 7 })
	p.unclaim("203.0.113.1/32", "203.0.113.4/32")
	eventually(t, "withdrawal", func() bool { return r.held(vr) == 5 })
	assert.Empty(t, r.violations())
}

// TestLearnBehindReflector: the neighbor is a reflector of the gateway's own AS, the
// next hop the gateway: the VTEP is whom ORIGINATOR_ID names.
func TestLearnBehindReflector(t *testing.T) {
	n := newNetwork()
	rr := n.host(2)
	neighbor := passive(rr, VirtualRouter, testASN)
	neighbor.Profile.VNI = vni(77)
	r := start(t, n.config(neighbor))
	p := join(t, n.gateway(), rr, peerOptions{as: testASN, addPath: true})
	claim := func(id uint32, originator string, pref uint32) {
		x := bgp.NewIPAddrPrefix(32, "203.0.113.1")
		x.SetPathLocalIdentifier(id) // the one that GoBGP encodes
		p.send(bgp.NewBGPUpdateMessage(nil, pathAttrs{
			bgp.NewPathAttributeOrigin(0), p.asPath(), bgp.NewPathAttributeNextHop("10.255.0.1"),
			bgp.NewPathAttributeLocalPref(pref), bgp.NewPathAttributeOriginatorId(originator),
			bgp.NewPathAttributeClusterList([]string{"10.9.9.9"}),
		}, []*bgp.IPAddrPrefix{x}))
	}
	claim(1, "10.0.0.21", 200)
	claim(2, "10.0.0.22", 300)
	eventually(t, "two paths", func() bool { return r.held(rr) == 2 })
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	for i, want := range []string{"10.0.0.21", "10.0.0.22"} {
		c := r.paths[id(rr)][rib.PathKey{Prefix: netip.MustParsePrefix("203.0.113.1/32"), PathID: uint32(i + 1)}]
		assert.Equal(t, rib.CarrierPeer, c.Carrier)
		assert.Equal(t, netip.MustParseAddr(want), c.Tunnel.VTEP)
		assert.Equal(t, netip.MustParseAddr(want), c.Router)
		assert.Equal(t, uint32(200+100*i), c.LocalPref)
	}
}

// TestRefusedKeepsOld: a route that cannot be judged leaves in force what the router
// said before, and is counted with its reason.
func TestRefusedKeepsOld(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	neighbor := passive(vr, VirtualRouter, 65100)
	neighbor.Profile.VNI = vni(77) // so that a fallback would find something
	r := start(t, n.config(neighbor))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	const eip = "203.0.113.1/32"
	good := pathAttrs{large("10.0.0.12", 5002)}
	p.claim("10.255.0.1", good, eip)
	before := r.claimed(t, vr, eip, rib.CarrierLargeCommunity)

	gre := bgp.NewPathAttributeExtendedCommunities([]bgp.ExtendedCommunityInterface{bgp.NewEncapExtended(bgp.TUNNEL_TYPE_GRE)})
	for i, c := range []struct {
		name   string
		attrs  pathAttrs
		reason rib.RefuseReason
	}{
		{"VTEPs differ", pathAttrs{tunnelEncap(geneve), large("10.0.0.99", 5001)}, rib.RefuseConflict},
		{"GRE", pathAttrs{gre, large("10.0.0.11", 1)}, rib.RefuseUnsupportedTunnel},
		{"VNI too large", pathAttrs{large("10.0.0.11", 1<<24)}, rib.RefuseBadTunnel},
		{"port 0, which GoBGP lets through", pathAttrs{tunnelEncap(octets("0013 000c 06 06 00000000 0000 08 02 0000"))}, rib.RefuseBadAttribute},
		{"cut, which GoBGP drops", pathAttrs{tunnelEncap(geneve[:20])}, rib.RefuseBadAttribute},
	} {
		p.claim("10.0.0.13", c.attrs, eip)
		r.refusedFor(t, eip, c.reason)
		now, ok := r.path(vr, eip)
		require.True(t, ok, c.name)
		assert.Equal(t, before, now, c.name)
		eventually(t, "count of "+c.name, func() bool { return r.neighbor(vr).Refused == uint64(i+1) })
	}
	assert.Contains(t, r.neighbor(vr).LastError, "discarded")

	p.unclaim(eip)
	eventually(t, "withdrawal", func() bool { return r.held(vr) == 0 })
	assert.Zero(t, r.neighbor(vr).Flaps)
}

func TestEndOfRIBSyncs(t *testing.T) {
	n := newNetwork()
	vr, never, v4 := n.host(2), n.host(3), n.host(4)
	cfg := n.config(passive(vr, VirtualRouter, 65100), passive(never, VirtualRouter, 65100), passive(v4, VirtualRouter, 65100))
	cfg.SyncWait = time.Hour
	r := start(t, cfg)
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	join(t, n.gateway(), never, peerOptions{as: 65100, noGR: true})
	q := join(t, n.gateway(), v4, peerOptions{as: 65100, families: []bgp.RouteFamily{bgp.RF_IPv4_UC}})

	q.endOfRIB(bgp.RF_IPv4_UC)
	eventually(t, "the only family has ended", func() bool { return r.isSynced(v4) })
	p.endOfRIB(bgp.RF_IPv4_UC)
	p.claim6("fd00::13", pathAttrs{large("10.0.0.12", 5002)}, "2001:db8::3/128")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
	assert.False(t, r.isSynced(vr), "one of two families has ended")
	p.endOfRIB(bgp.RF_IPv6_UC)
	eventually(t, "both families have ended", func() bool { return r.isSynced(vr) })
	assert.False(t, r.isSynced(never), "no End-of-RIB, and an hour is not over")
	assert.Equal(t, []Family{IPv4}, r.neighbor(v4).Families)
	assert.Equal(t, []Family{IPv4, IPv6}, r.neighbor(vr).Families)
	assert.True(t, r.neighbor(vr).Synced)
}

// TestDumpWithoutEndOfRIB: a dump counts as finished when nothing has come for a while,
// not while it comes.
func TestDumpWithoutEndOfRIB(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	cfg := n.config(passive(vr, VirtualRouter, 65100))
	cfg.SyncWait = time.Second
	r := start(t, cfg)
	p := join(t, n.gateway(), vr, peerOptions{as: 65100, noGR: true})
	var last time.Time
	slow := false
	for begin, i := time.Now(), 1; time.Since(begin) < 2*cfg.SyncWait; i++ {
		last = time.Now()
		p.claim("10.255.0.1", pathAttrs{large("10.0.0.12", 5002)}, fmt.Sprintf("203.0.113.%d/32", i))
		time.Sleep(cfg.SyncWait / 10)
		slow = slow || time.Since(last) > cfg.SyncWait/2
	}
	eventually(t, "synced", func() bool { return r.isSynced(vr) })
	if !slow { // the machine
		assert.GreaterOrEqual(t, time.Since(last), cfg.SyncWait)
	}
}

// TestSessionDropVoids: what a router said is void as soon as its session is gone,
// what others said is not; and it can come back at once.
func TestSessionDropVoids(t *testing.T) {
	n := newNetwork()
	vr, other := n.host(2), n.host(3)
	r := start(t, n.config(passive(vr, VirtualRouter, 65100), passive(other, VirtualRouter, 65100)))
	soonest := time.Hour
	for i, drop := range []func(p *peer){
		(*peer).reset, (*peer).close,
		func(p *peer) {
			p.send(bgp.NewBGPNotificationMessage(bgp.BGP_ERROR_CEASE, bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN, nil))
		},
	} {
		begin := time.Now()
		p := join(t, n.gateway(), vr, peerOptions{as: 65100})
		if i > 0 {
			soonest = min(soonest, time.Since(begin))
		}
		p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
		if i == 0 {
			o := join(t, n.gateway(), other, peerOptions{as: 65100})
			o.claim("10.255.0.1", pathAttrs{large("10.0.0.12", 1)}, "203.0.113.1/32")
			eventually(t, "claim of the other", func() bool { return r.held(other) == 1 })
		}
		eventually(t, "claim", func() bool { return r.held(vr) == 1 })
		drop(p)
		eventually(t, "void", func() bool { return r.held(vr) == 0 })
		eventually(t, "down", func() bool { return r.neighbor(vr).Flaps == uint64(i+1) })
	}
	assert.Less(t, soonest, libraryIdleHold, "it does not have to wait so long, even if a busy machine made it once")
	assert.Contains(t, r.neighbor(vr).LastError, "notification received code 6")
	assert.Equal(t, 1, r.held(other))
	assert.Zero(t, r.neighbor(other).Flaps)
	assert.True(t, r.isSource(vr), "a configured neighbor stays a source")
	assert.Empty(t, r.violations())
}

func TestHoldTimerVoids(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	neighbor := passive(vr, VirtualRouter, 65100)
	neighbor.HoldTime, neighbor.Keepalive = 3*time.Second, time.Second
	r := start(t, n.config(neighbor))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100, mute: true})
	p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
	eventually(t, "void", func() bool { return r.held(vr) == 0 })
	eventually(t, "reason", func() bool { return strings.Contains(r.neighbor(vr).LastError, "hold timer expired") })
}

func TestOwnASInPath(t *testing.T) {
	n := newNetwork()
	strict, lax := n.host(2), n.host(3)
	allowed := passive(lax, VirtualRouter, 65100)
	allowed.AllowOwnAS = 1
	r := start(t, n.config(passive(strict, VirtualRouter, 65100), allowed))
	for _, a := range []netip.Addr{strict, lax} {
		p := join(t, n.gateway(), a, peerOptions{as: 65100})
		p.send(bgp.NewBGPUpdateMessage(nil, pathAttrs{
			bgp.NewPathAttributeOrigin(0), p.asPath(testASN), bgp.NewPathAttributeNextHop("10.255.0.1"), large("10.0.0.11", 1),
		}, nlri([]string{"203.0.113.1/32"})))
		p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.2/32")
	}
	eventually(t, "claims", func() bool { return r.held(strict) == 1 && r.held(lax) == 2 })
	eventually(t, "dropped for the loop, and shown", func() bool {
		st := r.neighbor(strict)
		return st.Received == 2 && st.Accepted == 1
	})
}

// TestRange: whoever comes from a range is a source with the range's policy while it
// is there, and nobody afterwards.
func TestRange(t *testing.T) {
	n := newNetwork()
	allow := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")}
	r := start(t, n.config(Neighbor{
		Name: "tenants", Range: n.prefix(), Role: VirtualRouter, ASN: 65100,
		Allow: allow, MaxPrefixes: 5, Profile: Profile{VNI: vni(9)},
	}))
	eventually(t, "listening", func() bool { return len(r.Neighbors()) == 1 && r.Neighbors()[0].State == stateListening })
	a, b := n.host(20), n.host(10)
	pa := join(t, n.gateway(), a, peerOptions{as: 65100})
	pb := join(t, n.gateway(), b, peerOptions{as: 65100, noGR: true})
	pa.claim("10.0.0.11", nil, "203.0.113.1/32")
	pb.claim("10.0.0.12", nil, "203.0.113.2/32")
	eventually(t, "claims", func() bool { return r.held(a) == 1 && r.held(b) == 1 })
	c, _ := r.path(a, "203.0.113.1/32")
	assert.Equal(t, encap.VNI(9), c.Tunnel.VNI)
	r.model.mu.Lock()
	assert.Equal(t, Source{ID: id(a), Name: "tenants", Allow: allow, MaxPrefixes: 5}, r.sources[id(a)])
	r.model.mu.Unlock()
	list := r.Neighbors()
	require.Len(t, list, 3, "the range, and the two in order")
	assert.Equal(t, []netip.Addr{{}, b, a}, []netip.Addr{list[0].Address, list[1].Address, list[2].Address})
	assert.Equal(t, n.prefix(), list[1].Range)

	for i, p := range []*peer{pa, pb} { // with graceful restart GoBGP would keep the first
		p.reset()
		eventually(t, "gone", func() bool { return !r.isSource(p.addr) })
		eventually(t, "forgotten", func() bool { return len(r.Neighbors()) == 2-i })
		pa = join(t, n.gateway(), p.addr, peerOptions{as: 65100})
		pa.claim("10.0.0.11", nil, "203.0.113.1/32")
		eventually(t, "back", func() bool { return r.held(p.addr) == 1 })
		pa.reset()
		eventually(t, "gone again", func() bool { return !r.isSource(p.addr) })
	}
	eventually(t, "all forgotten", func() bool { return len(r.Neighbors()) == 1 })
	gone := r.Neighbors()[0]
	assert.Equal(t, uint64(4), gone.Flaps)
	assert.Equal(t, b.String()+": connection lost", gone.LastError)

	eventually(t, "wrong AS", func() bool { // once in a while GoBGP forgets to say it, and to hang up
		p, err := connect(t, n.gateway(), n.host(30), peerOptions{as: 65999})
		require.NoError(t, err)
		deadline := time.Now().Add(time.Second)
		for _, ended := p.state(); !ended && time.Now().Before(deadline); _, ended = p.state() {
			time.Sleep(time.Millisecond)
		}
		p.close()
		return p.notice != nil && p.notice.ErrorSubcode == bgp.BGP_ERROR_SUB_BAD_PEER_AS
	})
	assert.False(t, r.isSource(n.host(30)))
	eventually(t, "forgotten", func() bool { return len(r.Neighbors()) == 1 })
	assert.Empty(t, r.violations())
}

// TestTTLSecurity: who does not send TTL 255 is too far away (RFC 5082).
func TestTTLSecurity(t *testing.T) {
	n := newNetwork()
	near, far := n.host(2), n.host(3)
	a, b := passive(near, VirtualRouter, 65100), passive(far, VirtualRouter, 65100)
	a.TTLSecurity, b.TTLSecurity = 1, 1
	r := start(t, n.config(a, b))
	join(t, n.gateway(), near, peerOptions{as: 65100, ttl: 255})
	eventually(t, "waiting", func() bool { return r.neighbor(far).State == "active" })
	p, err := connect(t, n.gateway(), far, peerOptions{as: 65100, ttl: 254})
	require.NoError(t, err)
	eventually(t, "up", func() bool { return r.neighbor(near).State == stateUp })
	assert.NotEqual(t, stateUp, r.neighbor(far).State)
	p.setTTL(255)
	eventually(t, "up from near by", func() bool { return r.neighbor(far).State == stateUp })
}
