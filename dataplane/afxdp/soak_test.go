package afxdp

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// A worker forwards while everything else happens beside it: Status, segments that
// change, a flood that it cannot keep up with, a link that flaps. Afterwards every frame is
// where it belongs and the counters agree.
func TestSoak(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	i := b.open(InterfaceConfig{Mode: ModeNative, Frames: MinFrames})
	p := b.port(i, 0)
	begin := time.Now()
	var over atomic.Bool
	defer over.Store(true)
	var wg sync.WaitGroup
	beside := func(pause time.Duration, f func(n int)) {
		wg.Go(func() {
			for n := 0; !over.Load(); n++ {
				f(n)
				time.Sleep(pause)
			}
		})
	}
	beside(time.Millisecond, func(int) {
		_, err := i.Status()
		assert.NoError(t, err)
	})
	beside(time.Millisecond, func(n int) {
		want := []netip.Prefix{segment, seg6}
		if n%2 == 0 {
			want = append(want, netip.MustParsePrefix("203.0.113.0/25"))
		}
		assert.NoError(t, i.SetSegments(want))
	})
	beside(200*time.Millisecond, func(int) {
		assert.NoError(t, b.gw.Down("gw0"))
		assert.NoError(t, b.gw.Up("gw0"))
	})
	sender, err := b.sw.Sender("sw0")
	require.NoError(t, err)
	defer sender.Close()
	frame := packet{to: eip, payload: 400}.bytes()
	beside(0, func(int) {
		_ = sender.Send(frame) // fails while the far end is down
	})

	rng := rand.New(rand.NewPCG(5, 6))
	w := worker{t: t, ports: []*Port{p}, decide: func(int, []byte) int { return rng.IntN(2) }}
	var own []*dataplane.Frame
	for range 8 {
		own = append(own, foreign(frame))
	}
	// Two seconds, and longer where no frame has come through by then: the kernel may take up to a
	// second to say that a link runs again, and this one goes down five times in that.
	for time.Since(begin) < 2*time.Second || w.seen == 0 && time.Since(begin) < 30*time.Second {
		_ = w.round() // an error is the link's state
		p.Tx(own[:rng.IntN(len(own))])
		if rng.IntN(100) == 0 {
			time.Sleep(time.Millisecond) // the rings overflow meanwhile
		}
	}
	over.Store(true)
	wg.Wait()
	require.NoError(t, b.gw.WaitUp("gw0"))
	require.NoError(t, pollFor(t, b, p, nil))
	p.verifyFrames(t)
	st, err := i.Status()
	require.NoError(t, err)
	k := st.Queues[0].Kernel
	assert.Positive(t, w.seen)
	assert.Zero(t, k.RxInvalid+k.TxInvalid, "the kernel never saw a bad address")
	assert.Zero(t, k.RxRingFull, "the RX ring is as large as what can be in it")
	assert.LessOrEqual(t, uint64(w.seen), st.Filter.Redirected)
}

// Moving frames allocates nothing, in place and copied.
func TestPacketPathAllocatesNothing(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{Frames: MinFrames}), 0)
	send := b.sender()
	var burst dataplane.Burst
	own := []*dataplane.Frame{foreign(packet{to: eip, payload: 100}.bytes())}
	frames := make([]*dataplane.Frame, 0, dataplane.BurstSize)
	moved := 0
	for range 200 {
		send(packet{to: eip, payload: 100}.bytes())
	}
	allocs := testing.AllocsPerRun(500, func() {
		if _, err := p.Rx(&burst); err != nil {
			t.Error(err)
		}
		frames = frames[:0]
		for k := range burst.F[:burst.N] {
			frames = append(frames, &burst.F[k])
		}
		moved += p.Tx(frames) + p.Tx(own)
		if err := p.Flush(); err != nil {
			t.Error(err)
		}
		p.Release(&burst)
		p.Wait(0)
	})
	assert.Zero(t, allocs)
	assert.Greater(t, moved, 500)
}
