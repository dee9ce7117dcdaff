package underlay

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// errInterrupted says that a table changed while it was dumped.
var errInterrupted = errors.New("the table changed while it was read")

// errNoAnswer says that a request failed on its way, so that it tells nothing about what
// was asked.
var errNoAnswer = errors.New("no answer from the kernel")

// requestSeconds is how long the kernel may take to answer; it answers at once unless
// something is badly wrong.
const requestSeconds = 5

// conn asks rtnetlink, one request at a time, into one buffer.
type conn struct {
	fd  int
	buf []byte
}

// dial opens a conn in the calling thread's namespace.
func dial() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: requestSeconds}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &conn{fd: fd, buf: make([]byte, 128<<10)}, nil
}

func (c *conn) close() error { return unix.Close(c.fd) }

// do sends a request and hands every message of the answer to each, whose body is valid
// until it returns. An error of the kernel is its errno.
func (c *conn) do(req *nl.NetlinkRequest, each func(kind uint16, body []byte)) error {
	if err := unix.Sendto(c.fd, req.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%w: send: %w", errNoAnswer, err)
	}
	a := answer{seq: req.Seq, acked: req.Flags&unix.NLM_F_ACK != 0, each: each}
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("%w: receive: %w", errNoAnswer, err)
		case n > len(c.buf):
			return fmt.Errorf("%w that fits: %d bytes, expected at most %d", errNoAnswer, n, len(c.buf))
		}
		if done, err := a.take(c.buf[:n]); done || err != nil {
			return err
		}
	}
}

// answer is what has come of the answer to a request.
type answer struct {
	seq         uint32
	acked       bool // an acknowledgement ends it
	interrupted bool
	each        func(kind uint16, body []byte)
}

// take reads one datagram and says whether the answer is complete.
func (a *answer) take(b []byte) (done bool, err error) {
	for h, body := range messages(b) {
		if h.Seq != a.seq {
			continue // left over from a request that was given up
		}
		a.interrupted = a.interrupted || h.Flags&unix.NLM_F_DUMP_INTR != 0
		switch h.Type {
		case unix.NLMSG_ERROR:
			return true, errno(body)
		case unix.NLMSG_DONE:
			if err := errno(body); err != nil {
				return true, err
			}
			if a.interrupted {
				return true, errInterrupted
			}
			return true, nil
		case unix.NLMSG_NOOP:
		default:
			if a.each != nil {
				a.each(h.Type, body)
			}
			done = done || (h.Flags&unix.NLM_F_MULTI == 0 && !a.acked)
		}
	}
	return done, nil
}

// errno reads struct nlmsgerr, or the number at the end of a dump. 0 is no error.
func errno(body []byte) error {
	if code := int32(u32(body)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// messages walks the netlink messages of a datagram, up to the first that is cut off.
func messages(b []byte) func(yield func(unix.NlMsghdr, []byte) bool) {
	return func(yield func(unix.NlMsghdr, []byte) bool) {
		for len(b) >= unix.NLMSG_HDRLEN {
			h := unix.NlMsghdr{
				Len:   u32(b),
				Type:  binary.NativeEndian.Uint16(b[4:]),
				Flags: binary.NativeEndian.Uint16(b[6:]),
				Seq:   u32(b[8:]),
				Pid:   u32(b[12:]),
			}
			if h.Len < unix.NLMSG_HDRLEN || uint64(h.Len) > uint64(len(b)) {
				return
			}
			if !yield(h, b[unix.NLMSG_HDRLEN:h.Len]) {
				return
			}
			b = b[min(len(b), int(h.Len+3)&^3):]
		}
	}
}
