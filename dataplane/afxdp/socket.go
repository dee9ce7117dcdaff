package afxdp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// geometry is how a socket's memory is divided.
type geometry struct {
	frames int // a power of two
	size   int // bytes of one frame's chunk, a power of two
}

// ring is the number of slots of the FILL, RX and TX rings. The completion ring has one
// for every frame, so that the kernel never waits for room in it.
func (g geometry) ring() int { return g.frames / 2 }

// offset masks an address in the UMEM down to the offset in its chunk.
func (g geometry) offset() uint64 { return uint64(g.size - 1) }

// options is what a socket is opened with.
type options struct {
	ifindex  int
	queue    int
	flags    uint16 // of bind
	busyPoll int
	geometry
}

// socket is one bound AF_XDP socket: its frames and its rings. The port's worker owns it.
type socket struct {
	geometry
	xsk  *xdp.Socket
	fd   int
	umem []byte

	fill producer[uint64]
	rx   consumer[xdp.Desc]
	tx   producer[xdp.Desc]
	comp consumer[uint64]
	maps [4]memory

	zeroCopy   bool // got from the kernel
	txBudget   int  // frames that one kick moves in copy mode
	sendBuffer int  // bytes of packets on their way, as the kernel counts them
	busyPoll   int
}

// defaultTxBudget is what kernels before 6.17 move per kick, and later ones unless told
// (XDP_MAX_TX_SKB_BUDGET).
const defaultTxBudget = 32

// openMu covers everything of asavie/xdp that is one for the whole process: its bind flags,
// and which ring mappings are its.
var openMu sync.Mutex

// openSocket makes a bound socket. Errors wrap the errno.
func openSocket(o options) (_ *socket, err error) {
	s := &socket{geometry: o.geometry, txBudget: defaultTxBudget, busyPoll: o.busyPoll}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	openMu.Lock()
	defer openMu.Unlock()
	off, err := ringOffsets()
	if err != nil {
		return nil, err
	}
	if s.xsk, err = newSocket(o, ringSizes(&off, o.geometry)); err != nil {
		return nil, err
	}
	s.fd = s.xsk.FD()
	s.umem = s.xsk.GetFrame(xdp.Desc{Len: uint32(o.frames * o.size)})
	if err := s.mapRings(&off); err != nil {
		return nil, err
	}
	return s, s.tune(o)
}

// ringOffsets asks the kernel where in a ring its parts lie, by a socket of its own.
// That also shows whether AF_XDP can be used at all.
func ringOffsets() (off unix.XDPMmapOffsets, err error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EPERM):
		return off, fmt.Errorf("opening an AF_XDP socket: %w", explainPrivilege(err, capNetRaw))
	case errors.Is(err, unix.EAFNOSUPPORT):
		return off, fmt.Errorf("opening an AF_XDP socket: the kernel was built without CONFIG_XDP_SOCKETS: %w", err)
	case err != nil:
		return off, fmt.Errorf("opening an AF_XDP socket: %w", err)
	}
	defer unix.Close(fd)
	if err := getsockopt(fd, unix.XDP_MMAP_OFFSETS, &off); err != nil {
		return off, fmt.Errorf("asking for the ring layout: %w", err)
	}
	return off, nil
}

// newSocket has asavie/xdp make a socket, and unmaps the rings that it leaves mapped
// whether it succeeds or not. The caller holds openMu.
func newSocket(o options, sizes map[uint64]uintptr) (*xdp.Socket, error) {
	before, err := socketMappings()
	if err != nil {
		return nil, err
	}
	saved := xdp.DefaultSocketFlags
	xdp.DefaultSocketFlags = o.flags
	syscall.ForkLock.RLock()
	xsk, err := xdp.NewSocket(o.ifindex, o.queue, &xdp.SocketOptions{
		NumFrames:              o.frames,
		FrameSize:              o.size,
		FillRingNumDescs:       o.ring(),
		CompletionRingNumDescs: o.frames,
		RxRingNumDescs:         o.ring(),
		TxRingNumDescs:         o.ring(),
	})
	if err == nil {
		unix.CloseOnExec(xsk.FD())
	}
	syscall.ForkLock.RUnlock()
	xdp.DefaultSocketFlags = saved

	n, releaseErr := releaseNew(before, sizes)
	if err != nil {
		return nil, errors.Join(explainOpen(err), releaseErr)
	}
	if releaseErr == nil && n != len(sizes) {
		releaseErr = fmt.Errorf("found %d of the %d ring mappings to release", n, len(sizes))
	}
	if releaseErr != nil {
		return nil, errors.Join(releaseErr, xsk.Close())
	}
	return xsk, nil
}

// explainOpen reads the errno back from the text of an error of xdp.NewSocket, and says
// what it means.
func explainOpen(err error) error {
	text := err.Error()
	errno := errnoOf(text)
	if errno == 0 {
		return err
	}
	step, _, _ := strings.Cut(text, " failed")
	why := ""
	switch {
	case strings.Contains(step, "Bind"):
		why = bindErrors[errno]
	case strings.Contains(step, "UMEM_REG") && (errno == unix.ENOBUFS || errno == unix.EPERM):
		why = "locked memory for the frames: raise LimitMEMLOCK (ulimit -l) or give CAP_IPC_LOCK"
	case errno == unix.ENOMEM:
		why = "not enough memory for the frames"
	}
	if why == "" {
		return fmt.Errorf("%s: %w", step, errno)
	}
	if errno == unix.EBUSY {
		return fmt.Errorf("%w: %w", ErrQueueBusy, errno)
	}
	return fmt.Errorf("%s: %w", why, errno)
}

var bindErrors = map[unix.Errno]string{
	unix.EBUSY:      "queue in use",
	unix.EINVAL:     "no such queue, or the driver refuses the frame size",
	unix.EOPNOTSUPP: "driver has no zero-copy AF_XDP: set zero-copy to auto or off",
	unix.ENODEV:     "no such interface",
	unix.ENETDOWN:   "link is down",
	unix.EPERM:      "not permitted",
}

// errnoOf finds the errno whose text ends s, or 0.
func errnoOf(s string) unix.Errno {
	const largest = 133
	for e := unix.Errno(1); e <= largest; e++ {
		if strings.HasSuffix(s, ": "+e.Error()) {
			return e
		}
	}
	return 0
}

func (s *socket) mapRings(off *unix.XDPMmapOffsets) error {
	fill, err1 := mapProducer[uint64](s, 0, unix.XDP_UMEM_PGOFF_FILL_RING, off.Fr, s.ring())
	comp, err2 := mapConsumer[uint64](s, 1, unix.XDP_UMEM_PGOFF_COMPLETION_RING, off.Cr, s.frames)
	rx, err3 := mapConsumer[xdp.Desc](s, 2, unix.XDP_PGOFF_RX_RING, off.Rx, s.ring())
	tx, err4 := mapProducer[xdp.Desc](s, 3, unix.XDP_PGOFF_TX_RING, off.Tx, s.ring())
	s.fill, s.comp, s.rx, s.tx = fill, comp, rx, tx
	return errors.Join(err1, err2, err3, err4)
}

func mapProducer[T element](s *socket, n int, pgoff int64, off unix.XDPRingOffset, slots int) (r producer[T], err error) {
	s.maps[n], r.shared, r.slots, err = mapRing[T](s.fd, pgoff, off, slots)
	r.mask = uint32(slots - 1)
	return r, err
}

func mapConsumer[T element](s *socket, n int, pgoff int64, off unix.XDPRingOffset, slots int) (r consumer[T], err error) {
	s.maps[n], r.shared, r.slots, err = mapRing[T](s.fd, pgoff, off, slots)
	r.mask = uint32(slots - 1)
	return r, err
}

// tune sets what can be set after binding, and reads what was got.
func (s *socket) tune(o options) error {
	opts, err := unix.GetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_OPTIONS)
	if err != nil {
		return fmt.Errorf("asking whether the socket is zero-copy: %w", err)
	}
	s.zeroCopy = opts&unix.XDP_OPTIONS_ZEROCOPY != 0

	// A kick then moves a whole burst and more. Kernels before 6.17 don't have it.
	if unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, s.ring()) == nil {
		s.txBudget = s.ring()
	}
	// In copy mode packets on their way are charged to the socket: room for all frames,
	// each as the kernel counts a packet.
	const perPacket = 1024
	want := s.frames * (s.size + perPacket)
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, want) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, want) // less is slower, not wrong; Status shows it
	}
	s.sendBuffer, _ = unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	return s.setBusyPoll(o.busyPoll)
}

func (s *socket) setBusyPoll(budget int) error {
	if budget == 0 {
		return nil
	}
	const microseconds = 20
	for _, o := range []struct {
		name  string
		opt   int
		value int
	}{
		{"SO_PREFER_BUSY_POLL", unix.SO_PREFER_BUSY_POLL, 1},
		{"SO_BUSY_POLL", unix.SO_BUSY_POLL, microseconds},
		{"SO_BUSY_POLL_BUDGET", unix.SO_BUSY_POLL_BUDGET, budget},
	} {
		err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o.opt, o.value)
		if errors.Is(err, unix.EPERM) {
			err = explainPrivilege(err, capNetAdmin)
		}
		if err != nil {
			return fmt.Errorf("busy polling: %s: %w", o.name, err)
		}
	}
	return nil
}

// close gives everything back. The queue is free a moment later: the kernel takes a
// socket off its device in the background.
func (s *socket) close() error {
	var errs []error
	for n := range s.maps {
		errs = append(errs, s.maps[n].unmap())
	}
	if s.xsk != nil {
		errs = append(errs, s.xsk.Close())
		s.xsk = nil
	}
	s.fd, s.umem = -1, nil
	return errors.Join(errs...)
}
