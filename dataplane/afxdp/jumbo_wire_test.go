package afxdp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// udpOf is a packet to an EIP in a frame of size bytes.
func udpOf(size int, seq byte) []byte { return packet{to: eip, payload: size - 42, seq: seq}.bytes() }

// statusOf asks in the gateway's namespace, where the interface can be looked at.
func (b *bench) statusOf(i *Interface) (st Status) {
	b.t.Helper()
	require.NoError(b.t, b.gw.Do(func() (err error) {
		st, err = i.Status()
		return err
	}))
	return st
}

func (b *bench) setMTU(ns *lab.NS, name string, mtu int) {
	b.t.Helper()
	link, err := ns.Link(name)
	require.NoError(b.t, err)
	require.NoError(b.t, ns.Handle().LinkSetMTU(link, mtu))
}

// Frames of every length come back as they were sent, short and long ones in
// one burst, from the chunk that they came in or from a copy.
func TestEveryLengthComesBack(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{MTU: 9000})
			i := b.open(InterfaceConfig{Mode: mode, Frames: 1024})
			p := b.port(i, 0)
			require.Equal(t, 9000, p.Info().MTU)
			require.Equal(t, 9018, p.Info().MaxFrame())
			send, received := b.sender(), b.received("sw0")
			want := [][]byte{packet{to: eip, payload: 9000 - 28, tags: []uint16{0x8100}}.bytes()}
			require.Len(t, want[0], p.Info().MaxFrame())
			chains := 1
			for n, k := range rand.New(rand.NewPCG(1, uint64(mode))).Perm(9014 - 60 + 1) {
				want = append(want, udpOf(60+k, byte(n)))
				if 60+k > chunkRoom {
					chains++
				}
			}
			w := worker{t: t, ports: []*Port{p}, decide: func(int, []byte) int { return 0 }}
			for from := 0; from < len(want); from += 64 {
				part := want[from:min(from+64, len(want))]
				send(part...)
				var got [][]byte
				w.until("the echo", func() bool {
					got = append(got, marked(received())...)
					return len(got) >= len(part)
				})
				require.Equal(t, len(part), len(got))
				for n := range part {
					require.True(t, bytes.Equal(part[n], got[n]), "frame of %d bytes", len(part[n]))
				}
			}
			st := b.statusOf(i)
			q := st.Queues[0]
			assert.Empty(t, st.Notes)
			assert.True(t, q.Jumbo)
			assert.EqualValues(t, chains, q.Chains)
			assert.EqualValues(t, chains, q.Copied, "what came in one chunk is sent from there")
			assert.Zero(t, q.RxMissed())
			assert.Zero(t, q.TxLost())
			assert.Equal(t, len(want), w.seen)
			p.verifyFrames(t)
		})
	}
}

// More comes in than the FILL ring holds, and more is to be sent than there are frames:
// what was received and what was missed add up to what was sent here, and what Tx took arrives.
func TestJumboExhaustion(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{MTU: 9000})
			i := b.open(InterfaceConfig{Mode: mode, Frames: MinFrames})
			p := b.port(i, 0)
			send, received := b.sender(), b.received("sw0")
			rng := rand.New(rand.NewPCG(3, uint64(mode)))
			var flood, sent [][]byte
			var got [][]byte
			for range 20 {
				var part [][]byte
				for n := range 150 {
					part = append(part, udpOf([]int{60, 1514, 4200, 9014}[rng.IntN(4)], byte(n)))
				}
				send(part...)
				flood = append(flood, part...)
				eventually(t, "all in, or missed", func() bool {
					got = append(got, poll(t, p)...)
					st := b.statusOf(i)
					return uint64(len(got))+st.Queues[0].RxMissed() == uint64(len(flood))
				})
				var frames []*dataplane.Frame
				for _, f := range part {
					frames = append(frames, foreign(f))
				}
				took := p.Tx(frames)
				require.Positive(t, took)
				require.Less(t, took, len(frames), "the port is full")
				sent = append(sent, part[:took]...)
				eventually(t, "sent", func() bool { require.NoError(t, p.Flush()); return p.s.tx.next == p.s.comp.next })
			}
			q := b.statusOf(i).Queues[0]
			assert.Positive(t, q.RxMissed())
			assert.Zero(t, q.RxTooLong)
			assert.Zero(t, q.TxLost())
			requirePart(t, flood, got)
			var out [][]byte
			eventually(t, "at the far end", func() bool { out = append(out, marked(received())...); return len(out) >= len(sent) })
			require.Len(t, out, len(sent))
			for n := range sent {
				require.True(t, bytes.Equal(sent[n], out[n]), "frame %d", n)
			}
			p.verifyFrames(t)
		})
	}
}

// requirePart requires that got are some of the frames of all, in their order.
func requirePart(t *testing.T, all, got [][]byte) {
	t.Helper()
	for n, f := range got {
		for len(all) > 0 && !bytes.Equal(all[0], f) {
			all = all[1:]
		}
		require.NotEmpty(t, all, "frame %d, of %d bytes, is none of them", n, len(f))
		all = all[1:]
	}
}

// A frame that is larger than the MTU was when the port was opened is lost and counted;
// those around it are not touched.
func TestJumboTooLong(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{MTU: 9000})
			i := b.open(InterfaceConfig{Mode: mode, Frames: MinFrames})
			p := b.port(i, 0)
			b.setMTU(b.gw, "gw0", 16000)
			b.setMTU(b.sw, "sw0", 16000)
			send := b.sender()
			fits, long := udpOf(9014, 1), udpOf(15000, 2)
			for range 100 {
				send(fits, long, long, fits)
				require.Equal(t, [][]byte{fits, fits}, receive(t, p, 2))
			}
			st := b.statusOf(i)
			assert.EqualValues(t, 200, st.Queues[0].RxTooLong)
			assert.EqualValues(t, 200, st.Queues[0].RxMissed())
			assert.Equal(t, []string{"the MTU is 16000; packets of more than 9000 bytes don't fit a frame and are not received"}, st.Notes)
			p.verifyFrames(t)
		})
	}
}

func TestLargestMTU(t *testing.T) {
	b := newBench(t, lab.VethOptions{MTU: 20000})
	i := b.open(InterfaceConfig{})
	p := b.port(i, 0)
	require.Equal(t, 11498, p.Info().MTU)
	largest := udpOf(11498+14, 1)
	b.sender()(largest, udpOf(16000, 2), largest)
	require.Equal(t, [][]byte{largest, largest}, receive(t, p, 2))
	st := b.statusOf(i)
	assert.EqualValues(t, 1, st.Queues[0].RxTooLong)
	assert.Equal(t, []string{"the MTU is 20000; packets of more than 11498 bytes don't fit a frame and are not received"}, st.Notes)
}

// A kernel that does not know chains, or a driver that has none in zero-copy mode: the
// port works for packets of one chunk, and says why not for more.
func TestChainsRefused(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EINVAL, unix.EOPNOTSUPP} {
		b := newBench(t, lab.VethOptions{MTU: 9000, Queues: 2})
		i := b.open(InterfaceConfig{})
		asked := 0
		i.open = func(o options) (*socket, error) {
			if o.flags&unix.XDP_USE_SG != 0 {
				asked++
				return nil, fmt.Errorf("as an old kernel says: %w", errno)
			}
			return openSocket(o)
		}
		p, q := b.port(i, 0), b.port(i, 1)
		assert.Equal(t, 1, asked)
		for _, port := range []*Port{p, q} {
			require.Equal(t, 3818, port.Info().MTU)
			assert.Equal(t, 1, port.Tx([]*dataplane.Frame{foreign(udpOf(5000, 0))}))
			assert.EqualValues(t, 1, port.counters.tooLong.Load())
		}
		fits := udpOf(3818+14, 1)
		b.sender()(fits, udpOf(4042, 0), udpOf(8942, 0), fits)
		var got [][]byte
		eventually(t, "on either queue", func() bool {
			got = append(got, append(poll(t, p), poll(t, q)...)...)
			return len(got) == 2
		})
		assert.Equal(t, [][]byte{fits, fits}, got)
		st := b.statusOf(i)
		assert.Equal(t, 3818, st.MTU)
		assert.False(t, st.Queues[0].Jumbo)
		assert.EqualValues(t, 2, st.Queues[0].Kernel.RxDropped+st.Queues[1].Kernel.RxDropped)
		require.Len(t, st.Notes, 1)
		assert.Equal(t, "the MTU is 9000; packets of more than 3818 bytes are neither received nor sent: "+
			"driver veth or the kernel has no AF_XDP frames in several buffers (Linux 6.6 or later has them): "+errno.Error(), st.Notes[0])
	}
}

// Another error is not taken for a refusal, and one that comes without chains too is reported as it is.
func TestOtherErrorsAreNoRefusal(t *testing.T) {
	b := newBench(t, lab.VethOptions{MTU: 9000})
	i := b.open(InterfaceConfig{})
	for _, errno := range []unix.Errno{unix.ENOBUFS, unix.EOPNOTSUPP} {
		i.open = func(options) (*socket, error) { return nil, errno }
		_, err := b.tryPort(i, 0)
		require.ErrorIs(t, err, errno)
	}
	i.open = openSocket
	require.Equal(t, 9000, b.port(i, 0).Info().MTU)
}

func TestJumboRounds(t *testing.T) {
	b := newBench(t, lab.VethOptions{MTU: 9000})
	i := b.open(InterfaceConfig{Frames: MinFrames})
	send := b.sender()
	frame := udpOf(9014, 1)
	require.NoError(t, b.port(i, 0).Close())
	before := count(t)
	for round := range 100 {
		p := b.port(i, 0)
		send(frame)
		require.Equal(t, [][]byte{frame}, receive(t, p, 1))
		transmit(t, p, foreign(frame))
		if round%2 == 0 { // with a burst and chains on their way
			var burst dataplane.Burst
			send(frame, frame)
			eventually(t, "a burst", func() bool {
				_, err := p.Rx(&burst)
				require.NoError(t, err)
				return burst.N > 0
			})
			p.Tx([]*dataplane.Frame{&burst.F[0], foreign(frame)})
			require.NoError(t, p.Close())
			p.Release(&burst)
			continue
		}
		require.NoError(t, p.Close(), "round %d", round)
	}
	assert.Equal(t, before, count(t))
}

// An interface that is deleted and made again carries chains again. Frames that were in
// the TX ring then are counted as frames, not as chunks.
func TestJumboDeletedAndMadeAgain(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{MTU: 9000})
			i := b.open(InterfaceConfig{Mode: mode, Frames: MinFrames})
			p := b.port(i, 0)
			frame := udpOf(9014, 1)
			for round := range 3 {
				require.NoError(t, b.gw.DeleteLink("gw0"))
				require.Equal(t, 2, p.Tx([]*dataplane.Frame{foreign(frame), foreign(frame)}))
				pollFor(t, b, p, ErrGone)
				b.wire(lab.VethOptions{MTU: 9000})
				require.NoError(t, pollFor(t, b, p, nil))
				assert.EqualValues(t, 2*(round+1), b.statusOf(i).Queues[0].TxLost())
				b.sender()(frame)
				require.Equal(t, [][]byte{frame}, receive(t, p, 1))
				transmit(t, p, foreign(frame))
				p.verifyFrames(t)
			}
		})
	}
}

// A device that is busy, and a kernel that stops within a chain (32 descriptors a call, as
// before 6.17): every frame arrives whole, once, and in order, or not at all where the far
// end has no room.
func TestChainsUnderBackPressure(t *testing.T) {
	b := newBench(t, lab.VethOptions{MTU: 9000})
	i := b.open(InterfaceConfig{Mode: ModeNative, Frames: 1024})
	in := b.port(i, 0)
	var out *Port
	require.NoError(t, b.sw.Do(func() error {
		i, err := Open(InterfaceConfig{Name: "sw0", Mode: ModeGeneric, Frames: MinFrames})
		if err != nil {
			return err
		}
		t.Cleanup(func() { require.NoError(t, i.Close()) })
		out, err = i.Port(0)
		return err
	}))
	_ = unix.SetsockoptInt(out.s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, defaultTxBudget) // older kernels have it fixed
	const n = 3000
	var frames []*dataplane.Frame
	var want, got [][]byte
	for k := range n {
		size := []int{9014, 60, 5000, 9014, 9014}[k%5]
		want = append(want, udpOf(size, byte(k)))
		frames = append(frames, foreign(want[k]))
	}
	eventually(t, "all through", func() bool {
		frames = frames[out.Tx(frames[:min(len(frames), dataplane.BurstSize)]):]
		require.NoError(t, out.Flush())
		got = append(got, poll(t, in)...)
		return uint64(len(got))+b.statusOf(i).Queues[0].RxMissed() == n
	})
	requirePart(t, want, got)
	t.Logf("%d of %d arrived; the kernel stopped early %d times", len(got), n, out.counters.again.Load())
	assert.Positive(t, out.counters.again.Load())
	assert.Greater(t, len(got), n/10)
	assert.Zero(t, out.counters.refused.Load())
	out.verifyFrames(t)
	in.verifyFrames(t)
}
