package dataplane_test

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

// The gateway of these tests: frames come in by port 1, tunnels leave by port 2, or
// by port 2 with VLAN 100.
//
//	203.0.113.7   2001:db8:e1b::7   VTEP 10.0.2.11     VNI 5001
//	203.0.113.8   2001:db8:e1b::8   VTEP fd00:2::11    VNI 5001, OVN option 2 -> 1
//	203.0.113.9                     VTEP 10.0.2.99     unresolved
//	203.0.113.10                    VTEP 10.0.2.12     by port 9, which there is not
//	203.0.113.11  2001:db8:e1b::b   VTEP 10.0.2.13     way with MTU 1400, VLAN 100
//	203.0.113.12                    VTEP 10.0.2.14     way with MTU 9000, port 2 has 1500
//	203.0.113.13                    group of 10.0.2.11, 10.0.2.13 and 10.0.2.15
const (
	north fib.PortID = 1
	south fib.PortID = 2
)

var (
	macNorth = encap.MAC{0x02, 0, 0, 0, 0, 0x01}
	macSouth = encap.MAC{0x02, 0, 0, 0, 0, 0x02}
	macHop   = encap.MAC{0x02, 0, 0, 0, 0, 0xfe}
	local4   = netip.MustParseAddr("10.255.0.1")
	local6   = netip.MustParseAddr("fd00:ff::1")
)

func bindings() []fib.Binding {
	bind := func(prefix string, vteps ...string) fib.Binding {
		b := fib.Binding{Prefix: netip.MustParsePrefix(prefix)}
		for _, v := range vteps {
			tunnel := encap.Tunnel{VTEP: netip.MustParseAddr(v), VNI: 5001}
			if tunnel.VTEP.Is6() {
				tunnel.Options = encap.OVNOptions(2, 1)
			}
			b.Tunnels = append(b.Tunnels, tunnel)
		}
		return b
	}
	return []fib.Binding{
		bind("203.0.113.7/32", "10.0.2.11"),
		bind("2001:db8:e1b::7/128", "10.0.2.11"),
		bind("203.0.113.8/32", "fd00:2::11"),
		bind("2001:db8:e1b::8/128", "fd00:2::11"),
		bind("203.0.113.9/32", "10.0.2.99"),
		bind("203.0.113.10/32", "10.0.2.12"),
		bind("203.0.113.11/32", "10.0.2.13"),
		bind("2001:db8:e1b::b/128", "10.0.2.13"),
		bind("203.0.113.12/32", "10.0.2.14"),
		bind("203.0.113.13/32", "10.0.2.11", "10.0.2.13", "10.0.2.15"),
	}
}

func resolver() *fibtest.Resolver {
	way := func(port fib.PortID, mtu, vlan uint16, local netip.Addr) fib.Adjacency {
		return fib.Adjacency{Port: port, MTU: mtu, Outer: encap.Outer{Src: macSouth, Dst: macHop, VLAN: encap.VLAN{C: vlan}, Local: local}}
	}
	r := &fibtest.Resolver{}
	for vtep, adj := range map[string]fib.Adjacency{
		"10.0.2.11":  way(south, 1500, 0, local4),
		"fd00:2::11": way(south, 1500, 0, local6),
		"10.0.2.12":  way(9, 1500, 0, local4),
		"10.0.2.13":  way(south, 1400, 100, local4),
		"10.0.2.14":  way(south, 9000, 0, local4),
		"10.0.2.15":  way(south, 1500, 0, local4),
	} {
		r.Set(netip.MustParseAddr(vtep), adj)
	}
	return r
}

// newReader makes a table with these bindings and a reader of it.
func newReader(t testing.TB, res fib.Resolver, bs []fib.Binding) (*fib.Reader, *fib.Compiler) {
	t.Helper()
	table, err := fib.NewTable(fib.TableOptions{Poison: true})
	require.NoError(t, err)
	c := fib.NewCompiler(table, res)
	report, err := c.Apply(bs)
	require.NoError(t, err)
	require.Empty(t, report.Refused)
	r, err := table.NewReader()
	require.NoError(t, err)
	t.Cleanup(func() {
		r.Close()
		require.NoError(t, table.Close())
	})
	return r, c
}

// rig is a forwarder between two ports in memory.
type rig struct {
	t            testing.TB
	fw           *dataplane.Forwarder
	rules        dataplane.Rules // the zero ones; a test may Set others
	north, south *memport.Port
	burst        dataplane.Burst
}

// newRig makes the gateway. North may be nil: a port with Poison and no MAC then.
func newRig(t testing.TB, n *memport.Config) *rig {
	t.Helper()
	if n == nil {
		n = &memport.Config{MTU: 9000}
	}
	n.ID, n.Poison = north, true
	r := &rig{t: t, north: memport.New(*n), south: memport.New(memport.Config{ID: south, MAC: macSouth})}
	reader, _ := newReader(t, resolver(), bindings())
	r.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: reader, Ports: []dataplane.PortInfo{r.north.Info(), r.south.Info()}, Rules: &r.rules,
	})
	return r
}

// with sets the rules.
func (r *rig) with(c dataplane.RulesConfig) *rig {
	r.t.Helper()
	require.NoError(r.t, r.rules.Set(c))
	return r
}

// process has the frames received by north and decided about, and returns them.
// Those with Forward have been sent by their port. release is to be called.
func (r *rig) process(frames ...[]byte) []*dataplane.Frame {
	r.t.Helper()
	require.LessOrEqual(r.t, len(frames), dataplane.BurstSize)
	r.north.Inject(frames...)
	n, err := r.north.Rx(&r.burst)
	require.NoError(r.t, err)
	require.Equal(r.t, len(frames), n)
	r.fw.Process(&r.burst)
	var all, out []*dataplane.Frame
	for i := range r.burst.F[:n] {
		f := &r.burst.F[i]
		all = append(all, f)
		if f.Verdict == dataplane.Forward {
			require.Equal(r.t, south, f.Out)
			out = append(out, f)
		}
	}
	require.Equal(r.t, len(out), r.south.Tx(out))
	require.NoError(r.t, r.south.Flush())
	return all
}

func (r *rig) release() { r.north.Release(&r.burst) }

// forward has one frame forwarded and returns what left by south.
func (r *rig) forward(frame []byte) []byte {
	r.t.Helper()
	f := r.process(frame)[0]
	require.Equal(r.t, dataplane.Forward, f.Verdict, "dropped: %v", f.Reason)
	require.Equal(r.t, dataplane.ReasonNone, f.Reason)
	r.release()
	out := r.south.Collect()
	require.Len(r.t, out, 1)
	return out[0]
}

// drop has one frame dropped and returns why.
func (r *rig) drop(frame []byte) dataplane.Reason {
	r.t.Helper()
	f := r.process(frame)[0]
	require.Equal(r.t, dataplane.Drop, f.Verdict)
	require.NotEqual(r.t, dataplane.ReasonNone, f.Reason, "a drop has a reason")
	require.Equal(r.t, len(frame), f.Received())
	require.Empty(r.t, r.south.Collect())
	defer r.release()
	return f.Reason
}

// wire reads bytes in hexadecimal. Lines may end in a comment after //.
func wire(lines ...string) []byte {
	var digits strings.Builder
	for _, line := range strings.Split(strings.Join(lines, "\n"), "\n") {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		panic(err)
	}
	return b
}

// patch is a copy of b with bytes from at on overwritten.
func patch(b []byte, at int, with ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], with)
	return b
}

// patch4 is patch for a frame whose IPv4 header is at 14, with a right checksum.
func patch4(b []byte, at int, with ...byte) []byte {
	b = patch(b, at, with...)
	header := 4 * int(b[14]&15)
	b[24], b[25] = 0, 0
	sum := encap.Checksum(b[14:14+header], 0)
	b[24], b[25] = byte(sum>>8), byte(sum)
	return b
}

const ether = `02 00 00 00 00 01  02 00 00 00 0c 01 ` // to macNorth

// Frames as they come in.
var (
	udp7 = wire(ether+`08 00`,
		`45 b9 00 20  12 34 40 00  40 11 c1 a3`, // DSCP 46, ECN 01, DF, TTL 64
		`c6 33 64 01  cb 00 71 07`,              // 198.51.100.1 -> 203.0.113.7
		`9c 40 01 bb  00 0c 00 00  70 69 6e 67`) // 40000 -> 443
	udp8 = wire(ether+`08 00`,
		`45 00 00 20  12 34 40 00  40 11 c2 5b`,
		`c6 33 64 01  cb 00 71 08`, // 198.51.100.1 -> 203.0.113.8
		`9c 40 01 bb  00 0c 00 00  70 69 6e 67`)
	tcp6to7 = wire(ether+`86 dd`,
		`6b 9a bc de  00 14 06 40`, // DSCP 46, ECN 01, flow label abcde, TCP, hop limit 64
		`20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01`,
		`20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 07`,
		`9c 40 01 bb  00 00 00 01  00 00 00 00  50 02 ff ff  00 00 00 00`)
	tcp6to8 = wire(ether+`86 dd`,
		`60 00 00 00  00 14 06 40`,
		`20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01`,
		`20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 08`,
		`9c 40 01 bb  00 00 00 01  00 00 00 00  50 02 ff ff  00 00 00 00`)
)
