package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane"
)

// options4 is udp7 with these IPv4 options, filled up with end of options.
func options4(options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	b := append(append([]byte{}, udp7[:34]...), options...)
	b = append(b, udp7[34:]...)
	b[14] = 0x45 + byte(len(options)/4)
	b[17] += byte(len(options))
	return patch4(b, 22, 64)
}

func TestIPv4Options(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []byte
		want    dataplane.Reason
	}{
		{"none that matters", []byte{1, 1, 1, 0}, dataplane.ReasonNone},
		{"record route", []byte{7, 7, 4, 0, 0, 0, 0}, dataplane.ReasonNone},
		{"timestamp", []byte{68, 8, 5, 0, 0, 0, 0, 0}, dataplane.ReasonNone},
		{"router alert", []byte{148, 4, 0, 0}, dataplane.ReasonNone},
		{"unknown", []byte{0xde, 4, 1, 2}, dataplane.ReasonNone},
		{"loose source route", []byte{131, 7, 4, 10, 0, 0, 1}, dataplane.ReasonSourceRoute},
		{"strict source route", []byte{137, 7, 4, 10, 0, 0, 1}, dataplane.ReasonSourceRoute},
		{"source route that is used up", []byte{131, 7, 8, 10, 0, 0, 1}, dataplane.ReasonSourceRoute},
		{"source route behind others", []byte{1, 148, 4, 0, 0, 1, 131, 3, 4}, dataplane.ReasonSourceRoute},
		{"source route behind the end", []byte{0, 131, 3, 4}, dataplane.ReasonNone},
		{"length 0", []byte{7, 0, 4, 0}, dataplane.ReasonBadIPv4Options},
		{"length 1", []byte{7, 1, 4, 0}, dataplane.ReasonBadIPv4Options},
		{"beyond the header", []byte{7, 5, 4, 0}, dataplane.ReasonBadIPv4Options},
		{"type without length", []byte{1, 1, 1, 7}, dataplane.ReasonBadIPv4Options},
		{"40 bytes", append([]byte{7, 39}, make([]byte, 38)...), dataplane.ReasonNone},
	} {
		r := newRig(t, nil)
		if c.want != dataplane.ReasonNone {
			assert.Equal(t, c.want, r.drop(options4(c.options...)), c.name)
			continue
		}
		frame := options4(c.options...)
		assert.Equal(t, patch4(frame, 22, 63)[14:], r.forward(frame)[64:], c.name)
	}
}

// RFC 1858 sections 3 and 4.2, RFC 3128; counted either way, dropped when told so.
func TestTinyFragments(t *testing.T) {
	tcp4 := func(flagsAndOffset uint16, payload int) []byte {
		b := append(append([]byte{}, udp7[:34]...), make([]byte, payload)...)
		b[17], b[20], b[21], b[23] = byte(20+payload), byte(flagsAndOffset>>8), byte(flagsAndOffset), 6
		return patch4(b, 22, 64)
	}
	fragment6 := func(next byte, offset uint16, more byte, payload int) []byte {
		b := append(append([]byte{}, tcp6to7[:54]...), next, 0, byte(offset<<3>>8), byte(offset<<3)|more, 0, 0, 0, 1)
		b = append(b, make([]byte, payload)...)
		b[19], b[20] = byte(8+payload), 44
		return b
	}
	for _, c := range []struct {
		name  string
		frame []byte
		tiny  bool
	}{
		{"IPv4, 8 bytes of TCP", tcp4(0x2000, 8), true},
		{"IPv4, 16 bytes of TCP", tcp4(0x2000, 16), false},
		{"IPv4, from byte 8 on", tcp4(0x0001, 40), true},
		{"IPv4, from byte 8 on, not the last", tcp4(0x2001, 40), true},
		{"IPv4, from byte 16 on", tcp4(0x0002, 40), false},
		{"IPv4, 8 bytes of UDP", patch4(tcp4(0x2000, 8), 23, 17), false},
		{"IPv4, UDP from byte 8 on", patch4(tcp4(0x0001, 8), 23, 17), false},
		{"IPv6, 16 bytes of TCP", fragment6(6, 0, 1, 16), true},
		{"IPv6, 24 bytes of TCP", fragment6(6, 0, 1, 24), false},
		{"IPv6, from byte 8 on", fragment6(6, 1, 0, 40), true},
		{"IPv6, from byte 16 on", fragment6(6, 2, 0, 40), false},
		{"IPv6, nothing of UDP", fragment6(17, 0, 1, 0), true},
		{"IPv6, 8 bytes of UDP", fragment6(17, 0, 1, 8), false},
		{"IPv6, 8 bytes of SCTP", fragment6(132, 0, 1, 8), true},
		{"IPv6, nothing of ICMPv6", fragment6(58, 0, 1, 0), true},
		{"IPv6, options that go on", patch(fragment6(60, 0, 1, 16), 62, 6, 4), true},
		{"IPv6, options and 8 bytes of TCP", patch(fragment6(60, 0, 1, 16), 62, 6, 0), true},
		{"IPv6, options and 24 bytes of TCP", patch(fragment6(60, 0, 1, 32), 62, 6, 0), false},
		{"IPv6, a whole packet of 16 bytes", fragment6(6, 0, 0, 16), false},
		{"IPv6, ESP", fragment6(50, 0, 1, 8), false},
	} {
		for _, rule := range []dataplane.TinyFragments{dataplane.AllowTinyFragments, dataplane.DropTinyFragments} {
			r := newRig(t, nil).with(dataplane.RulesConfig{TinyFragments: rule})
			if c.tiny && rule == dataplane.DropTinyFragments {
				assert.Equal(t, dataplane.ReasonTinyFragment, r.drop(c.frame), c.name)
			} else {
				r.forward(c.frame)
			}
		}
	}
}

// RFC 1812 section 5.3.7, RFC 3927 section 7, RFC 4291 section 2: who cannot send, and who
// cannot be meant.
func TestMartians(t *testing.T) {
	bad4 := []string{"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "169.254.0.0", "169.254.255.255"}
	good4 := []string{"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "10.0.0.1", "100.64.0.1", "169.253.255.255", "169.255.0.0", "192.0.2.1"}
	bad6 := []string{"::", "::1", "::ffff:192.0.2.1", "fe80::1", "febf::1", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	good6 := []string{"::2", "64:ff9b::1", "2001:db8::1", "fc00::1", "fec0::1", "fdff::1", "::fffe:192.0.2.1"}
	from := func(a string) []byte {
		ip := netip.MustParseAddr(a)
		if ip.Is4() {
			return patch4(udp7, 26, ip.AsSlice()...)
		}
		return patch(tcp6to7, 22, ip.AsSlice()...)
	}
	to := func(a string) []byte {
		ip := netip.MustParseAddr(a)
		if ip.Is4() {
			return patch4(udp7, 30, ip.AsSlice()...)
		}
		return patch(tcp6to7, 38, ip.AsSlice()...)
	}
	r, allow := newRig(t, nil), newRig(t, nil).with(dataplane.RulesConfig{Martians: dataplane.AllowMartians})
	for _, a := range append(bad4, bad6...) {
		assert.Equal(t, dataplane.ReasonMartianSource, r.drop(from(a)), a)
		assert.Equal(t, dataplane.ReasonMartianDestination, r.drop(to(a)), a)
		allow.forward(from(a))
		assert.Equal(t, dataplane.ReasonNoBinding, allow.drop(to(a)), a)
	}
	for _, a := range append(good4, good6...) {
		r.forward(from(a))
		assert.Equal(t, dataplane.ReasonNoBinding, r.drop(to(a)), a)
	}
}

// What shares a network with an address of this machine, at either end, is no reason to look
// at a packet again: that would be most of them.
func TestFewPacketsAreLookedAtTwice(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("203.0.113.254"), netip.MustParseAddr("2001:db8::9")}
	r := newRig(t, nil).with(dataplane.RulesConfig{Own: own})
	r.forward(udp7)
	assert.Zero(t, r.fw.Unusual())
	r.forward(tcp6to7)
	assert.Zero(t, r.fw.Unusual())
	r.drop(patch4(udp7, 26, 198, 51, 100, 9))
	assert.EqualValues(t, 1, r.fw.Unusual())
}

// Nobody else sends from an address of this machine, martians or not.
func TestOwnSource(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8::9")}
	for _, m := range []dataplane.Martians{dataplane.DropMartians, dataplane.AllowMartians} {
		r := newRig(t, nil).with(dataplane.RulesConfig{Own: own, Martians: m})
		assert.Equal(t, dataplane.ReasonOwnSource, r.drop(patch4(udp7, 26, 10, 0, 1, 2)))
		assert.Equal(t, dataplane.ReasonOwnSource, r.drop(patch4(udp7, 26, 198, 51, 100, 9)))
		assert.Equal(t, dataplane.ReasonOwnSource, r.drop(patch(tcp6to7, 37, 9)))
		r.forward(udp7)
		r.forward(tcp6to7)
		r.forward(patch4(udp7, 26, 10, 0, 1, 3))

		own4, own6 := patch4(patch4(udp7, 26, 10, 0, 1, 2), 23, 1), patch(patch(tcp6to7, 37, 9), 20, 58)
		for _, fragment := range [][]byte{{0x20, 0}, {0, 4}, {0x20, 4}} { // no gateway sends an error in pieces
			assert.Equal(t, dataplane.ReasonOwnSource, r.drop(patch4(patch(own4, 34, 3), 20, fragment...)))
		}
		for kind, pass := range map[byte]bool{3: true, 11: true, 0: false, 5: false, 8: false} {
			assert.Equal(t, pass, r.process(patch(own4, 34, kind))[0].Verdict == dataplane.Forward, "ICMP %d", kind)
			r.release()
		}
		for kind, pass := range map[byte]bool{1: true, 2: true, 3: true, 128: false, 129: false, 135: false} {
			assert.Equal(t, pass, r.process(patch(own6, 54, kind))[0].Verdict == dataplane.Forward, "ICMPv6 %d", kind)
			r.release()
		}
		r.south.Collect()
	}
}
