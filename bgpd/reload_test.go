package bgpd

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// TestReconfigureRefusesPasswords: what the kernel will refuse is known beforehand, and
// everything stays as it was.
func TestReconfigureRefusesPasswords(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	n := newNetwork()
	sw, vr, come := n.host(2), n.host(3), n.host(4)
	cfg := n.config(passive(sw, Switch, 65001), passive(vr, VirtualRouter, 65100))
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24")}))
	a := join(t, n.gateway(), sw, peerOptions{as: 65001})
	hears(t, a, "203.0.113.0/24")
	b := join(t, n.gateway(), vr, peerOptions{as: 65100})
	b.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
	m, err := os.ReadFile(optmem)
	if err != nil {
		t.Logf("%s: %v: not of the namespace, the kernel is older than 6.9", optmem, err)
		return
	}

	next := n.config(passive(sw, Switch, 65001), passive(vr, VirtualRouter, 65100), passive(come, VirtualRouter, 65200))
	next.Neighbors[0].HoldTime, next.Neighbors[2].Password = 30*time.Second, "secret"
	next.Neighbors[1].Profile.VNI = vni(5)
	require.NoError(t, os.WriteFile(optmem, []byte("64"), 0o644))
	before := r.Neighbors()
	for range 2 {
		err = r.Reconfigure(next)
		assert.ErrorContains(t, err, "bgpd: neighbor "+come.String()+": password: failed to set md5: cannot allocate memory (sysctl net.core.optmem_max")
		r.asBefore(t, before)
		assert.False(t, r.isSource(come))
		assert.NoError(t, r.Reconfigure(cfg), "the old one again is no change")
	}
	require.NoError(t, os.WriteFile(optmem, m, 0o644))
	require.NoError(t, r.Reconfigure(next))
	assert.True(t, r.isSource(come))
	assert.Equal(t, 1, r.held(vr))
	assert.Empty(t, r.violations())
}

const optmem = "/proc/sys/net/core/optmem_max"

// asBefore compares who is there, and since when.
func (r *running) asBefore(t *testing.T, before []NeighborStatus) {
	t.Helper()
	now := r.Neighbors()
	require.Len(t, now, len(before))
	for i, b := range before {
		n := now[i]
		assert.Equal(t, []any{b.Address, b.Range, b.Since, b.Flaps}, []any{n.Address, n.Range, n.Since, n.Flaps})
		assert.Equal(t, b.State == stateUp, n.State == stateUp)
	}
}

// occupy gives GoBGP the peer group of a range without the speaker, so that adding
// the range is refused, and returns what takes it away again.
func (r *running) occupy(t *testing.T, n Neighbor) func() {
	t.Helper()
	n = n.withDefaults(&Config{})
	on := func(f func() error) {
		var err error
		require.True(t, r.do(context.Background(), func() { err = f() }))
		require.NoError(t, err)
	}
	on(func() error {
		return r.lib.AddPeerGroup(context.Background(), &api.AddPeerGroupRequest{PeerGroup: apiPeerGroup(&n)})
	})
	return func() {
		on(func() error {
			return r.lib.DeletePeerGroup(context.Background(), &api.DeletePeerGroupRequest{Name: groupName(&n)})
		})
	}
}

// TestReconfigureTakesBack: GoBGP refuses a part of a configuration, at each of the
// places where it can. The old one is in force again, and the next one can be.
func TestReconfigureTakesBack(t *testing.T) {
	n := newNetwork()
	sw, vr, changed, dyn := n.host(2), n.host(3), n.host(4), n.host(140)
	ranged := func(i byte, bits int) Neighbor {
		return Neighbor{Range: netip.PrefixFrom(n.host(i), bits), Role: VirtualRouter, ASN: 65100}
	}
	cfg := n.config(passive(sw, Switch, 65001), passive(vr, VirtualRouter, 65100), passive(changed, VirtualRouter, 65100), ranged(128, 25))
	cfg.Neighbors[2].Password = "secret"
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24")}))
	a := join(t, n.gateway(), sw, peerOptions{as: 65001})
	hears(t, a, "203.0.113.0/24")
	claims := func(addr netip.Addr, eip string) *peer {
		p := join(t, n.gateway(), addr, peerOptions{as: 65100})
		p.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, eip)
		eventually(t, "claim", func() bool { return r.held(addr) == 1 })
		return p
	}
	claims(vr, "203.0.113.1/32")
	claims(dyn, "203.0.113.2/32")

	t.Run("before anything of the old is touched", func(t *testing.T) {
		next := n.config(cfg.Neighbors[0], cfg.Neighbors[1], ranged(128, 25), ranged(64, 27), passive(n.host(5), VirtualRouter, 65100))
		next.Neighbors[1].HoldTime, next.Neighbors[1].Name = 30*time.Second, "another"
		free := r.occupy(t, ranged(64, 27))
		before := r.Neighbors()
		assert.ErrorContains(t, r.Reconfigure(next), "can't overwrite the existing peer-group")
		r.asBefore(t, before)
		assert.False(t, r.isSource(n.host(5)))
		assert.True(t, r.isSource(changed))
		assert.Equal(t, []int{1, 1}, []int{r.held(vr), r.held(dyn)})
		_, err := connect(t, n.gateway(), n.host(5), peerOptions{as: 65100})
		require.NoError(t, err)
		free()
	})
	t.Run("when the old is gone", func(t *testing.T) {
		next := n.config(cfg.Neighbors[0], cfg.Neighbors[1], ranged(128, 26), passive(n.host(5), VirtualRouter, 65100))
		free := r.occupy(t, ranged(128, 26))
		flaps, since := r.neighbor(vr).Flaps, r.neighbor(vr).Since
		assert.ErrorContains(t, r.Reconfigure(next), "can't overwrite the existing peer-group")
		assert.Equal(t, []any{flaps, since}, []any{r.neighbor(vr).Flaps, r.neighbor(vr).Since})
		assert.Equal(t, 1, r.held(vr))
		assert.True(t, r.isSource(changed))
		assert.False(t, r.isSource(n.host(5)))
		claims(dyn, "203.0.113.2/32")
		assert.NoError(t, r.Reconfigure(cfg))
		assert.Equal(t, 1, r.held(dyn), "the old one again is no change")
		assert.Equal(t, []string{"+203.0.113.0/24"}, a.history())
		free()
		require.NoError(t, r.Reconfigure(next))
		assert.False(t, r.isSource(changed))
		assert.True(t, r.isSource(n.host(5)))
		assert.False(t, r.isSource(dyn))
		claims(dyn, "203.0.113.2/32")
	})
	assert.Empty(t, r.violations())
}

// TestReviveKeepsPassword: a neighbor whose password is not in force any more when its
// session has ended does not come back without one.
func TestReviveKeepsPassword(t *testing.T) {
	n := newNetwork()
	vr := n.host(2)
	r := start(t, n.config(passive(vr, VirtualRouter, 65100)))
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	eventually(t, "up", func() bool { return r.neighbor(vr).State == stateUp })
	r.notePassword(vr.String(), "failed to set md5: no") // as GoBGP logs while it takes the neighbor
	p.reset()
	eventually(t, "problem", func() bool {
		return r.neighbor(vr).LastError == "bring back: password: failed to set md5: no"
	})
	assert.NotEqual(t, stateUp, r.neighbor(vr).State)
	join(t, n.gateway(), vr, peerOptions{as: 65100})
	eventually(t, "offered again", func() bool { return r.neighbor(vr).State == stateUp })
}
