package pcaps

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/replay"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// rig is the gateway's ports and the far ends of their links.
type rig struct {
	ports    []dataplane.Port
	ifaces   []*afxdp.Interface
	senders  map[string]*lab.Sender
	captures map[string]*lab.Capture
}

func newRig(t *testing.T, c testCase, mode afxdp.Mode) *rig {
	l := lab.T(t)
	gateway, far := l.NS("gw"), l.NS("far")
	for _, ns := range []*lab.NS{gateway, far} { // so that the kernel has nothing to say
		l.Check(ns.Sysctl("net.ipv6.conf.default.disable_ipv6", "1"))
	}
	r := &rig{senders: map[string]*lab.Sender{}, captures: map[string]*lab.Capture{}}
	for _, p := range c.Ports {
		l.Veth(
			lab.End{NS: gateway, Name: p.Name, MAC: p.MAC.String(), Pfifo: 1000},
			lab.End{NS: far, Name: "far-" + p.Name, Pfifo: 1000},
			lab.VethOptions{MTU: p.MTU})
		l.Check(gateway.Do(func() error { return r.open(t, p, mode) }))
		sender, err := far.Sender("far-" + p.Name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sender.Close()) })
		capture, err := far.Capture("far-"+p.Name, lab.CaptureOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, capture.Close()) })
		r.senders[p.Name], r.captures[p.Name] = sender, capture
	}
	return r
}

func (r *rig) open(t *testing.T, p replay.Port, mode afxdp.Mode) error {
	iface, err := afxdp.Open(afxdp.InterfaceConfig{ID: p.ID, Name: p.Name, Mode: mode, Frames: 1024})
	if err != nil {
		return err
	}
	t.Cleanup(func() { require.NoError(t, iface.Close()) })
	port, err := iface.Port(0)
	if err != nil {
		return err
	}
	require.Equal(t, p.MTU, port.Info().MTU, "MTU of port %s", p.Name)
	r.ifaces, r.ports = append(r.ifaces, iface), append(r.ports, port)
	return nil
}

// passed is how many frames the XDP programs have left to the kernel.
func (r *rig) passed(t *testing.T) (n uint64) {
	for _, iface := range r.ifaces {
		s, err := iface.Status()
		require.NoError(t, err)
		n += s.Filter.Passed + s.Filter.Foreign
		require.Zero(t, s.Filter.Unserved)
	}
	return n
}

// program makes a table with the case's bindings, resolved as it says.
func program(t *testing.T, c testCase) (*fib.Table, *fib.Reader) {
	table, err := fib.NewTable(fib.TableOptions{Poison: true})
	require.NoError(t, err)
	var resolver fibtest.Resolver
	for _, u := range c.Underlay {
		var ways []fib.Adjacency
		for _, w := range u.Ways {
			ways = append(ways, fib.Adjacency{
				Port: portID(c, w.Port), MTU: w.MTU,
				Outer: encap.Outer{
					Src: encap.MAC(w.SrcMAC), Dst: encap.MAC(w.DstMAC), VLAN: encap.VLAN(w.VLAN), Local: w.Local, TTL: c.Tunnel.TTL,
					ZeroChecksum6: c.Tunnel.UDP6Checksum == replay.ChecksumZero,
				},
			})
		}
		resolver.Set(u.VTEP, ways...)
	}
	bindings, err := c.FIB()
	require.NoError(t, err)
	report, err := fib.NewCompiler(table, &resolver).Apply(bindings)
	require.NoError(t, err)
	require.Empty(t, report.Refused)
	reader, err := table.NewReader()
	require.NoError(t, err)
	return table, reader
}

func portID(c testCase, name string) fib.PortID {
	i := slices.IndexFunc(c.Ports, func(p replay.Port) bool { return p.Name == name })
	return c.Ports[i].ID
}
