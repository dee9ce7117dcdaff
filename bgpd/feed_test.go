package bgpd

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// gatewayOf is a RIB and a forwarding table that run until the test ends.
func gatewayOf(t *testing.T, segment string) (*rib.RIB, *fib.Compiler) {
	t.Helper()
	table, err := fib.NewTable(fib.TableOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, table.Close()) })
	res := &fibtest.Resolver{}
	res.Set(netip.MustParseAddr("10.0.0.11"), fibtest.Adjacency(1, netip.MustParseAddr("10.0.0.1"), 11))
	compiler := fib.NewCompiler(table, res)
	r, err := rib.New(rib.Config{Programmer: compiler, InitialWait: time.Hour})
	require.NoError(t, err)
	_, err = r.SetSegments([]rib.Segment{{Prefix: netip.MustParsePrefix(segment)}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { assert.NoError(t, r.Run(ctx)) })
	t.Cleanup(func() { cancel(); run.Wait() })
	return r, compiler
}

// TestFeed: what a router says in a great many UPDATEs is all in the forwarding table when
// its source counts as synced, each EIP in its tunnel; when the session is lost, nothing is.
func TestFeed(t *testing.T) {
	const routes, per = 20_000, 100
	n := newNetwork()
	router := n.host(2)
	neighbor := passive(router, VirtualRouter, 65100)
	neighbor.HoldTime, neighbor.Families = 90*time.Second, []Family{IPv4}
	r, compiler := gatewayOf(t, "20.0.0.0/8")
	cfg := n.config(neighbor)
	cfg.SyncWait = time.Hour
	cfg.Updates = r.Update
	cfg.OnSource = func(s Source) {
		if s.Gone {
			r.RemoveSource(s.ID)
		} else {
			r.AddSource(s.ID, rib.SourcePolicy{})
		}
	}
	s, err := New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { assert.NoError(t, s.Run(ctx)) })
	t.Cleanup(func() { cancel(); run.Wait() })

	c := dialSession(t, n.gateway(), router)
	defer c.Close()
	end, err := bgp.NewEndOfRib(bgp.RF_IPv4_UC).Serialize()
	require.NoError(t, err)
	_, err = c.Write(append(updates(t, routes, per), end...))
	require.NoError(t, err)
	eventually(t, "synced", func() bool {
		st := r.Status()
		return len(st.Sources) == 1 && st.Sources[0].Synced
	})
	st := compiler.Stats()
	assert.Equal(t, routes, st.IPv4)
	assert.Zero(t, st.Unresolved)
	assert.Equal(t, routes/per, st.Tunnels)
	for i := 0; i < routes; i += 37 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 20<<24+uint32(i))
		e, ok := compiler.Lookup(netip.AddrFrom4(b))
		require.True(t, ok, "EIP %d", i)
		require.Len(t, e.Tunnels, 1)
		require.Equal(t, encap.VNI(i/per*per), e.Tunnels[0].Tunnel.VNI, "EIP %d", i)
	}

	require.NoError(t, c.Close())
	eventually(t, "nothing is bound any more", func() bool { return compiler.Stats().IPv4 == 0 })
}
