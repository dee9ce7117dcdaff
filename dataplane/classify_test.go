package dataplane_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// drops is one frame for every Reason that Process gives, at a port whose address is
// macNorth.
func drops() map[dataplane.Reason][]byte {
	return map[dataplane.Reason][]byte{
		dataplane.ReasonShortFrame:         udp7[:33],
		dataplane.ReasonLinkBroadcast:      patch(udp7, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		dataplane.ReasonNotForUs:           patch(udp7, 0, 0x02, 0, 0, 0, 0, 0x77),
		dataplane.ReasonEtherType:          patch(udp7, 12, 0x08, 0x06),
		dataplane.ReasonBadIPv4Header:      patch(udp7, 14, 0x44),
		dataplane.ReasonBadIPv4Options:     options4(7, 1),
		dataplane.ReasonSourceRoute:        options4(131, 7, 4, 10, 0, 0, 1),
		dataplane.ReasonMartianSource:      patch4(udp7, 26, 127, 0, 0, 1),
		dataplane.ReasonMartianDestination: patch4(udp7, 30, 224, 0, 0, 5),
		dataplane.ReasonBadIPv4Checksum:    patch(udp7, 24, 0xc1, 0xa4),
		dataplane.ReasonBadIPv6Header:      patch(tcp6to7, 14, 0x40),
		dataplane.ReasonNoBinding:          patch4(udp7, 33, 200),
		dataplane.ReasonTTLExpired:         patch4(udp7, 22, 1),
		dataplane.ReasonHopLimitExpired:    patch(tcp6to7, 21, 1),
		dataplane.ReasonUnresolvedVTEP:     patch4(udp7, 33, 9),
		dataplane.ReasonNoPort:             patch4(udp7, 33, 10),
		dataplane.ReasonPacketTooBig:       sized4(7, 1451),
	}
}

// strictDrops is one frame for every Reason that Process gives only under the rules strict.
func strictDrops() map[dataplane.Reason][]byte {
	return map[dataplane.Reason][]byte{
		dataplane.ReasonVLAN:         tags(udp7, 0x8100_0fff),
		dataplane.ReasonTinyFragment: patch4(patch4(udp7, 23, 6), 20, 0, 1),
		dataplane.ReasonOwnSource:    patch4(udp7, 26, 10, 0, 1, 2),
	}
}

// strict are rules under which strictDrops are dropped.
func strict() dataplane.RulesConfig {
	return dataplane.RulesConfig{
		TinyFragments: dataplane.DropTinyFragments,
		Own:           []netip.Addr{netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("fd00::2")},
		VLANs:         map[fib.PortID][]dataplane.VLAN{north: {{}, {Outer: 1}, {Outer: 1, Inner: 1}}},
	}
}

// Every Reason that Process gives but ReasonNoHeadroom, which TestHeadroom has, and
// the two of sending, which are the worker's.
func TestEveryReason(t *testing.T) {
	r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth}).with(strict())
	all := drops()
	maps.Copy(all, strictDrops())
	for reason := dataplane.ReasonNone + 1; reason < dataplane.NumReasons; reason++ {
		switch reason {
		case dataplane.ReasonNoHeadroom, dataplane.ReasonTxFull, dataplane.ReasonPortDown:
			continue
		}
		require.Contains(t, all, reason, "no frame for %v", reason)
		assert.Equal(t, reason, r.drop(all[reason]), reason.String())
	}
}

func TestDropReasons(t *testing.T) {
	ip4 := func(at int, with ...byte) []byte { return patch4(udp7, 14+at, with...) }
	ip6 := func(at int, with ...byte) []byte { return patch(tcp6to7, 14+at, with...) }
	group := func(first byte, frame []byte) []byte { return patch(frame, 0, first) }

	for _, c := range []struct {
		name  string
		frame []byte
		want  dataplane.Reason // ReasonNone: forwarded
	}{
		// RFC 1812 section 5.2.2 (1): enough bytes for a header.
		{"one byte", []byte{2}, dataplane.ReasonShortFrame},
		{"13 bytes", udp7[:13], dataplane.ReasonShortFrame},
		{"Ethernet alone", udp7[:14], dataplane.ReasonShortFrame},
		{"IPv4 header cut", udp7[:14+19], dataplane.ReasonShortFrame},
		{"IPv4 header alone, total length more", udp7[:14+20], dataplane.ReasonBadIPv4Header},
		{"IPv6 header cut", tcp6to7[:14+39], dataplane.ReasonShortFrame},
		{"IPv6 header alone, payload length more", tcp6to7[:14+40], dataplane.ReasonBadIPv6Header},
		{"first tag cut", tags(udp7, 0x8100_0001)[:17], dataplane.ReasonShortFrame},
		{"second tag cut", tags(udp7, 0x8100_0001, 0x8100_0001)[:21], dataplane.ReasonShortFrame},
		{"nothing behind the tag", tags(udp7, 0x8100_0001)[:18], dataplane.ReasonShortFrame},

		// RFC 1812 section 5.3.4: what was a broadcast is not forwarded to a unicast address.
		{"broadcast", patch(udp7, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), dataplane.ReasonLinkBroadcast},
		{"IPv4 multicast", patch(udp7, 0, 0x01, 0x00, 0x5e, 0, 0, 1), dataplane.ReasonLinkBroadcast},
		{"IPv6 multicast", patch(tcp6to7, 0, 0x33, 0x33, 0, 0, 0, 1), dataplane.ReasonLinkBroadcast},
		{"group bit of our own address", group(0x03, udp7), dataplane.ReasonLinkBroadcast},
		{"another station", patch(udp7, 5, 0x02), dataplane.ReasonNotForUs},
		{"another vendor", group(0x00, udp7), dataplane.ReasonNotForUs},

		{"ARP", patch(udp7, 12, 0x08, 0x06), dataplane.ReasonEtherType},
		{"802.3 length", patch(udp7, 12, 0x00, 0x20), dataplane.ReasonEtherType},
		{"ARP behind a tag", tags(patch(udp7, 12, 0x08, 0x06), 0x8100_0001), dataplane.ReasonEtherType},
		{"three tags", tags(udp7, 0x88a8_0001, 0x8100_0001, 0x8100_0001), dataplane.ReasonEtherType},
		{"MPLS", patch(udp7, 12, 0x88, 0x47), dataplane.ReasonEtherType},

		// RFC 1812 section 5.2.2 (2) to (5).
		{"IPv4 version 5", ip4(0, 0x55), dataplane.ReasonBadIPv4Header},
		{"IPv4 version 6", ip4(0, 0x65), dataplane.ReasonBadIPv4Header},
		{"IHL 0", patch(udp7, 14, 0x40), dataplane.ReasonBadIPv4Header},
		{"IHL 4", patch(udp7, 14, 0x44), dataplane.ReasonBadIPv4Header},
		{"IHL beyond the frame", patch(udp7, 14, 0x4f), dataplane.ReasonShortFrame},
		{"IHL beyond total length", patch4(patch4(append(slices.Clone(udp7), make([]byte, 40)...), 14, 0x4f), 16, 0, 0x20), dataplane.ReasonBadIPv4Header},
		{"total length 0", ip4(2, 0, 0), dataplane.ReasonBadIPv4Header},
		{"total length 19", ip4(2, 0, 19), dataplane.ReasonBadIPv4Header},
		{"total length of the header", ip4(2, 0, 20), dataplane.ReasonNone},
		{"total length one too many", ip4(2, 0, 33), dataplane.ReasonBadIPv4Header},
		{"total length 65535", ip4(2, 0xff, 0xff), dataplane.ReasonBadIPv4Header},
		{"checksum one off", patch(udp7, 24, 0xc1, 0xa4), dataplane.ReasonBadIPv4Checksum},
		{"checksum 0", patch(udp7, 24, 0, 0), dataplane.ReasonBadIPv4Checksum},
		{"checksum ffff", patch(udp7, 24, 0xff, 0xff), dataplane.ReasonBadIPv4Checksum},
		{"a bit of the source flipped", patch(udp7, 26, 0xc7), dataplane.ReasonBadIPv4Checksum},
		{"all zero", append(slices.Clone(udp7[:14]), make([]byte, 20)...), dataplane.ReasonBadIPv4Header},

		// RFC 8200 section 3.
		{"IPv6 version 4", ip6(0, 0x4b), dataplane.ReasonBadIPv6Header},
		{"IPv6 version 7", ip6(0, 0x7b), dataplane.ReasonBadIPv6Header},
		{"payload length one too many", ip6(4, 0, 21), dataplane.ReasonBadIPv6Header},
		{"payload length 65535", ip6(4, 0xff, 0xff), dataplane.ReasonBadIPv6Header},
		{"payload length 0", ip6(4, 0, 0), dataplane.ReasonNone},
		{"jumbogram (RFC 2675)", ip6(4, 0, 0, 0), dataplane.ReasonBadIPv6Header},
		{"no next header", ip6(4, 0, 0, 59), dataplane.ReasonNone},

		// Forwarding, and which fault counts when there are two.
		{"no binding", ip4(19, 200), dataplane.ReasonNoBinding},
		{"no binding, IPv6", ip6(39, 0xc8), dataplane.ReasonNoBinding},
		{"no binding and TTL 1", patch4(ip4(19, 200), 22, 1), dataplane.ReasonNoBinding},
		{"no binding and hop limit 0", patch(ip6(39, 0xc8), 21, 0), dataplane.ReasonNoBinding},
		{"TTL 1", ip4(8, 1), dataplane.ReasonTTLExpired},
		{"hop limit 0", ip6(7, 0), dataplane.ReasonHopLimitExpired},
		{"unresolved and TTL 1", patch4(ip4(19, 9), 22, 1), dataplane.ReasonTTLExpired},
		{"unresolved", ip4(19, 9), dataplane.ReasonUnresolvedVTEP},
		{"way by a port that is not there", ip4(19, 10), dataplane.ReasonNoPort},
		{"too big and TTL 1", patch4(sized4(7, 2000), 22, 1), dataplane.ReasonTTLExpired},
		{"too big", sized4(7, 2000), dataplane.ReasonPacketTooBig},
		{"multicast group", ip4(16, 224, 0, 0, 5), dataplane.ReasonMartianDestination},
		{"bad checksum and TTL 0", patch(udp7, 22, 0), dataplane.ReasonBadIPv4Checksum},
		{"not for us and bad", patch(patch(udp7, 14, 0), 5, 9), dataplane.ReasonNotForUs},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth})
			if c.want == dataplane.ReasonNone {
				r.forward(c.frame)
			} else {
				assert.Equal(t, c.want, r.drop(c.frame))
			}
		})
	}
}

// A port without an address of its own takes frames for any station, yet no group's.
func TestPortWithoutMAC(t *testing.T) {
	r := newRig(t, nil)
	r.forward(patch(udp7, 0, 0x06, 1, 2, 3, 4, 5))
	assert.Equal(t, dataplane.ReasonLinkBroadcast, r.drop(patch(udp7, 0, 0x07)))
}

// Every length of every kind of frame, from nothing to whole: dropped, never a panic.
func TestTruncation(t *testing.T) {
	r := newRig(t, nil)
	for _, frame := range [][]byte{udp7, tcp6to8, tags(udp8, 0x88a8_0001, 0x8100_0002), tags(tcp6to7, 0x8100_0002)} {
		for n := range len(frame) {
			r.drop(frame[:n])
		}
		r.forward(frame)
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := dataplane.ReasonNone; r < dataplane.NumReasons; r++ {
		assert.Regexp(t, `^[a-z][a-z0-9_]+$`, r.String())
		assert.NotEmpty(t, r.Doc(), r.String())
		assert.False(t, seen[r.String()], "%s is there twice", r)
		seen[r.String()] = true
	}
	assert.Equal(t, "unknown_reason", dataplane.NumReasons.String())
	assert.Empty(t, dataplane.NumReasons.Doc())
	assert.Equal(t, "no_binding", dataplane.ReasonNoBinding.String())

	assert.Equal(t, "drop", dataplane.Verdict(0).String(), "the zero verdict")
	assert.Equal(t, "forward", dataplane.Forward.String())
	assert.Equal(t, "reply", dataplane.Reply.String())
	assert.Equal(t, "unknown verdict", dataplane.Verdict(9).String())
}
