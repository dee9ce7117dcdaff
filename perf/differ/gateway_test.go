package differ

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

const (
	north fib.PortID = 1
	south fib.PortID = 2
)

// tunnelHeader is what is in front of a packet that left in a tunnel: Ethernet, IPv4,
// UDP, Geneve, Ethernet.
const tunnelHeader = 14 + 20 + 8 + 8 + 14

// gateway is a worker between two ports in memory. It has the kernel's addresses, and its
// tunnel the kernel's MTU.
type gateway struct {
	t     *testing.T
	table *fib.Table
}

func newGateway(t *testing.T) *gateway {
	table, err := fib.NewTable(fib.TableOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	vtep, lost := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	res := &fibtest.Resolver{}
	res.Set(vtep, fib.Adjacency{Port: south, MTU: roomMTU + tunnelHeader - 14, Outer: encap.Outer{Src: outMAC, Dst: sinkMAC, Local: out4}})
	var bindings []fib.Binding
	for _, nets := range [][3]netip.Prefix{nets4, nets6} {
		bindings = append(bindings, fib.Binding{Prefix: nets[bound], Tunnels: []encap.Tunnel{{VTEP: vtep, VNI: 5001}}},
			fib.Binding{Prefix: nets[unresolved], Tunnels: []encap.Tunnel{{VTEP: lost, VNI: 5001}}})
	}
	report, err := fib.NewCompiler(table, res).Apply(bindings)
	require.NoError(t, err)
	require.Empty(t, report.Refused)
	return &gateway{t, table}
}

// pass has the packets forwarded and returns what was sent, from the IP header on.
func (g *gateway) pass(refusal dataplane.Refusal, packets []packet) (forwarded, answers [][]byte) {
	g.t.Helper()
	var rules dataplane.Rules
	require.NoError(g.t, rules.Set(dataplane.RulesConfig{Unbound: refusal, Unresolved: refusal, Own: []netip.Addr{own4, own6, out4},
		Answers: dataplane.AnswerConfig{Default: dataplane.AnswerSource{V4: own4, V6: own6}}}))
	in := memport.New(memport.Config{ID: north, MAC: routerMAC, MTU: longestFrame, Poison: true})
	out := memport.New(memport.Config{ID: south, MAC: outMAC, MTU: roomMTU + tunnelHeader - 14})
	reader, err := g.table.NewReader()
	require.NoError(g.t, err)
	defer reader.Close()
	w, err := dataplane.NewWorker(dataplane.WorkerConfig{Ports: []dataplane.Port{in, out}, Reader: reader, CPU: -1, Rules: &rules})
	require.NoError(g.t, err)
	for _, p := range packets {
		in.Inject(p.frame)
	}
	in.End()
	out.End()
	require.NoError(g.t, w.Run(g.t.Context()))
	s := w.Snapshot()
	require.EqualValues(g.t, len(packets), s.Received())
	require.Equal(g.t, s.Received()+s.Made(), s.Sent()+s.Dropped())
	for _, f := range out.Collect() {
		require.Greater(g.t, len(f), tunnelHeader)
		forwarded = append(forwarded, f[tunnelHeader:])
	}
	for _, f := range in.Collect() {
		require.Equal(g.t, hostMAC, encap.MAC(f[:6]))
		require.Equal(g.t, routerMAC, encap.MAC(f[6:12]))
		answers = append(answers, f[14:])
	}
	return forwarded, answers
}
