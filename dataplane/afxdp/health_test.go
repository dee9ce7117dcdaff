package afxdp

import (
	"testing"

	"github.com/asavie/xdp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
)

// The same in memory, outside too: a kernel that leaves less headroom than was promised ends the port, with words; a worker that
// is outside of the runtime comes inside for them. Later frames are not proven again.
func TestHeadroomOfAFakeIsProven(t *testing.T) {
	for name, mtu := range map[string]int{"plain": 1500, "jumbo": 9000} {
		for _, out := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				k := newFake(t, 64, mtu)
				p := k.p
				var b dataplane.Burst
				short := func() {
					require.Positive(t, k.fill.ready(1))
					k.rx.put(xdp.Desc{Addr: k.fill.take() + 100, Len: 60})
					k.publish()
				}
				short()
				p.Outside(out)
				_, err := p.Rx(&b)
				if out {
					require.Same(t, dataplane.ErrInside, err)
					_, err = p.Rx(&b)
					require.Same(t, dataplane.ErrInside, err)
					p.Outside(false)
					_, err = p.Rx(&b)
				}
				require.ErrorContains(t, err, "afxdp: fake queue 0: the driver leaves 100 bytes in front of a frame, expected 256")
				assert.Zero(t, b.N)
				assert.Equal(t, -1, p.FD())
				p.Outside(out)
				_, again := p.Rx(&b)
				require.Same(t, err, again, "it stays so, and is no news")

				k = newFake(t, 64, mtu)
				p = k.p
				p.Outside(out)
				k.chunk(make([]byte, 60), false)
				k.publish()
				_, err = p.Rx(&b)
				require.NoError(t, err)
				require.Equal(t, 1, b.N)
				p.Release(&b)
			})
		}
	}
}

// What a send tells of the port is noted by the next Rx, whatever the link looks like, and inside.
func TestSendErrors(t *testing.T) {
	for errno, want := range map[unix.Errno]error{unix.ENETDOWN: ErrDown, unix.ENXIO: ErrGone, unix.ENODEV: ErrGone, unix.ENOBUFS: nil} {
		for _, out := range []bool{false, true} {
			t.Run(errno.Error(), func(t *testing.T) {
				p := newFake(t, 64, 1500).p
				var b dataplane.Burst
				p.Outside(out)
				p.sendError(errno)
				assert.EqualValues(t, 1, p.counters.failed.Load())
				_, err := p.Rx(&b)
				if out && want != nil {
					require.Same(t, dataplane.ErrInside, err)
					p.Outside(false)
					_, err = p.Rx(&b)
				}
				require.ErrorIs(t, err, want)
				require.ErrorIs(t, p.Flush(), want)
			})
		}
	}
}
