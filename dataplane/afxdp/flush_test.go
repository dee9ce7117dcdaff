package afxdp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// A kernel that moves 32 frames per call, as all before 6.17 do, is called again within
// the same Flush until everything is out.
func TestFlushKicksUntilAllIsSent(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	i := b.open(InterfaceConfig{Frames: MinFrames})
	p := b.port(i, 0)
	if p.s.txBudget != defaultTxBudget {
		require.NoError(t, unix.SetsockoptInt(p.s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, defaultTxBudget))
	}
	received := b.received("sw0")
	var want [][]byte
	var frames []*dataplane.Frame
	for n := range 100 {
		want = append(want, packet{to: eip, payload: 100, seq: byte(n)}.bytes())
		frames = append(frames, foreign(want[n]))
	}
	require.Equal(t, len(frames), p.Tx(frames))
	require.NoError(t, p.Flush())
	assert.Zero(t, p.s.tx.pending(), "all are out after one Flush")
	var got [][]byte
	eventually(t, "at the far end", func() bool {
		got = append(got, marked(received())...)
		return len(got) >= len(want)
	})
	assert.Equal(t, want, got)
	st, err := i.Status()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, st.Queues[0].Kicks, uint64(4), "100 frames, 32 at a time")
	assert.GreaterOrEqual(t, st.Queues[0].Again, uint64(3))
	assert.Equal(t, uint64(100), st.Queues[0].Copied)
	p.verifyFrames(t)
}

// Nothing to send is nothing to call the kernel for.
func TestFlushOfNothing(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{Frames: MinFrames}), 0)
	for range 10 {
		require.NoError(t, p.Flush())
	}
	assert.Zero(t, p.counters.kicks.Load())
}

// A driver that leaves less room in front of a frame than was promised is found out at
// the first frame.
func TestHeadroomIsProven(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{Frames: MinFrames}), 0)
	p.info.Headroom++ // as if the kernel left one byte less
	b.sender()(packet{to: eip, payload: 40}.bytes())
	var err error
	eventually(t, "an error", func() bool { err = pollOnce(p); return err != nil })
	assert.ErrorContains(t, err, "the driver leaves 256 bytes in front of a frame, expected 257")
	assert.ErrorIs(t, pollOnce(p), err, "it stays")
	assert.Equal(t, p.s.frames, p.pool.n+int(p.s.fill.next-p.s.rx.next), "its frames are back")
}

func TestSocketGotWhatItAskedFor(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	i := b.open(InterfaceConfig{ID: 7, Frames: 1024})
	b.port(i, 0)
	st, err := i.Status()
	require.NoError(t, err)
	assert.Equal(t, "veth", st.Driver)
	assert.EqualValues(t, 7, st.ID)
	assert.Equal(t, gwMAC, st.MAC)
	assert.Equal(t, ModeNative, st.Mode)
	assert.Equal(t, 1, st.ReceiveQueues)
	assert.Empty(t, st.Notes)
	require.Len(t, st.Queues, 1)
	q := st.Queues[0]
	assert.False(t, q.ZeroCopy)
	assert.True(t, q.NeedWakeup)
	assert.Equal(t, 1024, q.Frames)
	assert.Equal(t, 2048, q.FrameSize)
	assert.Equal(t, 512, q.Ring)
	assert.Contains(t, []int{defaultTxBudget, 512}, q.TxBudget)
	assert.GreaterOrEqual(t, q.SendBuffer, 1024*2048)
	assert.Empty(t, q.Error)
}
