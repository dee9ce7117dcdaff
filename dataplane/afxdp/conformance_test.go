package afxdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/porttest"
	"github.com/eipgw/eipgw/perf/lab"
)

// TestConformance runs the rules of dataplane.Port over veth, in both modes, with one
// queue and with two, with frames of one chunk and of up to three.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		mode     Mode
		queues   int
		queue    int
		busyPoll int
		mtu      int
	}{
		{ModeNative, 1, 0, 0, 1500},
		{ModeGeneric, 1, 0, 0, 1500},
		{ModeNative, 1, 0, 64, 1500},
		{ModeNative, 2, 1, 0, 1500},
		{ModeGeneric, 2, 0, 0, 1500}, // veth tells generic XDP nothing of queues: all is on the first
		{ModeNative, 1, 0, 0, 9000},
		{ModeGeneric, 1, 0, 0, 9000},
		{ModeNative, 2, 1, 64, 11498},
	} {
		t.Run(fmt.Sprintf("%v, queue %d of %d, busy-poll %d, MTU %d", c.mode, c.queue, c.queues, c.busyPoll, c.mtu), func(t *testing.T) {
			porttest.Run(t, porttest.Harness{
				MAC: gwMAC, Dst: eip, Buffers: MinFrames, Tagged: true, Edges: chunkEdges,
				Open: func(t testing.TB, _ [][]byte) *porttest.Link {
					b := newBench(t.(*testing.T), lab.VethOptions{Queues: c.queues, MTU: c.mtu})
					i := b.open(InterfaceConfig{ID: 3, Mode: c.mode, Frames: MinFrames, BusyPoll: c.busyPoll})
					return b.link(b.port(i, c.queue), c.queue)
				},
			})
		})
	}
}

// chunkEdges are the largest frames of one chunk of either size, and of two and three, as
// they are received (behind the headroom) and sent (from the chunk's beginning).
var chunkEdges = []int{2048 - 256, 2048, 4096 - 256, 4096, 2 * (4096 - 256), 2 * 4096, 3 * (4096 - 256)}

// link is the far end of a port. It sends by the queue that makes veth deliver on the
// same one: a raw socket knows only the first, so for others it is a port too.
func (b *bench) link(p *Port, queue int) *porttest.Link {
	l := &porttest.Link{
		Port:     p,
		Send:     b.sender(),
		Received: b.received("sw0"),
		Down:     func() { require.NoError(b.t, b.gw.Down("gw0")) },
		Up: func() {
			require.NoError(b.t, b.gw.Up("gw0"))
			require.NoError(b.t, b.gw.WaitUp("gw0"))
		},
	}
	if queue > 0 {
		l.Send = b.senderOn(queue)
	}
	return l
}

// received opens a raw socket on the switch's end of a link, and returns what reads from
// it without waiting and without a goroutine. VLAN tags are put back.
func (b *bench) received(name string) func() [][]byte {
	link, err := b.sw.Link(name)
	require.NoError(b.t, err)
	fd := -1
	require.NoError(b.t, b.sw.Do(func() error {
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
		var err error
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		b.t.Cleanup(func() { require.NoError(b.t, unix.Close(fd)) })
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index}))
	}))
	buf, oob := make([]byte, 1<<14), make([]byte, 256)
	return func() [][]byte {
		var frames [][]byte
		for {
			n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
			if errors.Is(err, unix.ENETDOWN) {
				continue
			}
			if err != nil {
				require.ErrorIs(b.t, err, unix.EAGAIN)
				return frames
			}
			frames = append(frames, withTag(buf[:n], oob[:oobn]))
		}
	}
}

// withTag copies a frame, with the VLAN tag that the kernel has moved into struct
// tpacket_auxdata: status at 0, tag at 16, its EtherType at 18.
func withTag(frame, oob []byte) []byte {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 || len(msgs[0].Data) < 20 {
		return bytes.Clone(frame)
	}
	aux := msgs[0].Data
	if binary.LittleEndian.Uint32(aux)&unix.TP_STATUS_VLAN_VALID == 0 {
		return bytes.Clone(frame)
	}
	tagged := binary.BigEndian.AppendUint16(bytes.Clone(frame[:12]), binary.LittleEndian.Uint16(aux[18:]))
	tagged = binary.BigEndian.AppendUint16(tagged, binary.LittleEndian.Uint16(aux[16:]))
	return append(tagged, frame[12:]...)
}

func (b *bench) sender() func(...[]byte) {
	s, err := b.sw.Sender("sw0")
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, s.Close()) })
	return func(frames ...[]byte) {
		for _, f := range frames {
			require.NoError(b.t, s.Send(f))
		}
	}
}

func (b *bench) senderOn(queue int) func(...[]byte) {
	var p *Port
	require.NoError(b.t, b.sw.Do(func() error {
		i, err := Open(InterfaceConfig{Name: "sw0", Mode: ModeGeneric})
		if err != nil {
			return err
		}
		b.t.Cleanup(func() { require.NoError(b.t, i.Close()) })
		p, err = i.Port(queue)
		return err
	}))
	return func(frames ...[]byte) {
		for _, f := range frames {
			transmit(b.t, p, foreign(f))
		}
	}
}
