package afxdp

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/perf/lab"
)

// One queue is opened and closed a thousand times; each time it works, and in the end
// nothing is left of it.
func TestThousandRounds(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	i := b.open(InterfaceConfig{Mode: ModeNative, Frames: MinFrames})
	send := b.sender()
	frame := packet{to: eip, payload: 40}.bytes()
	require.NoError(t, b.port(i, 0).Close())
	before := count(t)
	for round := range openRounds {
		p := b.port(i, 0)
		if round%100 == 0 {
			send(frame)
			receive(t, p, 1)
			transmit(t, p, foreign(frame))
		}
		require.NoError(t, p.Close(), "round %d", round)
	}
	assert.Equal(t, before, count(t))
}

func TestInterfaceRounds(t *testing.T) {
	b := newBench(t, lab.VethOptions{Queues: 2})
	round := func(mode Mode) {
		i := b.open(InterfaceConfig{Mode: mode, Frames: MinFrames})
		b.port(i, 0)
		b.port(i, 1)
		require.NoError(t, i.Close())
		require.NoError(t, i.Close(), "twice")
	}
	round(ModeNative)
	before := count(t)
	for n := range 20 {
		round(bothModes[n%2])
	}
	assert.Equal(t, before, count(t))
	assert.Nil(t, b.device("gw0").foreignProgram(), "the program is off the device")
}

func (b *bench) device(name string) (d device) {
	b.t.Helper()
	require.NoError(b.t, b.gw.Do(func() (err error) {
		d, err = lookup(name)
		return err
	}))
	return d
}

// Every way in which opening fails names what was wanted, and leaves nothing behind.
func TestFailuresAreNamedAndLeaveNothing(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	held := b.open(InterfaceConfig{Mode: ModeNative})
	taken, err := b.rawSocket()
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.close()) }()
	_, err = b.tryPort(held, 0)
	require.Error(t, err)

	before := count(t)
	for name, c := range map[string]struct {
		try  func() error
		want []string
		is   error
	}{
		"queue in use": {func() error { _, err := b.tryPort(held, 0); return err },
			[]string{"afxdp: gw0 queue 0: queue has an AF_XDP socket already"}, ErrQueueBusy},
		"program in place": {func() error { _, err := b.tryOpen(InterfaceConfig{}); return err },
			[]string{"gw0", `"eipgw_filter"`, "native", "another eipgw"}, nil},
		"no interface": {func() error {
			return b.gw.Do(func() error { _, err := Open(InterfaceConfig{Name: "gw9"}); return err })
		}, []string{"afxdp: interface gw9", "not found"}, nil},
		"no such queue": {func() error { _, err := b.tryPort(held, 1); return err },
			[]string{"gw0 queue 1: expected 0 to 0"}, nil},
		"too many queues": {func() error {
			return b.sw.Do(func() error { _, err := Open(InterfaceConfig{Name: "sw0", Queues: 2}); return err })
		}, []string{"sw0: 2 queues wanted, it has 1 in use"}, nil},
		"no zero-copy": {func() error {
			return b.sw.Do(func() error {
				i, err := Open(InterfaceConfig{Name: "sw0", ZeroCopy: ZeroCopyRequire})
				if err != nil {
					return err
				}
				_, err = i.Port(0)
				return errors.Join(err, i.Close())
			})
		}, []string{"sw0 queue 0", "zero-copy"}, unix.EOPNOTSUPP},
		"another namespace": {func() error { _, err := held.Port(0); return err },
			[]string{"gw0 queue 0", "another network namespace"}, nil},
	} {
		err := c.try()
		require.Error(t, err, name)
		for _, w := range c.want {
			assert.ErrorContains(t, err, w, name)
		}
		if c.is != nil {
			assert.ErrorIs(t, err, c.is, name)
		}
		t.Logf("%s: %v", name, err)
	}
	assert.Equal(t, before, count(t))
}

// rawSocket takes the gateway's queue away from under a port that is to be opened.
func (b *bench) rawSocket() (s *socket, err error) {
	index := b.device("gw0").index
	err = b.gw.Do(func() (err error) {
		s, err = openSocket(options{ifindex: index, flags: unix.XDP_COPY, geometry: geometry{frames: MinFrames, size: 2048}})
		return err
	})
	return s, err
}

func TestPortIsOpenOnce(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	i := b.open(InterfaceConfig{})
	p := b.port(i, 0)
	_, err := b.tryPort(i, 0)
	require.ErrorContains(t, err, "this port is open already")
	require.NoError(t, p.Close())
	p = b.port(i, 0)
	require.NoError(t, i.Close())
	_, err = p.Rx(new(dataplane.Burst))
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, p.Close())
	_, err = b.tryPort(i, 0)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, i.SetSegments(nil), ErrClosed)
	require.ErrorIs(t, i.SetLocal(nil), ErrClosed)
	_, err = i.Status()
	require.ErrorIs(t, err, ErrClosed)
}

// A child must not keep a queue busy that its parent has closed.
func TestSocketsAreNotInherited(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{}), 0)
	for _, fd := range []int{p.FD(), p.iface.ctl} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		assert.NotZero(t, flags&unix.FD_CLOEXEC)
	}
}

// Another program on the device is named, in whatever mode, and stays.
func TestForeignProgramStays(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else", Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	require.NoError(t, err)
	defer prog.Close()
	for _, theirs := range bothModes {
		var l link.Link
		require.NoError(t, b.gw.Do(func() (err error) {
			l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: b.device("gw0").index, Flags: attachFlags(theirs)})
			return err
		}))
		for _, ours := range []Mode{ModeAuto, ModeNative, ModeGeneric} {
			_, err := b.tryOpen(InterfaceConfig{Mode: ours})
			var foreign *ForeignProgramError
			require.ErrorAs(t, err, &foreign)
			assert.Equal(t, "somebody_else", foreign.Name)
			assert.ErrorContains(t, err, fmt.Sprintf(`gw0: XDP program "somebody_else" (id %d, %v) is attached already: remove it first`, foreign.ID, theirs))
		}
		// Also when it comes between the look and the attachment.
		i := &Interface{cfg: InterfaceConfig{Name: "gw0"}}
		require.NoError(t, i.load())
		dev := b.device("gw0")
		dev.xdp = nil
		require.ErrorContains(t, b.gw.Do(func() error { return i.attach(dev) }), `"somebody_else"`)
		require.NoError(t, i.objs.Close())
		require.NotNil(t, b.device("gw0").foreignProgram(), "theirs is still there")
		require.NoError(t, l.Close())
	}
	b.open(InterfaceConfig{})
}

func TestModeGot(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	for want, wire := range map[Mode]uint32{ModeNative: 1, ModeGeneric: 2} {
		i := b.open(InterfaceConfig{Mode: want})
		st, err := i.Status()
		require.NoError(t, err)
		assert.Equal(t, want, st.Mode)
		dev := b.device("gw0")
		require.NotNil(t, dev.xdp)
		assert.Equal(t, wire, dev.xdp.AttachMode)
		require.NoError(t, i.Close())
	}
	// tap has native XDP for single-buffer programs only on some kernels; a bridge never has.
	require.NoError(t, b.gw.Bridge("br0"))
	open := func(mode Mode) (st Status, err error) {
		err = b.gw.Do(func() error {
			i, err := Open(InterfaceConfig{Name: "br0", Mode: mode})
			if err != nil {
				return err
			}
			st, err = i.Status()
			return errors.Join(err, i.Close())
		})
		return st, err
	}
	st, err := open(ModeAuto)
	require.NoError(t, err)
	assert.Equal(t, ModeGeneric, st.Mode, "auto falls back")
	_, err = open(ModeNative)
	require.ErrorContains(t, err, "br0: attaching the XDP program in native mode: driver bridge has no native XDP")
}

// pollFor polls a port, in its namespace, until Rx says what is wanted.
func pollFor(t *testing.T, b *bench, p *Port, want error) error {
	t.Helper()
	var burst dataplane.Burst
	var got error
	require.NoError(t, b.gw.Do(func() error {
		for end := time.Now().Add(patience); ; p.Wait(time.Millisecond) {
			_, got = p.Rx(&burst)
			p.Release(&burst)
			_ = p.Flush()
			if want == nil && got == nil || want != nil && errors.Is(got, want) {
				return nil
			}
			if time.Now().After(end) {
				return fmt.Errorf("Rx returns %w, want %w", got, want)
			}
		}
	}))
	return got
}

func TestLinkDownAndUp(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{})
			i := b.open(InterfaceConfig{Mode: mode, Frames: MinFrames})
			p := b.port(i, 0)
			frame := packet{to: eip, payload: 40}.bytes()
			for name, end := range map[string]*lab.NS{"gw0": b.gw, "sw0": b.sw} {
				for range 2 {
					require.NoError(t, end.Down(name))
					err := pollFor(t, b, p, ErrDown)
					assert.ErrorContains(t, err, "afxdp: gw0 queue 0: link is down")
					assert.Equal(t, -1, p.FD())
					assert.Zero(t, p.Tx([]*dataplane.Frame{foreign(frame)}))
					assert.ErrorIs(t, p.Flush(), ErrDown)
					st, err := i.Status()
					require.NoError(t, err)
					assert.Contains(t, st.Queues[0].Error, "link is down")
					require.NoError(t, end.Up(name))
					require.NoError(t, b.gw.WaitUp("gw0"))
					require.NoError(t, b.sw.WaitUp("sw0"))
					require.NoError(t, pollFor(t, b, p, nil))
					b.sender()(frame)
					receive(t, p, 1)
					p.verifyFrames(t)
				}
			}
		})
	}
}

// A worker with several ports sleeps on their descriptors; it sees a link that went
// down after one sleep or two.
func TestLinkDownIsSeenAfterASleep(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{Frames: MinFrames}), 0)
	for pollOnce(p); p.rounds%clockIdle != 0; pollOnce(p) { // the clock was looked at just now
	}
	require.NoError(t, b.gw.Down("gw0"))
	sleeps := 0
	for ; pollOnce(p) == nil && sleeps < clockIdle; sleeps++ {
		require.Positive(t, p.FD())
		time.Sleep(healthPeriod)
	}
	assert.LessOrEqual(t, sleeps, 2)
}

// Frames are being sent while the link goes down: that is no panic, and none is lost
// from the books.
func TestLinkGoesDownWhileSending(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{Frames: MinFrames}), 0)
	frame := packet{to: eip, payload: 40}.bytes()
	for n := range 6 {
		ends := []struct {
			ns   *lab.NS
			name string
		}{{b.gw, "gw0"}, {b.sw, "sw0"}}
		end := ends[n%2]
		done := make(chan error)
		go func() {
			time.Sleep(2 * time.Millisecond)
			done <- end.ns.Down(end.name)
		}()
		eventually(t, "down", func() bool {
			p.Tx([]*dataplane.Frame{foreign(frame), foreign(frame)})
			return errors.Is(p.Flush(), ErrDown) || errors.Is(pollOnce(p), ErrDown)
		})
		require.NoError(t, <-done)
		require.NoError(t, end.ns.Up(end.name))
		require.NoError(t, pollFor(t, b, p, nil))
		p.verifyFrames(t)
	}
	assert.Positive(t, p.counters.refused.Load(), "without a carrier the device refuses frames, until the port is down")
}

func pollOnce(p *Port) error {
	var b dataplane.Burst
	_, err := p.Rx(&b)
	p.Release(&b)
	return err
}

// A deleted interface is an error until there is one of that name and address again.
func TestInterfaceDeletedAndMadeAgain(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, lab.VethOptions{Queues: 2})
			i := b.open(InterfaceConfig{Mode: mode, Frames: MinFrames})
			p, q := b.port(i, 0), b.port(i, 1)
			frame := packet{to: eip, payload: 40}.bytes()
			var before resources
			for round := range 4 {
				transmit(t, p, foreign(frame), foreign(frame))
				require.NoError(t, b.gw.DeleteLink("gw0"))
				assert.ErrorContains(t, pollFor(t, b, p, ErrGone), "afxdp: gw0 queue 0: interface is gone")
				assert.ErrorContains(t, pollFor(t, b, q, ErrGone), "afxdp: gw0 queue 1: interface is gone")
				assert.Zero(t, p.Tx([]*dataplane.Frame{foreign(frame)}))
				assert.Equal(t, -1, p.FD())
				st, err := i.Status()
				require.NoError(t, err)
				assert.Contains(t, st.Queues[1].Error, "interface is gone")

				b.wire(lab.VethOptions{Queues: 2})
				require.NoError(t, pollFor(t, b, p, nil))
				require.NoError(t, pollFor(t, b, q, nil))
				b.sender()(frame)
				received := 0 // on either queue: the far end chooses
				eventually(t, "a frame", func() bool {
					received += len(poll(t, p)) + len(poll(t, q))
					return received == 1
				})
				p.verifyFrames(t)
				q.verifyFrames(t)
				switch now := count(t); round {
				case 0, 1:
				case 2:
					before = now
					before.fds += 1 // the sender, open until the end of the test
				default:
					assert.Equal(t, before, now)
				}
			}
		})
	}
}

// Frames that Tx took and that never left are counted: one that is too long, one whose
// interface is deleted before it is sent.
func TestLostFramesAreCounted(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	i := b.open(InterfaceConfig{Frames: MinFrames})
	p := b.port(i, 0)
	lost := func() uint64 {
		st, err := i.Status()
		require.NoError(t, err)
		return st.Queues[0].TxLost()
	}
	frame := packet{to: eip, payload: 40}.bytes()
	transmit(t, p, foreign(frame), foreign(make([]byte, p.Info().MaxFrame()+1)))
	assert.EqualValues(t, 1, lost())
	require.NoError(t, b.gw.DeleteLink("gw0"))
	require.Equal(t, 1, p.Tx([]*dataplane.Frame{foreign(frame)}))
	pollFor(t, b, p, ErrGone)
	b.wire(lab.VethOptions{})
	require.NoError(t, pollFor(t, b, p, nil))
	assert.EqualValues(t, 2, lost())
}

func TestInterfaceMadeAgainWithAnotherAddress(t *testing.T) {
	b := newBench(t, lab.VethOptions{})
	p := b.port(b.open(InterfaceConfig{}), 0)
	require.NoError(t, b.gw.DeleteLink("gw0"))
	pollFor(t, b, p, ErrGone)
	require.NoError(t, lab.Veth(lab.End{NS: b.gw, Name: "gw0", MAC: "02:00:00:00:00:77"}, lab.End{NS: b.sw, Name: "sw0"}, lab.VethOptions{}))
	require.NoError(t, b.gw.Do(func() error {
		eventually(t, "an explanation", func() bool {
			err := pollOnce(p)
			return errors.Is(err, ErrGone) && assert.ObjectsAreEqual(err.Error(),
				"afxdp: gw0 queue 0: interface is gone: it was deleted and made again with Ethernet address 02:00:00:00:00:77, expected 02:00:00:00:00:0a: give it that address, or restart")
		})
		return nil
	}))
	require.NoError(t, b.gw.SetMAC("gw0", gwMAC.String()))
	require.NoError(t, pollFor(t, b, p, nil))
}

// A port whose interface is gone can be closed like any other.
func TestCloseWhileGone(t *testing.T) {
	b := newBench(t, lab.VethOptions{Queues: 2})
	i := b.open(InterfaceConfig{Frames: MinFrames})
	p, q := b.port(i, 0), b.port(i, 1)
	before := count(t)
	require.NoError(t, b.gw.DeleteLink("gw0"))
	pollFor(t, b, p, ErrGone) // q has not noticed
	st, err := i.Status()
	require.NoError(t, err)
	assert.Contains(t, st.Notes, "the XDP program is not on the interface any more: nothing is received")
	require.NoError(t, p.Close())
	require.NoError(t, q.Close())
	require.NoError(t, i.Close())
	after := count(t)
	assert.Less(t, after.fds, before.fds)
	assert.Zero(t, after.sockets)
}
