package afxdp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// kinds are tunnels over every kind of way, by number.
func (b *laneBench) kinds() (all []encap.Tunnel) {
	ovn := encap.OVNOptions(2, 1)
	four, six := netip.MustParseAddr("10.255.0.1"), netip.MustParseAddr("fd00:ff::1")
	add := func(t encap.Tunnel, ways ...fib.Adjacency) {
		n := len(all)
		t.VNI = encap.VNI(5000 + n)
		if t.VTEP = netip.AddrFrom4([4]byte{10, 9, 0, byte(n)}); ways[0].Outer.Local.Is6() {
			t.VTEP = netip.AddrFrom16([16]byte{0xfd, 0, 15: byte(n)})
		}
		b.res.Set(t.VTEP, ways...)
		all = append(all, t)
	}
	way := func(port fib.PortID, mtu uint16, local netip.Addr, v encap.VLAN, zero bool) fib.Adjacency {
		return fib.Adjacency{Port: port, MTU: mtu, Outer: encap.Outer{
			Src: gwMAC, Dst: swMAC, VLAN: v, Local: local, ZeroChecksum6: zero,
		}}
	}
	tags := []encap.VLAN{{}, {C: 100}, {S: 7, C: 200}}
	for _, port := range []fib.PortID{inPort, outPort, slowPort, noPort} {
		for _, v := range tags {
			for _, zero := range []bool{false, true} {
				add(encap.Tunnel{Options: ovn}, way(port, 1500, six, v, zero))
				add(encap.Tunnel{Protocol: encap.VXLAN}, way(port, 1500, six, v, zero))
			}
			add(encap.Tunnel{}, way(port, 1500, four, v, false))
			add(encap.Tunnel{Options: ovn}, way(port, 1300, four, v, false))
			add(encap.Tunnel{Protocol: encap.VXLAN, Port: 8472}, way(port, 1500, four, v, false))
		}
	}
	var long []byte
	for range encap.MaxOptions / 4 {
		long = append(long, 1, 2, 3, 0)
	}
	o, err := encap.ParseOptions(long)
	require.NoError(b.t, err)
	add(encap.Tunnel{Options: o}, way(inPort, 1500, six, tags[2], true))
	add(encap.Tunnel{}, way(inPort, 1500, four, tags[0], false), way(outPort, 1500, four, tags[1], false))
	return all
}

// bindKinds binds each kind alone, each to one address from first on, and then some
// groups of them.
func (b *laneBench) bindKinds(first uint32) (n int) {
	kinds := b.kinds()
	var bs []fib.Binding
	at := func(i int) netip.Prefix {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], first+uint32(i))
		return netip.PrefixFrom(netip.AddrFrom4(a), 32)
	}
	for i, k := range kinds {
		bs = append(bs, fib.Binding{Prefix: at(i), Tunnels: []encap.Tunnel{k}})
	}
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 40 {
		var group []encap.Tunnel
		for range 2 + r.IntN(min(62, 2+2*i)) {
			group = append(group, kinds[r.IntN(len(kinds))])
		}
		bs = append(bs, fib.Binding{Prefix: at(len(kinds) + i), Tunnels: group})
	}
	b.apply(bs...)
	return len(bs)
}

// laneRuleSets are rules that differ in what concerns plain packets.
func laneRuleSets() []dataplane.RulesConfig {
	own := []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, 1})}
	all := map[netip.Prefix]bool{netip.MustParsePrefix("0.0.0.0/0"): true}
	return []dataplane.RulesConfig{
		{},
		{Own: own, Martians: dataplane.AllowMartians, DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: 46}},
		{Own: own, ClampMSS: all, PCP: true},
		{DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{46: 10, 0: 7}}, PCP: true},
		{VLANs: map[fib.PortID][]dataplane.VLAN{inPort: {{Outer: 100}}}},
		{VLANs: map[fib.PortID][]dataplane.VLAN{inPort: {{}, {Outer: 1}}}, Oversize: dataplane.RefuseOversize},
	}
}

// What the lane takes leaves it as it leaves the forwarder, byte for byte, by the same
// port; and it takes every frame that it is meant to.
func TestLaneAgreesWithForwarder(t *testing.T) {
	b := newLaneBench(t)
	first := uint32(203<<24 | 113<<8)
	n := b.bindKinds(first)
	r := rand.New(rand.NewPCG(1, 2))
	taken, left := 0, 0
	for k, rules := range laneRuleSets() {
		b.set(rules)
		for range 5000 {
			p := randomIP4(r, first+uint32(r.IntN(n+5)))
			frame := p.frame()
			if r.IntN(10) == 0 {
				frame[r.IntN(len(frame))] ^= 1 << r.IntN(8)
			}
			if r.IntN(20) == 0 {
				frame = frame[:14+r.IntN(len(frame)-13)]
			}
			if b.compare(&rules, frame, fmt.Sprintf("rules %d, %+v", k, p)) {
				taken++
			} else {
				left++
			}
		}
	}
	assert.Greater(t, taken, 5000)
	assert.Greater(t, left, 5000)
	var frames uint64
	for _, c := range b.carried() {
		assert.Contains(t, []fib.PortID{inPort, outPort}, c.Out)
		assert.Zero(t, c.Lost)
		assert.Greater(t, c.Sent, c.Received)
		frames += c.Frames
	}
	assert.EqualValues(t, taken, frames)
}

// compare says whether the lane took a frame.
func (b *laneBench) compare(rules *dataplane.RulesConfig, frame []byte, about string) bool {
	b.t.Helper()
	verdict, got := b.run(frame)
	f, want := b.forward(frame)
	if !isPlain(rules, frame, f) {
		require.EqualValues(b.t, xdpPass, verdict, about)
		require.Equal(b.t, frame, got, "left, but changed: %s", about)
		return false
	}
	require.Equal(b.t, map[fib.PortID]uint32{inPort: xdpTX, outPort: xdpRedirect}[f.Out], verdict, about)
	require.Equal(b.t, want, got, about)
	return true
}

// isPlain says from what the forwarder made of a frame whether the lane takes it.
func isPlain(rules *dataplane.RulesConfig, frame []byte, f *dataplane.Frame) bool {
	if f.Verdict != dataplane.Forward || f.Out != inPort && f.Out != outPort {
		return false
	}
	if frame[12] != 0x08 || frame[13] != 0 || frame[14] != 0x45 || binary.BigEndian.Uint16(frame[20:])&0x3fff != 0 || frame[0]&1 != 0 {
		return false
	}
	// The martians rule looks at more addresses than it refuses; so do own ones.
	if rules.Martians == dataplane.DropMartians && (frame[26] == 169 || frame[30] == 169) {
		return false
	}
	for _, own := range rules.Own {
		a := own.As4()
		if uint8(binary.BigEndian.Uint32(frame[26:])*0x9e3779b1>>24) == uint8(binary.BigEndian.Uint32(a[:])*0x9e3779b1>>24) {
			return false
		}
	}
	if total := binary.BigEndian.Uint16(frame[16:]); len(rules.ClampMSS) > 0 && frame[23] == 6 && (total < 34 || frame[47]&2 != 0) {
		return false
	}
	out := f.Bytes()
	at := 12
	for binary.BigEndian.Uint16(out[at:]) != 0x0800 && binary.BigEndian.Uint16(out[at:]) != 0x86dd {
		at += 4
	}
	// The forwarder computes a checksum over IPv6, which is never 0.
	return out[at] == 0x08 || binary.BigEndian.Uint16(out[at+2+46:]) == 0
}

// The plainest frame is the lane's, and says so in the counters.
func TestLaneTakesPlainFrames(t *testing.T) {
	b := newLaneBench(t)
	b.bindKinds(203<<24 | 113<<8)
	kinds := len(b.kinds())
	frame := ip4{src: 198<<24 | 1, dst: 203<<24 | 113<<8 | uint32(kinds-1), ttl: 64, protocol: 17, payload: make([]byte, 8)}.frame()
	require.Empty(t, b.carried())
	for range 100 {
		b.run(frame)
	}
	var n uint64
	for _, c := range b.carried() {
		n += c.Frames
		assert.Equal(t, c.Frames*uint64(len(frame)), c.Received)
	}
	assert.EqualValues(t, 100, n)

	// Nothing of it without rules, nor where a device takes none.
	require.NoError(t, b.lane.set(b.i, inPort, laneDevice{index: 1, mtu: 1500}))
	verdict, _ := b.run(ip4{src: 198<<24 | 1, dst: 203<<24 | 113<<8 | 4, ttl: 64, protocol: 17}.frame())
	assert.EqualValues(t, xdpPass, verdict)
}

// A frame in several buffers is left as it is, also where the first of them has all of the
// packet and the others are padding.
func TestLaneLeavesFramesInSeveralBuffers(t *testing.T) {
	b := newLaneBench(t)
	b.bindKinds(203<<24 | 113<<8)
	kinds := len(b.kinds())
	for _, padding := range []int{0, 2000, 3000, 6000, 9000} {
		frame := ip4{
			src: 198<<24 | 1, dst: 203<<24 | 113<<8 | uint32(kinds-1), ttl: 64, protocol: 17,
			payload: make([]byte, 1000), padding: padding,
		}.frame()
		verdict, out := b.run(frame)
		if padding > 2500 { // a page less headroom and what the kernel needs behind
			assert.EqualValues(t, xdpPass, verdict, padding)
			assert.Equal(t, frame, out, padding)
			continue
		}
		assert.NotEqualValues(t, xdpPass, verdict, padding)
		assert.Less(t, len(out), 1200, "padding is taken off")
	}
}
