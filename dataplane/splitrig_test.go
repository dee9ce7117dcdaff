package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// cutter is a forwarder whose underlay has one MTU, and which cuts what it says is to be
// cut. Frames come in by north, which any frame fits, and leave by south:
//
//	203.0.113.7   2001:db8:e1b::7   VTEP 10.0.2.11
//	203.0.113.8   2001:db8:e1b::8   VTEP fd00:2::11, OVN option 2 -> 1
//	203.0.113.11  2001:db8:e1b::b   VTEP 10.0.2.13, VLAN 100
//	203.0.113.12  2001:db8:e1b::c   VTEP fd00:2::12, UDP checksum zero
type cutter struct {
	t     testing.TB
	fw    *dataplane.Forwarder
	rules dataplane.Rules
	burst dataplane.Burst
	buf   []byte
	to    dataplane.Frame
}

// cutterWay is the MTUs of a cutter: of the way, and of the port that it leaves by.
type cutterWay struct{ mtu, port int }

func cutterTable(t testing.TB, mtu int) *fib.Reader {
	t.Helper()
	way := func(vlan uint16, local netip.Addr, zero bool) fib.Adjacency {
		return fib.Adjacency{Port: south, MTU: uint16(mtu),
			Outer: encap.Outer{Src: macSouth, Dst: macHop, VLAN: encap.VLAN{C: vlan}, Local: local, ZeroChecksum6: zero}}
	}
	res, bs := &fibtest.Resolver{}, []fib.Binding(nil)
	for _, c := range []struct {
		vtep string
		adj  fib.Adjacency
		x    int
		opts encap.Options
	}{
		{"10.0.2.11", way(0, local4, false), 7, encap.Options{}},
		{"fd00:2::11", way(0, local6, false), 8, encap.OVNOptions(2, 1)},
		{"10.0.2.13", way(100, local4, false), 11, encap.Options{}},
		{"fd00:2::12", way(0, local6, true), 12, encap.Options{}},
	} {
		vtep := netip.MustParseAddr(c.vtep)
		res.Set(vtep, c.adj)
		for _, p := range []string{fmt.Sprintf("203.0.113.%d/32", c.x), fmt.Sprintf("2001:db8:e1b::%x/128", c.x)} {
			bs = append(bs, fib.Binding{Prefix: netip.MustParsePrefix(p),
				Tunnels: []encap.Tunnel{{VTEP: vtep, VNI: 5001, Options: c.opts}}})
		}
	}
	r, _ := newReader(t, res, bs)
	return r
}

// newCutter makes the forwarder. The identification of outer fragments begins at 0xcafe.
func newCutter(t testing.TB, w cutterWay, o dataplane.Oversize) *cutter {
	t.Helper()
	c := &cutter{t: t, buf: make([]byte, 128+65536)}
	c.to.Attach(make([]byte, w.port+encap.MaxLen), 0, 0)
	require.NoError(t, c.rules.Set(dataplane.RulesConfig{Oversize: o}))
	c.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: cutterTable(t, w.mtu), Rules: &c.rules, Identification: 0xcafe,
		Ports: []dataplane.PortInfo{{ID: north, Name: "north", MTU: 65535}, {ID: south, Name: "south", MTU: w.port}},
	})
	return c
}

// process decides about one frame.
func (c *cutter) process(frame []byte) *dataplane.Frame {
	f := &c.burst.F[0]
	f.Attach(c.buf[:128+len(frame)], 128, copy(c.buf[128:], frame))
	f.In, f.Cookie, c.burst.N = north, 77, 1
	c.fw.Process(&c.burst)
	return f
}

// cut has one frame cut and returns the fragments. They add up to it, as counters see it.
func (c *cutter) cut(frame []byte) [][]byte {
	c.t.Helper()
	f := c.process(frame)
	require.Equal(c.t, dataplane.Split, f.Verdict, "%v", f.Reason)
	require.Equal(c.t, south, f.Out)
	before := slices.Clone(f.Bytes())
	var out [][]byte
	received := 0
	for s := c.fw.Fragments(f); s.Next(&c.to); {
		must(c.t, c.to.Verdict == dataplane.Forward && c.to.Reason == dataplane.ReasonNone, "verdict")
		must(c.t, c.to.In == north && c.to.Out == south && c.to.Cookie == 77, "ports")
		received += c.to.Received()
		out = append(out, slices.Clone(c.to.Bytes()))
	}
	require.Equal(c.t, len(frame), received)
	require.Len(c.t, f.Bytes(), len(before))
	return out
}

// must ends the test unless ok. It is much cheaper than require, which a test of a
// million fragments notices.
func must(t testing.TB, ok bool, what string) {
	if !ok {
		t.Helper()
		t.Fatal("wrong: " + what)
	}
}

// reassemble4 puts the fragments of an IPv4 datagram together, or of a part of one, in
// the order in which they come: what follows the first's header is what all carry. It is
// as naive as can be. Headers must be right and alike.
func reassemble4(t testing.TB, fragments [][]byte) []byte {
	t.Helper()
	first := fragments[0]
	whole := slices.Clone(first)
	next := 8 * int(binary.BigEndian.Uint16(first[6:])&0x1fff)
	options := copied(first[20 : 4*int(first[0]&15)])
	for i, p := range fragments {
		header := 4 * int(p[0]&15)
		word := binary.BigEndian.Uint16(p[6:])
		must(t, encap.Checksum(p[:header], 0) == 0, "header checksum")
		must(t, len(p) == int(binary.BigEndian.Uint16(p[2:])), "total length")
		must(t, word&0x4000 == 0 && word>>15 == uint16(first[6]>>7), "flags but MF")
		must(t, next == 8*int(word&0x1fff), "offset")
		must(t, first[1] == p[1] && bytes.Equal(first[4:6], p[4:6]) && bytes.Equal(first[8:10], p[8:10]) &&
			bytes.Equal(first[12:20], p[12:20]), "TOS, identification, TTL, protocol or addresses")
		if i > 0 {
			must(t, bytes.Equal(options, p[20:header]), "options")
			whole = append(whole, p[header:]...)
		}
		if i < len(fragments)-1 {
			must(t, word&0x2000 != 0, "MF")
			must(t, len(p) > header && (len(p)-header)%8 == 0, "length of a fragment's payload")
		} else {
			binary.BigEndian.PutUint16(whole[6:], binary.BigEndian.Uint16(first[6:])&^0x2000|word&0x2000)
		}
		next += len(p) - header
	}
	binary.BigEndian.PutUint16(whole[2:], uint16(len(whole)))
	whole[10], whole[11] = 0, 0
	binary.BigEndian.PutUint16(whole[10:], encap.Checksum(whole[:4*int(whole[0]&15)], 0))
	return whole
}

// copied is the options that every fragment has (RFC 791 section 3.1: the type's first
// bit), with padding.
func copied(options []byte) (out []byte) {
	out = []byte{}
	for len(options) > 0 && options[0] != 0 {
		n := 1
		if options[0] != 1 {
			n = int(options[1])
		}
		if options[0]>>7 == 1 {
			out = append(out, options[:n]...)
		}
		options = options[n:]
	}
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	return out
}

// reassemble6 puts the fragments of an IPv6 packet together.
func reassemble6(t testing.TB, fragments [][]byte) []byte {
	t.Helper()
	first := fragments[0]
	whole := slices.Clone(first[:40])
	whole[6] = first[40]
	for i, p := range fragments {
		word := binary.BigEndian.Uint16(p[42:])
		must(t, len(p)-40 == int(binary.BigEndian.Uint16(p[4:])), "payload length")
		must(t, p[6] == 44 && p[41] == 0, "next header, reserved")
		must(t, bytes.Equal(first[:4], p[:4]) && bytes.Equal(first[7:42], p[7:42]) && bytes.Equal(first[44:48], p[44:48]), "header")
		must(t, len(whole)-40 == int(word&^7), "offset")
		must(t, i < len(fragments)-1 == (word&7 == 1), "M")
		whole = append(whole, p[48:]...)
	}
	binary.BigEndian.PutUint16(whole[4:], uint16(len(whole)-40))
	return whole
}

// outerAt is where a frame's IP packet begins.
func outerAt(frame []byte) int {
	if frame[12] == 0x81 {
		return 18
	}
	return 14
}

// unite undoes what was done to a packet: it puts outer fragments together, takes the
// tunnel off, and puts inner fragments together. No outer packet is larger than mtu.
func unite(t testing.TB, mtu int, frames [][]byte) []byte {
	t.Helper()
	at := outerAt(frames[0])
	var outer, inner [][]byte
	for _, f := range frames {
		must(t, len(f)-at <= mtu, "larger than the MTU")
		must(t, bytes.Equal(frames[0][:at], f[:at]), "link layer")
		outer = append(outer, f[at:])
	}
	o := outer[0]
	switch {
	case o[0]>>4 == 4 && binary.BigEndian.Uint16(o[6:])&0x3fff != 0:
		frames = [][]byte{append(slices.Clone(frames[0][:at]), reassemble4(t, outer)...)}
	case o[0]>>4 == 6 && o[6] == 44:
		frames = [][]byte{append(slices.Clone(frames[0][:at]), reassemble6(t, outer)...)}
	}
	first, err := encap.Parse(frames[0])
	require.NoError(t, err)
	for _, f := range frames {
		p, err := encap.Parse(f)
		must(t, err == nil && p.IPChecksum != encap.ChecksumBad && p.UDPChecksum != encap.ChecksumBad, "tunnel packet")
		must(t, first.UDPChecksum == p.UDPChecksum && first.Src == p.Src && first.Dst == p.Dst && first.TOS == p.TOS &&
			first.TTL == p.TTL && first.FlowLabel == p.FlowLabel && first.SrcPort == p.SrcPort && first.DstPort == p.DstPort &&
			first.VNI == p.VNI && first.InnerDst == p.InnerDst, "one flow")
		inner = append(inner, p.Packet)
	}
	if len(inner) == 1 {
		return inner[0]
	}
	return reassemble4(t, inner)
}
