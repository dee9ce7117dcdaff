//go:build linux && amd64 && !race

package afxdp

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// A pinned worker is outside of the runtime. It sees from there that the link goes down or the interface goes, comes inside to say so and to
// take a new socket, and goes out again: the world stops all the while.
func TestPinnedWorkerIsOutside(t *testing.T) {
	for _, mode := range bothModes {
		for name, o := range map[string]lab.VethOptions{"plain": {}, "jumbo": {MTU: 9000}} {
			t.Run(mode.String()+" "+name, func(t *testing.T) {
				b := newBench(t, o)
				cpu, err := lab.CPU()
				require.NoError(t, err)
				p := b.port(b.open(InterfaceConfig{ID: 1, Mode: mode, Frames: MinFrames}), 0)
				stop, stats := b.forward([]dataplane.Port{p}, 1, eip, cpu)
				defer stop()
				outside := func() bool {
					runtime.GC()
					stacks := make([]byte, 1<<20)
					return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "dataplane/outside.Call(")
				}
				forwards := func() {
					t.Helper()
					send, before := b.sender(), stats().Sent()
					eventually(t, "frames are forwarded", func() bool {
						send(packet{to: eip, payload: 40}.bytes())
						time.Sleep(time.Millisecond)
						return stats().Sent() > before+10
					})
					eventually(t, "outside", outside)
				}
				eventually(t, "outside", outside)
				forwards()
				shown := func() error { return stats().Ports[0].Err }
				require.NoError(t, b.gw.Down("gw0"))
				eventually(t, "down is shown", func() bool { return errors.Is(shown(), ErrDown) })
				eventually(t, "outside", outside)
				require.NoError(t, b.gw.Up("gw0"))
				eventually(t, "up is shown", func() bool { return shown() == nil })
				forwards()
				require.NoError(t, b.gw.DeleteLink("gw0"))
				eventually(t, "gone is shown", func() bool { return errors.Is(shown(), ErrGone) })
				eventually(t, "outside", outside)
				b.wire(o)
				eventually(t, "the new one is shown", func() bool { return shown() == nil })
				forwards()
				assert.EqualValues(t, 2, stats().Ports[0].Failures)
			})
		}
	}
}
