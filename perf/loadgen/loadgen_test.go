package loadgen

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const port = 4000

// patience is how long a test waits for what a busy machine may be late with.
const patience = 30 * time.Second

var config4 = Config{
	Interface: "a0", Size: MinSizeIPv4,
	SrcMAC: encap.MAC{2, 0, 0, 0, 0, 0xa}, DstMAC: encap.MAC{2, 0, 0, 0, 0, 0xb},
	Source: netip.MustParseAddr("198.51.100.1"), FirstDst: netip.MustParseAddr("203.0.113.250"), Dsts: 16,
	SrcPorts: 1000, Port: port,
}

var config6 = func() Config {
	c := config4
	c.Source, c.FirstDst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:e1b::fff0")
	c.Size, c.Dsts = 101, 100
	return c
}()

// rig is a generator in one namespace and a sink in another, a veth pair between them.
type rig struct {
	a, b *lab.NS
	gen  *Generator
	sink *Sink
}

func newRig(t *testing.T, c Config) *rig {
	l := lab.T(t)
	r := &rig{a: l.NS("a"), b: l.NS("b")}
	l.Veth(lab.End{NS: r.a, Name: "a0"}, lab.End{NS: r.b, Name: "b0"}, lab.VethOptions{})
	require.NoError(t, r.b.Do(func() (err error) {
		pass, err := Pass("b0")
		if err != nil {
			return err
		}
		t.Cleanup(func() { require.NoError(t, pass.Close()) })
		r.sink, err = Attach(SinkConfig{Interface: "b0", Port: port})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, r.sink.Close()) })
	require.NoError(t, r.a.Do(func() (err error) {
		r.gen, err = New(c)
		return err
	}))
	t.Cleanup(func() { require.NoError(t, r.gen.Close()) })
	return r
}

func (r *rig) run(t *testing.T, l Load) {
	t.Helper()
	require.NoError(t, r.a.Do(func() error { return r.gen.Run(t.Context(), l) }))
}

func (r *rig) counts(t *testing.T) Counts {
	t.Helper()
	c, err := r.sink.Counts()
	require.NoError(t, err)
	return c
}

// arrived waits until the sink has so many frames of the generator: the kernel may leave those on
// their way to another thread of its own.
func (r *rig) arrived(t *testing.T, frames uint64) {
	t.Helper()
	require.Eventually(t, func() bool { return r.counts(t).Plain.Frames >= frames }, patience, time.Millisecond)
}

func TestSinkCountsWhatTheGeneratorSends(t *testing.T) {
	for name, c := range map[string]Config{"IPv4": config4, "IPv6": config6} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c)
			const frames, rate = 3000, 50_000
			for n := uint64(1); n <= 2; n++ {
				start := time.Now()
				r.run(t, Load{Rate: rate, Frames: frames})
				const soonest = (frames - 2*catchUp) * time.Second / rate
				assert.GreaterOrEqual(t, time.Since(start), soonest, "sent faster than the rate")
				assert.Equal(t, n*frames, r.gen.Sent())
				r.arrived(t, n*frames)
				assert.Equal(t, Count{n * frames, n * frames * uint64(c.Size)}, r.counts(t).Plain)
				assert.Zero(t, r.counts(t).Tunneled)
			}
		})
	}
}

// catchUp is CATCH_UP of the program.
const catchUp = 256

func TestRunEndsWithItsContext(t *testing.T) {
	r := newRig(t, config4)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.a.Do(func() error { return r.gen.Run(ctx, Load{}) }) }()
	require.Eventually(t, func() bool { return r.gen.Sent() > 1000 }, patience, time.Millisecond)
	cancel()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "the generator does not end")
	}
	sent := r.gen.Sent()
	r.run(t, Load{Frames: 10})
	assert.Equal(t, sent+10, r.gen.Sent())
}

func TestSinkTellsTunneledFromOther(t *testing.T) {
	r := newRig(t, config4)
	s, err := r.a.Sender("a0")
	require.NoError(t, err)
	defer s.Close()
	eth := layers.Ethernet{SrcMAC: config4.SrcMAC[:], DstMAC: config4.DstMAC[:], EthernetType: layers.EthernetTypeIPv4}
	ip := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: config4.Source.AsSlice(), DstIP: []byte{10, 0, 0, 1}}
	eth6 := eth
	eth6.EthernetType = layers.EthernetTypeIPv6
	ip6 := layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: config6.Source.AsSlice(), DstIP: config6.FirstDst.AsSlice()}
	payload := gopacket.Payload(make([]byte, 40))
	want := map[string]uint64{}
	before := r.counts(t)
	for _, f := range [][]gopacket.SerializableLayer{
		{&eth, &ip, &layers.UDP{SrcPort: 50000, DstPort: 6081}, payload},
		{&eth6, &ip6, &layers.UDP{SrcPort: 50000, DstPort: 6081}, payload},
	} {
		frame := serialize(t, f...)
		require.NoError(t, s.Send(frame))
		want["frames"]++
		want["bytes"] += uint64(len(frame))
	}
	tcp := ip
	tcp.Protocol = layers.IPProtocolTCP
	for _, f := range [][]gopacket.SerializableLayer{
		{&eth, &ip, &layers.UDP{SrcPort: 6081, DstPort: 53}, payload},
		{&eth, &tcp, &layers.UDP{SrcPort: 6081, DstPort: 6081}, payload},
		{&layers.Ethernet{SrcMAC: eth.SrcMAC, DstMAC: eth.DstMAC, EthernetType: layers.EthernetTypeARP}, payload},
	} {
		require.NoError(t, s.Send(serialize(t, f...)))
	}
	require.Eventually(t, func() bool {
		c := r.counts(t)
		return c.Other.Sub(before.Other).Frames >= 3 && c.Tunneled.Frames >= 2
	}, patience, time.Millisecond)
	c := r.counts(t)
	assert.Equal(t, Count{want["frames"], want["bytes"]}, c.Tunneled)
	assert.Zero(t, c.Plain)
}

func serialize(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ls...))
	return b.Bytes()
}

// The program is run over frames that are all ones, as an earlier receiver may have left
// them; what it makes of them is decoded, checksums are verified, and spread is measured.
func TestFramesAreWrittenInFull(t *testing.T) {
	lab.Need(t, lab.Root)
	for name, c := range map[string]Config{"IPv4": config4, "IPv6": config6} {
		t.Run(name, func(t *testing.T) {
			c.Interface = "lo"
			g, err := New(c)
			require.NoError(t, err)
			defer g.Close()
			require.NoError(t, g.objs.Limit.Set(^uint64(0)))
			dsts, sports := map[string]int{}, map[uint16]int{}
			const frames = 5000
			for range frames {
				dst, sport := oneFrame(t, g, c)
				dsts[dst]++
				sports[sport]++
			}
			assert.Equal(t, c.Dsts, len(dsts), "every destination is met")
			assert.Greater(t, len(sports), c.SrcPorts*9/10)
			for dst, n := range dsts {
				a := netip.MustParseAddr(dst)
				i := int(low32(a) - low32(c.FirstDst))
				assert.True(t, i >= 0 && i < c.Dsts, "%s is out of range", dst)
				assert.Less(t, n, 2*frames/c.Dsts, "%s is met too often", dst)
			}
			assert.EqualValues(t, frames, g.Sent())
		})
	}
}

const redirect = 4 // XDP_REDIRECT

// oneFrame runs the program over a dirty frame and returns what it chose.
func oneFrame(t *testing.T, g *Generator, c Config) (dst string, sport uint16) {
	headers := ethLen + ipv4Len + udpLen
	if c.ipv6() {
		headers = ethLen + ipv6Len + udpLen
	}
	in := bytes.Clone(g.frame)
	copy(in, bytes.Repeat([]byte{0xff}, headers))
	out := make([]byte, len(in)+256)
	opts := ebpf.RunOptions{Data: in, DataOut: out}
	verdict, err := g.objs.Generate.Run(&opts)
	require.NoError(t, err)
	require.EqualValues(t, redirect, verdict)
	f := opts.DataOut
	require.Equal(t, c.Size, len(f))

	var eth layers.Ethernet
	var ip4 layers.IPv4
	var ip6 layers.IPv6
	var udp layers.UDP
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip4, &ip6, &udp)
	parser.IgnoreUnsupported = true
	var found []gopacket.LayerType
	require.NoError(t, parser.DecodeLayers(f, &found))
	require.Len(t, found, 3, "Ethernet, IP and UDP: %v", found)
	assert.Equal(t, c.SrcMAC[:], []byte(eth.SrcMAC))
	assert.Equal(t, c.DstMAC[:], []byte(eth.DstMAC))
	var pseudo []byte
	if found[1] == layers.LayerTypeIPv4 {
		assert.Equal(t, c.Source.AsSlice(), []byte(ip4.SrcIP))
		assert.EqualValues(t, c.Size-ethLen, ip4.Length)
		assert.EqualValues(t, 64, ip4.TTL)
		require.EqualValues(t, 5, ip4.IHL)
		assert.Zero(t, ip4.FragOffset+uint16(ip4.Flags))
		assert.Zero(t, encap.Checksum(f[ethLen:ethLen+ipv4Len], 0), "header checksum")
		dst = ip4.DstIP.String()
	} else {
		assert.Equal(t, c.Source.AsSlice(), []byte(ip6.SrcIP))
		assert.EqualValues(t, c.Size-ethLen-ipv6Len, ip6.Length)
		assert.EqualValues(t, 64, ip6.HopLimit)
		pseudo = append(append(pseudo, ip6.SrcIP...), ip6.DstIP...)
		pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(ip6.Length))
		pseudo = append(pseudo, 0, 0, 0, protoUDP)
		dst = ip6.DstIP.String()
	}
	assert.EqualValues(t, c.Port, udp.DstPort)
	assert.EqualValues(t, c.Size-headers+udpLen, udp.Length)
	if pseudo == nil {
		assert.Zero(t, udp.Checksum, "none over IPv4")
	} else {
		assert.Zero(t, encap.Checksum(append(pseudo, f[headers-udpLen:]...), 0), "UDP checksum")
	}
	assert.Equal(t, g.frame[headers:], f[headers:])
	return dst, uint16(udp.SrcPort)
}

func TestImpossibleConfigurations(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"two addresses of one family": func(c *Config) { c.Source = config6.Source },
		"frames of 59 bytes":          func(c *Config) { c.Size = 59 },
		"frames of 1515 bytes":        func(c *Config) { c.Size = 1515 },
		"0 destinations":              func(c *Config) { c.Dsts = 0 },
		"beyond the last address":     func(c *Config) { c.FirstDst = netip.MustParseAddr("255.255.255.255"); c.Dsts = 2 },
		"0 source ports":              func(c *Config) { c.SrcPorts = 0 },
		"70000 source ports":          func(c *Config) { c.SrcPorts = 70000 },
		"interface nosuch0":           func(c *Config) { c.Interface = "nosuch0" },
	} {
		c := config4
		change(&c)
		_, err := New(c)
		assert.ErrorContains(t, err, what)
		assert.ErrorContains(t, err, "loadgen: ")
	}
	for _, f := range []func() error{
		func() error { _, err := Attach(SinkConfig{Interface: "nosuch0"}); return err },
		func() error { _, err := Pass("nosuch0"); return err },
	} {
		assert.ErrorContains(t, f(), "loadgen: interface nosuch0")
	}
}
