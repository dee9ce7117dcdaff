package bgpd

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/osrg/gobgp/v3/pkg/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// TestStopCeases: at the end every neighbor gets a Cease, and nothing more is told to
// the RIB: forwarding goes on until whoever stops stops that too.
func TestStopCeases(t *testing.T) {
	n := newNetwork()
	sw, vr := n.host(2), n.host(3)
	cfg := n.config(passive(sw, Switch, 65001), passive(vr, VirtualRouter, 65100))
	cfg.CloseWait = patience
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24")}))
	a := join(t, n.gateway(), sw, peerOptions{as: 65001})
	b := join(t, n.gateway(), vr, peerOptions{as: 65100})
	b.claim("10.255.0.1", pathAttrs{large("10.0.0.11", 1)}, "203.0.113.1/32")
	eventually(t, "claim", func() bool { return r.held(vr) == 1 })
	hears(t, a, "203.0.113.0/24")
	begin := time.Now()
	r.stop()
	assert.Less(t, time.Since(begin), cfg.CloseWait, "nobody had to be waited for")
	for _, p := range []*peer{a, b} {
		eventually(t, "Cease", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.ended != nil && p.notice != nil && p.notice.ErrorCode == bgp.BGP_ERROR_CEASE
		})
	}
	assert.Equal(t, 1, r.held(vr))
	assert.ErrorContains(t, r.Run(context.Background()), "has run already")
	_, err := net.DialTimeout("tcp", netip.AddrPortFrom(n.gateway(), testPort).String(), time.Second)
	assert.Error(t, err, "the listener is closed")
}

// stuck makes GoBGP's loop hang in its first operation after it is told to.
type stuck struct{ hang, free chan struct{} }

func (s stuck) Observe(server.FSMOperation, time.Duration, time.Duration) {
	select {
	case <-s.hang:
		<-s.free
	default:
	}
}

// TestStopHasADeadline: Run ends although GoBGP does not answer any more.
func TestStopHasADeadline(t *testing.T) {
	n := newNetwork()
	cfg := n.config(passive(n.host(2), Switch, 65001))
	cfg.CloseWait = 200 * time.Millisecond
	s, err := New(cfg)
	require.NoError(t, err)
	hook := stuck{make(chan struct{}), make(chan struct{})}
	s.options = []server.ServerOption{server.TimingHookOption(hook)}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	eventually(t, "counted", func() bool { s.Neighbors(); s.mu.Lock(); defer s.mu.Unlock(); return !s.counted.IsZero() })
	close(hook.hang)
	cancel()
	select {
	case err := <-result:
		assert.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("Run does not end")
	}
	close(hook.free) // what waits for GoBGP ends too, as the leak check sees
}

func TestRunErrors(t *testing.T) {
	n := newNetwork()
	l, err := net.Listen("tcp", netip.AddrPortFrom(n.gateway(), testPort).String())
	require.NoError(t, err)
	defer l.Close()
	s, err := New(n.config())
	require.NoError(t, err)
	err = s.Run(context.Background())
	assert.ErrorContains(t, err, "bgpd: listen on ["+netip.AddrPortFrom(n.gateway(), testPort).String()+"]")
	assert.ErrorContains(t, err, "address already in use")
}
