package dataplane_test

import (
	"maps"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// No path of a frame allocates, neither forwarding nor any drop.
func TestProcessDoesNotAllocate(t *testing.T) {
	paths := map[string][]byte{
		"IPv4 in IPv4": udp7, "IPv4 in IPv6": udp8, "IPv6 in IPv4": tcp6to7, "IPv6 in IPv6": tcp6to8,
		"VLAN": tags(udp7, 0x8100_0001), "QinQ": tags(tcp6to7, 0x88a8_0001, 0x8100_0001),
		"to a VLAN": patch4(udp7, 33, 11), "to a group": patch4(udp7, 33, 13),
		"fragment": patch4(udp7, 20, 0x20, 0), "largest": sized4(7, 1450),
		"extension headers": ext6(hopopts, make([]byte, 8), routing, make([]byte, 8)),
		"options":           options4(1, 1, 1, 1), "SYN": syn4(mss1460),
	}
	all := drops()
	maps.Copy(all, strictDrops())
	for reason, frame := range all {
		paths[reason.String()] = frame
	}
	for name, frame := range paths {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil).with(strict())
			in := memport.New(memport.Config{ID: north, MTU: 9000, MAC: macNorth, Repeat: [][]byte{frame}})
			reader, _ := newReader(t, resolver(), bindings())
			fw := dataplane.NewForwarder(dataplane.ForwarderConfig{
				Reader: reader, Ports: []dataplane.PortInfo{in.Info(), r.south.Info()},
				Rules: &r.rules,
			})
			var b dataplane.Burst
			allocs := testing.AllocsPerRun(50, func() {
				if _, err := in.Rx(&b); err != nil {
					t.Error(err)
				}
				fw.Process(&b)
				in.Release(&b)
			})
			assert.Zero(t, allocs)
		})
	}
}

// Nor does an answer, or what stands against it.
func TestAnswersDoNotAllocate(t *testing.T) {
	few := dataplane.AnswerConfig{Rate: 1, Burst: 1, SourceRate: 1, SourceBurst: 1}
	perSource := dataplane.AnswerConfig{Rate: 1_000_000, Burst: 1_000_000, SourceRate: 1, SourceBurst: 1}
	for name, c := range map[string]struct {
		frame    []byte
		limits   dataplane.AnswerConfig
		headroom int
		want     dataplane.Event
	}{
		"TTL":            {patch4(udp7, 22, 1), dataplane.AnswerConfig{}, 0, dataplane.EventTimeExceeded},
		"hop limit":      {patch(tcp6to7, 21, 1), dataplane.AnswerConfig{}, 0, dataplane.EventTimeExceeded},
		"QinQ":           {tags(patch(tcp6to7, 21, 1), 0x88a8_0001, 0x8100_0001), dataplane.AnswerConfig{}, 0, dataplane.EventTimeExceeded},
		"unbound":        {patch4(udp7, 33, 200), dataplane.AnswerConfig{}, 0, dataplane.EventUnreachable},
		"unbound, IPv6":  {patch(tcp6to7, 53, 200), dataplane.AnswerConfig{}, 0, dataplane.EventUnreachable},
		"unresolved":     {patch4(udp7, 33, 9), dataplane.AnswerConfig{}, 0, dataplane.EventUnreachable},
		"too big":        {sized4(7, 8000), dataplane.AnswerConfig{}, 0, dataplane.EventTooBig},
		"too big, IPv6":  {sized6(7, 8000), dataplane.AnswerConfig{}, 0, dataplane.EventTooBig},
		"forbidden":      {message4(3), dataplane.AnswerConfig{}, 0, dataplane.EventAnswerForbidden},
		"forbidden IPv6": {patch(message6(1, hopopts, make([]byte, 8)), 21, 1), dataplane.AnswerConfig{}, 0, dataplane.EventAnswerForbidden},
		"no room":        {patch4(udp7, 22, 1), dataplane.AnswerConfig{}, -1, dataplane.EventAnswerNoRoom},
		"limited":        {patch4(udp7, 22, 1), few, 0, dataplane.EventLimitedGlobal},
		"limited source": {patch(tcp6to7, 21, 1), perSource, 0, dataplane.EventLimitedSource},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil).with(withLimits(c.limits))
			in := memport.New(memport.Config{ID: north, MTU: 9000, Headroom: c.headroom, MAC: macNorth, Repeat: [][]byte{c.frame}})
			reader, _ := newReader(t, resolver(), bindings())
			fw := dataplane.NewForwarder(dataplane.ForwarderConfig{
				Reader: reader, Ports: []dataplane.PortInfo{in.Info(), r.south.Info()}, Rules: &r.rules,
			})
			var b dataplane.Burst
			allocs := testing.AllocsPerRun(50, func() {
				if _, err := in.Rx(&b); err != nil {
					t.Error(err)
				}
				fw.Process(&b)
				in.Release(&b)
			})
			assert.Zero(t, allocs)
			assert.NotZero(t, fw.Events()[c.want])
		})
	}
}

// What runs once or more per frame is part of its caller.
func TestInlining(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{
		"hash4", "fold", "mix", "hasPorts", `\(\*Forwarder\).port`, `portView.room`, `\(\*tally\).drop`,
		`\(\*Frame\).Attach`, `\(\*Frame\).AttachKept`, "setKept", `\(\*frameList\).add`, `\(\*Frame\).Bytes`, `\(\*Frame\).Len`, `\(\*Frame\).Packet`, `\(\*Frame\).Prepend`,
		`\(\*Frame\).Offset`, `\(\*Frame\).Buffer`,
		`\(\*rules\).answerTo`, `\(\*answerRules\).source`, `\(\*Frame\).fromGroup`, `\(\*bucket\).has`, `\(\*bucket\).take`,
		`\(\*limiter\).budget`,
		"sourceKey4", "sourceKey6", "addr6", "linkLocal6",
	} {
		assert.Regexp(t, regexp.MustCompile(`can inline `+name+`\n`), string(out), name)
	}
}
