package bgpd

import (
	"testing"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/bgpd/rib"
)

func TestLearnAndWithdraw(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	vr := n.host(2)
	r := start(t, n.config(passive(vr, VirtualRouter, 65100)))
	eventually(t, "source", func() bool { return r.isSource(vr) })
	p := join(t, n.gateway(), vr, peerOptions{as: 65100})
	p.claim("10.255.0.1", []bgp.PathAttributeInterface{large("10.0.0.11", 5001)}, "203.0.113.7/32", "203.0.113.8/32")
	eventually(t, "claims", func() bool { return r.held(vr) == 2 })
	c, _ := r.path(vr, "203.0.113.7/32")
	assert.Equal(t, rib.CarrierLargeCommunity, c.Carrier)
	p.unclaim("203.0.113.7/32")
	eventually(t, "withdrawal", func() bool { return r.held(vr) == 1 })
	p.reset()
	eventually(t, "void", func() bool { return r.held(vr) == 0 })
	assert.Empty(t, r.violations())
}
