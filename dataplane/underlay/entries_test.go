package underlay_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/underlay"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// entries is a table whose Compiler resolves by an Underlay, as in the gateway.
type entries struct {
	t        *testing.T
	compiler *fib.Compiler
	reader   *fib.Reader
}

const eip = 203<<24 | 0<<16 | 113<<8 | 7

func newEntries(t *testing.T, gw *lab.NS) *entries {
	table, err := fib.NewTable(fib.TableOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, table.Close()) })
	e := &entries{t: t}
	e.reader, err = table.NewReader()
	require.NoError(t, err)
	t.Cleanup(func() { e.reader.Close() })
	var compiler atomic.Pointer[fib.Compiler]
	r := run(t, gw, underlay.Config{OnChange: func(vteps []netip.Addr) { compiler.Load().Refresh(vteps) }})
	e.compiler = fib.NewCompiler(table, r)
	compiler.Store(e.compiler)
	return e
}

// outer is the outer Ethernet destination and the port with which a worker would send
// now. ok is false when it would drop.
func (e *entries) outer() (mac encap.MAC, port fib.PortID, ok bool) {
	e.reader.Begin()
	defer e.reader.End()
	var v [1]fib.Value
	e.reader.Lookup4([]uint32{eip}, v[:])
	if v[0] == 0 {
		return mac, 0, false
	}
	entry := e.reader.Entry(v[0], 12345)
	if entry == nil {
		return mac, 0, false
	}
	pkt := make([]byte, entry.Header.Len()+100)
	entry.Header.Apply(pkt, encap.Inner{})
	return encap.MAC(pkt[:6]), entry.Out, true
}

// sends waits until a worker would send to mac, or drop if mac is empty.
func (e *entries) sends(mac string) time.Duration {
	e.t.Helper()
	began := time.Now()
	for {
		got, _, ok := e.outer()
		if ok == (mac != "") && (!ok || got.String() == mac) {
			return time.Since(began)
		}
		require.Less(e.t, time.Since(began), patience, "want %q, have %v", mac, got)
		time.Sleep(100 * time.Microsecond)
	}
}

// The promise, from the kernel's table to the bytes of the frame.
func TestEntriesFollowTheKernel(t *testing.T) {
	n := newFabric(t)
	n.Check(n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")))
	e := newEntries(t, n.gw)
	rep, err := e.compiler.Apply([]fib.Binding{{Prefix: pfx("203.0.113.7/32"), Tunnels: []encap.Tunnel{{VTEP: ip("192.0.2.9"), VNI: 5001}}}})
	require.NoError(t, err)
	require.Empty(t, rep.Refused)
	soon(t, e.sends(r1MAC))
	_, port, _ := e.outer()
	assert.Equal(t, fib.PortID(7), port)

	setNeighbor(n, n.gw, "sw1", "10.0.2.254", r2MAC, unix.NUD_PERMANENT)
	const moved = "02:00:00:00:33:33"
	for _, step := range []struct {
		what   string
		change func() error
		mac    string // that frames go to then; empty: none
	}{
		{"a route", func() error { return n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.2.254")) }, r2MAC},
		{"a neighbor's address", func() error {
			setNeighbor(n, n.gw, "sw1", "10.0.2.254", moved, unix.NUD_PERMANENT)
			return nil
		}, moved},
		{"a port down", func() error { return n.gw.Down("sw1") }, ""},
		{"the other port's route", func() error { return n.gw.Route(pfx("192.0.2.0/24"), lab.Via("10.0.1.254")) }, r1MAC},
	} {
		require.NoError(t, step.change(), step.what)
		took := e.sends(step.mac)
		t.Logf("%s: %v", step.what, took)
		soon(t, took)
	}

	_, err = e.compiler.Apply([]fib.Binding{{Prefix: pfx("203.0.113.7/32")}})
	require.NoError(t, err)
	_, _, ok := e.outer()
	assert.False(t, ok)
}
