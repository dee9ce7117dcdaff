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
	lane     *afxdp.Lane // nil: none
	table    *fib.Table
	ports    []dataplane.Port
	ifaces   []*afxdp.Interface
	senders  map[string]*lab.Sender
	captures map[string]*lab.Capture
}

func newRig(t *testing.T, c testCase, mode afxdp.Mode) *rig {
	return fillRig(t, c, mode, &rig{})
}

// newLaneRig is a rig in native mode for one case, with the fast lane on. The far ends take
// what programs send.
func newLaneRig(t *testing.T, c testCase) *rig {
	r := &rig{}
	var err error
	r.lane, err = afxdp.NewLane()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.lane.Close()) })
	mem, err := r.lane.Memory()
	require.NoError(t, err)
	r.table, err = fib.NewTable(fib.TableOptions{Poison: true, Memory: mem, LookupSpace: 8 << 20, DistinctSpace: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.table.Close()) })
	foreign, err := r.table.NewForeign(r.lane.Synchronize)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, foreign.Close()) })
	return fillRig(t, c, afxdp.ModeNative, r)
}

func fillRig(t *testing.T, c testCase, mode afxdp.Mode, r *rig) *rig {
	l := lab.T(t)
	gateway, far := l.NS("gw"), l.NS("far")
	for _, ns := range []*lab.NS{gateway, far} { // so that the kernel has nothing to say
		l.Check(ns.Sysctl("net.ipv6.conf.default.disable_ipv6", "1"))
	}
	r.senders, r.captures = map[string]*lab.Sender{}, map[string]*lab.Capture{}
	for _, p := range c.Ports {
		l.Veth(
			lab.End{NS: gateway, Name: p.Name, MAC: p.MAC.String(), Pfifo: 1000},
			lab.End{NS: far, Name: "far-" + p.Name, Pfifo: 1000},
			lab.VethOptions{MTU: p.MTU})
		if r.lane != nil {
			l.Check(far.GROOn("far-" + p.Name))
		}
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
	iface, err := afxdp.Open(afxdp.InterfaceConfig{ID: p.ID, Name: p.Name, Mode: mode, Frames: 1024, Lane: r.lane})
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

// carried is what the lane has forwarded so far, as a worker would count it, and how many
// frames that are.
func (r *rig) carried(t *testing.T, c testCase) (counters replay.Counters, frames uint64) {
	counters = replay.Counters{}
	for n, iface := range r.ifaces {
		s, err := iface.Status()
		require.NoError(t, err)
		if s.Lane == nil {
			continue
		}
		for _, k := range s.Lane.Carried {
			require.Zero(t, k.Lost)
			out := slices.IndexFunc(c.Ports, func(p replay.Port) bool { return p.ID == k.Out })
			counters["port."+c.Ports[n].Name+".rx_packets"] += k.Frames
			counters["port."+c.Ports[n].Name+".rx_bytes"] += k.Received
			counters["port."+c.Ports[out].Name+".tx_packets"] += k.Frames
			counters["port."+c.Ports[out].Name+".tx_bytes"] += k.Sent
			frames += k.Frames
		}
	}
	return counters, frames
}

// program puts the case's bindings into a table, resolved as it says: the lane's, which the
// rig closes, or one that done closes.
func (r *rig) program(t *testing.T, c testCase) (reader *fib.Reader, done func()) {
	table := r.table
	if table == nil {
		var err error
		table, err = fib.NewTable(fib.TableOptions{Poison: true})
		require.NoError(t, err)
	}
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
	reader, err = table.NewReader()
	require.NoError(t, err)
	return reader, func() {
		reader.Close()
		if r.table == nil {
			require.NoError(t, table.Close())
		}
	}
}

func portID(c testCase, name string) fib.PortID {
	i := slices.IndexFunc(c.Ports, func(p replay.Port) bool { return p.Name == name })
	return c.Ports[i].ID
}
