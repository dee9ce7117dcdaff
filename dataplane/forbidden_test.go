package dataplane_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// message4 is udp7 with TTL 1 and an ICMP message of this type.
func message4(kind byte) []byte {
	return patch4(patch(patch4(udp7, 22, 1), 34, kind, 0, 0, 0), 23, 1)
}

// message6 is an ICMPv6 message of this type behind extension headers.
func message6(kind byte, headers ...any) []byte {
	headers = append(headers, 58, []byte{kind, 0, 0, 0, 0, 0, 0, 0})
	b := ext6(headers...)
	return patch(b, len(b)-28, kind) // ext6 takes it for an extension header in front of TCP
}

// RFC 1812 section 4.3.2.7: about every ICMP type, which is an error and which is not.
func TestAnswersToICMP(t *testing.T) {
	r := answering(t, answers())
	queries := []int{0, 8, 13, 14, 15, 16, 17, 18}
	for kind := range 256 {
		if slices.Contains(queries, kind) {
			r.answer(message4(byte(kind)))
		} else {
			assert.Equal(t, dataplane.EventAnswerForbidden, r.silent(message4(byte(kind))), "type %d", kind)
		}
	}
	assert.Equal(t, dataplane.EventAnswerForbidden, r.silent(patch4(message4(8), 16, 0, 20)), "no type")
	r.answer(patch4(message4(8), 16, 0, 21)) // its type, and nothing else

	behind := append(slices.Clone(options4(1, 1, 1, 1)[:14+24]), message4(3)[34:]...)
	behind = patch4(patch4(behind, 22, 1), 23, 1)
	assert.Equal(t, dataplane.EventAnswerForbidden, r.silent(behind), "an error behind options")
	r.answer(patch(behind, 14+24, 8))
}

// RFC 4443 section 2.4 (e.1) and (e.2): types below 128 are errors, 137 is a redirect.
func TestAnswersToICMPv6(t *testing.T) {
	r := answering(t, answers())
	eight := make([]byte, 8)
	for kind := range 256 {
		for what, frame := range map[string][]byte{
			"alone":                    message6(byte(kind)),
			"behind hop-by-hop":        message6(byte(kind), hopopts, eight),
			"behind all":               message6(byte(kind), hopopts, eight, dstopts, eight, routing, eight, ah, eight, dstopts, eight),
			"in the first fragment":    message6(byte(kind), hopopts, eight, frag, []byte{0, 0, 0, 1, 0, 0, 0, 9}),
			"in a fragment, behind":    message6(byte(kind), frag, []byte{0, 0, 0, 1, 0, 0, 0, 9}, dstopts, eight),
			"in a fragment that's all": message6(byte(kind), frag, eight),
		} {
			frame = patch(frame, 21, 1)
			if kind >= 128 && kind != 137 {
				r.answer(frame)
			} else {
				assert.Equal(t, dataplane.EventAnswerForbidden, r.silent(frame), "type %d %s", kind, what)
			}
		}
	}
}

func TestForbiddenAnswers(t *testing.T) {
	ttl4, ttl6 := patch4(udp7, 22, 1), patch(tcp6to7, 21, 1)
	src4 := func(b ...byte) []byte { return patch4(ttl4, 14+12, b...) }
	src6 := func(first ...byte) []byte { return patch(ttl6, 14+8, slices.Concat(first, make([]byte, 16))[:16]...) }
	last := func(frame []byte, b ...byte) []byte { return patch(frame, 14+24-len(b), b...) }
	dst6 := func(frame []byte, first ...byte) []byte {
		return patch(frame, 14+24, slices.Concat(first, make([]byte, 16))[:16]...)
	}
	eight := make([]byte, 8)
	nine := slices.Repeat([]any{dstopts, eight}, 9)
	low := func(frame []byte) []byte { return patch(frame, 21, 1) }

	for _, c := range []struct {
		name  string
		frame []byte
		may   bool
	}{
		{"UDP", ttl4, true},
		{"first fragment", patch4(ttl4, 20, 0x20, 0), true},
		{"second fragment", patch4(ttl4, 20, 0x20, 1), false},
		{"last fragment", patch4(ttl4, 20, 0x1f, 0xff), false},
		{"second fragment of an ICMP query", patch4(message4(8), 20, 0, 4), false},

		// Sources that are no single host (RFC 1812 sections 4.3.2.7 and 5.3.7).
		{"from 0.0.0.0", src4(0, 0, 0, 0), false},
		{"from 0.255.255.255", src4(0, 255, 255, 255), false},
		{"from 1.0.0.0", src4(1, 0, 0, 0), true},
		{"from 126.255.255.255", src4(126, 255, 255, 255), true},
		{"from 127.0.0.1", src4(127, 0, 0, 1), false},
		{"from 127.255.255.255", src4(127, 255, 255, 255), false},
		{"from 128.0.0.0", src4(128, 0, 0, 0), true},
		{"from 223.255.255.255", src4(223, 255, 255, 255), true},
		{"from 224.0.0.1", src4(224, 0, 0, 1), false},
		{"from 239.255.255.255", src4(239, 255, 255, 255), false},
		{"from 240.0.0.1", src4(240, 0, 0, 1), false},
		{"from 255.255.255.255", src4(255, 255, 255, 255), false},
		{"from the answer's own source", src4(192, 0, 2, 1), false},
		{"from beside it", src4(192, 0, 2, 2), true},
		{"from another port's source", src4(192, 0, 2, 77), false},

		// Destinations.
		{"to 224.0.0.5", patch4(udp7, 14+16, 224, 0, 0, 5), false},
		{"to 255.255.255.255", patch4(udp7, 14+16, 255, 255, 255, 255), false},
		{"to 240.0.0.1", patch4(udp7, 14+16, 240, 0, 0, 1), false},
		{"to 127.0.0.1", patch4(udp7, 14+16, 127, 0, 0, 1), false},
		{"to 0.0.0.1", patch4(udp7, 14+16, 0, 0, 0, 1), false},
		{"to 223.255.255.255", patch4(udp7, 14+16, 223, 255, 255, 255), true},

		// RFC 4443 section 2.4 (e.6).
		{"TCP over IPv6", ttl6, true},
		{"from ::", src6(), false},
		{"from ::1", last(src6(), 1), false},
		{"from ::2", last(src6(), 2), true},
		{"from ::ffff:198.51.100.1", last(src6(), 0xff, 0xff, 198, 51, 100, 1), false},
		{"from ff02::1", last(src6(0xff, 2), 1), false},
		{"from fe80::1", last(src6(0xfe, 0x80), 1), true},
		{"from febf::1", last(src6(0xfe, 0xbf), 1), true},
		{"from fd00::1", last(src6(0xfd), 1), true},
		{"from the answer's own source, IPv6", last(src6(0x20, 1, 0xd, 0xb8, 0xff, 0xff), 1), false},
		{"from another port's source, IPv6", last(src6(0x20, 1, 0xd, 0xb8, 0xff, 0xff), 7, 7), false},

		// RFC 4443 section 2.4 (e.3).
		{"to ff0e::1", dst6(tcp6to7, 0xff, 0x0e), false},
		{"to fe00::", dst6(tcp6to7, 0xfe, 0x00), true},

		// Fragments and chains that may hide an ICMPv6 error.
		{"first fragment, IPv6", low(ext6(frag, []byte{0, 0, 0, 1, 0, 0, 0, 9})), true},
		{"second fragment, IPv6", low(ext6(frag, []byte{0, 0, 0, 17, 0, 0, 0, 9})), false},
		{"last fragment, IPv6", low(ext6(frag, []byte{0, 0, 0xff, 0xf8, 0, 0, 0, 9})), false},
		{"later fragment behind options", low(ext6(dstopts, eight, frag, []byte{0, 0, 0, 16, 0, 0, 0, 9})), false},
		{"two fragment headers", low(ext6(frag, eight, frag, eight)), false},
		{"fragment header cut", low(patch(ext6(frag, []byte{}), 14+4, 0, 7)), false},
		{"eight extension headers", low(ext6(nine[:16]...)), true},
		{"nine extension headers", low(ext6(nine...)), false},
		{"extension header cut", low(ext6(hopopts, []byte{0, 200, 0, 0, 0, 0, 0, 0})), false},
		{"no next header", low(patch(tcp6to7, 20, 59)), true},
		{"ESP", low(patch(tcp6to7, 20, 50)), true},
		{"ICMPv6 without a type", low(patch(tcp6to7, 14+4, 0, 0, 58)), false},

		// IEEE 802 section 8.2.2.
		{"from a group MAC", patch(ttl4, 6, 0x03), false},
		{"from the broadcast MAC", patch(ttl6, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := answers()
			rules.Martians = dataplane.AllowMartians // else many do not come so far
			rules.Answers.Sources = map[fib.PortID]dataplane.AnswerSource{9: from("192.0.2.77", "2001:db8:ffff::707")}
			r := answering(t, rules)
			if c.may {
				r.answer(c.frame)
			} else {
				assert.Equal(t, dataplane.EventAnswerForbidden, r.silent(c.frame))
			}
		})
	}
}

// The exception of RFC 4443 section 2.4 (e.3): that a packet to a group was too big is told.
func TestTooBigForAGroup(t *testing.T) {
	rules := answers()
	rules.Martians = dataplane.AllowMartians
	r := answering(t, rules)
	reader, _ := newReader(t, resolver(), []fib.Binding{{
		Prefix:  netip.MustParsePrefix("ff0e::7/128"),
		Tunnels: []encap.Tunnel{{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 1}},
	}})
	r.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: reader, Ports: []dataplane.PortInfo{r.north.Info(), r.south.Info()}, Rules: &r.rules,
	})
	group := slices.Concat([]byte{0xff, 0x0e}, make([]byte, 13), []byte{7})
	assert.EqualValues(t, 2, r.answer(patch(sized6(7, 1451), 14+24, group...))[14+40])
	assert.Equal(t, dataplane.EventAnswerForbidden, r.silent(patch(patch(tcp6to7, 21, 1), 14+24, group...)))
}
