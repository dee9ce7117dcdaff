package underlay

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errOverrun says that the kernel had more to tell than the socket's buffer holds.
var errOverrun = errors.New("events were lost")

// groups are what the monitor listens to. The last is missing in old kernels.
var groups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	unix.RTNLGRP_NEXTHOP,
}

// maxBatch bounds how many datagrams are read before the loop gets to see them.
const maxBatch = 512

// monitor receives the kernel's messages, in the order of the changes, on one socket.
type monitor struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
}

// openMonitor subscribes in the calling thread's namespace. What changes after it
// returned is received.
func openMonitor(receiveBuffer int) (*monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("event socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	if err := subscribe(fd, receiveBuffer); err != nil {
		return nil, errors.Join(fmt.Errorf("event socket: %w", err), file.Close())
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &monitor{file: file, raw: raw, buf: make([]byte, 64<<10)}, nil
}

func subscribe(fd, receiveBuffer int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return fmt.Errorf("receive buffer of %d bytes: %w", receiveBuffer, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for _, g := range groups {
		err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g)
		if err != nil && g != unix.RTNLGRP_NEXTHOP {
			return fmt.Errorf("multicast group %d: %w", g, err)
		}
	}
	return nil
}

// close implements kernel.
func (m *monitor) close() error { return m.file.Close() }

// receive implements kernel.
func (m *monitor) receive() ([]event, error) {
	var (
		events  []event
		recvErr error
	)
	err := m.raw.Read(func(fd uintptr) bool {
		for range maxBatch {
			n, from, err := unix.Recvfrom(int(fd), m.buf, 0)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return len(events) > 0
			case err != nil:
				recvErr = err
				return true
			}
			if sa, ok := from.(*unix.SockaddrNetlink); ok && sa.Pid == 0 {
				events = decodeEvents(m.buf[:n], events)
			}
		}
		return true
	})
	if errors.Is(recvErr, unix.ENOBUFS) {
		return nil, errOverrun
	}
	return events, errors.Join(err, recvErr)
}

// decodeEvents appends what a datagram tells.
func decodeEvents(b []byte, events []event) []event {
	for h, body := range messages(b) {
		e := event{}
		ok := true
		switch h.Type {
		case unix.RTM_NEWLINK:
			e.link, ok = decodeLink(body)
		case unix.RTM_DELLINK:
			e.kind = linkGone
			e.link, ok = decodeLink(body)
		case unix.RTM_NEWNEIGH:
			e.kind = neighborChanged
			e.neighbor, ok = decodeNeighbor(body)
		case unix.RTM_DELNEIGH:
			e.kind = neighborGone
			e.neighbor, ok = decodeNeighbor(body)
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			e.kind = routeChanged
			e.prefix, ok = decodeRoutePrefix(body)
		default: // addresses, rules, next hop objects
			e.kind = allChanged
		}
		if ok {
			events = append(events, e)
		}
	}
	return events
}
