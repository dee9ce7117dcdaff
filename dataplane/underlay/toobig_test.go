package underlay

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/encap"
)

// tooBig4 is RFC 792 with RFC 1191 section 4, byte by byte: 10.9.9.1 says that 1400 bytes is all
// that its next link carries of what 10.0.0.1 sent to 192.0.2.1.
func tooBig4() []byte {
	return []byte{
		0x45, 0, 0, 56, 0, 0, 0, 0, 62, 1, 0, 0, 10, 9, 9, 1, 10, 0, 0, 1, // IPv4: ICMP
		3, 4, 0x80, 0xb9, 0, 0, 0x05, 0x78, // too big, checksum, MTU 1400
		0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 63, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // 1500 bytes, DF, UDP
		0xc3, 0x50, 0x17, 0xc1, 0x05, 0xc8, 0, 0, // 50000 → 6081, 1480 bytes
	}
}

// tooBig6 is RFC 4443 section 3.2: the next link carries 1400 bytes of what 2001:db8::1 sent to
// 2001:db8:f::9. The kernel has checked the checksum.
func tooBig6() []byte {
	return slices.Concat(
		[]byte{2, 0, 0xaa, 0xaa, 0, 0, 0x05, 0x78},         // MTU 1400
		[]byte{0x60, 0x01, 0x23, 0x45, 0x05, 0xb4, 17, 63}, // flow label, 1460 bytes of UDP
		[]byte{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		[]byte{0x20, 1, 0x0d, 0xb8, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
		[]byte{0xff, 0xff, 0x12, 0xb5, 0x05, 0xb4, 0xbe, 0xef}, // 65535 → 4789, 1460 bytes
		[]byte{8, 0, 0, 0}, // and of what follows
	)
}

// fragment6 is tooBig6 about the first fragment of a tunnel packet (RFC 8200 section 4.5).
func fragment6() []byte {
	b := tooBig6()
	b[8+6] = 44
	b[8+4], b[8+5] = 0x05, 0xb4 // of 1500 bytes
	return slices.Insert(b, 8+40, 17, 0, 0, 1, 0, 0, 0, 7)
}

// with is a message with other bytes at some place, and its ICMPv4 checksum right again.
func with(b []byte, at int, bytes ...byte) []byte {
	copy(b[at:], bytes)
	if b[0] == 0x45 {
		b[22], b[23] = 0, 0
		binary.BigEndian.PutUint16(b[22:], encap.Checksum(b[20:], 0))
	}
	return b
}

func TestParse4(t *testing.T) {
	r, o := parse4(tooBig4())
	assert.Equal(t, believable, o)
	assert.Equal(t, report{reporter: addr("10.9.9.1"), src: addr("10.0.0.1"), dst: addr("192.0.2.1"), length: 1500, mtu: 1400}, r)

	options := slices.Insert(tooBig4(), 20, 1, 1, 1, 0) // no operation, end of list
	options[0] = 0x46
	_, o = parse4(options)
	assert.Equal(t, believable, o, "the router's own packet may have options")
	extended := append(tooBig4(), make([]byte, 101)...) // RFC 1812 section 4.3.2.3: as much as fits
	_, o = parse4(with(extended, 25, 28/4))
	assert.Equal(t, believable, o, "RFC 4884's length is not looked at")
}

func TestParse4Ignores(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  Outcome
	}{
		"nothing":                 {nil, IgnoredMalformed},
		"half an IP header":       {tooBig4()[:19], IgnoredMalformed},
		"no ICMP":                 {tooBig4()[:20], IgnoredMalformed},
		"half an ICMP header":     {tooBig4()[:27], IgnoredMalformed},
		"IP header of 4 words":    {with(tooBig4(), 0, 0x44), IgnoredMalformed},
		"IP header of 15 words":   {append([]byte{0x4f}, tooBig4()[1:]...), IgnoredMalformed},
		"not ICMP":                {with(tooBig4(), 9, 17), IgnoredMalformed},
		"checksum one off":        {append(tooBig4()[:23:23], append([]byte{0xba}, tooBig4()[24:]...)...), IgnoredMalformed},
		"echo reply":              {with(tooBig4(), 20, 0, 0), IgnoredKind},
		"port unreachable":        {with(tooBig4(), 20, 3, 3), IgnoredKind},
		"no quote":                {with(tooBig4()[:28], 20, 3), IgnoredMalformed},
		"quote of 27 bytes":       {with(tooBig4()[:55], 20, 3), IgnoredMalformed},
		"quote is IPv6":           {with(tooBig4(), 28, 0x65), IgnoredNotTunnel},
		"quote has options":       {with(tooBig4(), 28, 0x46), IgnoredNotTunnel},
		"quote is TCP":            {with(tooBig4(), 37, 6), IgnoredNotTunnel},
		"quote is a fragment":     {with(tooBig4(), 34, 0x40, 1), IgnoredNotTunnel},
		"quote has more to come":  {with(tooBig4(), 34, 0x60, 0), IgnoredNotTunnel},
		"quote without DF":        {with(tooBig4(), 34, 0, 0), IgnoredNoDF},
		"source port 49151":       {with(tooBig4(), 48, 0xbf, 0xff), IgnoredNotTunnel},
		"destination port 0":      {with(tooBig4(), 50, 0, 0), IgnoredNotTunnel},
		"UDP length one less":     {with(tooBig4(), 52, 0x05, 0xc7), IgnoredNotTunnel},
		"UDP of no length":        {with(with(tooBig4(), 52, 0, 0), 30, 0, 20), IgnoredNotTunnel},
		"total length of nothing": {with(tooBig4(), 30, 0, 0), IgnoredNotTunnel},
	} {
		_, o := parse4(c.bytes)
		assert.Equal(t, c.want, o, name)
	}
}

func TestParse6(t *testing.T) {
	want := report{reporter: addr("fd09::1"), src: addr("2001:db8::1"), dst: addr("2001:db8:f::9"), length: 1500, mtu: 1400}
	r, o := parse6(tooBig6(), addr("fd09::1"))
	assert.Equal(t, believable, o)
	assert.Equal(t, want, r)
	r, o = parse6(fragment6(), addr("fd09::1"))
	assert.Equal(t, believable, o)
	assert.Equal(t, want, r)
	_, o = parse6(with(tooBig6(), 1, 200), addr("fd09::1"))
	assert.Equal(t, believable, o, "the code says nothing")
	r, _ = parse6(with(tooBig6(), 4, 0xff, 0xff, 0xff, 0xff), addr("fd09::1"))
	assert.Equal(t, 1<<32-1, r.mtu)
}

func TestParse6Ignores(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  Outcome
	}{
		"nothing":                      {nil, IgnoredMalformed},
		"half a header":                {tooBig6()[:7], IgnoredMalformed},
		"destination unreachable":      {with(tooBig6(), 0, 1), IgnoredKind},
		"no quote":                     {tooBig6()[:8], IgnoredMalformed},
		"quote of 47 bytes":            {tooBig6()[:55], IgnoredMalformed},
		"quote is IPv4":                {with(tooBig6(), 8, 0x45), IgnoredMalformed},
		"quote is TCP":                 {with(tooBig6(), 14, 6), IgnoredNotTunnel},
		"quote has hop-by-hop options": {with(tooBig6(), 14, 0), IgnoredNotTunnel},
		"source port 49151":            {with(tooBig6(), 48, 0xbf, 0xff), IgnoredNotTunnel},
		"destination port 0":           {with(tooBig6(), 50, 0, 0), IgnoredNotTunnel},
		"UDP length one more":          {with(tooBig6(), 52, 0x05, 0xb5), IgnoredNotTunnel},
		"half a fragment header":       {fragment6()[:8+40+8+7], IgnoredMalformed},
		"UDP of no length":             {with(with(tooBig6(), 52, 0, 0), 12, 0, 0), IgnoredNotTunnel},
		"a fragment of no length":      {with(fragment6(), 12, 0, 15), IgnoredNotTunnel},
		"not the first fragment":       {with(fragment6(), 50, 0, 9), IgnoredNotTunnel},
		"a fragment of TCP":            {with(fragment6(), 48, 6), IgnoredNotTunnel},
	} {
		_, o := parse6(c.bytes, addr("fd09::1"))
		assert.Equal(t, c.want, o, name)
	}
}

// The table of RFC 1191 section 7.1.
func TestPlateau(t *testing.T) {
	for length, want := range map[int]int{
		65535: 32000, 9000: 8166, 1600: 1492, 1500: 1492, 1492: 1006, 1006: 508, 576: 508, 296: 68, 69: 68, 68: 0, 0: 0,
	} {
		assert.Equal(t, want, plateau(length), length)
	}
}

// A flood of what is ignored makes no garbage.
func TestParsersDoNotAllocate(t *testing.T) {
	good4, bad4, good6, bad6 := tooBig4(), with(tooBig4(), 48, 0, 1), tooBig6(), with(tooBig6(), 48, 0, 1)
	from := addr("fd09::1")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		parse4(good4)
		parse4(bad4)
		parse6(good6, from)
		parse6(bad6, from)
	}))
}

// FuzzTooBig takes the bytes for either kind of message. What is handed on is a report about
// a packet of tunnel shape, and a VTEP that believes it is never worse off than the floor.
func FuzzTooBig(f *testing.F) {
	for _, b := range [][]byte{tooBig4(), tooBig6(), fragment6(), with(tooBig4(), 26, 0, 0)} {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l := pathWorld(t, Config{})
		for i, parse := range []func() (report, Outcome){
			func() (report, Outcome) { return parse4(b) },
			func() (report, Outcome) { return parse6(b, addr("fd09::1")) },
		} {
			r, o := parse()
			if o != believable {
				assert.Less(t, o, NumOutcomes)
				continue
			}
			assert.Equal(t, i == 0, r.src.Is4() && r.dst.Is4())
			assert.GreaterOrEqual(t, r.length, []int{28, 48}[i])
			assert.LessOrEqual(t, r.length, 65535+ipv6Len)
			l.believe(&r, epoch)
			for dst, least := range map[string]int{"192.0.2.1": 552, "2001:db8:f::9": 1280} {
				if m := l.vteps[addr(dst)].learned.MTU; m != 0 {
					assert.GreaterOrEqual(t, int(m), least)
					assert.Less(t, int(m), 1500)
				}
			}
		}
	})
}
