package bmp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const ownSockets = "/proc/self/fd"

// own says whether the other end of an accepted connection is a socket of this process:
// one whose ends are those of c, the other way around.
func own(c *net.TCPConn) (bool, error) {
	here, there := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	list, err := os.ReadDir(ownSockets)
	if err != nil {
		return false, fmt.Errorf("list of the process's own sockets: %w", err)
	}
	for _, e := range list {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		local, err := unix.Getsockname(fd)
		if err != nil || sockaddr(local) != there {
			continue // no socket, or closed meanwhile, or another one
		}
		if remote, err := unix.Getpeername(fd); err == nil && sockaddr(remote) == here {
			return true, nil
		}
	}
	return false, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

func sockaddr(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
