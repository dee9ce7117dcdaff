package pcaps

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/replay"
	"github.com/eipgw/eipgw/encap"
)

// Every case, through the forwarder in this process.
func TestReplay(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			result, err := replay.Run(c.Case)
			require.NoError(t, err)
			expect(t, c.want, outcome{result.Out, result.Counters})
		})
	}
}

// Whatever a case wants, it wants every frame in exactly one place, those that the
// gateway makes too.
func TestFramesAddUp(t *testing.T) {
	for _, c := range cases(t) {
		var in, out uint64
		for e := range dataplane.NumEvents {
			if e.Made() {
				in += c.want.counters["event."+e.String()]
			}
		}
		for name, n := range c.want.counters {
			switch {
			case strings.HasSuffix(name, ".rx_packets"):
				in += n
			case strings.HasSuffix(name, ".tx_packets"), strings.HasPrefix(name, "drop.") && strings.HasSuffix(name, ".packets"):
				out += n
			}
		}
		assert.Equal(t, in, out, c.name)
		assert.NotZero(t, in, c.name)
	}
}

// Every Reason that frames alone can bring about is in some case.
func TestEveryReason(t *testing.T) {
	elsewhere := map[dataplane.Reason]string{
		dataplane.ReasonNoPort:     "a case's ways lead to its ports",
		dataplane.ReasonNoHeadroom: "ports of cases have headroom for every header",
		dataplane.ReasonTxFull:     "ports of cases take every frame",
		dataplane.ReasonPortDown:   "ports of cases stay up",
	}
	seen := map[string]bool{}
	for _, c := range cases(t) {
		for name := range c.want.counters {
			seen[name] = true
		}
	}
	for r := dataplane.ReasonNone + 1; r < dataplane.NumReasons; r++ {
		if why, ok := elsewhere[r]; ok {
			assert.False(t, seen["drop."+r.String()+".packets"], "%s: %s", r, why)
		} else {
			assert.True(t, seen["drop."+r.String()+".packets"], "no case has a frame dropped for %s", r)
		}
	}
}

// Every Event is in some case, too.
func TestEveryEvent(t *testing.T) {
	elsewhere := map[dataplane.Event]string{
		dataplane.EventAnswerNoRoom: "ports of cases have headroom for every answer",
	}
	seen := replay.Counters{}
	for _, c := range cases(t) {
		for name, n := range c.want.counters {
			seen[name] += n
		}
	}
	for e := range dataplane.NumEvents {
		why, ok := elsewhere[e]
		assert.Equal(t, !ok, seen["event."+e.String()] > 0, "%s: %s", e, why)
	}
}

// parse reads a tunnel packet. Every one is well-formed in one protocol, the one that
// the binding says, and never in the other.
func parse(t *testing.T, c testCase, frame []byte) encap.Parsed {
	t.Helper()
	geneve, errGeneve := encap.ParseAs(frame, encap.Geneve)
	p, err := encap.ParseAs(frame, encap.VXLAN)
	if errGeneve == nil {
		require.Error(t, err, "%s: a frame that is Geneve and VXLAN", c.name)
		p, err = geneve, nil
	}
	require.NoError(t, err, c.name)
	bindings, err := c.FIB()
	require.NoError(t, err)
	bound := func(x encap.Tunnel) bool {
		x = x.Canonical()
		return x.VTEP == p.Dst && x.Port == p.DstPort && x.Protocol == p.Protocol && x.VNI == p.VNI
	}
	require.True(t, slices.ContainsFunc(bindings, func(b fib.Binding) bool { return slices.ContainsFunc(b.Tunnels, bound) }),
		"%s: no binding names %s %s:%d", c.name, p.Protocol, p.Dst, p.DstPort)
	return p
}

// Every wanted tunnel packet is one that a tunnel endpoint takes, by the reading half of
// package encap: a third opinion on what gen writes.
func TestWantedFramesParse(t *testing.T) {
	for _, c := range cases(t) {
		for port, frames := range c.want.out {
			for i, f := range tunnelPackets(t, frames) {
				p := parse(t, c, f)
				assert.NotEqual(t, encap.ChecksumBad, p.IPChecksum, "%s, port %s, frame %d", c.name, port, i)
				assert.NotEqual(t, encap.ChecksumBad, p.UDPChecksum, "%s, port %s, frame %d", c.name, port, i)
				assert.False(t, p.Control)
				assert.Equal(t, p.Options.Critical(), p.Critical, "%s, port %s, frame %d", c.name, port, i)
				if p.InnerType == 0x0800 {
					assert.Zero(t, encap.Checksum(p.Packet[:4*int(p.Packet[0]&15)], 0), "%s, port %s, frame %d", c.name, port, i)
				}
			}
		}
	}
}
