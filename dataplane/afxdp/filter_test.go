package afxdp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

const xdpPass = 2

var broadcast = encap.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// filterBench runs the program in the kernel on frames in memory, without a device.
type filterBench struct {
	t *testing.T
	i *Interface
}

func newFilterBench(t *testing.T) *filterBench {
	t.Helper()
	lab.Need(t, lab.Root)
	i := &Interface{cfg: InterfaceConfig{Name: "none"}}
	require.NoError(t, i.load())
	t.Cleanup(func() { require.NoError(t, i.objs.Close()) })
	i.segments = i.newSegments()
	require.NoError(t, i.setOwnMAC(device{mac: gwMAC}))
	return &filterBench{t, i}
}

// run returns what the program counted for one frame. No queue has a socket, so a
// frame that it would redirect is counted as unserved.
func (f *filterBench) run(frame []byte) FilterCounters {
	f.t.Helper()
	before, err := f.i.filterCounters()
	require.NoError(f.t, err)
	verdict, out, err := f.i.objs.EipgwFilter.Test(frame)
	require.NoError(f.t, err)
	require.Equal(f.t, uint32(xdpPass), verdict, "without a socket everything goes to the kernel")
	require.Equal(f.t, frame, out, "the program changes no frame")
	after, err := f.i.filterCounters()
	require.NoError(f.t, err)
	return FilterCounters{
		Redirected: after.Redirected - before.Redirected,
		Passed:     after.Passed - before.Passed,
		Unserved:   after.Unserved - before.Unserved,
		Foreign:    after.Foreign - before.Foreign,
	}
}

var (
	toKernel = FilterCounters{Passed: 1}
	toSocket = FilterCounters{Unserved: 1}
	notOurs  = FilterCounters{Foreign: 1}
)

func TestFilterTakesOnlySegments(t *testing.T) {
	f := newFilterBench(t)
	service, service6 := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:e1::1")
	require.NoError(t, f.i.SetSegments([]netip.Prefix{segment, seg6, netip.MustParsePrefix("192.0.2.8/32")}))
	require.NoError(t, f.i.SetLocal([]netip.Addr{service, service6}))

	ctag, stag := []uint16{0x8100}, []uint16{0x88a8, 0x8100}
	arp := append(packet{dst: broadcast, to: eip}.bytes()[:12], 0x08, 0x06)
	arp = append(arp, make([]byte, 46)...)
	for name, c := range map[string]struct {
		frame []byte
		want  FilterCounters
	}{
		"IPv4":                        {packet{to: eip}.bytes(), toSocket},
		"IPv6":                        {packet{to: eip6}.bytes(), toSocket},
		"IPv4, VLAN":                  {packet{to: eip, tags: ctag}.bytes(), toSocket},
		"IPv6, VLAN":                  {packet{to: eip6, tags: ctag}.bytes(), toSocket},
		"IPv4, QinQ":                  {packet{to: eip, tags: stag}.bytes(), toSocket},
		"IPv6, QinQ":                  {packet{to: eip6, tags: stag}.bytes(), toSocket},
		"three tags":                  {packet{to: eip, tags: []uint16{0x88a8, 0x8100, 0x8100}}.bytes(), toKernel},
		"unknown tag":                 {packet{to: eip, tags: []uint16{0x9100}}.bytes(), toKernel},
		"a single address":            {packet{to: netip.MustParseAddr("192.0.2.8")}.bytes(), toSocket},
		"beside it":                   {packet{to: netip.MustParseAddr("192.0.2.9")}.bytes(), toKernel},
		"first of the segment":        {packet{to: netip.MustParseAddr("203.0.113.0")}.bytes(), toSocket},
		"last of the segment":         {packet{to: netip.MustParseAddr("203.0.113.255")}.bytes(), toSocket},
		"before the segment":          {packet{to: netip.MustParseAddr("203.0.112.255")}.bytes(), toKernel},
		"behind the segment":          {packet{to: netip.MustParseAddr("203.0.114.0")}.bytes(), toKernel},
		"IPv6 behind the segment":     {packet{to: netip.MustParseAddr("2001:db8:e2::")}.bytes(), toKernel},
		"service address":             {packet{to: service}.bytes(), toKernel},
		"IPv6 service address":        {packet{to: service6}.bytes(), toKernel},
		"neighbor solicitation":       {packet{to: netip.MustParseAddr("ff02::1:ff00:7")}.bytes(), toKernel},
		"ARP":                         {arp, toKernel},
		"another MAC":                 {packet{to: eip, dst: swMAC}.bytes(), notOurs},
		"another MAC's last byte":     {packet{to: eip, dst: encap.MAC{0x02, 0, 0, 0, 0, 0x0c}}.bytes(), notOurs},
		"another MAC's first byte":    {packet{to: eip, dst: encap.MAC{0x06, 0, 0, 0, 0, 0x0a}}.bytes(), notOurs},
		"broadcast":                   {packet{to: eip, dst: broadcast}.bytes(), notOurs},
		"another MAC, not a segment":  {packet{to: netip.MustParseAddr("203.0.114.0"), dst: swMAC}.bytes(), toKernel},
		"Ethernet only":               {packet{to: eip}.bytes()[:14], toKernel},
		"ends in the IPv4 header":     {packet{to: eip}.bytes()[:33], toKernel},
		"ends behind the IPv4 header": {packet{to: eip}.bytes()[:34], toSocket},
		"ends in the IPv6 header":     {packet{to: eip6}.bytes()[:53], toKernel},
		"ends behind the IPv6 header": {packet{to: eip6}.bytes()[:54], toSocket},
		"ends in the first tag":       {packet{to: eip, tags: ctag}.bytes()[:17], toKernel},
		"ends in the second tag":      {packet{to: eip, tags: stag}.bytes()[:21], toKernel},
	} {
		assert.Equal(t, c.want, f.run(c.frame), name)
	}
}

func TestFilterTakesAnyMACWhenTold(t *testing.T) {
	f := newFilterBench(t)
	f.i.cfg.AnyMAC = true
	require.NoError(t, f.i.setOwnMAC(device{mac: gwMAC}))
	require.NoError(t, f.i.SetSegments([]netip.Prefix{segment}))
	assert.Equal(t, toSocket, f.run(packet{to: eip, dst: swMAC}.bytes()))
	assert.Equal(t, toKernel, f.run(packet{to: eip6, dst: swMAC}.bytes()))
}

func TestFilterFollowsItsSegments(t *testing.T) {
	f := newFilterBench(t)
	frame := packet{to: eip}.bytes()
	inner := netip.MustParsePrefix("203.0.113.0/28")
	step := func(want FilterCounters, p ...netip.Prefix) {
		t.Helper()
		require.NoError(t, f.i.SetSegments(p))
		assert.Equal(t, want, f.run(frame), "%v", p)
		assert.ElementsMatch(t, p, f.i.segments.redirected())
	}
	step(toKernel)
	step(toSocket, segment)
	step(toSocket, segment, inner)
	step(toSocket, inner)
	step(toKernel, netip.MustParsePrefix("203.0.113.16/28"))
	step(toSocket, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
	step(toKernel)

	step(toSocket, segment)
	require.NoError(t, f.i.SetLocal([]netip.Addr{eip}))
	assert.Equal(t, toKernel, f.run(frame), "own address")
	require.NoError(t, f.i.SetSegments([]netip.Prefix{netip.PrefixFrom(eip, 32)}))
	assert.Equal(t, toKernel, f.run(frame), "own address, and a segment of its own")
	assert.Empty(t, f.i.segments.redirected())
	require.NoError(t, f.i.SetLocal(nil))
	assert.Equal(t, toSocket, f.run(frame), "own address no more")
}

// The program agrees with a naive one on frames of every kind, cut anywhere.
func TestFilterAgreesWithNaive(t *testing.T) {
	f := newFilterBench(t)
	want := []netip.Prefix{segment, seg6, netip.MustParsePrefix("203.0.112.0/25"), netip.MustParsePrefix("2001:db8:e1:8000::/127")}
	local := []netip.Addr{eip}
	require.NoError(t, f.i.SetSegments(want))
	require.NoError(t, f.i.SetLocal(local))
	naive := func(frame []byte) FilterCounters {
		at, tags := 12, 0
		for ; ; tags++ {
			if len(frame) < at+2 {
				return toKernel
			}
			if tpid := binary.BigEndian.Uint16(frame[at:]); tags == 2 || tpid != 0x8100 && tpid != 0x88a8 {
				break
			}
			at += 4
		}
		ip := frame[at+2:]
		var dst netip.Addr
		switch tpid := binary.BigEndian.Uint16(frame[at:]); {
		case tpid == 0x0800 && len(ip) >= 20:
			dst = netip.AddrFrom4([4]byte(ip[16:]))
		case tpid == 0x86dd && len(ip) >= 40:
			dst = netip.AddrFrom16([16]byte(ip[24:]))
		default:
			return toKernel
		}
		switch {
		case decide((&segments{want: want, local: local}).target(), dst) != filterActionACTION_REDIRECT:
			return toKernel
		case encap.MAC(frame[:6]) != gwMAC:
			return notOurs
		}
		return toSocket
	}
	rng := rand.New(rand.NewPCG(3, 4))
	seen := make(map[FilterCounters]int)
	for range 4000 {
		p := packet{to: eip}
		if rng.IntN(2) == 0 {
			p.to = eip6
		}
		for range rng.IntN(4) {
			p.tags = append(p.tags, []uint16{0x8100, 0x88a8, 0x9100}[rng.IntN(7)/3])
		}
		frame := p.bytes()
		for range rng.IntN(3) {
			frame[rng.IntN(len(frame))] ^= 1 << rng.IntN(8)
		}
		if rng.IntN(3) == 0 {
			frame = frame[:14+rng.IntN(len(frame)-14)]
		}
		got := f.run(frame)
		require.Equal(t, naive(frame), got, "%x", frame)
		seen[got]++
	}
	assert.Len(t, seen, 3, "every way was taken: %v", seen)
}
