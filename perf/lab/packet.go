package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetSocket opens an AF_PACKET socket for whole frames, bound to one link of the
// namespace. Protocol 0 receives nothing.
func (ns *NS) packetSocket(link string, protocol uint16) (*os.File, error) {
	l, err := ns.Link(link)
	if err != nil {
		return nil, err
	}
	fd := -1
	err = ns.Do(func() error {
		var err error
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lab: packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "packet:"+link)
	if protocol == unix.ETH_P_ALL {
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		)
	}
	sa := &unix.SockaddrLinklayer{Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, protocol)), Ifindex: l.Attrs().Index}
	if err := errors.Join(err, unix.Bind(fd, sa)); err != nil {
		return nil, errors.Join(fmt.Errorf("lab: packet socket on %s:%s: %w", ns.label, link, err), f.Close())
	}
	return f, nil
}

// Sender sends raw frames out of a link. Send may block while the link is full.
type Sender struct{ f *os.File }

// Sender opens a Sender; the caller closes it.
func (ns *NS) Sender(link string) (*Sender, error) {
	f, err := ns.packetSocket(link, 0)
	if err != nil {
		return nil, err
	}
	return &Sender{f}, nil
}

// Send sends one whole frame, from the Ethernet destination on, without checksum.
func (s *Sender) Send(frame []byte) error {
	if _, err := s.f.Write(frame); err != nil {
		return fmt.Errorf("lab: send: %w", err)
	}
	return nil
}

// Close releases the socket.
func (s *Sender) Close() error { return s.f.Close() }

// Send sends one frame out of a link.
func (ns *NS) Send(link string, frame []byte) error {
	s, err := ns.Sender(link)
	if err != nil {
		return err
	}
	return errors.Join(s.Send(frame), s.Close())
}

// CaptureOptions says what a Capture keeps.
type CaptureOptions struct {
	Filter    func(frame []byte) bool // nil: every frame. Called by the capture's goroutine
	Outgoing  bool                    // frames that leave the link too, not only those that arrive
	CountOnly bool                    // count frames without keeping them
}

// Capture takes frames from a link into memory, in order of arrival. VLAN tags are
// where they were on the wire. One goroutine writes; it ends with Close.
type Capture struct {
	f       *os.File
	opts    CaptureOptions
	done    chan struct{}
	mu      sync.Mutex
	changed chan struct{} // closed and renewed with every frame
	frames  [][]byte
	count   int
	err     error
}

// Capture starts to take frames from a link; whatever is sent after it returned is
// seen. The caller closes it.
func (ns *NS) Capture(link string, o CaptureOptions) (*Capture, error) {
	f, err := ns.packetSocket(link, unix.ETH_P_ALL)
	if err != nil {
		return nil, err
	}
	c := &Capture{f: f, opts: o, done: make(chan struct{}), changed: make(chan struct{})}
	go c.run()
	return c, nil
}

// Count is the number of frames so far.
func (c *Capture) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Frames returns the frames so far; the slices are not written to again.
func (c *Capture) Frames() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames[:len(c.frames):len(c.frames)]
}

// Reset forgets the frames so far.
func (c *Capture) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames, c.count = nil, 0
}

// Wait blocks until there are n frames.
func (c *Capture) Wait(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		count, err, changed := c.count, c.err, c.changed
		c.mu.Unlock()
		if count >= n || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("lab: capture has %d frames, want %d: %w", count, n, ctx.Err())
		}
	}
}

// Dropped is how many frames the kernel dropped since the last call because the capture
// was too slow.
func (c *Capture) Dropped() (int, error) {
	raw, err := c.f.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("lab: capture: %w", err)
	}
	var dropped int
	var statErr error
	err = raw.Control(func(fd uintptr) {
		var st *unix.TpacketStats
		if st, statErr = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); statErr == nil {
			dropped = int(st.Drops)
		}
	})
	return dropped, errors.Join(err, statErr)
}

// Close ends the capture and waits for its goroutine. What was captured stays.
func (c *Capture) Close() error {
	err := c.f.Close()
	<-c.done
	return err
}

func (c *Capture) run() {
	defer close(c.done)
	raw, err := c.f.SyscallConn()
	buf, oob := make([]byte, 65536), make([]byte, 256)
	for err == nil {
		var frame []byte
		var recvErr error
		err = raw.Read(func(fd uintptr) bool {
			frame, recvErr = c.receive(int(fd), buf, oob)
			return !errors.Is(recvErr, unix.EAGAIN)
		})
		// A link that goes down ends nothing: frames may come again.
		if err == nil && recvErr != nil && !errors.Is(recvErr, unix.ENETDOWN) && !errors.Is(recvErr, unix.EINTR) {
			err = recvErr
		}
		if frame != nil && (c.opts.Filter == nil || c.opts.Filter(frame)) {
			c.add(frame)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, os.ErrClosed) {
		c.err = fmt.Errorf("lab: capture: %w", err)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// receive returns the next frame in buf, or nil when it is one that left the link and
// such are not wanted.
func (c *Capture) receive(fd int, buf, oob []byte) ([]byte, error) {
	n, oobn, _, from, err := unix.Recvmsg(fd, buf, oob, 0)
	if err != nil {
		return nil, err
	}
	if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING && !c.opts.Outgoing {
		return nil, nil
	}
	return restoreTag(buf[:n], oob[:oobn]), nil
}

func (c *Capture) add(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if !c.opts.CountOnly {
		c.frames = append(c.frames, bytes.Clone(frame))
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// restoreTag puts the VLAN tag, which the kernel takes out of a frame and hands over in
// struct tpacket_auxdata, back behind the Ethernet addresses.
func restoreTag(frame, oob []byte) []byte {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(frame) < 12 {
		return frame
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			continue
		}
		var aux unix.TpacketAuxdata
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&aux)), unsafe.Sizeof(aux)), m.Data)
		if aux.Status&unix.TP_STATUS_VLAN_VALID == 0 {
			continue
		}
		tpid := uint16(unix.ETH_P_8021Q)
		if aux.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			tpid = aux.Vlan_tpid
		}
		tagged := append(make([]byte, 0, len(frame)+4), frame[:12]...)
		tagged = binary.BigEndian.AppendUint16(tagged, tpid)
		tagged = binary.BigEndian.AppendUint16(tagged, aux.Vlan_tci)
		return append(tagged, frame[12:]...)
	}
	return frame
}
