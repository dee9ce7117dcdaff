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
				Rules: &r.rules, Responder: refuser{},
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

// refuser asks nothing of anybody.
type refuser struct{}

func (refuser) Respond(*dataplane.Frame, dataplane.Question) bool { return false }

// What runs once or more per frame is part of its caller.
func TestInlining(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{
		"hash4", "fold", "mix", "hasPorts", `\(\*Forwarder\).port`, `\(\*tally\).drop`,
		`\(\*Frame\).Attach`, `\(\*Frame\).Bytes`, `\(\*Frame\).Len`, `\(\*Frame\).Packet`, `\(\*Frame\).Prepend`,
		`\(\*Frame\).Offset`, `\(\*Frame\).Buffer`,
	} {
		assert.Regexp(t, regexp.MustCompile(`can inline `+name+`\n`), string(out), name)
	}
}
