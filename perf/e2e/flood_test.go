package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
	"github.com/eipgw/eipgw/perf/peers"
)

// mac is the address of a link.
func (w *world) mac(ns *lab.NS, name string) encap.MAC {
	w.Helper()
	link, err := ns.Handle().LinkByName(name)
	require.NoError(w, err)
	return encap.MAC(link.Attrs().HardwareAddr)
}

// Three of four frames are hostile: to addresses that nobody has bound, at their last hop,
// malformed. All others arrive, answers stay at their limit, and every frame is counted
// under what it is. Frames go in portions that the gateway's rings hold, each when the
// last one has been received: nothing depends on speed.
func TestFlood(t *testing.T) {
	const rate, burst, portions, portion = 20, 10, 10, 512
	w := newWorld(t)
	start := time.Now()
	w.start(config(w.bindings() + "\nforwarding: {icmp: {rate: 20, burst: 10}}"))
	w.forwarded(eip)
	var sink *loadgen.Sink
	var gen *loadgen.Generator
	require.NoError(t, w.sw.Do(func() (err error) {
		if sink, err = loadgen.Attach(loadgen.SinkConfig{Interface: "gw", Port: 9}); err != nil {
			return err
		}
		gen, err = loadgen.New(loadgen.Config{
			Interface: "gw", Size: loadgen.MinSizeIPv4, SrcMAC: w.mac(w.sw, "br0"), DstMAC: w.mac(w.gw, "up0"),
			Source: netip.MustParseAddr("198.51.100.2"), FirstDst: eip, Dsts: 1, SrcPorts: 1000, Port: 9,
			Mix: loadgen.Mix{Unbound: 0.25, TTL: 0.25, Malformed: 0.25, FirstUnbound: eip.Next(), Unbounds: 248},
		})
		return err
	}))
	defer func() {
		assert.NoError(t, sink.Close())
		assert.NoError(t, gen.Close())
	}()

	var c peers.Counters
	for n := uint64(1); n <= portions; n++ {
		require.NoError(t, w.sw.Do(func() error { return gen.Run(w.ctx, loadgen.Load{Frames: portion}) }))
		w.eventually("every frame is received", func() (bool, any) {
			var err error
			c, err = w.g.Counters(w.ctx)
			return err == nil && c.Received.Packets == n*portion, c
		})
	}
	elapsed := time.Since(start)
	hostile := gen.Hostile()
	assert.InDelta(t, portions*portion*3/4, hostile, 20)
	assert.True(t, c.AddUp(), "%+v", c)
	assert.Equal(t, hostile, c.Dropped(), "%+v", c.Drops)
	assert.InDelta(t, portions*portion/4, c.Drop("no_binding"), 20)
	assert.InDelta(t, portions*portion/4, c.Drop("ttl_expired"), 20)
	assert.Equal(t, hostile, c.Drop("no_binding")+c.Drop("ttl_expired")+c.Drop("bad_ipv4_header")+c.Drop("bad_ipv4_checksum"))
	assert.Equal(t, c.Made, c.Event("time_exceeded")+c.Event("unreachable"))
	assert.GreaterOrEqual(t, c.Made, uint64(burst))
	assert.LessOrEqual(t, float64(c.Made), burst+rate*elapsed.Seconds())
	w.eventually("what is bound arrives, and the answers", func() (bool, any) {
		got, err := sink.Counts()
		return err == nil && got.Tunneled.Frames == portions*portion-hostile && got.Other.Frames >= c.Made, got
	})
}
