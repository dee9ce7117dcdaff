package underlay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxReports bounds a batch, and errorPause is how long a socket rests after one. In
	// a flood the rest is lost where it costs least, in the kernel's buffer: whoever goes on to
	// send what is too big is told again.
	maxReports = 64
	errorPause = 4 * time.Millisecond

	// maxError is more than the longest ICMP error that there may be: 576 bytes in IPv4 (RFC
	// 1812 section 4.3.2.3), 1280 in IPv6 (RFC 4443 section 2.4). Longer ones are cut off.
	maxError = 2048

	// failurePause is how long a socket rests that cannot be read.
	failurePause = time.Second
)

// reports is a batch of them. It is passed by value, so that nothing is shared or allocated.
type reports struct {
	n    int
	list [maxReports]report
}

// errorSocket receives the ICMP errors of one family that are addressed to this machine. The
// kernel receives them as well; nothing is taken from it.
type errorSocket struct {
	name  string
	file  *os.File
	raw   syscall.RawConn
	parse func(b []byte, from netip.Addr) (report, Outcome)
	count func(Outcome)

	// Of the batch that is being read. take is kept because a closure would be made anew for
	// each batch.
	take  func(fd uintptr) bool
	batch reports
	err   error
	buf   [maxError]byte
	from  unix.RawSockaddrInet6
}

// openErrorSockets opens a socket for each family that the machine has, in the calling
// thread's namespace.
func openErrorSockets(count func(Outcome)) ([]*errorSocket, error) {
	s4, err := openErrorSocket("ICMP", unix.AF_INET, unix.IPPROTO_ICMP, only3)
	if err != nil {
		return nil, err
	}
	s4.parse, s4.count = func(b []byte, _ netip.Addr) (report, Outcome) { return parse4(b) }, count
	s6, err := openErrorSocket("ICMPv6", unix.AF_INET6, unix.IPPROTO_ICMPV6, only2)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return []*errorSocket{s4}, nil
	}
	if err != nil {
		return nil, errors.Join(err, s4.close())
	}
	s6.parse, s6.count = parse6, count
	return []*errorSocket{s4, s6}, nil
}

// only3 lets destination unreachable pass (RFC 792); a set bit is a type that does not.
func only3(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_RAW, unix.ICMP_FILTER, int(^int32(1<<3)))
}

// only2 lets packet too big pass (RFC 4443 section 3.2); a set bit is a type that does not.
func only2(fd int) error {
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	f.Data[0] ^= 1 << 2
	return unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
}

func openErrorSocket(name string, family, protocol int, filter func(fd int) error) (*errorSocket, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("raw %s socket: %w: path MTU discovery needs CAP_NET_RAW", name, err)
	case err != nil:
		return nil, fmt.Errorf("raw %s socket: %w", name, err)
	}
	if err := filter(fd); err != nil {
		return nil, errors.Join(fmt.Errorf("raw %s socket: filter: %w", name, err), unix.Close(fd))
	}
	return newErrorSocket(name, fd)
}

// newErrorSocket takes over a socket that does not block.
func newErrorSocket(name string, fd int) (*errorSocket, error) {
	s := &errorSocket{name: name, file: os.NewFile(uintptr(fd), name)}
	s.take = s.receiveAll
	var err error
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close ends receive, also one that blocks.
func (s *errorSocket) close() error { return s.file.Close() }

// receive blocks until there are messages, and reads some into s.batch. It fails
// after close.
func (s *errorSocket) receive() error {
	s.batch.n, s.err = 0, nil
	if err := s.raw.Read(s.take); err != nil {
		return err
	}
	return s.err
}

// receiveAll reads what is there, up to maxReports messages. It says whether there was any.
func (s *errorSocket) receiveAll(fd uintptr) bool {
	for read := range maxReports {
		n, errno := s.receiveOne(fd)
		switch errno {
		case 0:
			s.add(s.buf[:n])
		case unix.EINTR:
		case unix.EAGAIN:
			return read > 0
		default:
			s.err = errno
			return true
		}
	}
	return true
}

// receiveOne is recvfrom without the allocation of an address.
func (s *errorSocket) receiveOne(fd uintptr) (int, unix.Errno) {
	size := uint32(unix.SizeofSockaddrInet6)
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&s.buf)), uintptr(len(s.buf)), 0,
		uintptr(unsafe.Pointer(&s.from)), uintptr(unsafe.Pointer(&size)))
	return int(n), errno
}

func (s *errorSocket) add(b []byte) {
	r, o := s.parse(b, netip.AddrFrom16(s.from.Addr))
	if o != believable {
		s.count(o)
		return
	}
	s.batch.list[s.batch.n] = r
	s.batch.n++
}

// hear hands over what a socket receives, until ctx has ended and the socket is closed.
func (u *Underlay) hear(ctx context.Context, s *errorSocket) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	failing := false
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		rest := errorPause
		err := s.receive()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failing {
				u.cfg.Log.Error("underlay: receiving ICMP errors; trying again", "socket", s.name, "error", err)
			}
			rest = failurePause
		}
		failing = err != nil
		if s.batch.n > 0 {
			select {
			case u.reports <- s.batch:
			case <-ctx.Done():
				return
			}
		}
		pause.Reset(rest)
	}
}
