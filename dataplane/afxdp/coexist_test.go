package afxdp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
)

var bothModes = []Mode{ModeNative, ModeGeneric}

// The kernel's own traffic (ARP and ND to start with, ping, TCP) and EIP frames share
// one interface: each goes its way.
func TestKernelKeepsItsTraffic(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("ping"))
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{})
			i := b.open(InterfaceConfig{Mode: mode})
			p := b.port(i, 0)
			send := b.sender()

			var want [][]byte
			for n, to := range []netip.Addr{eip, eip6, eip, eip6, eip, eip6} {
				k := packet{to: to, payload: 100 + n, tags: []uint16{0x88a8, 0x8100}[:n/2]}
				if n/2 == 1 {
					k.tags = []uint16{0x8100}
				}
				want = append(want, k.bytes())
			}
			for n, addr := range []string{"10.0.0.1", "fd00::1"} {
				send(want[3*n], want[3*n+1])
				b.ping(addr)
				b.transfer(addr)
				send(want[3*n+2])
			}
			got := receive(t, p, len(want))
			assert.Equal(t, want, got, "the port has the EIP frames, all of them and nothing else")
			st, err := i.Status()
			require.NoError(t, err)
			assert.Equal(t, uint64(len(want)), st.Filter.Redirected)
			assert.Zero(t, st.Filter.Unserved)
			assert.Greater(t, st.Filter.Passed, uint64(100), "the TCP transfers went to the kernel")
		})
	}
}

func (b *bench) ping(addr string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	_, err := b.sw.Output(ctx, "ping", "-c", "3", "-i", "0.01", "-W", "2", addr)
	require.NoError(b.t, err, "ping %s", addr)
}

// transfer sends a megabyte by TCP to the gateway's kernel and compares what it got.
func (b *bench) transfer(addr string) {
	b.t.Helper()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var l net.Listener
	require.NoError(b.t, b.gw.Do(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(addr, "179"))
		return err
	}))
	defer l.Close()
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- result{err: err}
			return
		}
		defer c.Close()
		got, err := io.ReadAll(c)
		done <- result{got, err}
	}()
	require.NoError(b.t, b.sw.Do(func() error {
		c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		_, err = c.Write(data)
		return err
	}))
	got := <-done
	require.NoError(b.t, got.err)
	require.True(b.t, bytes.Equal(data, got.data), "%d of %d bytes by TCP to %s", len(got.data), len(data), addr)
}

// Frames that come in on one interface leave by another, copied, while some go back.
func TestForwardAcrossPorts(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{})
			require.NoError(t, lab.Veth(lab.End{NS: b.gw, Name: "gw1", Pfifo: 1000}, lab.End{NS: b.sw, Name: "sw1"}, lab.VethOptions{}))
			in := b.port(b.open(InterfaceConfig{ID: 1, Mode: mode, Frames: MinFrames}), 0)
			var out *Port
			require.NoError(t, b.gw.Do(func() error {
				i, err := Open(InterfaceConfig{ID: 2, Name: "gw1", Mode: mode, Frames: MinFrames})
				if err != nil {
					return err
				}
				t.Cleanup(func() { require.NoError(t, i.Close()) })
				out, err = i.Port(0)
				return err
			}))
			send, back, across := b.sender(), b.received("sw0"), b.received("sw1")
			var wantBack, wantAcross, gotBack, gotAcross [][]byte
			w := worker{t: t, ports: []*Port{in, out}, decide: func(n int, _ []byte) int { return n % 3 }}
			for n := range 40 {
				var burst [][]byte
				for k := range 16 {
					seq := n*16 + k
					f := packet{to: eip, payload: 18 + seq%1400, seq: byte(seq)}.bytes()
					burst = append(burst, f)
					switch seq % 3 {
					case 0:
						wantBack = append(wantBack, f)
					case 1:
						wantAcross = append(wantAcross, f)
					}
				}
				send(burst...)
				w.until(fmt.Sprintf("burst %d", n), func() bool {
					gotBack = append(gotBack, marked(back())...)
					gotAcross = append(gotAcross, marked(across())...)
					return w.seen == 16*(n+1) && len(gotBack) == len(wantBack) && len(gotAcross) == len(wantAcross)
				})
			}
			assert.Equal(t, wantBack, gotBack)
			assert.Equal(t, wantAcross, gotAcross)
			in.verifyFrames(t)
			out.verifyFrames(t)
			assert.Equal(t, uint64(len(wantAcross)), out.counters.copied.Load())
			assert.Zero(t, in.counters.copied.Load(), "one-arm traffic is not copied")
		})
	}
}

// Each of two queues has its own port and gets its own frames.
func TestTwoQueues(t *testing.T) {
	b := newBench(t, lab.VethOptions{Queues: 2})
	i := b.open(InterfaceConfig{Mode: ModeNative})
	require.Equal(t, 2, i.Queues())
	ports := []*Port{b.port(i, 0), b.port(i, 1)}
	var sw *Interface
	require.NoError(t, b.sw.Do(func() (err error) {
		sw, err = Open(InterfaceConfig{Name: "sw0", Mode: ModeGeneric})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, sw.Close()) })
	for q, p := range ports {
		var far *Port
		require.NoError(t, b.sw.Do(func() (err error) {
			far, err = sw.Port(q)
			return err
		}))
		var want [][]byte
		for n := range 100 {
			f := packet{to: eip, payload: 40, seq: byte(100*q + n)}.bytes()
			want = append(want, f)
			transmit(t, far, foreign(f))
		}
		assert.Equal(t, want, receive(t, p, len(want)), "queue %d", q)
		assert.Equal(t, q, p.Info().Queue)
	}
}

// A queue without a port loses nothing: its frames go to the kernel, and are counted.
func TestQueueWithoutAPort(t *testing.T) {
	b := newBench(t, lab.VethOptions{Queues: 2})
	i := b.open(InterfaceConfig{Mode: ModeNative, Queues: 1})
	require.Equal(t, 1, i.Queues())
	b.port(i, 0)
	_, err := b.tryPort(i, 1)
	require.ErrorContains(t, err, "gw0 queue 1: expected 0 to 0")
	b.senderOn(1)(packet{to: eip, payload: 40}.bytes())
	eventually(t, "frame counted", func() bool {
		st, err := i.Status()
		require.NoError(t, err)
		return st.Filter.Unserved == 1
	})
	var st Status
	require.NoError(t, b.gw.Do(func() error {
		var err error
		st, err = i.Status()
		return err
	}))
	require.Len(t, st.Notes, 2)
	assert.Contains(t, st.Notes[0], "1 of 2 receive queues have a port")
	assert.Contains(t, st.Notes[1], "1 frames for a segment came on queues without a port")
}
