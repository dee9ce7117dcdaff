package afxdp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// The bench of these tests: one veth pair between a gateway's namespace and a switch's.
var (
	gwMAC   = encap.MAC{0x02, 0, 0, 0, 0, 0x0a}
	swMAC   = encap.MAC{0x02, 0, 0, 0, 0, 0x0b}
	segment = netip.MustParsePrefix("203.0.113.0/24")
	eip     = netip.MustParseAddr("203.0.113.7")
	seg6    = netip.MustParsePrefix("2001:db8:e1::/48")
	eip6    = netip.MustParseAddr("2001:db8:e1::7")
)

const patience = 30 * time.Second

type bench struct {
	t      *testing.T
	gw, sw *lab.NS
}

// newBench makes the pair: gw0 and sw0, addressed from 10.0.0.0/24 and fd00::/64.
func newBench(t *testing.T, o lab.VethOptions) *bench {
	t.Helper()
	l := lab.T(t)
	lab.Pin(t)
	b := &bench{t: t, gw: l.NS("gw"), sw: l.NS("sw")}
	b.wire(o)
	return b
}

// wire makes the pair, again after it was deleted.
func (b *bench) wire(o lab.VethOptions) {
	b.t.Helper()
	require.NoError(b.t, lab.Veth(
		lab.End{NS: b.gw, Name: "gw0", MAC: gwMAC.String(), Pfifo: 1000,
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}},
		lab.End{NS: b.sw, Name: "sw0", MAC: swMAC.String(), Pfifo: 1000,
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")}}, o))
}

// open opens the gateway's end with the segments of these tests.
func (b *bench) open(cfg InterfaceConfig) *Interface {
	b.t.Helper()
	i, err := b.tryOpen(cfg)
	require.NoError(b.t, err)
	require.NoError(b.t, i.SetSegments([]netip.Prefix{segment, seg6}))
	return i
}

func (b *bench) tryOpen(cfg InterfaceConfig) (i *Interface, err error) {
	b.t.Helper()
	cfg.Name = "gw0"
	err = b.gw.Do(func() error {
		var err error
		i, err = Open(cfg)
		return err
	})
	if i != nil {
		b.t.Cleanup(func() { require.NoError(b.t, i.Close()) })
	}
	return i, err
}

func (b *bench) port(i *Interface, queue int) *Port {
	b.t.Helper()
	p, err := b.tryPort(i, queue)
	require.NoError(b.t, err)
	return p
}

func (b *bench) tryPort(i *Interface, queue int) (p *Port, err error) {
	err = b.gw.Do(func() error {
		var err error
		p, err = i.Port(queue)
		return err
	})
	return p, err
}

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(50 * time.Microsecond) {
		require.False(t, time.Now().After(end), "timed out: %s", what)
	}
}

// poll is one round of a worker that drops everything; it returns copies.
func poll(t *testing.T, p *Port) (got [][]byte) {
	t.Helper()
	var b dataplane.Burst
	_, err := p.Rx(&b)
	require.NoError(t, err)
	for k := range b.F[:b.N] {
		got = append(got, bytes.Clone(b.F[k].Bytes()))
	}
	p.Release(&b)
	require.NoError(t, p.Flush())
	return got
}

// receive polls a port until it has n frames, and returns copies.
func receive(t *testing.T, p *Port, n int) (got [][]byte) {
	t.Helper()
	eventually(t, "receiving", func() bool {
		got = append(got, poll(t, p)...)
		return len(got) >= n
	})
	return got
}

// foreign is a frame in memory that no port owns.
func foreign(bytes []byte) *dataplane.Frame {
	f := new(dataplane.Frame)
	f.Attach(append(make([]byte, 64), bytes...), 64, len(bytes))
	return f
}

// transmit sends frames by a port until it has taken all of them.
func transmit(t *testing.T, p *Port, frames ...*dataplane.Frame) {
	t.Helper()
	eventually(t, "sending", func() bool {
		frames = frames[p.Tx(frames):]
		require.NoError(t, p.Flush())
		return len(frames) == 0
	})
}

// packet is a frame of the tests, built field by field.
type packet struct {
	dst, src encap.MAC
	tags     []uint16 // EtherTypes of the VLAN tags, outermost first
	to       netip.Addr
	payload  int
	seq      byte
}

func (p packet) bytes() []byte {
	if p.dst.IsZero() {
		p.dst = gwMAC
	}
	if p.src.IsZero() {
		p.src = swMAC
	}
	b := append(append([]byte{}, p.dst[:]...), p.src[:]...)
	for k, tpid := range p.tags {
		b = binary.BigEndian.AppendUint16(b, tpid)
		b = binary.BigEndian.AppendUint16(b, uint16(100+k))
	}
	if p.to.Is4() {
		b = append(b, 0x08, 0x00)
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(ip[2:], uint16(28+p.payload))
		copy(ip[12:], []byte{198, 51, 100, 1})
		copy(ip[16:], p.to.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], encap.Checksum(ip, 0))
		b = append(b, ip...)
	} else {
		b = append(b, 0x86, 0xdd)
		ip := make([]byte, 40)
		ip[0], ip[6], ip[7] = 0x60, 17, 64
		binary.BigEndian.PutUint16(ip[4:], uint16(8+p.payload))
		ip[8], ip[9], ip[23] = 0x20, 0x01, 1
		copy(ip[24:], p.to.AsSlice())
		b = append(b, ip...)
	}
	udp := make([]byte, 8+p.payload)
	binary.BigEndian.PutUint16(udp, 4000)
	binary.BigEndian.PutUint16(udp[2:], 9)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	for k := 8; k < len(udp); k++ {
		udp[k] = byte(k) + p.seq
	}
	return append(b, udp...)
}

// resources counts what a leak would add to: descriptors, mappings of sockets, and
// mappings of all kinds that are shared with the kernel.
type resources struct{ fds, sockets, shared int }

func count(t *testing.T) resources {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return resources{
		fds:     len(fds),
		sockets: strings.Count(string(text), "socket:["),
		shared:  strings.Count(string(text), " rw-s "),
	}
}
