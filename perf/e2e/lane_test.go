package e2e

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// laneView is what the tests read of show counters and show ports.
type laneView struct {
	Received, Sent struct{ Packets uint64 }
	Made           uint64
	Drops          []struct{ Packets uint64 }
	Lane           *struct{ Received, Sent struct{ Packets uint64 } }
}

type laneNotes []struct {
	Lane  *struct{ On bool }
	Notes []string
}

// TestFastLane: with the fast lane on, and a far end that takes frames from programs, pings
// and TCP of IPv4 go through the kernel and those of IPv6 through a worker; all are
// answered, and the counters have both.
func TestFastLane(t *testing.T) {
	w := newWorld(t)
	w.tunnelEnd()
	w.start(config(w.bindings() + "\nforwarding: {fast-lane: on, fast-lane-memory: 16}"))
	w.routeToGateway()
	w.forwarded(eip)
	w.forwarded(eip6)

	view := func() (v laneView) {
		w.Helper()
		require.NoError(w, w.g.Show(w.ctx, &v, "show", "counters"))
		require.NotNil(w, v.Lane)
		return v
	}
	w.ping(eip)
	assert.Zero(t, view().Lane.Received.Packets, "the far end takes none yet")
	var ports laneNotes
	require.NoError(t, w.g.Show(w.ctx, &ports, "show", "ports"))
	require.Len(t, ports, 1)
	assert.True(t, ports[0].Lane.On)
	assert.Contains(t, ports[0].Notes[0], "far end takes none from a program")

	require.NoError(t, w.sw.GROOn("gw"))
	w.eventually("the lane forwards", func() (bool, any) {
		w.ping(eip)
		v := view()
		return v.Lane.Received.Packets > 0, v
	})
	before := view()
	for range 5 {
		w.ping(eip)
		w.ping(eip6)
	}
	w.ping(eip, "-s", "4000") // fragments
	w.transfer(netip.AddrPortFrom(eip, echoPort), 300_000)
	var after laneView
	w.eventually("the counters of lane and worker agree", func() (bool, any) {
		after = view()
		dropped := uint64(0)
		for _, d := range after.Drops {
			dropped += d.Packets
		}
		return after.Lane.Received.Packets == after.Lane.Sent.Packets && after.Received.Packets+after.Made == after.Sent.Packets+dropped, after
	})
	assert.GreaterOrEqual(t, after.Lane.Received.Packets-before.Lane.Received.Packets, uint64(100), "pings and TCP")
	assert.GreaterOrEqual(t, after.Received.Packets-before.Received.Packets-(after.Lane.Received.Packets-before.Lane.Received.Packets), uint64(5),
		"IPv6 and fragments by a worker")
}
