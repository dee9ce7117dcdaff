package afxdp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// Frames of exactly the largest size go both ways, with and without tags; what is
// larger is not taken for another frame, and counted.
func TestSizes(t *testing.T) {
	for _, mtu := range []int{1500, 1770, 1771, 3400, 3818, 3819, 4096, 7700, 9000, 9216, 11498} {
		for _, mode := range bothModes {
			t.Run(fmt.Sprintf("%v, MTU %d", mode, mtu), func(t *testing.T) {
				b := newBench(t, lab.VethOptions{MTU: mtu})
				i := b.open(InterfaceConfig{Mode: mode})
				p := b.port(i, 0)
				send, received := b.sender(), b.received("sw0")
				require.Equal(t, mtu, p.Info().MTU)
				largest := []([]byte){
					packet{to: eip, payload: mtu - 28}.bytes(),
					packet{to: eip6, payload: mtu - 48}.bytes(),
					packet{to: eip, payload: mtu - 28, tags: []uint16{0x8100}}.bytes(),
				}
				require.Len(t, largest[0], mtu+14)
				require.Len(t, largest[2], p.Info().MaxFrame())
				send(largest...)
				assert.Equal(t, largest, receive(t, p, len(largest)))
				for _, f := range largest {
					transmit(t, p, foreign(f))
				}
				var got [][]byte
				eventually(t, "at the far end", func() bool {
					got = append(got, marked(received())...)
					return len(got) >= len(largest)
				})
				assert.Equal(t, largest, got)

				long := foreign(append(largest[2], 0))
				assert.Equal(t, 2, p.Tx([]*dataplane.Frame{long, foreign(largest[0])}))
				eventually(t, "at the far end", func() bool {
					got = marked(received())
					require.NoError(t, p.Flush())
					return len(got) > 0
				})
				assert.Equal(t, [][]byte{largest[0]}, got, "the one that is too long is not sent")
				st, err := i.Status()
				require.NoError(t, err)
				assert.Equal(t, uint64(1), st.Queues[0].TooLong)
				p.verifyFrames(t)
			})
		}
	}
}
