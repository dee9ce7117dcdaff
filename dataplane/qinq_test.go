package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

// tagging is a rig whose way to 203.0.113.7 and 2001:db8:e1b::7 has these tags. South sends
// packets of 1500 bytes.
func tagging(t testing.TB, vlan encap.VLAN, c dataplane.RulesConfig) *rig {
	t.Helper()
	res := &fibtest.Resolver{}
	vtep := netip.MustParseAddr("10.0.2.11")
	res.Set(vtep, fib.Adjacency{Port: south, MTU: 1500, Outer: encap.Outer{Src: macSouth, Dst: macHop, VLAN: vlan, Local: local4}})
	tunnels := []encap.Tunnel{{VTEP: vtep, VNI: 5001}}
	reader, _ := newReader(t, res, []fib.Binding{
		{Prefix: netip.MustParsePrefix("203.0.113.7/32"), Tunnels: tunnels},
		{Prefix: netip.MustParsePrefix("2001:db8:e1b::7/128"), Tunnels: tunnels},
	})
	r := newRig(t, nil).with(c)
	r.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: reader, Ports: []dataplane.PortInfo{r.north.Info(), r.south.Info()}, Rules: &r.rules,
	})
	return r
}

// A port takes frames of MaxFrame, which leaves room for one tag: with a second one the
// packet has to be 4 bytes smaller.
func TestTwoTagsFitThePort(t *testing.T) {
	for _, c := range []struct {
		vlan encap.VLAN
		most int
	}{{encap.VLAN{}, 1450}, {encap.VLAN{C: 100}, 1450}, {encap.VLAN{S: 100}, 1450}, {encap.VLAN{S: 100, C: 200}, 1446}} {
		r := tagging(t, c.vlan, dataplane.RulesConfig{ClampMSS: everything})
		assert.LessOrEqual(t, len(r.forward(sized4(7, c.most))), r.south.Info().MaxFrame(), c.vlan.String())
		assert.LessOrEqual(t, len(r.forward(sized6(7, c.most))), r.south.Info().MaxFrame(), c.vlan.String())
		for _, frame := range [][]byte{sized4(7, c.most+1), sized6(7, c.most+1)} {
			f := r.process(frame)[0]
			assert.Equal(t, dataplane.ReasonPacketTooBig, f.Reason, c.vlan.String())
			assert.Equal(t, c.most, f.MTU(), c.vlan.String())
			r.release()
		}
		out := r.forward(syn4(mss1460))
		assert.Equal(t, []byte{2, 4, byte((c.most - 40) >> 8), byte((c.most - 40) & 0xff)}, out[len(out)-4:], c.vlan.String())
	}
}

// Fragments of the outer packet have two tags as well.
func TestFragmentsWithTwoTagsFitThePort(t *testing.T) {
	for _, o := range []dataplane.Oversize{dataplane.FragmentInner, dataplane.FragmentOuter} {
		r := tagging(t, encap.VLAN{S: 100, C: 200}, dataplane.RulesConfig{Oversize: o})
		f := r.process(patch4(sized4(7, 4000), 20, 0, 0))[0]
		assert.Equal(t, dataplane.Split, f.Verdict)
		var to dataplane.Frame
		to.Attach(make([]byte, 1500+encap.MaxLen), 0, 0)
		n := 0
		for s := r.fw.Fragments(f); s.Next(&to); n++ {
			assert.LessOrEqual(t, to.Len(), r.south.Info().MaxFrame(), o.String())
		}
		assert.Equal(t, 3, n)
		r.release()
	}
}

// So has an answer to a frame that came with two.
func TestAnswerWithTwoTagsFitsThePort(t *testing.T) {
	r := newRig(t, &memport.Config{MTU: 300}).with(answers())
	for name, in := range map[string][]byte{
		"IPv4": tags(patch4(sized4(7, 290), 22, 1), 0x88a8_0064, 0x8100_00c8), "IPv6": tags(patch(sized6(7, 290), 21, 1), 0x88a8_0064, 0x8100_00c8),
	} {
		got := r.answer(in)
		assert.Len(t, got, r.north.Info().MaxFrame(), name)
		checkError(t, got[22:])
	}
}
