package underlay

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// Builders of messages in host byte order, as the kernel writes them.

func n16(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
func n32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// attr is one attribute: length, type, value, padding.
func attr(kind uint16, value ...byte) []byte {
	b := append(append(n16(uint16(4+len(value))), n16(kind)...), value...)
	for len(b)%4 != 0 {
		b = append(b, 0xEE) // padding is not read
	}
	return b
}

func cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// message is a netlink header and body.
func message(kind, flags uint16, seq uint32, body []byte) []byte {
	return cat(n32(uint32(16+len(body))), n16(kind), n16(flags), n32(seq), n32(0), body)
}

func ifinfo(family byte, index, flags uint32) []byte {
	return cat([]byte{family, 0, 1, 0}, n32(index), n32(flags), n32(0))
}

func TestDecodeLink(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING
	base := cat(attr(3, []byte("sw0\x00")...), attr(1, 2, 0, 0, 0, 0, 1), attr(4, n32(1500)...))
	l, ok := decodeLink(cat(ifinfo(0, 2, up), base, attr(5, n32(77)...), attr(18|1<<15, attr(1, []byte("veth\x00")...)...)))
	require.True(t, ok)
	assert.Equal(t, sw0, l, "the peer of a veth is no parent")

	vlan := attr(18, cat(attr(1, []byte("vlan\x00")...), attr(2, cat(attr(1, n16(5)...), attr(5, 0x88, 0xa8))...))...)
	l, _ = decodeLink(cat(ifinfo(0, 3, unix.IFF_UP), base, attr(5, n32(2)...), vlan))
	assert.Equal(t, link{index: 3, name: "sw0", mac: gwMAC, mtu: 1500, parent: 2, vlan: 5, vlanType: 0x88a8}, l)
	l, _ = decodeLink(cat(ifinfo(0, 3, unix.IFF_UP), base, attr(5, n32(2)...), vlan, attr(37, n32(0)...)))
	assert.Zero(t, l.parent, "the parent is in another namespace")

	for _, bad := range [][]byte{nil, ifinfo(0, 2, up)[:15], ifinfo(unix.AF_BRIDGE, 2, up), ifinfo(0, 0, up)} {
		_, ok := decodeLink(bad)
		assert.False(t, ok)
	}
	l, ok = decodeLink(cat(ifinfo(0, 2, up), attr(1, 1, 2, 3, 4), attr(4), attr(3)))
	require.True(t, ok)
	assert.Equal(t, link{index: 2, up: true}, l, "odd lengths")
}

func ndmsg(family byte, index uint32, state uint16, flags byte) []byte {
	return cat([]byte{family, 0, 0, 0}, n32(index), n16(state), []byte{flags, 1})
}

func TestDecodeNeighbor(t *testing.T) {
	n, ok := decodeNeighbor(cat(ndmsg(unix.AF_INET, 2, unix.NUD_REACHABLE, 0), attr(1, 10, 0, 0, 254), attr(2, routerMAC[:]...)))
	require.True(t, ok)
	assert.Equal(t, router, n)

	ll := addr("fe80::1").As16()
	n, ok = decodeNeighbor(cat(ndmsg(unix.AF_INET6, 3, unix.NUD_FAILED, unix.NTF_ROUTER), attr(1, ll[:]...)))
	require.True(t, ok)
	assert.Equal(t, neighbor{key: neighborKey{3, addr("fe80::1")}, state: unix.NUD_FAILED, flags: unix.NTF_ROUTER}, n)

	dst := attr(1, 10, 0, 0, 254)
	for _, bad := range [][]byte{
		nil,
		ndmsg(unix.AF_INET, 2, 2, 0),
		cat(ndmsg(unix.AF_BRIDGE, 2, 2, 0), dst),
		cat(ndmsg(unix.AF_INET, 2, 2, unix.NTF_PROXY), dst),
		cat(ndmsg(unix.AF_INET, 2, 2, 0), attr(1, 10, 0, 0)),
	} {
		_, ok := decodeNeighbor(bad)
		assert.False(t, ok, "% x", bad)
	}
}

func rtmsg(family, length, kind byte, flags uint32) []byte {
	return cat([]byte{family, length, 0, 0, 254, 3, 0, kind}, n32(flags))
}

func TestDecodeRoute(t *testing.T) {
	gw6 := addr("fe80::9").As16()
	r, object, ok := decodeRoute(cat(rtmsg(unix.AF_INET, 24, unix.RTN_UNICAST, 0),
		attr(1, 192, 0, 2, 0), attr(4, n32(2)...), attr(5, 10, 0, 0, 254), attr(7, 10, 0, 0, 1),
		attr(8, cat(attr(3, n32(7)...), attr(2, n32(1400)...))...)))
	require.True(t, ok)
	assert.Zero(t, object)
	assert.Equal(t, route{kind: unix.RTN_UNICAST, mtu: 1400, src: addr("10.0.0.1"), hops: viaRouter.hops}, r)

	// rtnexthop: length, flags, weight, index, attributes.
	hop := func(flags byte, index uint32, attrs ...[]byte) []byte {
		a := cat(attrs...)
		return cat(n16(uint16(8+len(a))), []byte{flags, 3}, n32(index), a)
	}
	via := attr(18, append(n16(unix.AF_INET6), gw6[:]...)...)
	r, object, ok = decodeRoute(cat(rtmsg(unix.AF_INET, 0, unix.RTN_UNICAST, 0), attr(30, n32(77)...), attr(9, cat(
		hop(0, 2, attr(5, 10, 0, 0, 254)), hop(unix.RTNH_F_DEAD, 3, via), hop(0, 4, attr(21, n16(2)...)))...)))
	require.True(t, ok)
	assert.Equal(t, uint32(77), object)
	assert.Equal(t, []nexthop{
		{index: 2, gateway: addr("10.0.0.254")}, {index: 3, gateway: addr("fe80::9"), dead: true}, {index: 4, encap: true},
	}, r.hops)

	// Cut off: what is whole counts, and nothing is read beyond.
	r, _, ok = decodeRoute(cat(rtmsg(unix.AF_INET, 0, unix.RTN_UNICAST, 0), attr(9, cat(hop(0, 2), hop(0, 3)[:7])...)))
	require.True(t, ok)
	assert.Equal(t, []nexthop{{index: 2}}, r.hops)
	_, _, ok = decodeRoute(rtmsg(unix.AF_INET, 0, 1, 0)[:11])
	assert.False(t, ok)
}

func TestDecodeObject(t *testing.T) {
	head := []byte{unix.AF_INET, 0, 0, 0, 0, 0, 0, 0}
	o, ok := decodeObject(cat(head, attr(1, n32(5)...), attr(5, n32(2)...), attr(6, 10, 0, 0, 254)))
	require.True(t, ok)
	assert.Equal(t, object{hop: viaRouter.hops[0]}, o)
	o, _ = decodeObject(cat(head, attr(2, cat(n32(5), n32(0), n32(6), n32(9), n32(7))...)))
	assert.Equal(t, []uint32{5, 6}, o.group)
	o, _ = decodeObject(cat(head, attr(4)))
	assert.True(t, o.blackhole)
	o, _ = decodeObject(cat(n32(0), n32(unix.RTNH_F_DEAD), attr(7, n16(1)...)))
	assert.Equal(t, nexthop{dead: true, encap: true}, o.hop)
	_, ok = decodeObject(head[:7])
	assert.False(t, ok)
}

func TestDecodeRoutePrefix(t *testing.T) {
	six := addr("2001:db8::").As16()
	for want, b := range map[string][]byte{
		"192.0.2.0/24":  cat(rtmsg(unix.AF_INET, 24, 1, 0), attr(1, 192, 0, 2, 0)),
		"0.0.0.0/0":     rtmsg(unix.AF_INET, 0, 1, 0),
		"::/0":          rtmsg(unix.AF_INET6, 0, 1, 0),
		"2001:db8::/32": cat(rtmsg(unix.AF_INET6, 32, 1, 0), attr(1, six[:]...)),
	} {
		p, ok := decodeRoutePrefix(b)
		assert.True(t, ok)
		assert.Equal(t, netip.MustParsePrefix(want), p)
	}
	for _, bad := range [][]byte{nil, rtmsg(unix.AF_INET, 33, 1, 0), rtmsg(129, 0, 1, 0)} {
		_, ok := decodeRoutePrefix(bad)
		assert.False(t, ok)
	}
}

func TestDecodeEvents(t *testing.T) {
	link := cat(ifinfo(0, 2, unix.IFF_UP|unix.IFF_RUNNING), attr(3, []byte("sw0\x00")...), attr(1, gwMAC[:]...), attr(4, n32(1500)...))
	nbr := cat(ndmsg(unix.AF_INET, 2, unix.NUD_REACHABLE, 0), attr(1, 10, 0, 0, 254), attr(2, routerMAC[:]...))
	rt := cat(rtmsg(unix.AF_INET, 24, 1, 0), attr(1, 192, 0, 2, 0))
	p := netip.MustParsePrefix("192.0.2.0/24")
	got := decodeEvents(cat(
		message(unix.RTM_NEWLINK, 0, 0, link), message(unix.RTM_DELLINK, 0, 0, link),
		message(unix.RTM_NEWNEIGH, 0, 0, nbr), message(unix.RTM_DELNEIGH, 0, 0, nbr),
		message(unix.RTM_NEWROUTE, 0, 0, rt), message(unix.RTM_DELROUTE, 0, 0, rt),
		message(unix.RTM_NEWLINK, 0, 0, ifinfo(unix.AF_BRIDGE, 2, 0)), // declined
		message(unix.RTM_NEWADDR, 0, 0, nil), message(unix.RTM_DELRULE, 0, 0, nil),
	), nil)
	assert.Equal(t, []event{
		{kind: linkChanged, link: sw0}, {kind: linkGone, link: sw0},
		{kind: neighborChanged, neighbor: router}, {kind: neighborGone, neighbor: router},
		{kind: routeChanged, prefix: p}, {kind: routeChanged, prefix: p},
		{kind: allChanged}, {kind: allChanged},
	}, got)
}

func TestAnswer(t *testing.T) {
	var bodies [][]byte
	fresh := func(acked bool) *answer {
		bodies = nil
		return &answer{seq: 7, acked: acked, each: func(_ uint16, b []byte) { bodies = append(bodies, b) }}
	}
	body := []byte{1, 2, 3, 4}
	one := message(unix.RTM_NEWROUTE, 0, 7, body)
	multi := message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, 7, body)

	done, err := fresh(false).take(cat(message(unix.RTM_NEWROUTE, 0, 6, []byte{9, 9, 9, 9}), one))
	assert.True(t, done)
	assert.NoError(t, err)
	assert.Equal(t, [][]byte{body}, bodies, "an answer to an earlier request is passed over")

	a := fresh(false)
	done, err = a.take(cat(multi, multi))
	assert.False(t, done)
	assert.NoError(t, err)
	done, err = a.take(message(unix.NLMSG_DONE, unix.NLM_F_MULTI, 7, n32(0)))
	assert.True(t, done)
	assert.NoError(t, err)
	assert.Len(t, bodies, 2)

	a = fresh(false)
	_, _ = a.take(message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, 7, body))
	_, err = a.take(message(unix.NLMSG_DONE, 0, 7, n32(0)))
	assert.ErrorIs(t, err, errInterrupted)

	code := -int32(unix.ENETUNREACH)
	done, err = fresh(true).take(message(unix.NLMSG_ERROR, 0, 7, n32(uint32(code))))
	assert.True(t, done)
	assert.ErrorIs(t, err, unix.ENETUNREACH)
	done, _ = fresh(true).take(one)
	assert.False(t, done, "the acknowledgement is still to come")
	done, err = fresh(true).take(message(unix.NLMSG_ERROR, 0, 7, n32(0)))
	assert.True(t, done)
	assert.NoError(t, err)

	// Cut off, and a length that is none.
	for _, bad := range [][]byte{one[:15], one[:19], cat(n32(3), one[4:]), cat(n32(1<<31), one[4:])} {
		done, err := fresh(false).take(bad)
		assert.False(t, done)
		assert.NoError(t, err)
	}
}

// FuzzDecode takes the bytes for every kind of message: none may make a decoder read
// beyond them or loop.
func FuzzDecode(f *testing.F) {
	mac := encap.MAC{2, 1}
	f.Add(message(unix.RTM_NEWLINK, 0, 1, cat(ifinfo(0, 2, 1), attr(18, attr(2, attr(1, 5, 0)...)...))))
	f.Add(message(unix.RTM_NEWNEIGH, 0, 1, cat(ndmsg(2, 2, 2, 0), attr(1, 10, 0, 0, 1), attr(2, mac[:]...))))
	f.Add(message(unix.RTM_NEWROUTE, 0, 1, cat(rtmsg(2, 24, 1, 0), attr(9, 8, 0, 0, 0, 2, 0, 0, 0))))
	f.Add(message(unix.RTM_NEWNEXTHOP, 0, 1, cat(make([]byte, 8), attr(2, make([]byte, 16)...))))
	f.Fuzz(func(t *testing.T, b []byte) {
		events := decodeEvents(b, nil)
		assert.LessOrEqual(t, len(events), len(b)/unix.NLMSG_HDRLEN)
		for h, body := range messages(b) {
			assert.Equal(t, int(h.Len)-unix.NLMSG_HDRLEN, len(body))
			r, _, _ := decodeRoute(body)
			assert.LessOrEqual(t, len(r.hops), len(b))
			o, _ := decodeObject(body)
			assert.LessOrEqual(t, len(o.group), len(b)/8)
		}
	})
}
