package differ

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
)

// seedEnv names the variable that has another seed than the usual one.
const seedEnv = "EIPGW_SEED"

// phases are what becomes of packets with nowhere to go: by the gateway's rules, and by
// the kernel's routes.
var phases = []struct {
	refusal        dataplane.Refusal
	route4, route6 string
}{
	{dataplane.NetUnreachable, "throw", "unreachable"}, // in IPv4, an unreachable route is a host's
	{dataplane.HostUnreachable, "unreachable", "unreachable"},
	{dataplane.AdminProhibited, "prohibit", "prohibit"},
	{dataplane.Silence, "blackhole", "blackhole"},
}

// TestTheKernelAgrees has the kernel and the gateway forward the same random packets.
func TestTheKernelAgrees(t *testing.T) {
	const perPhase = 2500
	k, g := newKernel(t), newGateway(t)
	seed := uint64(0xe1b)
	if s := os.Getenv(seedEnv); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 0, 64)
		require.NoError(t, err)
	}
	t.Logf("kernel %s, seed %s=%#x", release(), seedEnv, seed)
	seen := map[string]int{}
	var same outcomeCount
	for i, phase := range phases {
		m := maker{rand.New(rand.NewPCG(seed, uint64(i)))}
		var packets []packet
		for n := range perPhase {
			packets = append(packets, m.packet(n))
		}
		k.refuse(phase.route4, phase.route6)
		forwarded, answers := k.pass(packets)
		kernel, err := outcomes(perPhase, forwarded, answers)
		require.NoError(t, err, "the kernel")
		forwarded, answers = g.pass(phase.refusal, packets)
		own, err := outcomes(perPhase, forwarded, answers)
		require.NoError(t, err, "the gateway")
		for n, p := range packets {
			compare(t, phase.refusal.String(), p, kernel[n], own[n], seen)
			same.add(own[n])
		}
	}
	t.Logf("%d packets: %d forwarded, %d in fragments, %d answered, %d dropped in silence", len(phases)*perPhase, same.forwarded, same.cut, same.answered, same.silent)
	for _, d := range differences {
		t.Logf("%5d  %s: %s", seen[d.name], d.name, d.why)
		assert.NotZero(t, seen[d.name], "%s: a difference that never occurs is none", d.name)
	}
}

// outcomeCount says that all kinds of outcomes occur.
type outcomeCount struct{ forwarded, cut, answered, silent int }

func (c *outcomeCount) add(o outcome) {
	switch {
	case len(o.forwarded) > 1:
		c.cut++
	case len(o.forwarded) == 1:
		c.forwarded++
	case len(o.answers) > 0:
		c.answered++
	default:
		c.silent++
	}
}

// compare fails unless both made the same of the packet, or differ as the table says.
func compare(t *testing.T, phase string, p packet, kernel, own outcome, seen map[string]int) {
	t.Helper()
	if sameForwarded(kernel, own) && sameAnswers(kernel, own) && own.asReceived(p) {
		for i, a := range own.answers {
			for _, name := range fields(kernel.answers[i], a) {
				if d := byField(name); d != nil {
					seen[d.name]++
				} else {
					t.Errorf("%s, packet %d: answers differ in %s: kernel %+v, gateway %+v", phase, p.number, name, kernel.answers[i], a)
				}
			}
		}
		return
	}
	for _, d := range differences {
		if d.is != nil && d.is(p, kernel, own) {
			seen[d.name]++
			return
		}
	}
	t.Errorf("%s, packet %d, %d bytes, frame of %d:\n  %x\nkernel:\n%sgateway:\n%s", phase, p.number, len(p.b), len(p.frame), p.b[:min(len(p.b), 100)], kernel, own)
}

func byField(name string) *difference {
	for i := range differences {
		if differences[i].field == name {
			return &differences[i]
		}
	}
	return nil
}
