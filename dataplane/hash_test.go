package dataplane_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

const (
	client  = 0xc6336401 // 198.51.100.1
	eip7    = 0xcb007107 // 203.0.113.7
	ports   = 40000<<16 | 443
	tcp     = 6
	udp     = 17
	icmp    = 1
	icmp6   = 58
	frag    = 44
	hopopts = 0
	routing = 43
	ah      = 51
	esp     = 50
	dstopts = 60
)

var (
	client6 = fib.Addr6{Hi: 0x20010db8_00000000, Lo: 1}
	eip6    = fib.Addr6{Hi: 0x20010db8_0e1b0000, Lo: 7}
)

// hash has the frame forwarded and returns its flow hash, which must also be what the
// outer UDP source port is made of.
func (r *rig) hash(t *testing.T, frame []byte) uint32 {
	t.Helper()
	f := r.process(frame)[0]
	require.Equal(t, dataplane.Forward, f.Verdict, "dropped: %v", f.Reason)
	h := f.Hash()
	r.release()
	p, err := encap.Parse(r.south.Collect()[0])
	require.NoError(t, err)
	require.Equal(t, uint16(0xc000|h&0x3fff), p.SrcPort)
	return h
}

func TestHash4(t *testing.T) {
	hash := func(proto uint8, ports uint32) uint32 {
		return dataplane.FlowHash4(dataplane.Flow4{Src: client, Dst: eip7, Ports: ports, Protocol: proto})
	}
	proto := func(b []byte, p byte) []byte { return patch4(b, 23, p) }
	offset := func(b []byte, flags uint16) []byte { return patch4(b, 20, byte(flags>>8), byte(flags)) }
	const mf, df = 0x2000, 0x4000

	// With 4, 8 and 40 bytes of options, whose type 1 is no operation.
	options := func(n int) []byte {
		b := slices.Insert(slices.Clone(udp7), 34, slices.Repeat([]byte{1}, n)...)
		b = patch(b, 14, byte(0x40|(20+n)/4))
		return patch4(b, 16, byte((32+n)>>8), byte(32+n))
	}
	r := newRig(t, nil)
	for _, c := range []struct {
		name  string
		frame []byte
		want  uint32
	}{
		{"UDP", udp7, hash(udp, ports)},
		{"TCP", proto(udp7, tcp), hash(tcp, ports)},
		{"SCTP", proto(udp7, 132), hash(132, ports)},
		{"UDP-Lite", proto(udp7, 136), hash(136, ports)},
		{"ICMP", proto(udp7, icmp), hash(icmp, 0)},
		{"ESP", proto(udp7, esp), hash(esp, 0)},
		{"GRE", proto(udp7, 47), hash(47, 0)},
		{"protocol 255", proto(udp7, 255), hash(255, 0)},
		{"options of 4", options(4), hash(udp, ports)},
		{"options of 8", options(8), hash(udp, ports)},
		{"options of 40", options(40), hash(udp, ports)},
		{"first fragment", offset(udp7, mf), hash(udp, 0)},
		{"middle fragment", offset(udp7, mf|185), hash(udp, 0)},
		{"last fragment", offset(udp7, 370), hash(udp, 0)},
		{"largest offset", offset(udp7, 0x1fff), hash(udp, 0)},
		{"don't fragment", offset(udp7, df), hash(udp, ports)},
		{"reserved bit", offset(udp7, 0x8000), hash(udp, ports)},
		{"don't fragment, more fragments", offset(udp7, df|mf), hash(udp, 0)},
		{"no room for ports", patch4(udp7, 16, 0, 23), hash(udp, 0)},
		{"room for ports only", patch4(udp7, 16, 0, 24), hash(udp, ports)},
		{"ports in the padding do not count", patch4(udp7, 16, 0, 20), hash(udp, 0)},
		{"TOS, ID and TTL do not count", patch4(patch4(patch4(udp7, 15, 3), 18, 9, 9), 22, 7), hash(udp, ports)},
		{"tags do not count", tags(udp7, 0x8100_0001), hash(udp, ports)},
	} {
		assert.Equal(t, c.want, r.hash(t, c.frame), c.name)
	}
}

// ext6 is tcp6to7 with extension headers in front of TCP: pairs of a header's number
// and its bytes, whose first is overwritten with the number of the next header.
func ext6(headers ...any) []byte {
	b := slices.Clone(tcp6to7[:14+40])
	at := 14 + 6 // the last next header field
	for i := 0; i < len(headers); i += 2 {
		b[at] = byte(headers[i].(int))
		at = len(b)
		b = append(b, headers[i+1].([]byte)...)
	}
	if at < len(b) {
		b[at] = tcp
	}
	b = append(b, tcp6to7[54:]...)
	binary.BigEndian.PutUint16(b[14+4:], uint16(len(b)-54))
	return b
}

func TestHash6(t *testing.T) {
	hash := func(proto uint8, ports uint32) uint32 {
		return dataplane.FlowHash6(dataplane.Flow6{Src: client6, Dst: eip6, Ports: ports, Protocol: proto})
	}
	ext := func(units byte) []byte { // a header of 8 + 8*units bytes
		b := make([]byte, 8+8*int(units))
		b[1] = units
		return b
	}
	auth := []byte{0, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5} // (4+2)*4 bytes
	fragment := func(offset uint16) []byte {
		return []byte{0, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 1}
	}
	many := func(n int) (h []any) {
		for range n {
			h = append(h, dstopts, ext(0))
		}
		return h
	}
	next := func(b []byte, at int, with byte) []byte { return patch(b, at, with) }

	r := newRig(t, nil)
	for _, c := range []struct {
		name  string
		frame []byte
		want  uint32
	}{
		{"TCP", tcp6to7, hash(tcp, ports)},
		{"UDP", next(tcp6to7, 20, udp), hash(udp, ports)},
		{"SCTP", next(tcp6to7, 20, 132), hash(132, ports)},
		{"UDP-Lite", next(tcp6to7, 20, 136), hash(136, ports)},
		{"ICMPv6", next(tcp6to7, 20, icmp6), hash(icmp6, 0)},
		{"no next header", next(tcp6to7, 20, 59), hash(59, 0)},
		{"hop-by-hop", ext6(hopopts, ext(0)), hash(tcp, ports)},
		{"hop-by-hop of 2048 bytes", ext6(hopopts, ext(255)), hash(tcp, ports)},
		{"routing", ext6(routing, ext(2)), hash(tcp, ports)},
		{"destination options", ext6(dstopts, ext(1)), hash(tcp, ports)},
		{"authentication", ext6(ah, auth), hash(tcp, ports)},
		{"mobility", ext6(135, ext(0)), hash(tcp, ports)},
		{"HIP", ext6(139, ext(0)), hash(tcp, ports)},
		{"Shim6", ext6(140, ext(0)), hash(tcp, ports)},
		{"a chain of all", ext6(hopopts, ext(1), dstopts, ext(0), routing, ext(2), ah, auth), hash(tcp, ports)},
		{"ESP", ext6(hopopts, ext(0), esp, ext(0)), hash(esp, 0)},
		{"an unknown header", ext6(hopopts, ext(0), 253, ext(0)), hash(253, 0)},
		{"as many as are walked", ext6(many(dataplane.MaxExtensionHeaders)...), hash(tcp, ports)},
		{"one more", ext6(many(dataplane.MaxExtensionHeaders + 1)...), hash(dstopts, 0)},
		{"first fragment", ext6(frag, fragment(1)), hash(frag, 0)},
		{"middle fragment", ext6(frag, fragment(0x0801)), hash(frag, 0)},
		{"last fragment", ext6(frag, fragment(0x1000)), hash(frag, 0)},
		{"atomic fragment", ext6(frag, fragment(0)), hash(frag, 0)},
		{"a fragment behind others", ext6(hopopts, ext(0), routing, ext(0), frag, fragment(1)), hash(frag, 0)},
		{"a fragment of something else", next(ext6(frag, fragment(0x0800)), 54, udp), hash(frag, 0)},
		{"header overruns the packet", ext6(hopopts, ext(0), dstopts, []byte{0, 200, 0, 0, 0, 0, 0, 0}), hash(dstopts, 0)},
		{"authentication overruns the packet", ext6(ah, []byte{0, 200, 0, 0, 0, 0, 0, 0}), hash(ah, 0)},
		{"header cut after a byte", patch(ext6(hopopts, ext(0), dstopts, ext(0)), 18, 0, 9)[:14+40+9], hash(dstopts, 0)},
		{"authentication cut after a byte", patch(ext6(hopopts, ext(0), ah, auth), 18, 0, 9)[:14+40+9], hash(ah, 0)},
		{"no room for ports", patch(tcp6to7, 18, 0, 3), hash(tcp, 0)},
		{"room for ports only", patch(tcp6to7, 18, 0, 4), hash(tcp, ports)},
		{"class, label and hop limit do not count", patch(patch(tcp6to7, 14, 0x60, 1, 2, 3), 21, 9), hash(tcp, ports)},
	} {
		if len(c.frame) > 1514 { // the port south takes no more
			f := r.process(c.frame)[0]
			require.Equal(t, dataplane.ReasonPacketTooBig, f.Reason, c.name)
			assert.Equal(t, c.want, f.Hash(), c.name)
			r.release()
			continue
		}
		assert.Equal(t, c.want, r.hash(t, c.frame), c.name)
	}
}

// All fragments of a datagram go to one member of a group, by one source port, and
// so do all packets of a flow; flows spread over all members.
func TestGroupKeepsFlowsTogether(t *testing.T) {
	r := newRig(t, nil)
	members := map[string]int{}
	for i := range 300 {
		src := []byte{198, 51, byte(i), byte(i * 7)}
		base := patch4(patch4(udp7, 33, 13), 26, src...)
		var ends []string
		for _, flags := range []uint16{0x2000, 0x20b9, 0x0172} {
			p, err := encap.Parse(r.forward(patch4(base, 20, byte(flags>>8), byte(flags))))
			require.NoError(t, err)
			ends = append(ends, p.Dst.String()+" "+string(rune(p.SrcPort)))
		}
		require.Equal(t, ends[0], ends[1])
		require.Equal(t, ends[0], ends[2])

		one, err := encap.Parse(r.forward(base))
		require.NoError(t, err)
		two, err := encap.Parse(r.forward(patch4(patch4(base, 22, 9), 18, 1, 1))) // another TTL, another ID
		require.NoError(t, err)
		require.Equal(t, one.Dst, two.Dst)
		require.Equal(t, one.SrcPort, two.SrcPort)
		members[one.Dst.String()]++
	}
	assert.Len(t, members, 3)
	for m, n := range members {
		assert.InDelta(t, 100, n, 40, m)
	}
}
