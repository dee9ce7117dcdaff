package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// answers is a configuration that answers everything that may be, from 192.0.2.1 and
// 2001:db8:ffff::1.
func answers() dataplane.RulesConfig {
	return dataplane.RulesConfig{
		Unbound: dataplane.HostUnreachable, Unresolved: dataplane.NetUnreachable,
		Answers: dataplane.AnswerConfig{Default: from("192.0.2.1", "2001:db8:ffff::1")},
	}
}

// from is these addresses, "" being none.
func from(v4, v6 string) (s dataplane.AnswerSource) {
	if v4 != "" {
		s.V4 = netip.MustParseAddr(v4)
	}
	if v6 != "" {
		s.V6 = netip.MustParseAddr(v6)
	}
	return s
}

// answering is a gateway with these rules whose north has macNorth.
func answering(t testing.TB, c dataplane.RulesConfig) *rig {
	return newRig(t, &memport.Config{MTU: 9000, MAC: macNorth}).with(c)
}

// answer has one frame answered and returns what leaves by the port that it came by.
func (r *rig) answer(frame []byte) []byte {
	r.t.Helper()
	f := r.process(frame)[0]
	defer r.release()
	require.Equal(r.t, dataplane.Reply, f.Verdict, "%v, %v", f.Reason, r.fw.Events())
	require.NotEqual(r.t, dataplane.ReasonNone, f.Reason, "the frame was dropped for a reason")
	require.Equal(r.t, north, f.Out)
	require.Equal(r.t, len(frame), f.Received())
	require.Nil(r.t, f.Packet())
	require.Empty(r.t, r.south.Collect(), "nothing else leaves")
	return bytes.Clone(f.Bytes())
}

// silent has one frame dropped without an answer, and returns the event that says why:
// NumEvents when none does.
func (r *rig) silent(frame []byte) dataplane.Event {
	r.t.Helper()
	before := r.fw.Events()
	f := r.process(frame)[0]
	defer r.release()
	require.Equal(r.t, dataplane.Drop, f.Verdict, "answered: %x", f.Bytes())
	require.Equal(r.t, frame[:f.Len()], f.Bytes(), "left alone")
	why, events := dataplane.NumEvents, r.fw.Events()
	for e := range events {
		switch events[e] - before[e] {
		case 0:
		case 1:
			require.Equal(r.t, dataplane.NumEvents, why, "two events")
			why = dataplane.Event(e)
		default:
			require.Fail(r.t, "counted twice", dataplane.Event(e).String())
		}
	}
	return why
}

const (
	back    = `02 00 00 00 0c 01  02 00 00 00 00 01 ` // to whom it came from, from macNorth
	answer4 = `45 c0 00 3c  00 00 40 00  40 01 4d cb  c0 00 02 01  c6 33 64 01 `
	answer6 = `6c 00 00 00  00 44 3a 40  ` + source6 + sender6
	source6 = `20 01 0d b8 ff ff 00 00 00 00 00 00 00 00 00 01 `
	sender6 = `20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 `
)

// Every kind of answer in both families, to the byte. Checksums were computed by another
// program.
func TestAnswerBytes(t *testing.T) {
	const (
		to200  = `45 b9 00 20  12 34 40 00  40 11 c0 e2  c6 33 64 01  cb 00 71 c8  9c 40 01 bb  00 0c 00 00  70 69 6e 67`
		to9    = `45 b9 00 20  12 34 40 00  40 11 c1 a1  c6 33 64 01  cb 00 71 09  9c 40 01 bb  00 0c 00 00  70 69 6e 67`
		to10   = `45 b9 00 20  12 34 40 00  40 11 c1 a0  c6 33 64 01  cb 00 71 0a  9c 40 01 bb  00 0c 00 00  70 69 6e 67`
		tcp    = `9c 40 01 bb  00 00 00 01  00 00 00 00  50 02 ff ff  00 00 00 00`
		to200v = `6b 9a bc de  00 14 06 40  ` + sender6 + `20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 c8 ` + tcp
	)
	unbound4, unbound6 := patch4(udp7, 33, 200), patch(tcp6to7, 14+39, 0xc8)
	zeros := func(header string, n int) []byte { b := wire(header); return append(b, make([]byte, n-len(b))...) }
	for _, c := range []struct {
		name    string
		refusal dataplane.Refusal
		in      []byte
		reason  dataplane.Reason
		made    dataplane.Event
		want    []byte
	}{
		{"TTL (RFC 792, RFC 1812 section 5.3.1)", 0, patch4(udp7, 22, 1), dataplane.ReasonTTLExpired, dataplane.EventTimeExceeded,
			wire(back+`08 00`, answer4, `0b 00 78 27  00 00 00 00`,
				`45 b9 00 20  12 34 40 00  01 11 00 a4  c6 33 64 01  cb 00 71 07`, // TTL 1, as it came
				`9c 40 01 bb  00 0c 00 00  70 69 6e 67`)},
		{"network unreachable", dataplane.NetUnreachable, unbound4, dataplane.ReasonNoBinding, dataplane.EventUnreachable,
			wire(back+`08 00`, answer4, `03 00 80 27  00 00 00 00`, to200)},
		{"host unreachable", dataplane.HostUnreachable, unbound4, dataplane.ReasonNoBinding, dataplane.EventUnreachable,
			wire(back+`08 00`, answer4, `03 01 80 26  00 00 00 00`, to200)},
		{"prohibited", dataplane.AdminProhibited, unbound4, dataplane.ReasonNoBinding, dataplane.EventUnreachable,
			wire(back+`08 00`, answer4, `03 0d 80 1a  00 00 00 00`, to200)},
		{"unresolved", dataplane.HostUnreachable, patch4(udp7, 33, 9), dataplane.ReasonUnresolvedVTEP, dataplane.EventUnreachable,
			wire(back+`08 00`, answer4, `03 01 80 26  00 00 00 00`, to9)},
		{"no port", dataplane.HostUnreachable, patch4(udp7, 33, 10), dataplane.ReasonNoPort, dataplane.EventUnreachable,
			wire(back+`08 00`, answer4, `03 01 80 26  00 00 00 00`, to10)},
		{"fragmentation needed (RFC 1191 section 4)", 0, sized4(7, 1451), dataplane.ReasonPacketTooBig, dataplane.EventTooBig,
			zeros(back+`08 00 45 c0 02 40  00 00 40 00  40 01 4b c7  c0 00 02 01  c6 33 64 01`+ // 576 bytes
				`03 04 7a 79  00 00 05 aa`+ // MTU 1450
				`45 b9 05 ab  12 34 40 00  40 11 bc 18  c6 33 64 01  cb 00 71 07  9c 40 01 bb  00 0c 00 00  70 69 6e 67`, 14+576)},

		{"hop limit (RFC 4443 section 3.3)", 0, patch(tcp6to7, 21, 1), dataplane.ReasonHopLimitExpired, dataplane.EventTimeExceeded,
			wire(back+`86 dd`, answer6, `03 00 1a eb  00 00 00 00`,
				`6b 9a bc de  00 14 06 01`, sender6, `20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 07 `, tcp)},
		{"no route", dataplane.NetUnreachable, unbound6, dataplane.ReasonNoBinding, dataplane.EventUnreachable,
			wire(back+`86 dd`, answer6, `01 00 1b eb  00 00 00 00`, to200v)},
		{"address unreachable", dataplane.HostUnreachable, unbound6, dataplane.ReasonNoBinding, dataplane.EventUnreachable,
			wire(back+`86 dd`, answer6, `01 03 1b e8  00 00 00 00`, to200v)},
		{"prohibited, IPv6", dataplane.AdminProhibited, unbound6, dataplane.ReasonNoBinding, dataplane.EventUnreachable,
			wire(back+`86 dd`, answer6, `01 01 1b ea  00 00 00 00`, to200v)},
		{"packet too big (RFC 4443 section 3.2)", 0, sized6(7, 1451), dataplane.ReasonPacketTooBig, dataplane.EventTooBig,
			zeros(back+`86 dd 6c 00 00 00  04 d8 3a 40  `+source6+sender6+ // 1280 bytes
				`02 00 0b ff  00 00 05 aa`+ // MTU 1450
				`6b 9a bc de  05 83 06 40  `+sender6+`20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 07 `+tcp, 14+1280)},
		{"packet too big for 1400", 0, sized6(11, 1351), dataplane.ReasonPacketTooBig, dataplane.EventTooBig,
			zeros(back+`86 dd 6c 00 00 00  04 d8 3a 40  `+source6+sender6+
				`02 00 0c c3  00 00 05 46`+ // MTU 1350
				`6b 9a bc de  05 1f 06 40  `+sender6+`20 01 0d b8 0e 1b 00 00 00 00 00 00 00 00 00 0b `+tcp, 14+1280)},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := answers()
			rules.Unbound, rules.Unresolved = c.refusal, c.refusal
			r := answering(t, rules)
			f := r.process(c.in)[0]
			require.Equal(t, dataplane.Reply, f.Verdict)
			assert.Equal(t, c.reason, f.Reason)
			assert.Equal(t, c.want, f.Bytes())
			want := dataplane.EventCounters{}
			want[c.made] = 1
			assert.Equal(t, want, r.fw.Events())
			r.release()
		})
	}
}

// The link header goes back as it came: tags with their PCP and DEI. Link-layer padding
// is no part of the packet and is not quoted.
func TestAnswerKeepsTags(t *testing.T) {
	for name, in := range map[string][]byte{"IPv4": patch4(udp7, 22, 1), "IPv6": patch(tcp6to7, 21, 1)} {
		r := answering(t, answers())
		plain := r.answer(in)
		for what, vlans := range map[string][]uint32{
			"untagged": nil, "priority": {0x8100_e000}, "802.1Q": {0x8100_f064}, "QinQ": {0x88a8_7064, 0x8100_b007},
		} {
			assert.Equal(t, tags(plain, vlans...), r.answer(tags(in, vlans...)), "%s, %s", name, what)
			assert.Equal(t, tags(plain, vlans...), r.answer(append(tags(in, vlans...), 1, 2, 3)), "%s, %s, padded", name, what)
		}
	}
}

// Where the port takes frames for any station, the answer is from the one that was meant.
func TestAnswerIsFromTheStationThatWasMeant(t *testing.T) {
	r := newRig(t, nil).with(answers())
	got := r.answer(patch(patch4(udp7, 22, 1), 0, 0x06, 1, 2, 3, 4, 5))
	assert.Equal(t, wire(`02 00 00 00 0c 01  06 01 02 03 04 05`), got[:12])
}

// The quote is the packet as it was received, all of it or as much as fits; the checksum
// is right for every length, odd ones too.
func TestQuoteLengths(t *testing.T) {
	for _, c := range []struct {
		name         string
		frame        func(n int) []byte
		least, most  int // packet
		head, atMost int // in front of the quote, and with it
		mtu          int
	}{
		{"IPv4", func(n int) []byte { return patch4(sized4(7, n), 22, 1) }, 20, 1000, 28, 576, 9000},
		{"IPv6", func(n int) []byte { return patch(sized6(7, n), 21, 1) }, 40, 1500, 48, 1280, 9000},
		{"IPv4 by a port of 301", func(n int) []byte { return patch4(sized4(7, n), 22, 1) }, 200, 305, 28, 301, 301},
		{"IPv6 by a port of 301", func(n int) []byte { return patch(sized6(7, n), 21, 1) }, 200, 305, 48, 301, 301},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, &memport.Config{MTU: c.mtu, MAC: macNorth}).with(answers())
			for n := c.least; n <= c.most; n++ {
				in := c.frame(n)
				for i := 14 + c.least; i < len(in); i++ {
					in[i] = byte(i * 37)
				}
				p := r.answer(in)[14:]
				require.Len(t, p, min(c.head+n, c.atMost), "packet of %d", n)
				require.Equal(t, in[14:][:len(p)-c.head], p[c.head:], "packet of %d", n)
				checkError(t, p)
			}
		})
	}
}

// checkError checks header, length and checksums of an ICMP error, apart from what the
// code under test uses for it.
func checkError(t testing.TB, p []byte) {
	t.Helper()
	if p[0] == 0x45 {
		require.Equal(t, len(p), int(binary.BigEndian.Uint16(p[2:])))
		require.EqualValues(t, 0xffff, slowSum(p[:20]))
		require.EqualValues(t, 0xffff, slowSum(p[20:]))
		return
	}
	require.EqualValues(t, 6, p[0]>>4)
	require.Equal(t, len(p)-40, int(binary.BigEndian.Uint16(p[4:])))
	pseudo := slices.Concat(p[8:40], []byte{0, 0}, p[4:6], []byte{0, 0, 0, 58}, p[40:])
	require.EqualValues(t, 0xffff, slowSum(pseudo))
}

// slowSum is RFC 1071 word by word.
func slowSum(b []byte) (sum uint32) {
	for i, x := range b {
		if i%2 == 0 {
			sum += uint32(x) << 8
		} else {
			sum += uint32(x)
		}
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

// IPv4 options are quoted as they came.
func TestAnswerQuotesOptions(t *testing.T) {
	in := patch4(options4(1, 1, 1, 1), 22, 1)
	got := answering(t, answers()).answer(in)
	assert.Equal(t, in[14:], got[14+28:])
	checkError(t, got[14:])
}

// No sender is told less than what every path takes (RFC 791 section 3.2, RFC 8200
// section 5).
func TestAnswerNeverTellsLessThanTheMinimum(t *testing.T) {
	r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth})
	for _, c := range []struct{ way, mtu4, mtu6 int }{{1500, 1450, 1450}, {1331, 1281, 1281}, {1330, 1280, 1280}, {1329, 1279, 1280}, {119, 69, 1280}, {118, 68, 1280}, {100, 68, 1280}} {
		south := memport.New(memport.Config{ID: south, MTU: c.way})
		reader, _ := newReader(t, resolver(), bindings())
		r.with(answers())
		r.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{
			Reader: reader, Ports: []dataplane.PortInfo{r.north.Info(), south.Info()}, Rules: &r.rules,
		})
		assert.EqualValues(t, c.mtu4, binary.BigEndian.Uint32(r.answer(sized4(7, 1500))[14+24:]), "way of %d", c.way)
		assert.EqualValues(t, c.mtu6, binary.BigEndian.Uint32(r.answer(sized6(7, 1500))[14+44:]), "way of %d", c.way)
	}
}

// The address is that of the port, by family, else the default.
func TestAnswerSources(t *testing.T) {
	ttl4, ttl6 := patch4(udp7, 22, 1), patch(tcp6to7, 21, 1)
	sources := func(s map[fib.PortID]dataplane.AnswerSource, d dataplane.AnswerSource) *rig {
		return answering(t, dataplane.RulesConfig{Answers: dataplane.AnswerConfig{Sources: s, Default: d}})
	}
	a4, a6 := wire(`c0 00 02 07`), wire(`20 01 0d b8 00 07 00 00 00 00 00 00 00 00 00 01`)
	own := map[fib.PortID]dataplane.AnswerSource{north: from("192.0.2.7", "2001:db8:7::1"), 200: from("192.0.2.9", "")}
	r := sources(own, from("192.0.2.1", "2001:db8:ffff::1"))
	assert.Equal(t, a4, r.answer(ttl4)[14+12:][:4])
	assert.Equal(t, a6, r.answer(ttl6)[14+8:][:16])

	r = sources(map[fib.PortID]dataplane.AnswerSource{north: from("192.0.2.7", "")}, from("192.0.2.1", "2001:db8:ffff::1"))
	assert.Equal(t, a4, r.answer(ttl4)[14+12:][:4])
	assert.Equal(t, wire(source6), r.answer(ttl6)[14+8:][:16])

	r = sources(map[fib.PortID]dataplane.AnswerSource{north: from("192.0.2.7", "")}, dataplane.AnswerSource{})
	assert.Equal(t, a4, r.answer(ttl4)[14+12:][:4])
	assert.Equal(t, dataplane.EventAnswerNoSource, r.silent(ttl6))

	r = sources(map[fib.PortID]dataplane.AnswerSource{7: from("192.0.2.7", "2001:db8:7::1")}, dataplane.AnswerSource{})
	assert.Equal(t, dataplane.EventAnswerNoSource, r.silent(ttl4), "another port's")
	assert.Equal(t, dataplane.EventAnswerNoSource, r.silent(ttl6))

	r = sources(nil, dataplane.AnswerSource{})
	assert.Equal(t, dataplane.NumEvents, r.silent(ttl4), "who answers nothing counts no answer that was not made")
}

// What calls for no answer gets none, and counts for no event.
func TestWhatIsNotAnswered(t *testing.T) {
	answered := map[dataplane.Reason]bool{
		dataplane.ReasonTTLExpired: true, dataplane.ReasonHopLimitExpired: true, dataplane.ReasonNoBinding: true,
		dataplane.ReasonUnresolvedVTEP: true, dataplane.ReasonNoPort: true, dataplane.ReasonPacketTooBig: true,
	}
	r := answering(t, answers())
	for reason, frame := range drops() {
		if answered[reason] {
			r.answer(frame)
		} else {
			assert.Equal(t, dataplane.NumEvents, r.silent(frame), reason.String())
		}
	}
	rules := answers()
	rules.Unbound, rules.Unresolved = dataplane.Silence, dataplane.Silence
	r.with(rules)
	for _, reason := range []dataplane.Reason{dataplane.ReasonNoBinding, dataplane.ReasonUnresolvedVTEP, dataplane.ReasonNoPort} {
		assert.Equal(t, dataplane.NumEvents, r.silent(drops()[reason]), reason.String())
	}
	r.answer(drops()[dataplane.ReasonTTLExpired])
	assert.Equal(t, dataplane.NumEvents, newRig(t, &memport.Config{Headroom: -1}).with(answers()).silent(udp7), "no headroom for a tunnel")
}

// The headers need room in front, and the port an MTU that the answer fits.
func TestAnswerRoom(t *testing.T) {
	ttl4, ttl6 := patch4(udp7, 22, 1), patch(tcp6to7, 21, 1)
	with := func(headroom, mtu int) *rig {
		return newRig(t, &memport.Config{Headroom: headroom, MTU: mtu}).with(answers())
	}
	assert.Len(t, with(28, 1500).answer(ttl4), 14+28+32)
	assert.Equal(t, dataplane.EventAnswerNoRoom, with(27, 1500).silent(ttl4))
	assert.Equal(t, dataplane.EventAnswerNoRoom, with(-1, 1500).silent(ttl4))
	assert.Len(t, with(48, 1500).answer(ttl6), 14+48+60)
	assert.Equal(t, dataplane.EventAnswerNoRoom, with(47, 1500).silent(ttl6))

	assert.Len(t, with(0, 56).answer(ttl4), 14+56, "IP header and 8 bytes")
	assert.Equal(t, dataplane.EventAnswerNoRoom, with(0, 55).silent(ttl4))
	assert.Len(t, with(0, 96).answer(ttl6), 14+96)
	assert.Equal(t, dataplane.EventAnswerNoRoom, with(0, 95).silent(ttl6))
}

// A burst of all kinds: each frame gets what it gets alone.
func TestAnswersOfABurst(t *testing.T) {
	r := answering(t, answers())
	frames := [][]byte{udp7, tcp6to8}
	for _, frame := range drops() {
		frames = append(frames, frame, udp8)
	}
	alone := make([][]byte, len(frames))
	for i, frame := range frames {
		if f := r.process(frame)[0]; f.Verdict == dataplane.Reply {
			alone[i] = bytes.Clone(f.Bytes())
		}
		r.release()
	}
	for i, f := range r.process(frames...) {
		if alone[i] != nil {
			require.Equal(t, alone[i], f.Bytes())
		} else {
			require.NotEqual(t, dataplane.Reply, f.Verdict)
		}
	}
	r.release()
}
