package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

// few are settings under which any machine keeps up.
func few(arms int) settings { return settings{Arms: arms, EIPs: 100, Size: 64, Rate: 5000} }

// opened starts a contender, which forwards when it returns.
func opened(t *testing.T, s settings, c contender) *stand {
	t.Helper()
	st, err := open(context.WithoutCancel(t.Context()), s, c) // close is to end it, not the context
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, st.close()) })
	require.NoError(t, st.thaw())
	return st
}

// toGeneve is whether a frame is UDP over IPv4 to Geneve's port.
func toGeneve(frame []byte) bool {
	return len(frame) >= 42 && binary.BigEndian.Uint16(frame[12:]) == 0x0800 && frame[23] == unix.IPPROTO_UDP &&
		binary.BigEndian.Uint16(frame[36:]) == encap.GenevePort
}

// checkTunneled checks all that a gateway has to have done with one of the generator's frames.
func checkTunneled(t *testing.T, s settings, frame []byte, as encap.Protocol) netip.Addr {
	t.Helper()
	out := s.Arms - 1
	p, err := encap.ParseAs(frame, as)
	require.NoError(t, err)
	assert.Equal(t, wireMACs[out], p.OuterDst)
	assert.Equal(t, portMACs[out], p.OuterSrc)
	assert.Equal(t, link(out, 1).Addr(), p.Src)
	assert.Equal(t, encap.ChecksumGood, p.IPChecksum)
	assert.NotEqual(t, encap.ChecksumBad, p.UDPChecksum)
	assert.Equal(t, encap.DefaultInnerDst, p.InnerDst)
	assert.EqualValues(t, 0x0800, p.InnerType)
	require.Len(t, p.Packet, s.Size-4-14)
	assert.EqualValues(t, 63, p.Packet[8], "one less than the generator's TTL")
	assert.Zero(t, encap.Checksum(p.Packet[:20], 0))
	assert.EqualValues(t, plainPort, binary.BigEndian.Uint16(p.Packet[22:]))

	eip := netip.AddrFrom4([4]byte(p.Packet[16:20]))
	first, this := firstEIP.As4(), eip.As4()
	n := int(binary.BigEndian.Uint32(this[:]) - binary.BigEndian.Uint32(first[:]))
	require.Less(t, n, s.EIPs)
	assert.Equal(t, vtep(n%tunnelsInUse), p.Dst)
	assert.EqualValues(t, vni(n%tunnelsInUse), p.VNI)
	return eip
}

// Each contender that tunnels does with a frame what eipgw does, with one arm and with two.
func TestContendersForward(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("nsenter"), lab.That(preconditions))
	vxlan := lab.LinkKind("vxlan")
	for _, c := range []struct {
		make func(settings) contender
		as   encap.Protocol
		link []lab.Cond
	}{
		{make: func(s settings) contender { return &kernel{settings: s, label: "kernel"} }, as: encap.VXLAN, link: []lab.Cond{vxlan}},
		{make: func(s settings) contender { return &kernel{settings: s, label: "kernel-rps", rps: true} }, as: encap.VXLAN, link: []lab.Cond{vxlan}},
		{make: func(s settings) contender { return &xdpProgram{settings: s, label: "xdp-lpm", lpm: true} }},
		{make: func(s settings) contender { return &xdpProgram{settings: s, label: "xdp-hash"} }},
		{make: func(s settings) contender { return &ovs{settings: s, label: "ovs"} }},
		{make: func(s settings) contender { return &asavie{settings: s, label: "asavie"} }},
	} {
		for _, arms := range []int{1, 2} {
			s := few(arms)
			con := c.make(s)
			t.Run(fmt.Sprintf("%s/%d", con.name(), arms), func(t *testing.T) {
				lab.Need(t, c.link...) // which no package brings
				lab.Need(t, lab.That(con.missing))
				st := opened(t, s, con)
				capture, err := st.topology.wire.Capture(wireNames[arms-1], lab.CaptureOptions{Filter: toGeneve})
				require.NoError(t, err)
				defer capture.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				const frames = 400
				for capture.Count() < frames { // a busy machine may lose some
					require.NoError(t, ctx.Err())
					require.NoError(t, st.send(ctx, loadgen.Load{Frames: 64, Rate: s.Rate}, nil))
				}
				eips := map[netip.Addr]bool{}
				ports := map[uint16]bool{}
				for _, frame := range capture.Frames() {
					eips[checkTunneled(t, s, frame, c.as)] = true
					ports[binary.BigEndian.Uint16(frame[34:])] = true
				}
				assert.Greater(t, len(eips), s.EIPs/2)
				assert.Greater(t, len(ports), frames/4, "flows differ by the outer source port")
				assert.NotEmpty(t, con.what())
				for _, note := range st.process.notes() {
					assert.NotContains(t, note, "child")
				}
			})
		}
	}
}

// The kernel's account of a contender inside it is that of a thread on the worker's CPU,
// which can neither be stopped nor has memory.
func TestContenderInTheKernel(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("nsenter"), lab.That(preconditions))
	s := few(1)
	st := opened(t, s, &xdpProgram{settings: s, label: "xdp-hash"})
	var cpus unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(st.process.pid(), &cpus))
	assert.Equal(t, 1, cpus.Count())
	assert.True(t, cpus.IsSet(workerCPU))
	require.NoError(t, st.freeze())
	require.NoError(t, st.waitUntilForwarding(t.Context()), "a stopped thread of the kernel goes on")
	threads, err := threadTimes(st.process.pid())
	require.NoError(t, err)
	assert.Positive(t, threads[st.process.pid()].ran)
	resident, err := residentKiB(st.process.pid())
	require.NoError(t, err)
	assert.Zero(t, resident)
}

// asavie/xdp panics when a link is down. Its process starts anew, under the same number,
// and forwards when the link is up again.
func TestAsavieStartsAnew(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("nsenter"), lab.That(preconditions))
	s := few(2)
	st := opened(t, s, &asavie{settings: s, label: "asavie"})
	pid := st.process.pid()
	require.NoError(t, st.topology.gateway.Down(portNames[1]))
	require.Eventually(t, func() bool {
		if err := st.send(t.Context(), loadgen.Load{Frames: 16, Rate: s.Rate}, nil); err != nil {
			return false
		}
		notes := strings.Join(st.process.notes(), "")
		return !strings.Contains(notes, "restarted 0 times") && strings.Contains(notes, "sendto failed")
	}, 30*time.Second, 50*time.Millisecond)
	require.NoError(t, st.topology.gateway.Up(portNames[1]))
	require.NoError(t, st.waitUntilForwarding(t.Context()))
	assert.Equal(t, pid, st.process.pid())
}

// What the kernel refuses is told, whichever route of many it is.
func TestRoutesThatAreRefused(t *testing.T) {
	lab.Need(t, lab.LinkKind("vxlan"))
	l := lab.T(t)
	ns := l.NS("routes")
	device, err := addTunnels(ns)
	require.NoError(t, err)
	route := routesInto(device)
	add := func(from, n int) error {
		return ns.Do(func() error { return addRoutes(n, func(i int) tunnelRoute { return route(from + i) }) })
	}
	require.NoError(t, add(0, 5000))
	assert.ErrorIs(t, add(4999, 1), unix.EEXIST, "the last of a call")
	assert.ErrorIs(t, add(4999, 5000), unix.EEXIST, "the first of many")
	assert.NoError(t, add(20_000, 1))
	out, err := ns.Output(t.Context(), "ip", "route", "show", "match", lastEIP(4).String())
	require.NoError(t, err)
	assert.Contains(t, out, lastEIP(4).String())
	assert.Regexp(t, `encap ip id 5003 src 0.0.0.0 dst `+vtep(3).String()+` .*via 169.254.0.1 dev vx0 .*onlink`, out)
}
