package bgpd

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/path"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// said is an UPDATE for one prefix.
type said struct {
	prefix string
	attrs  pathAttrs
}

// burst sends UPDATEs so that all of them arrive in one second.
func (p *peer) burst(nextHop string, list ...said) {
	var b bytes.Buffer
	for _, x := range list {
		m := bgp.NewBGPUpdateMessage(nil, append(pathAttrs{
			bgp.NewPathAttributeOrigin(0), p.asPath(), bgp.NewPathAttributeNextHop(nextHop),
		}, x.attrs...), nlri([]string{x.prefix}))
		raw, err := m.Serialize()
		require.NoError(p.t, err)
		b.Write(raw)
	}
	eventually(p.t, "a second that is long enough", func() bool { return time.Now().Nanosecond() < 5e8 })
	p.raw(b.Bytes())
}

// tried says whether no suspect of a neighbor waits for its trial, after there was one.
func (r *running) tried(a netip.Addr) bool {
	r.Speaker.mu.Lock()
	defer r.Speaker.mu.Unlock()
	d := &r.sessions[a].discards
	return !d.latest.IsZero() && len(d.suspects) > 0 && d.trial.IsZero()
}

// TestDiscardSparesTheInnocent: a malformed attribute 23, which GoBGP drops, in the
// second of routes that are good.
func TestDiscardSparesTheInnocent(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	neighbor := passive(vr, VirtualRouter, 65100)
	neighbor.Profile.VNI = vni(77)
	r := start(t, n.config(neighbor))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	const bad, named, other, plain, late = "203.0.113.11/32", "203.0.113.12/32", "203.0.113.13/32", "203.0.113.14/32", "203.0.113.15/32"
	cut := pathAttrs{tunnelEncap(geneve[:20])}

	p.burst("10.0.0.13", said{bad, cut},
		said{named, pathAttrs{large("10.0.0.12", 5)}}, said{other, pathAttrs{large("0.0.0.0", 6)}})
	assert.Equal(t, encap.VNI(5), r.claimed(t, vr, named, rib.CarrierLargeCommunity).Tunnel.VNI)
	assert.Equal(t, encap.VNI(6), r.claimed(t, vr, other, rib.CarrierLargeCommunity).Tunnel.VNI)
	r.refusedFor(t, bad, rib.RefuseBadAttribute)
	eventually(t, "trial", func() bool { return r.tried(vr) })
	assert.Equal(t, 2, r.held(vr), "the only one that can be it stays refused")

	neighbor.Profile.VNI = vni(78)
	require.NoError(t, r.Reconfigure(n.config(neighbor)))
	assert.Equal(t, 2, r.held(vr), "also when everything is judged anew")
	eventually(t, "nothing lost for a while", func() bool {
		r.Speaker.mu.Lock()
		defer r.Speaker.mu.Unlock()
		return time.Since(r.sessions[vr].discards.latest) > trialWait
	})
	p.claim("10.0.0.13", nil, bad)
	assert.Equal(t, encap.VNI(78), r.claimed(t, vr, bad, rib.CarrierNextHop).Tunnel.VNI, "said again")

	// One of three plain ones: nobody can say which.
	p.burst("10.0.0.14", said{"203.0.113.16/32", cut}, said{plain, nil}, said{late, nil})
	r.refusedFor(t, plain, rib.RefuseBadAttribute)
	r.claimed(t, vr, plain, rib.CarrierNextHop)
	r.claimed(t, vr, late, rib.CarrierNextHop)
	assert.Equal(t, 6, r.held(vr))
	assert.Empty(t, r.violations())
}

// TestDiscardsTrial: who is believed, by how many attributes were lost among how many.
func TestDiscardsTrial(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, c := range map[string]struct{ lost, updates, believed int }{
		"the only one":             {lost: 1, updates: 1},
		"one of two":               {lost: 1, updates: 2, believed: 2},
		"two of three":             {lost: 2, updates: 3},
		"a hundred of a hundred":   {lost: 100, updates: 100},
		"one of a hundred":         {lost: 1, updates: 100, believed: 100},
		"more lost than suspected": {lost: 9, updates: 3},
		"nobody suspected":         {lost: 1},
	} {
		var d discards
		for range c.lost {
			d.add(at)
		}
		for i := range c.updates {
			trial := d.heard(&rib.Update{}, []path.Suspect{{Key: eip(i), Sec: 1000}}, at)
			assert.Equal(t, i == 0, trial, name)
		}
		assert.False(t, d.due(at.Add(trialWait-1)), name)
		assert.Equal(t, c.updates > 0, d.due(at.Add(trialWait)), name)
		assert.Len(t, d.judge(at), c.believed, name)
		assert.False(t, d.due(at.Add(time.Hour)), name)
		assert.Len(t, d.suspects, c.updates, name)
		assert.Empty(t, d.judge(at), name, "judged is judged")
		assert.Len(t, d.suspects, c.updates, name)
		d.judge(at.Add(2 * backlog))
		assert.Len(t, d.suspects, c.updates-c.believed, name, "nobody needs to know the others any more")
	}
}

func eip(i int) rib.PathKey {
	return rib.PathKey{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)}
}

func TestDiscardsSuspect(t *testing.T) {
	at := time.Unix(1000, 5e8)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	var d discards
	assert.False(t, d.suspect(eip(1), 1000, at))
	d.add(at)
	for sec, want := range map[int64]bool{998: false, 999: true, 1000: true, 1001: false} {
		assert.Equal(t, want, d.suspect(eip(1), sec, at), sec)
		assert.Equal(t, want, d.suspect(eip(1), sec, after(backlog/2)), "%d, late", sec)
		assert.False(t, d.suspect(eip(1), sec, after(2*backlog)), "%d, too late: it is said again", sec)
	}

	// Said again, and the same: GoBGP gives it the time at which it came first.
	d.heard(&rib.Update{}, []path.Suspect{{Key: eip(1), Sec: 1000}, {Key: eip(2), Sec: 1000}, {Key: eip(3), Sec: 1000}}, at)
	assert.True(t, d.suspect(eip(1), 1000, after(time.Second)), "it may have lost its attribute again")
	assert.False(t, d.suspect(eip(1), 1000, after(trialWait)))
	assert.False(t, d.suspect(eip(1), 1002, after(trialWait)), "said anew")
	d.add(after(10 * time.Second))
	assert.True(t, d.suspect(eip(1), 1000, after(10*time.Second)), "and again")

	d.heard(&rib.Update{Set: []rib.Path{{Prefix: eip(1).Prefix}}, Remove: []rib.PathKey{eip(2)}}, nil, at)
	assert.Equal(t, map[rib.PathKey]suspect{eip(1): {1000, believed}, eip(3): {1000, waiting}}, d.suspects)
	d.forget()
	assert.Empty(t, d.suspects)
	assert.False(t, d.due(after(time.Hour)))

	for i := range 40 {
		d.add(after(time.Duration(i) * time.Second))
	}
	assert.False(t, d.suspect(eip(1), 1010, after(40*time.Second)), "only the latest seconds are remembered")
	assert.True(t, d.suspect(eip(1), 1039, after(40*time.Second)))
}
